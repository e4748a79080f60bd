"""`python -m deploy.credentials`: every secret that an installation needs, made anew.

`kubernetes` prints Secrets to pipe into `kubectl create -f -`, which refuses to replace what is there; `compose FOLDER`
writes a file for each. Run it once: another digest key would make each retry of an old event look like another event.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import yaml

from deploy.local.provision import DATABASE, SERVICES
from workhardening_contracts.kafka import Broker, Login, write_address

MOUNTED = Path("/run/whp")
"""Where the manifests mount secrets and the authorities of Kafka and PostgreSQL."""
NAMESPACE = "whp"
KAFKA = f"whp-kafka-bootstrap.{NAMESPACE}.svc:9093"
POSTGRES = f"whp-postgres-rw.{NAMESPACE}.svc:5432"
OPERATIONS = "operations"
"""Who operators are to Kafka: it may do everything there (kubernetes/base/kafka.yaml)."""


def database_url(role: str, password: str, server: str, ca: Path | None) -> str:
    """The URL of the program's database for a role; the server must show a certificate of `ca` where there is one."""
    trusted = "" if ca is None else f"?sslmode=verify-full&sslrootcert={ca}"
    return f"postgresql://{role}:{password}@{server}/{DATABASE}{trusted}"


def for_kubernetes() -> list[dict[str, object]]:
    """A Secret for each service and for operations, and what Strimzi, KEDA and CloudNativePG read of them."""
    digest_key, superuser = secrets.token_hex(32), secrets.token_urlsafe(32)
    made = [_secret("whp-postgres-superuser", {"username": "postgres", "password": superuser}, "basic-auth")]
    for name in (*SERVICES, OPERATIONS):
        in_kafka, in_database = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        kafka = write_address(Broker(KAFKA, Login(name, in_kafka, MOUNTED / "kafka-ca.crt")))
        said = {"whp_digest_key": digest_key, "whp_kafka_bootstrap": kafka}
        ca = MOUNTED / "postgres-ca.crt"
        if name == OPERATIONS:
            said["whp_admin_database_url"] = database_url("postgres", superuser, POSTGRES, ca)
        else:
            said["whp_database_url"] = database_url(name, in_database, POSTGRES, ca)
        if name == "console":
            said["whp_console_session_secret"] = secrets.token_hex(32)
        made += [_secret(f"whp-{name}", said), _secret(f"whp-{name}-kafka", {"username": name, "password": in_kafka})]
    return made


def _secret(name: str, values: dict[str, str], kind: str = "Opaque") -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "type": kind if kind == "Opaque" else f"kubernetes.io/{kind}",
        "stringData": values,
    }


def for_compose() -> dict[str, str]:
    """The files of compose.yaml's secrets, by name: one machine, where Kafka is open inside the program's network."""
    superuser = secrets.token_urlsafe(32)
    made = {
        "postgres_password": superuser,
        "admin_database_url": database_url("postgres", superuser, "postgres:5432", None),
        "digest_key": secrets.token_hex(32),
    }
    for name in SERVICES:
        made[f"{name}_database_url"] = database_url(name, secrets.token_urlsafe(32), "postgres:5432", None)
    if "console" in SERVICES:
        made["console_session_secret"] = secrets.token_hex(32)
    return made


def write(folder: Path, files: dict[str, str]) -> None:
    """A file for each secret. Raises FileExistsError rather than replace one: passwords in use would be lost.

    Whoever may not enter the folder reads none of them; containers get single files, and read them as another user.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in files.items():
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
        (folder / name).chmod(0o444)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["kubernetes"]:
            print(yaml.safe_dump_all(for_kubernetes(), sort_keys=False), end="")
        case ["compose", folder]:
            write(Path(folder), for_compose())
        case _:
            sys.exit("usage: python -m deploy.credentials kubernetes | compose FOLDER")
