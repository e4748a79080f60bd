"""The cluster's manifests say what the program is: its services, topics, rights, settings, doors, and no more."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.credentials import OPERATIONS, for_kubernetes
from deploy.local.access import Right, rights_of_partner, rights_of_services
from deploy.local.postgres import SETTINGS as LOCAL_POSTGRES
from deploy.local.provision import SERVICES
from deploy.local.topics import read_specs
from deploy.manifests import OVERLAYS, ROOT, Partners, access, main
from deploy.roles import password_of
from runtime.http import make_app
from runtime.service import CONNECTIONS, EXIT_S, START_S, Service
from runtime.settings import Settings, read_settings
from services.console.settings import ConsoleSettings
from services.notify import address
from tests.deploy.built import (
    BUILT,
    Manifest,
    Peer,
    Pods,
    built,
    environment,
    matches,
    may_talk,
    of_kind,
    pods,
)
from workhardening_contracts.kafka import read_address

FOLDERS = [f"overlays/{name}" for name in OVERLAYS]
SPECS = read_specs(ROOT / "contracts" / "topics")
SECRETS: dict[str, dict[str, str]] = {
    each["metadata"]["name"]: each["stringData"] for each in map(dict[str, Any], for_kubernetes())
}
# What the operators of Kafka and PostgreSQL make themselves.
MADE_THERE = {"whp-cluster-ca-cert": {"ca.crt"}, "whp-postgres-ca": {"ca.crt"}}
NOT_OURS = {
    *("OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER"),
    *("FORWARDED_ALLOW_IPS", "WHP_SECRETS_DIR"),
    *("WHP_DOORS", "WHP_FRONT_DOOR", "WHP_EMPLOYER_DOOR"),  # of `whp`
}

every_folder = pytest.mark.parametrize("folder", FOLDERS)
every_build = pytest.mark.parametrize("folder", BUILT)
every_service = pytest.mark.parametrize("service", SERVICES)


def the_service(name: str) -> Service:
    """A service as its process is made."""
    return import_module(f"services.{name}.__main__").SERVICE


def pods_of(folder: str, name: str) -> Pods:
    (found,) = [each for each in pods(folder) if each.name == name]
    return found


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


def mounted(pod: Pods) -> dict[str, str]:
    """The files of a pod's secrets with what is in them; an authority's certificate is not made here."""
    (volume,) = [each["projected"] for each in pod.spec["volumes"] if "projected" in each]
    assert volume["defaultMode"] == 0o440
    files: dict[str, str] = {}
    for source in (each["secret"] for each in volume["sources"]):
        values = SECRETS.get(source["name"], {"ca.crt": "a certificate"})
        kept = source.get("items") or [{"key": key, "path": key} for key in values]
        files |= {each["path"]: values[each["key"]] for each in kept}
    return files


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


def granted(users: list[Manifest]) -> set[Right]:
    """The rights of Kafka users, as deploy/local/access.py says them."""
    kinds = {"Read": "read", "Write": "write", "IdempotentWrite": "idempotent_write"}
    found: set[Right] = set()
    for user in users:
        for acl in user["spec"].get("authorization", {}).get("acls", ()):
            resource = acl["resource"]
            pattern = {"topic": "literal", "group": "prefix", "cluster": None}[resource["type"]]
            assert resource.get("patternType") == pattern
            assert acl["host"] == "*"
            for operation in acl["operations"]:
                name = resource.get("name", "kafka-cluster")
                found.add(Right(user["metadata"]["name"], kinds[operation], resource["type"], name))  # pyright: ignore[reportArgumentType]
    return found


@every_folder
def test_kafka_users_have_the_rights_of_the_topics_files_and_their_secrets_passwords(folder: str) -> None:
    users = of_kind(folder, "KafkaUser")
    assert granted(list(users.values())) == rights_of_services(SPECS, SERVICES)
    assert users.keys() == {*SERVICES, OPERATIONS}
    kafka = of_kind(folder, "Kafka")["whp"]["spec"]["kafka"]
    assert kafka["authorization"]["superUsers"] == [OPERATIONS]
    for name, user in users.items():
        secret = user["spec"]["authentication"]["password"]["valueFrom"]["secretKeyRef"]
        login = read_address(SECRETS[f"whp-{name}"]["whp_kafka_bootstrap"]).login
        assert login is not None
        assert (login.user, login.password) == (name, SECRETS[secret["name"]][secret["key"]])


def test_a_partner_that_is_named_gets_its_topic_its_login_and_its_rights() -> None:
    made = access(SPECS, Partners(clinics=["north"], employers=["emp-1"]))
    clinic, employer = (next(spec for spec in SPECS if spec.per == per) for per in ("clinic", "employer"))
    assert granted([each for each in made if each["kind"] == "KafkaUser"]) == (
        rights_of_services(SPECS, SERVICES)
        | rights_of_partner(clinic, "north", SERVICES)
        | rights_of_partner(employer, "emp-1", SERVICES)
    )
    topics = {each["metadata"]["name"]: each["spec"]["partitions"] for each in made if each["kind"] == "KafkaTopic"}
    assert topics == {"clinic.north.events.v1": 1, "employer.emp-1.readiness.v1": 1}
    assert {"clinic.north", "employer.emp-1"} <= {each["metadata"]["name"] for each in made}


@every_folder
def test_topics_are_as_declared(folder: str) -> None:
    topics = of_kind(folder, "KafkaTopic")
    assert {
        name: (topic["spec"]["partitions"], {key: str(value) for key, value in topic["spec"]["config"].items()})
        for name, topic in topics.items()
    } == {spec.name: (spec.partitions, spec.settings) for spec in SPECS if spec.per is None}
    for resource in (
        *topics.values(),
        *of_kind(folder, "KafkaUser").values(),
        *of_kind(folder, "KafkaNodePool").values(),
    ):
        assert resource["metadata"]["labels"]["strimzi.io/cluster"] == "whp"


@every_folder
def test_a_record_is_on_more_than_one_broker_where_there_are_more(folder: str) -> None:
    nodes = of_kind(folder, "KafkaNodePool")["node"]["spec"]["replicas"]
    config = of_kind(folder, "Kafka")["whp"]["spec"]["kafka"]["config"]
    assert config["default.replication.factor"] == config["offsets.topic.replication.factor"] == nodes
    assert config["min.insync.replicas"] == (nodes + 1) // 2
    assert config["auto.create.topics.enable"] == "false"


@every_folder
def test_the_database_has_room_for_every_replica_and_logs_no_statement(folder: str) -> None:
    cluster = of_kind(folder, "Cluster")["whp-postgres"]["spec"]
    parameters = cluster["postgresql"]["parameters"]
    quiet = ("log_error_verbosity", "log_min_error_statement", "log_statement", "log_parameter_max_length")
    private = {name: value for name, value in LOCAL_POSTGRES.items() if name.startswith(quiet)}
    assert parameters == private | {"max_connections": parameters["max_connections"]}
    # A roll-out has one more of each; a process has its pool, the relay's connection and one that listens.
    most = sum(each["spec"]["maxReplicaCount"] + 1 for each in of_kind(folder, "ScaledObject").values())
    assert int(parameters["max_connections"]) >= most * (CONNECTIONS + 2) + 50
    assert cluster["superuserSecret"]["name"] in SECRETS
    assert ("synchronous" in cluster["postgresql"]) == (cluster["instances"] > 1)


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


KAFKA = Peer({"strimzi.io/cluster": "whp"})
POSTGRES = Peer({"cnpg.io/cluster": "whp-postgres"})
DOORS = ("intake", "notify", "console")


@every_folder
@every_service
def test_a_service_reaches_what_it_needs_and_is_reached_by_those_who_need_it(folder: str, service: str) -> None:
    me = Peer(pods_of(folder, service).labels)
    collector = Peer(pods_of(folder, "collector").labels)
    for there, port in ((KAFKA, 9093), (POSTGRES, 5432), (collector, 4318)):
        # Kafka's own door is written by Strimzi, from what the listener says.
        assert may_talk(folder, me, there, port) or there is KAFKA
    assert may_talk(folder, me, Peer(namespace="kube-system"), 53, "UDP")
    (listener,) = of_kind(folder, "Kafka")["whp"]["spec"]["kafka"]["listeners"]
    assert any(matches(peer.get("podSelector", {}), me.labels or {}) for peer in listener["networkPolicyPeers"])
    assert may_talk(folder, Peer(namespace="monitoring"), me, 8080)
    assert may_talk(folder, Peer(namespace="ingress-nginx"), me, 8080) == (service in DOORS)
    assert not may_talk(folder, Peer(namespace="somewhere-else"), me, 8080)
    for other in SERVICES:
        if other != service:
            peer = Peer(pods_of(folder, other).labels)
            assert may_talk(folder, peer, me, 8080) == (other == "console"), (other, service)


@every_folder
def test_only_notify_leaves_and_only_to_public_addresses_by_https(folder: str) -> None:
    for pod in pods(folder):
        me = Peer(pod.labels)
        for public in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
            assert may_talk(folder, me, Peer(address=public), 443) == (pod.name == "notify"), pod.name
            assert not may_talk(folder, me, Peer(address=public), 80)
        for inner in ("10.0.0.1", "169.254.169.254", "192.168.1.1", "127.0.0.1", "100.64.0.1", "fd00::1", "fe80::1"):
            assert not may_talk(folder, me, Peer(address=inner), 443), pod.name


@every_folder
def test_the_addresses_that_are_refused_are_those_that_notify_refuses(folder: str) -> None:
    (rule,) = of_kind(folder, "NetworkPolicy")["webhooks"]["spec"]["egress"]
    refused = {each["ipBlock"]["cidr"]: each["ipBlock"]["except"] for each in rule["to"]}
    assert refused == {
        "0.0.0.0/0": [str(network) for network in address._REFUSED_4],  # pyright: ignore[reportPrivateUsage]
        str(address._GLOBAL_6): [str(network) for network in address._REFUSED_6],  # pyright: ignore[reportPrivateUsage]
    }


@every_build
def test_an_operator_reaches_the_database_and_nobody_reaches_the_operator(folder: str) -> None:
    for pod in pods(folder):
        if pod.labels["app.kubernetes.io/component"] == "operations":
            me = Peer(pod.labels)
            assert may_talk("overlays/small", me, POSTGRES, 5432)
            assert not may_talk("overlays/small", Peer(namespace="ingress-nginx"), me, 8080)


def test_an_operators_whp_knows_and_reaches_every_door() -> None:
    (pod,) = pods("operations")
    given = environment("operations", pod.containers[0])
    assert given["WHP_DOORS"].split(",") == [f"{name}=http://{name}:8080" for name in SERVICES]
    for service in SERVICES:
        there = Peer(pods_of("overlays/small", service).labels)
        assert may_talk("overlays/small", Peer(pod.labels), there, 8080)
    assert mounted(pod).keys() >= {"whp_admin_database_url", "whp_kafka_bootstrap", "whp_digest_key"}


@every_folder
def test_outsiders_get_the_paths_of_partners_and_people_and_no_other(folder: str) -> None:
    (doors,) = of_kind(folder, "Ingress").values()
    shown: dict[str, set[str]] = {}
    for rule in doors["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            assert path["pathType"] == "Prefix"
            service = path["backend"]["service"]
            assert service["port"] == {"name": "http"}
            shown.setdefault(service["name"], set()).add(path["path"])
    assert shown == {
        "intake": {"/v1/events", "/v1/days"},
        "notify": {"/v1/clinic", "/v1/cases", "/v1/deliveries"},
        "console": {"/"},
    }
    hosts = {rule["host"] for rule in doors["spec"]["rules"]}
    assert {host for each in doors["spec"]["tls"] for host in each["hosts"]} == hosts


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
