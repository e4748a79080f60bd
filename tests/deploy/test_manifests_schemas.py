"""Every manifest is what its kind allows: by Kubernetes' own schemas, and for operators' kinds by the fields we use."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from deploy.local.provision import DECIDING
from deploy.manifests import KUBERNETES, ROOT
from tests.deploy.built import BUILT, Manifest, built, kustomize
from tests.docs.reading import blocks, section

VERSION = "1.37"
# No package registry has the schemas of these kinds. The fields below are those that were held once against the
# definitions of the operators' own repositories (docs/deploy.md); another field has to be looked up there first.
# A path that ends in a dot is a map of free names.
FIELDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("kafka.strimzi.io/v1", "Kafka"): frozenset(
        {
            "spec.kafka.version",
            "spec.kafka.listeners[].name",
            "spec.kafka.listeners[].port",
            "spec.kafka.listeners[].type",
            "spec.kafka.listeners[].tls",
            "spec.kafka.listeners[].authentication.type",
            "spec.kafka.listeners[].networkPolicyPeers[].podSelector.matchLabels.",
            "spec.kafka.listeners[].networkPolicyPeers[].namespaceSelector.matchLabels.",
            "spec.kafka.authorization.type",
            "spec.kafka.authorization.superUsers[]",
            "spec.kafka.config.",
            "spec.entityOperator.topicOperator",
            "spec.entityOperator.userOperator",
        }
    ),
    ("kafka.strimzi.io/v1", "KafkaNodePool"): frozenset(
        {
            "spec.replicas",
            "spec.roles[]",
            "spec.storage.type",
            "spec.storage.volumes[].id",
            "spec.storage.volumes[].type",
            "spec.storage.volumes[].size",
            "spec.storage.volumes[].kraftMetadata",
            "spec.storage.volumes[].deleteClaim",
            "spec.template.pod.topologySpreadConstraints[].maxSkew",
            "spec.template.pod.topologySpreadConstraints[].topologyKey",
            "spec.template.pod.topologySpreadConstraints[].whenUnsatisfiable",
            "spec.template.pod.topologySpreadConstraints[].labelSelector.matchLabels.",
            "spec.resources.requests.",
            "spec.resources.limits.",
        }
    ),
    ("kafka.strimzi.io/v1", "KafkaTopic"): frozenset({"spec.partitions", "spec.config."}),
    ("kafka.strimzi.io/v1", "KafkaUser"): frozenset(
        {
            "spec.authentication.type",
            "spec.authentication.password.valueFrom.secretKeyRef.name",
            "spec.authentication.password.valueFrom.secretKeyRef.key",
            "spec.authorization.type",
            "spec.authorization.acls[].resource.type",
            "spec.authorization.acls[].resource.name",
            "spec.authorization.acls[].resource.patternType",
            "spec.authorization.acls[].operations[]",
            "spec.authorization.acls[].host",
        }
    ),
    ("postgresql.cnpg.io/v1", "Cluster"): frozenset(
        {
            "spec.instances",
            "spec.enableSuperuserAccess",
            "spec.superuserSecret.name",
            "spec.storage.size",
            "spec.affinity.podAntiAffinityType",
            "spec.postgresql.parameters.",
            "spec.postgresql.synchronous.method",
            "spec.postgresql.synchronous.number",
            "spec.postgresql.synchronous.dataDurability",
            "spec.resources.requests.",
            "spec.resources.limits.",
        }
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): frozenset(
        {
            "spec.scaleTargetRef.name",
            "spec.minReplicaCount",
            "spec.maxReplicaCount",
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds",
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies[].type",
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies[].value",
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies[].periodSeconds",
            "spec.triggers[].type",
            "spec.triggers[].authenticationRef.name",
            # Of the Kafka scaler's own source: a map of free names to the schema.
            *(
                f"spec.triggers[].metadata.{name}"
                for name in (
                    *("bootstrapServers", "consumerGroup", "topic", "lagThreshold", "offsetResetPolicy"),
                    *("sasl", "tls"),
                )
            ),
        }
    ),
    ("keda.sh/v1alpha1", "TriggerAuthentication"): frozenset(
        {"spec.secretTargetRef[].parameter", "spec.secretTargetRef[].name", "spec.secretTargetRef[].key"}
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): frozenset(
        {
            "spec.selector.matchLabels.",
            "spec.podMetricsEndpoints[].port",
            "spec.podMetricsEndpoints[].path",
            "spec.podMetricsEndpoints[].interval",
            "spec.podMetricsEndpoints[].honorLabels",
            "spec.podMetricsEndpoints[].authorization.type",
            "spec.podMetricsEndpoints[].authorization.credentials.name",
            "spec.podMetricsEndpoints[].authorization.credentials.key",
        }
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): frozenset(
        {
            "spec.groups[].name",
            "spec.groups[].rules[].alert",
            "spec.groups[].rules[].expr",
            "spec.groups[].rules[].for",
            "spec.groups[].rules[].labels.",
            "spec.groups[].rules[].annotations.",
        }
    ),
}

every_build = pytest.mark.parametrize("folder", BUILT)


def fields(value: Any, path: str = "") -> Iterator[str]:
    """The paths of a manifest's values."""
    if isinstance(value, dict) and value:
        for key, below in cast("Manifest", value).items():
            yield from fields(below, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for below in cast("list[Any]", value):
            yield from fields(below, f"{path}[]")
    else:
        yield path


def unknown(manifest: Manifest) -> set[str]:
    """The fields of a manifest of an operator's kind that nobody has looked up."""
    known = FIELDS[manifest["apiVersion"], manifest["kind"]]
    free = tuple(path for path in known if path.endswith("."))
    used = {path for path in fields(manifest) if path.startswith("spec.")}
    return {path for path in used if path not in known and not path.startswith(free)}


@every_build
def test_every_manifest_is_what_its_kind_allows(folder: str) -> None:
    for manifest in built(folder):
        if (manifest["apiVersion"], manifest["kind"]) in FIELDS:
            assert unknown(manifest) == set(), manifest["metadata"]["name"]
            assert manifest.keys() == {"apiVersion", "kind", "metadata", "spec"}
        else:
            kubernetes_validate.validate(manifest, VERSION, strict=True)


@every_build
def test_every_custom_kind_is_used_and_no_resource_is_named_twice(folder: str) -> None:
    named = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in built(folder)]
    assert len(set(named)) == len(named)
    if folder.endswith("production"):
        assert {each[:2] for each in named} >= FIELDS.keys()


def test_a_misspelt_field_would_be_noticed() -> None:
    for manifest in copy.deepcopy(built("overlays/production")):
        if manifest["kind"] == "Deployment":
            manifest["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
            with pytest.raises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(manifest, VERSION, strict=True)
        elif manifest["kind"] == "KafkaUser" and "authorization" in manifest["spec"]:
            manifest["spec"]["authorization"]["acls"][0]["operation"] = "Read"
            assert unknown(manifest) == {"spec.authorization.acls[].operation"}


def test_every_folder_is_built() -> None:
    made = {path.parent.relative_to(KUBERNETES) for path in KUBERNETES.rglob("kustomization.yaml")}
    parts = {"base", "base/services", "doors", "monitoring"}  # they are in the overlays
    assert {str(each) for each in made} == parts | set(BUILT)


def test_what_the_document_has_one_add_is_built_and_reaches_the_services_that_decide(tmp_path: Path) -> None:
    said = section((ROOT / "docs/deploy.md").read_text(encoding="utf-8"), "What you may have to add")
    addition, mail = blocks(said, "yaml")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("local", "secrets"))
    yours = shutil.copytree(
        tmp_path / "deploy/kubernetes/overlays/production", tmp_path / "deploy/kubernetes/overlays/yours"
    )
    (yours / "mail.yaml").write_text(mail, encoding="utf-8")
    shutil.copy(ROOT / "docs/examples/policy.json", yours)
    whole = yaml.safe_load((yours / "kustomization.yaml").read_text(encoding="utf-8"))
    for key, more in yaml.safe_load(addition).items():
        whole[key] = whole.get(key, []) + more
    (yours / "kustomization.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    made = kustomize(yours)
    for each in made:
        if (each["apiVersion"], each["kind"]) not in FIELDS:
            kubernetes_validate.validate(each, VERSION, strict=True)
    with_policy = {
        each["metadata"]["name"]
        for each in made
        if each["kind"] == "Deployment"
        and {"name": "policy", "mountPath": "/etc/whp", "readOnly": True}
        in each["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    }
    assert with_policy == set(DECIDING)


def test_the_dockerfile_keeps_the_rules_of_its_kind() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run(
        [hadolint, "--no-color", "--failure-threshold=info", ROOT / "deploy" / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
