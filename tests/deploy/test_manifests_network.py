"""Who may talk to whom, and what outsiders see: network policies and the Ingress, as our own code reads them."""

from __future__ import annotations

from deploy.local.provision import SERVICES
from services.notify import address
from tests.deploy.built import (
    Peer,
    environment,
    every_build,
    every_folder,
    every_service,
    matches,
    may_leave,
    may_talk,
    mounted,
    of_kind,
    pods,
    pods_of,
)

KAFKA = Peer({"strimzi.io/cluster": "whp"})
POSTGRES = Peer({"cnpg.io/cluster": "whp-postgres"})
DOORS = ("intake", "notify", "console")


@every_folder
@every_service
def test_a_service_reaches_what_it_needs_and_is_reached_by_those_who_need_it(folder: str, service: str) -> None:
    me = Peer(pods_of(folder, service).labels)
    collector = Peer(pods_of(folder, "collector").labels)
    for there, port in ((POSTGRES, 5432), (collector, 4318)):
        assert may_talk(folder, me, there, port)
    # Who may come in there is written by Strimzi, from what the listener says.
    assert may_leave(folder, me, KAFKA, 9093)
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
            assert may_leave("overlays/small", me, KAFKA, 9093)
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
        "intake": {"/v1/events", "/v1/days", "/v1/demands", "/fhir", "/v1/consultations", "/consultations"},
        "notify": {"/v1/clinic", "/v1/cases", "/v1/deliveries"},
        "console": {"/"},
    }
    hosts = {rule["host"] for rule in doors["spec"]["rules"]}
    assert {host for each in doors["spec"]["tls"] for host in each["hosts"]} == hosts
