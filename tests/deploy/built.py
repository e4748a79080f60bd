"""The manifests as they reach a cluster, and what a cluster would make of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.credentials import for_kubernetes
from deploy.local.provision import SERVICES
from deploy.manifests import KUBERNETES, OVERLAYS

Manifest = dict[str, Any]
FOLDERS = tuple(f"overlays/{overlay}" for overlay in OVERLAYS)
BUILT = (*FOLDERS, "operations")
SECRETS: Mapping[str, Mapping[str, str]] = {
    each["metadata"]["name"]: each["stringData"] for each in map(dict[str, Any], for_kubernetes())
}
"""What an installation is given, made once for all tests."""

every_folder = pytest.mark.parametrize("folder", FOLDERS)
every_build = pytest.mark.parametrize("folder", BUILT)
every_service = pytest.mark.parametrize("service", SERVICES)


@cache
def built(folder: str) -> tuple[Manifest, ...]:
    """What `kubectl kustomize` makes of a folder of deploy/kubernetes."""
    return kustomize(KUBERNETES / folder)


def kustomize(folder: Path) -> tuple[Manifest, ...]:
    """What `kubectl kustomize` makes of a folder."""
    kubectl = Path(sys.executable).with_name("kubectl")
    made = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    return tuple(yaml.safe_load_all(made.stdout))


def of_kind(folder: str, kind: str) -> dict[str, Manifest]:
    """The resources of a kind, by name."""
    return {each["metadata"]["name"]: each for each in built(folder) if each["kind"] == kind}


@dataclass(frozen=True)
class Pods:
    """The pods of one workload."""

    kind: str
    name: str
    labels: Mapping[str, str]
    spec: Manifest

    @property
    def containers(self) -> list[Manifest]:
        """Those that set up, too."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(folder: str) -> list[Pods]:
    """The pods that our own manifests make; Kafka's and PostgreSQL's are made by their operators."""
    found: list[Pods] = []
    for each in built(folder):
        match each["kind"]:
            case "Deployment" | "Job":
                template = each["spec"]["template"]
            case "CronJob":
                template = each["spec"]["jobTemplate"]["spec"]["template"]
            case "Pod":
                template = each
            case _:
                continue
        name = each["metadata"]["name"]
        found.append(Pods(each["kind"], name, template["metadata"]["labels"], template["spec"]))
    return found


def pods_of(folder: str, name: str) -> Pods:
    """Those of one workload."""
    (found,) = [each for each in pods(folder) if each.name == name]
    return found


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


def environment(folder: str, container: Manifest) -> dict[str, str]:
    """A container's environment, its ConfigMaps read."""
    maps = of_kind(folder, "ConfigMap")
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        assert source.keys() == {"configMapRef"}, "a secret is a file"
        found |= maps[source["configMapRef"]["name"]]["data"]
    for variable in container.get("env", ()):
        assert variable.keys() == {"name", "value"}, "a secret is a file"
        found[variable["name"]] = variable["value"]
    return found


@dataclass(frozen=True)
class Peer:
    """One end of a connection: a pod of ours, or somebody in another namespace, or an address."""

    labels: Mapping[str, str] | None = None
    namespace: str = "whp"
    address: str | None = None


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes something with these labels."""
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    wanted: list[Manifest] = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in wanted)
    return plain and all(labels.get(each["key"]) in each["values"] for each in wanted)


def may_talk(folder: str, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the network policies let a connection through: at both of its ends, where those are ours."""
    leaves = may_leave(folder, source, target, port, protocol)
    return leaves and _side(folder, target, source, port, protocol, "Ingress")


def may_leave(folder: str, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether they let it out where it begins."""
    return _side(folder, source, target, port, protocol, "Egress")


def _side(folder: str, mine: Peer, other: Peer, port: int, protocol: str, way: str) -> bool:
    if mine.namespace != "whp" or mine.labels is None:
        return True  # not ours to say
    policies = [
        each["spec"]
        for each in built(folder)
        if each["kind"] == "NetworkPolicy"
        and way in each["spec"]["policyTypes"]
        and matches(each["spec"]["podSelector"], mine.labels)
    ]
    assert policies, "nothing is denied here"
    rules = [rule for each in policies for rule in each.get(way.lower(), ())]
    return any(
        _has_port(rule.get("ports"), port, protocol) and _has_peer(rule.get("to" if way == "Egress" else "from"), other)
        for rule in rules
    )


def _has_port(ports: Iterable[Manifest] | None, port: int, protocol: str) -> bool:
    return ports is None or any((each["port"], each.get("protocol", "TCP")) == (port, protocol) for each in ports)


def _has_peer(peers: Iterable[Manifest] | None, other: Peer) -> bool:
    if peers is None:
        return True
    for peer in peers:
        if "ipBlock" in peer:
            if other.address is not None and _in_block(peer["ipBlock"], other.address):
                return True
        elif other.address is None:
            namespace = {"kubernetes.io/metadata.name": other.namespace}
            here = (
                matches(peer["namespaceSelector"], namespace)
                if "namespaceSelector" in peer
                else (other.namespace == "whp")
            )
            if here and matches(peer.get("podSelector", {}), other.labels or {}):
                return True
    return False


def _in_block(block: Manifest, address: str) -> bool:
    return ip_address(address) in ip_network(block["cidr"]) and not any(
        ip_address(address) in ip_network(each) for each in block.get("except", ())
    )
