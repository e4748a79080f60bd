"""The cluster's manifests say what the program is: its services with their settings, probes, scalers and secrets."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.credentials import for_kubernetes
from deploy.local.provision import SERVICES
from deploy.local.topics import read_specs
from deploy.manifests import ROOT, main
from deploy.roles import password_of
from runtime.http import make_app
from runtime.service import EXIT_S, START_S, Service
from runtime.settings import Settings, read_settings
from services.console.settings import ConsoleSettings
from tests.deploy.built import (
    SECRETS,
    built,
    environment,
    every_build,
    every_folder,
    every_service,
    matches,
    mounted,
    of_kind,
    pods,
    pods_of,
)
from workhardening_contracts.kafka import read_address

SPECS = read_specs(ROOT / "contracts" / "topics")
# What the operators of Kafka and PostgreSQL make themselves.
MADE_THERE = {"whp-cluster-ca-cert": {"ca.crt"}, "whp-postgres-ca": {"ca.crt"}}
NOT_OURS = {
    *("OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER"),
    *("FORWARDED_ALLOW_IPS", "WHP_SECRETS_DIR"),
    *("WHP_DOORS", "WHP_FRONT_DOOR", "WHP_EMPLOYER_DOOR"),  # of `whp`
}


def the_service(name: str) -> Service:
    """A service as its process is made."""
    return import_module(f"services.{name}.__main__").SERVICE


def test_what_is_generated_is_current() -> None:
    assert main(["--check"]) == 0, "run `python -m deploy.manifests`"


def test_a_stale_file_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("deploy.manifests.LAG_PER_REPLICA", 7)
    assert main(["--check"]) == 1
    assert "deploy/kubernetes/base/services/intake.yaml" in capsys.readouterr().out


@every_build
def test_every_container_may_do_next_to_nothing(folder: str) -> None:
    found = pods(folder)
    assert found
    for pod in found:
        assert pod.spec["automountServiceAccountToken"] is False
        whole = pod.spec["securityContext"]
        assert whole["runAsNonRoot"] is True
        assert whole["runAsUser"] == 10001
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod.spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for container in pod.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, container["name"]
            for bound in ("requests", "limits"):
                assert container["resources"][bound].keys() == {"cpu", "memory"}
            assert re.fullmatch(r"\S+(:[0-9]+\.[0-9]+\.[0-9]+|@sha256:[0-9a-f]{64})", container["image"]), (
                "a version, and not what is newest"
            )


@every_build
def test_everything_that_a_pod_names_is_there(folder: str) -> None:
    maps = of_kind(folder, "ConfigMap")
    accounts = of_kind(folder, "ServiceAccount")
    for pod in pods(folder):
        volumes = {each["name"]: each for each in pod.spec.get("volumes", ())}
        assert pod.spec.get("serviceAccountName") in {None, *accounts}
        for container in pod.containers:
            environment(folder, container)  # raises KeyError for a ConfigMap that is not there
            assert {each["name"] for each in container["volumeMounts"]} <= volumes.keys()
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            for source in volume.get("projected", {}).get("sources", ()):
                there = MADE_THERE.get(source["secret"]["name"]) or SECRETS[source["secret"]["name"]]
                assert {each["key"] for each in source["secret"].get("items", ())} <= set(there)


@every_folder
@every_service
def test_a_service_can_read_its_settings_from_what_it_is_given(
    folder: str, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = pods_of(folder, service)
    (container,) = pod.containers
    given = environment(folder, container)
    (place,) = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "secrets"]
    assert given["WHP_SECRETS_DIR"] == place
    files = mounted(pod)
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("WHP_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WHP_SECRETS_DIR", str(tmp_path))

    settings = read_settings()
    assert (settings.mode, settings.http_host, settings.http_port) == ("production", "0.0.0.0", 8080)
    login = read_address(settings.kafka_bootstrap.get_secret_value()).login
    assert login is not None
    assert login.user == service
    database = settings.database_url.get_secret_value()
    assert password_of(database) == SECRETS[f"whp-{service}"]["whp_database_url"].split(":")[2].split("@")[0]
    trusted = [str(login.ca_file), *re.findall(r"sslrootcert=(.*)$", database)]
    assert trusted == [f"{place}/kafka-ca.crt", f"{place}/postgres-ca.crt"]
    assert {Path(file).name for file in trusted} <= files.keys()
    if service == "console":
        console = ConsoleSettings(_secrets_dir=tmp_path)  # pyright: ignore[reportCallIssue]
        assert set(console.services) == set(SERVICES) - {"console"}
        for name in console.services:
            assert console.url(name) == f"http://{name}:8080"
            assert name in of_kind(folder, "Service")


@every_build
def test_every_variable_is_a_setting(folder: str) -> None:
    known = NOT_OURS | {f"WHP_{name.upper()}" for name in Settings.model_fields}
    of_console = {f"WHP_CONSOLE_{name.upper()}" for name in ConsoleSettings.model_fields}
    for pod in pods(folder):
        for container in pod.containers:
            if container["image"].split(":")[0].endswith("workhardening"):
                given = environment(folder, container).keys()
                assert given <= known | (of_console if pod.name == "console" else set()), pod.name


@every_folder
@every_service
def test_probes_ask_doors_that_are_there_and_leave_time_to_start_and_to_end(folder: str, service: str) -> None:
    pod = pods_of(folder, service)
    (container,) = pod.containers
    assert container["args"] == ["python", "-m", f"services.{service}"]
    routes = {getattr(route, "path", None) for route in make_app(service).routes}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in routes
        assert container[probe]["httpGet"]["port"] in {each["name"] for each in container["ports"]}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] > START_S + 10, (
        "the process says itself why it cannot start"
    )
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod.spec["terminationGracePeriodSeconds"] >= before + EXIT_S + 10


@every_folder
@every_service
def test_every_service_has_a_door_a_budget_and_a_scaler(folder: str, service: str) -> None:
    labels = pods_of(folder, service).labels
    deployment = of_kind(folder, "Deployment")[service]["spec"]
    assert "replicas" not in deployment, "the scaler's word would be overruled by each apply"
    for selector in (
        deployment["selector"],
        of_kind(folder, "PodDisruptionBudget")[service]["spec"]["selector"],
        {"matchLabels": of_kind(folder, "Service")[service]["spec"]["selector"]},
    ):
        assert matches(selector, labels)
        assert [pod.name for pod in pods(folder) if matches(selector, pod.labels)] == [service]
    assert of_kind(folder, "PodDisruptionBudget")[service]["spec"]["maxUnavailable"] == 1

    scaler = of_kind(folder, "ScaledObject")[service]["spec"]
    assert scaler["scaleTargetRef"] == {"name": service}
    assert 1 <= scaler["minReplicaCount"] <= scaler["maxReplicaCount"]
    read = {each["metadata"]["topic"] for each in scaler["triggers"]}
    assert read == set(the_service(service).topics)
    fewest = min(spec.partitions for spec in SPECS if spec.name in read)
    assert scaler["maxReplicaCount"] <= fewest, "a replica without a partition would idle"
    if folder.endswith("production"):
        assert scaler["maxReplicaCount"] == fewest
    for trigger in scaler["triggers"]:
        assert trigger["metadata"]["consumerGroup"] == f"whp.{service}"
        assert (
            trigger["metadata"]["bootstrapServers"]
            == read_address(SECRETS["whp-intake"]["whp_kafka_bootstrap"]).servers
        )
    login = {
        each["parameter"]: (each["name"], each["key"])
        for each in of_kind(folder, "TriggerAuthentication")[service]["spec"]["secretTargetRef"]
    }
    assert login.pop("ca") == ("whp-cluster-ca-cert", "ca.crt")
    assert {parameter: SECRETS[name][key] for parameter, (name, key) in login.items()} == SECRETS[
        f"whp-{service}-kafka"
    ]


@every_folder
def test_roles_are_made_from_the_services_own_secrets_before_their_tables(folder: str) -> None:
    pod = pods_of(folder, "prepare")
    assert [each["args"] for each in pod.containers] == [["python", "-m", "deploy.roles"], ["whp", "migrate"]]
    files = mounted(pod)
    for service in SERVICES:
        assert files[f"{service}_database_url"] == SECRETS[f"whp-{service}"]["whp_database_url"]
    superuser = SECRETS["whp-postgres-superuser"]
    assert password_of(files["whp_admin_database_url"]) == superuser["password"]
    assert "whp_kafka_bootstrap" in files, "`whp` asks for both addresses"


def test_alerts_figures_and_the_dashboard_reach_the_cluster() -> None:
    folder = "overlays/production"
    alerts = yaml.safe_load((ROOT / "deploy/alerts/workhardening.yaml").read_text(encoding="utf-8"))
    (rules,) = of_kind(folder, "PrometheusRule").values()
    assert rules["spec"]["groups"] == alerts["groups"]
    (scraped,) = of_kind(folder, "PodMonitor").values()
    selector = scraped["spec"]["selector"]
    assert {pod.name for pod in pods(folder) if matches(selector, pod.labels)} == set(SERVICES)
    boards = [each for each in of_kind(folder, "ConfigMap").values() if "workhardening.json" in each["data"]]
    assert [each["metadata"]["labels"] for each in boards] == [{"grafana_dashboard": "1"}]


@every_build
def test_everything_is_in_the_programs_namespace(folder: str) -> None:
    for each in built(folder):
        if each["kind"] == "Namespace":
            assert each["metadata"]["name"] == "whp"
        else:
            assert each["metadata"]["namespace"] == "whp"


def test_credentials_are_made_anew_and_shared_only_where_they_must_be() -> None:
    again = {each["metadata"]["name"]: each["stringData"] for each in map(dict[str, Any], for_kubernetes())}
    assert again.keys() == SECRETS.keys()
    for name, values in again.items():
        for key, value in values.items():
            assert value != SECRETS[name][key] or key == "username"
    digests = {values["whp_digest_key"] for values in SECRETS.values() if "whp_digest_key" in values}
    assert len(digests) == 1, "an event is known by one digest in all services"
    passwords = [values["password"] for values in SECRETS.values() if "password" in values]
    assert len(set(passwords)) == len(passwords)
