"""The manifests of docs/howto/services.md are such as Kubernetes takes, and part what must be apart."""

import json
from pathlib import Path

import pytest
import yaml
from fences import ROOT, fences
from jsonschema import Draft202012Validator


def manifests():
    blocks = fences((ROOT / "docs/howto/services.md").read_text(encoding="utf-8"))
    found = [yaml.safe_load(code) for language, code in blocks if language == "yaml"]
    return {manifest["kind"]: manifest for manifest in found}


def faults_of(manifest):
    """What Kubernetes' own schema has against a manifest; `kubernetes_schema.json` is a part of it."""
    schema = json.loads(Path(__file__).with_name("kubernetes_schema.json").read_text())
    group, _, version = manifest["apiVersion"].partition("/")
    name = f"io.k8s.api.{group.partition('.')[0]}.{version}.{manifest['kind']}"
    checker = Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"})
    return [error.message for error in checker.iter_errors(manifest)]


def test_the_manifests_are_those_of_kubernetes_own_schema():
    found = manifests()
    assert set(found) == {"StatefulSet", "NetworkPolicy"}
    assert [fault for manifest in found.values() for fault in faults_of(manifest)] == []


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        (["spec", "template", "spec"], "runAsNonRoot", True),
        (["spec"], "replicas", "1"),
        (["spec", "template", "spec", "containers", 0], "name", None),
        (["spec", "template", "spec", "containers", 1, "securityContext"], "readOnlyRoot", True),
    ],
)
def test_a_slip_in_a_manifest_is_found(place, key, value):
    manifest = manifests()["StatefulSet"]
    inner = manifest
    for step in place:
        inner = inner[step]
    inner[key] = value
    assert faults_of(manifest)


def test_the_policy_is_about_the_pod_and_lets_it_reach_the_coordinator_alone():
    pod, policy = (
        manifests()["StatefulSet"]["spec"]["template"],
        manifests()["NetworkPolicy"]["spec"],
    )
    assert policy["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy
    (way,) = policy["egress"]
    (alias,) = pod["spec"]["hostAliases"]
    assert way["to"] == [{"ipBlock": {"cidr": f"{alias['ip']}/32"}}]


def test_the_manifest_parts_the_two_processes():
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert not [volume for volume in pod["volumes"] if "secret" in volume]
    vault, courier = ({m["name"] for m in c["volumeMounts"]} for c in pod["containers"])
    assert vault & courier == {"socket"}
