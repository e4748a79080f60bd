"""The image holds what runs and nothing else, and compose.yaml starts it confined and in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.credentials import for_compose, write
from deploy.local.provision import SERVICES
from deploy.manifests import ROOT
from deploy.roles import another_database, password_of
from runtime.service import EXIT_S
from runtime.settings import Settings, read_settings
from services.console.settings import ConsoleSettings
from tests.docs.reading import committed

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PROGRAM = {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith("workhardening:")}

every_service = pytest.mark.parametrize("service", SERVICES)


def test_services_and_whp_import_only_what_is_deployed() -> None:
    modules = [f"services.{name}.__main__" for name in SERVICES] + ["deploy.roles", "deploy.credentials"]
    script = f"""
import sys
from importlib import import_module, metadata
from ops.__main__ import load
for name in {modules!r}:
    import_module(name)
load("")
of = metadata.packages_distributions()
print(*{{each for name in sys.modules if "." not in name for each in of.get(name, ())}})
"""
    # -S would leave out the environment; what .pth files import at every start is not the program's doing.
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    lock = (ROOT / "requirements/app.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9.-]+)(?:\[.*?\])?==", lock, re.MULTILINE))
    started = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    of = metadata.packages_distributions()
    always = {each for name in started for each in of.get(name, ())}
    ours = {"work-hardening-program", "workhardening-contracts"}
    # Libraries look whether these are there, and go without where they are not.
    imported = set(ran.stdout.split()) - always - ours - {"psutil", "greenlet", "lxml"}
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in imported} - locked == set()
    assert len(imported) > 20


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    for folder in (ROOT, ROOT / "contracts"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
            cwd=folder,
            capture_output=True,
            timeout=120,
            check=True,
        )
    held = {name for wheel in tmp_path.glob("*.whl") for name in zipfile.ZipFile(wheel).namelist()}
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    packages = copied - {"contracts"} | {"workhardening_contracts"}
    wanted = {
        str(path.relative_to(ROOT / "contracts") if path.is_relative_to(ROOT / "contracts") else path.relative_to(ROOT))
        for path in committed()
    }
    left_out = ("torture/mutants/", "torture/simulated/", "torture/simulation.py")
    for name in wanted:
        if name.split("/")[0] in packages and not name.startswith(left_out):
            assert name in held, name
    assert {"services", "runtime", "ops", "deploy", "simulator", "torture"} <= packages


def test_what_the_dockerfile_copies_is_there_and_is_let_in() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*", "what is not named stays out"
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists()
            assert any(f"!{above}" in ignored for above in (source, *map(str, Path(source).parents))), source
    assert "!services/console/pages/.npmrc" in ignored


def test_the_image_is_locked_and_runs_as_nobody_in_particular() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install ([^\\\n]*)", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "USER 10001:10001" in last
    assert "PYTHONDONTWRITEBYTECODE=1" in last
    assert "HEALTHCHECK NONE" in last
    for image in re.findall(r"^(?:FROM|ARG PYTHON=) ?(\S+)", DOCKERFILE, re.MULTILINE):
        assert image == "${PYTHON}" or re.search(r":\d+", image)


def test_compose_is_what_its_schema_allows() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_compose_names_only_what_it_defines_and_waits_only_for_what_can_come() -> None:
    services: dict[str, Any] = COMPOSE["services"]
    for name, each in services.items():
        for other, wait in each.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}"
            match wait["condition"]:
                case "service_healthy":
                    assert "healthcheck" in services[other]
                case "service_completed_successfully":
                    assert "restart" not in services[other], "it never ends"
                case condition:
                    assert condition == "service_started"
        assert set(each.get("networks", ())) <= COMPOSE["networks"].keys()
        assert {volume.split(":")[0] for volume in each.get("volumes", ())} <= COMPOSE["volumes"].keys()
        assert {config["source"] for config in each.get("configs", ())} <= COMPOSE["configs"].keys()
        assert {secret if isinstance(secret, str) else secret["source"] for secret in each.get("secrets", ())} <= (
            COMPOSE["secrets"].keys()
        )
        for port in each.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "TLS ends in a proxy in front"
    for config in COMPOSE["configs"].values():
        assert (DEPLOY / config["file"]).is_file()


def test_compose_confines_every_container() -> None:
    for name, each in COMPOSE["services"].items():
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert each.get("read_only", False) is (name != "kafka")
        assert {"mem_limit", "pids_limit"} <= each.keys()
        assert re.search(r":\d+(\.\d+)*$", each["image"])
        assert "privileged" not in each
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = {name for name, each in COMPOSE["services"].items() if "outside" in each["networks"]}
    assert outside == {"intake", "notify", "console", "collector"}


def test_the_secrets_of_compose_are_the_files_that_are_made(tmp_path: Path) -> None:
    made = for_compose()
    assert {name: Path(secret["file"]).name for name, secret in COMPOSE["secrets"].items()} == {
        name: name for name in made
    }
    write(tmp_path / "secrets", made)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "secrets").iterdir():
        assert file.stat().st_mode & 0o777 == 0o444
    with pytest.raises(FileExistsError):
        write(tmp_path / "secrets", for_compose())
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def mounted(service: str) -> dict[str, str]:
    """The files of /run/secrets, with what is in them."""
    made = for_compose()
    given = [
        {"source": each, "target": each} if isinstance(each, str) else each for each in PROGRAM[service]["secrets"]
    ]
    return {each["target"]: made[each["source"]] for each in given}


@every_service
def test_a_service_of_compose_can_read_its_settings(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = PROGRAM[service]
    assert each["command"] == ["python", "-m", f"services.{service}"]
    assert float(each["stop_grace_period"].removesuffix("s")) >= EXIT_S + 10
    for name in [name for name in os.environ if name.startswith("WHP_")]:
        monkeypatch.delenv(name)
    for name, value in each["environment"].items():
        monkeypatch.setenv(name, value)
    for name, text in mounted(service).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert each["environment"]["WHP_SECRETS_DIR"] == "/run/secrets"
    monkeypatch.setenv("WHP_SECRETS_DIR", str(tmp_path))
    settings = read_settings()
    assert settings.mode == "production"
    assert settings.database_url.get_secret_value().startswith(f"postgresql://{service}:")
    if service == "console":
        console = ConsoleSettings(_secrets_dir=tmp_path)  # pyright: ignore[reportCallIssue]
        assert set(console.services) == set(SERVICES) - {"console"}


def test_every_variable_of_compose_is_a_setting() -> None:
    known = {f"WHP_{name.upper()}" for name in Settings.model_fields} | {
        *(
            "WHP_SECRETS_DIR",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_METRICS_EXPORTER",
            "WHP_FRONT_DOOR",
            "WHP_EMPLOYER_DOOR",
            "WHP_DOORS",
            "WHP_CONSOLE_SERVICES",
        )
    }
    for name, each in PROGRAM.items():
        assert each["environment"].keys() <= known, name


def test_roles_are_made_from_every_services_url() -> None:
    files = mounted("roles")
    assert files.keys() == {"whp_admin_database_url", *(f"{name}_database_url" for name in SERVICES)}
    assert password_of("postgresql://notify:a%2Fb@postgres:5432/whp?sslmode=require\n") == "a/b"
    with pytest.raises(ValueError, match="no password"):
        password_of("postgresql://notify@postgres/whp")
    assert another_database("postgresql://postgres:x@host:5432/whp?sslmode=require", "postgres") == (
        "postgresql://postgres:x@host:5432/postgres?sslmode=require"
    )
