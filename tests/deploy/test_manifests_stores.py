"""Kafka and PostgreSQL are on the cluster what they are locally: topics, rights, privacy, and room for everybody."""

from __future__ import annotations

from deploy.credentials import OPERATIONS
from deploy.local.access import Right, rights_of_partner, rights_of_services
from deploy.local.postgres import SETTINGS as LOCAL_POSTGRES
from deploy.local.provision import SERVICES
from deploy.local.topics import read_specs
from deploy.manifests import ROOT, Partners, access
from runtime.service import CONNECTIONS
from tests.deploy.built import SECRETS, Manifest, every_folder, of_kind
from workhardening_contracts.kafka import read_address

SPECS = read_specs(ROOT / "contracts" / "topics")


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
