"""`python -m deploy.manifests [--check]`: the manifests that follow from the table of services and the topics' files.

A Deployment with its scaler for each service, the topics, who may do what with them, and the alerts as an operator of
Prometheus reads them. What is written is committed, so that an installation needs no Python; `--check` tells whether it
is current.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from deploy.credentials import KAFKA, OPERATIONS
from deploy.local.access import Right, rights_of_partner, rights_of_services, user_of
from deploy.local.provision import SERVICES
from deploy.local.topics import TopicSpec, read_specs

ROOT = Path(__file__).resolve().parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
# A folder of yours beside `small` and `production` is one, too.
OVERLAYS = tuple(sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/partners.yaml")))
# A quarter of what WhpConsumerBehind calls a person for, so that replicas have come before anybody is called.
LAG_PER_REPLICA = 2500
_STRIMZI = {"strimzi.io/cluster": "whp"}
_OPERATIONS: dict[str, Literal["Read", "Write", "IdempotentWrite"]] = {
    "read": "Read",
    "write": "Write",
    "idempotent_write": "IdempotentWrite",
}

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a service needs of its surroundings beyond what all of them do."""

    door: bool = False
    """Whether people or partners come to it from outside."""
    env: Mapping[str, str] | None = None


# A service that is not named here has the defaults.
PARTICULAR = {
    "intake": Deployed(door=True),
    "notify": Deployed(door=True),
    "console": Deployed(
        door=True,
        env={
            "WHP_CONSOLE_SERVICES": json.dumps(
                {name: f"http://{name}:8080" for name in SERVICES if name != "console"}, separators=(",", ":")
            )
        },
    ),
}


class Partners(BaseModel):
    """An overlay's partners.yaml: who has a topic of its own."""

    model_config = ConfigDict(extra="forbid")

    clinics: list[str] = []
    employers: list[str] = []


def manifests() -> dict[Path, str]:
    """Every generated file with its text. Raises StackError for a topic's file or a partner's id that is unfit."""
    specs = read_specs(ROOT / "contracts" / "topics")
    alerts = yaml.safe_load((ROOT / "deploy" / "alerts" / "workhardening.yaml").read_text(encoding="utf-8"))
    found = {
        KUBERNETES / "base" / "topics.yaml": _written(topic(spec) for spec in specs if spec.per is None),
        KUBERNETES / "monitoring" / "alerts.yaml": _written([rules(alerts)]),
    }
    services = KUBERNETES / "base" / "services"
    found |= {services / f"{name}.yaml": service(name, specs) for name in SERVICES}
    found[services / "kustomization.yaml"] = _written([_listing(f"{name}.yaml" for name in SERVICES)])
    found[KUBERNETES / "base" / "prepare.yaml"] = prepare()
    for overlay in OVERLAYS:
        folder = KUBERNETES / "overlays" / overlay
        partners = Partners.model_validate(yaml.safe_load((folder / "partners.yaml").read_text(encoding="utf-8")) or {})
        found[folder / "access.yaml"] = _written(access(specs, partners))
    return found


def service(name: str, specs: Iterable[TopicSpec]) -> str:
    """All that one service is on the cluster."""
    read = [spec for spec in specs if spec.per is None and name in spec.consumers]
    particular = PARTICULAR.get(name, Deployed())
    template = Template((KUBERNETES / "service.template.yaml").read_text(encoding="utf-8"))
    return template.substitute(
        name=name,
        door=json.dumps("public" if particular.door else "inner"),
        env=_indented([{"name": key, "value": value} for key, value in (particular.env or {}).items()], 12),
        partitions=max(spec.partitions for spec in read),
        triggers=_indented([_trigger(name, spec) for spec in read], 4),
    ).replace("\n\n", "\n")


def prepare() -> str:
    """The job that makes roles and tables; it is given each service's password."""
    sources = [
        {
            "secret": {
                "name": f"whp-{name}",
                "items": [{"key": "whp_database_url", "path": f"{name}_database_url"}],
            }
        }
        for name in SERVICES
    ]
    template = Template((KUBERNETES / "prepare.template.yaml").read_text(encoding="utf-8"))
    return template.substitute(services=_indented(sources, 14))


def _listing(files: Iterable[str]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(files),
    }


def _trigger(service: str, spec: TopicSpec) -> Manifest:
    return {
        "type": "kafka",
        "metadata": {
            "bootstrapServers": KAFKA,
            "consumerGroup": f"whp.{service}",
            "topic": spec.name,
            "lagThreshold": str(LAG_PER_REPLICA),
            "offsetResetPolicy": "earliest",
            "sasl": "scram_sha512",
            "tls": "enable",
        },
        "authenticationRef": {"name": service},
    }


def topic(spec: TopicSpec) -> Manifest:
    """A topic. It has as many replicas as the cluster gives by default (base/kafka.yaml)."""
    config = {name: int(value) for name, value in spec.settings.items()}
    return _strimzi("KafkaTopic", spec.name, {"partitions": spec.partitions, "config": config})


def access(specs: Sequence[TopicSpec], partners: Partners) -> list[Manifest]:
    """A user for each service, partner and operations, with the rights that the topics' files give; partners' topics.

    Strimzi takes from its users whatever is not written here, so that what `whp` grants one by one would not last.
    """
    rights = rights_of_services(specs, SERVICES)
    users: dict[str, str] = {name: f"whp-{name}-kafka" for name in SERVICES}
    topics: list[Manifest] = []
    for per, ids in (("clinic", partners.clinics), ("employer", partners.employers)):
        spec = next(spec for spec in specs if spec.per == per)
        for id in ids:
            rights |= rights_of_partner(spec, id, SERVICES)
            users[user_of(spec, id)] = ""
            topics.append(topic(spec.named(id)))
    of = defaultdict[str, list[Right]](list)
    for right in sorted(rights):
        of[right.user].append(right)
    # Operations are a superuser of the broker, which needs no list.
    return [
        *topics,
        *(_user(name, of[name], secret) for name, secret in users.items()),
        _user(OPERATIONS, [], f"whp-{OPERATIONS}-kafka"),
    ]


def _user(name: str, rights: Sequence[Right], secret: str) -> Manifest:
    """A user; where no secret names its password, Strimzi makes one and keeps it in a Secret of the user's name."""
    authentication: Manifest = {"type": "scram-sha-512"}
    if secret:
        authentication["password"] = {"valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}}}
    spec: Manifest = {"authentication": authentication}
    if rights:
        spec["authorization"] = {"type": "simple", "acls": [_acl(right) for right in rights]}
    return _strimzi("KafkaUser", name, spec)


def _acl(right: Right) -> Manifest:
    resource: Manifest = {"type": right.kind}
    if right.kind != "cluster":
        resource |= {"name": right.name, "patternType": "prefix" if right.kind == "group" else "literal"}
    return {"resource": resource, "operations": [_OPERATIONS[right.operation]], "host": "*"}


def _strimzi(kind: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"name": name, "labels": _STRIMZI}
    return {"apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def rules(alerts: Manifest) -> Manifest:
    """The alerts as the Prometheus operator reads them."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "workhardening"},
        "spec": {"groups": alerts["groups"]},
    }


class _Plain(yaml.SafeDumper):
    """Without anchors: what is said twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dumped(value: Any) -> str:
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def _written(documents: Iterable[Manifest]) -> str:
    return "# Written by `python -m deploy.manifests`.\n" + "---\n".join(_dumped(each) for each in documents)


def _indented(values: list[Manifest], spaces: int) -> str:
    if not values:
        return ""
    return "\n".join(" " * spaces + line for line in _dumped(values).splitlines())


def main(arguments: Sequence[str]) -> int:
    """Write what is not current and say so; with `--check` only say so, and end with 1."""
    wanted = manifests()
    there = set((KUBERNETES / "base" / "services").glob("*.yaml")) | {path for path in wanted if path.exists()}
    stale = [path for path, text in wanted.items() if path not in there or path.read_text(encoding="utf-8") != text]
    gone = sorted(there - wanted.keys())
    for path in stale + gone:
        print(path.relative_to(ROOT))
    if "--check" in arguments:
        return 1 if stale or gone else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    for path in gone:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
