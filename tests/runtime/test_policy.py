"""One policy file for all services: read strictly, and nothing in it is passed over."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from deploy.local.provision import DECIDING
from ops.registered import handlers_of
from ops.target import ROOT, SERVICES, CommandError
from runtime.policy import BadPolicy, load
from services.intake.policy import Policy as IntakePolicy
from services.planning.policy import Policy as PlanningPolicy

EXAMPLE = ROOT / "docs" / "examples" / "policy.json"


def a_file(folder: Path, document: object) -> Path:
    path = folder / "policy.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def unordered(value: Any) -> Any:
    return sorted(cast("list[str]", value)) if isinstance(value, list) else value


def refusal(folder: Path, document: object, model: type[BaseModel] = IntakePolicy) -> str:
    with pytest.raises(BadPolicy) as bad:
        load(model, a_file(folder, document))
    return str(bad.value)


@pytest.mark.parametrize("service", DECIDING)
def test_the_example_is_read_by_each_service_and_every_key_in_it_counts(service: str) -> None:
    model: type[BaseModel] = import_module(f"services.{service}.policy").Policy
    document = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    policies = load(model, EXAMPLE)
    default = policies.default.model_dump(mode="json")
    assert default["version"] == "2026-1"
    own = document[service]
    for clinic, numbers in {"": own["default"], **own.get("clinics", {})}.items():
        in_force = policies.of(clinic).model_dump(mode="json")
        assert in_force["version"] == ("2026-1" if not clinic else f"2026-1+{clinic}")
        for name, value in numbers.items():
            assert unordered(in_force[name]) == unordered(value)
    assert policies.of("another clinic") == policies.default


def test_without_a_file_the_defaults_hold() -> None:
    assert load(IntakePolicy, None).of("north") == IntakePolicy()


def test_a_service_that_the_file_does_not_name_keeps_its_defaults_under_the_files_version(tmp_path: Path) -> None:
    policies = load(PlanningPolicy, a_file(tmp_path, {"version": "v2", "intake": {"default": {"further_criteria": 2}}}))
    assert policies.default == PlanningPolicy(version="v2")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"version": "1", "intak": {}}, "the file has no key 'intak'"),
        ({"version": "1", "default": {}}, "the file has no key 'default'"),
        ({"version": "1", "intake": {"defaults": {}}}, "intake has no key 'defaults'"),
        ({"version": "1", "planning": {"clinic": {}}}, "planning has no key 'clinic'"),
        ({"version": "1", "intake": {"default": {"min_days": 3}}}, "intake.default.min_days: Extra inputs"),
        ({"version": "1", "intake": {"clinics": {"n": {"further_criteria": 9}}}}, "intake.clinics.n.further_criteria"),
        ({"version": "1", "intake": {"clinics": {"n": 3}}}, "intake.clinics.n must be an object"),
        ({"version": "1", "intake": []}, "intake must be an object"),
        ({"version": "1", "intake": {"default": {"version": "2"}}}, "intake.default.version"),
        ({"version": "1", "intake": {"clinics": {"a b": {}}}}, "the version of intake.clinics.a b"),
        ({"version": "a\r\nb"}, "the version of intake.default"),
        ({"version": 1}, "version must be a text"),
        ({}, "version must be a text"),
        ([], "the file must be an object"),
        ('{"version": "1", "version": "2"}', "names the same key twice"),
        ("{", "not valid JSON"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_place(tmp_path: Path, document: object, said: str) -> None:
    assert said in refusal(tmp_path, document)


@pytest.mark.parametrize("service", DECIDING)
@pytest.mark.parametrize("value", ["5", True, None, 5.5])
def test_nothing_is_converted_in_any_service(tmp_path: Path, service: str, value: Any) -> None:
    model: type[BaseModel] = import_module(f"services.{service}.policy").Policy
    whole = next(name for name, value in model().model_dump().items() if isinstance(value, int))
    assert f"{service}.default.{whole}" in refusal(
        tmp_path, {"version": "1", service: {"default": {whole: value}}}, model
    )


def test_operations_decide_by_the_same_file_and_say_what_is_wrong_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHP_POLICY_FILE", str(EXAMPLE))
    for service in SERVICES:
        assert handlers_of(service).service == service
    monkeypatch.setenv("WHP_POLICY_FILE", str(a_file(tmp_path, {"version": "1", "intak": {}})))
    with pytest.raises(CommandError, match="intak"):
        handlers_of("intake")
