"""The models against their own schemas: what a partner reads in the schema is what our door does."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from ops.contracts.schemas import schema_of
from tests.contracts.instances import instances
from workhardening_contracts import registry
from workhardening_contracts.contract import EventData, Violation
from workhardening_contracts.envelope import Envelope, Event, read_kafka, write_kafka

ROUNDS = settings(
    derandomize=True,
    deadline=None,
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def _enveloped(entry: registry.Entry, data: dict[str, Any]) -> Envelope:
    return Envelope(
        id="evt-1",
        source="/clinics/northside",
        type=entry.type,
        subject=UUID("0195a3c2-7e40-7b1a-9f3e-2c4d5e6f7a8b"),
        time=datetime(2026, 3, 15, tzinfo=UTC),
        data=json.dumps(data).encode(),
    )


def _opened(envelope: Envelope) -> Event[EventData] | Violation:
    try:
        return registry.open_closed(envelope)
    except Violation as violation:
        return violation


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.model.__name__)
def test_what_the_schema_allows_is_admitted_and_read_back_the_same(entry: registry.Entry) -> None:
    schema = schema_of(entry.model, "producer")
    admitted: list[Event[EventData]] = []

    @ROUNDS
    @given(instances(schema, schema))
    def every_instance_is_admitted(data: dict[str, Any]) -> None:
        envelope = _enveloped(entry, data)
        event = _opened(envelope)
        if isinstance(event, Violation):
            # Only a model's own rule may refuse what its schema allows.
            assert event.code == "contract.value_error"
            assert "x-rules" in schema
            return
        admitted.append(event)
        # Events are written without nulls, so every field that may be null can be left out.
        again = replace(envelope, data=event.data.model_dump_json(exclude_none=True).encode())
        assert registry.open_closed(read_kafka(*write_kafka(again))).data == event.data

    every_instance_is_admitted()
    assert admitted


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.model.__name__)
def test_every_event_type_has_its_texts_and_names(entry: registry.Entry) -> None:
    model = entry.model
    assert model.__doc__
    assert model.TYPE.startswith("org.workhardening.")
    assert model.TYPE.rsplit(".", 1)[1] == "v1"
    assert registry.BY_TYPE[model.TYPE] is entry


def test_no_two_events_share_a_type() -> None:
    assert len(registry.BY_TYPE) == len(registry.BY_MODEL) == len(registry.ENTRIES)


def test_every_clinic_event_has_a_judge_and_no_other_has() -> None:
    for entry in registry.ENTRIES:
        assert (entry.judge is not None) == registry.from_clinic(entry.type), entry.type


@pytest.mark.parametrize("depth", ["top", "nested"])
def test_an_unknown_field_is_refused_at_the_door_and_ignored_by_a_consumer(depth: str) -> None:
    session: dict[str, Any] = {"held_on": "2026-03-09", "attendance": "absent", "hours": 0}
    data: dict[str, Any] = {"session": session}
    (data if depth == "top" else session)["from_a_newer_version"] = 1
    entry = registry.BY_TYPE["org.workhardening.clinic.session.recorded.v1"]
    refused = _opened(_enveloped(entry, data))
    assert isinstance(refused, Violation)
    assert refused.code == "contract.extra_forbidden"
    assert refused.field.endswith("/from_a_newer_version")
    assert entry.model.model_validate_json(json.dumps(data), extra="ignore")


def test_a_violation_tells_neither_the_value_nor_a_name_that_is_no_field() -> None:
    canary = "Zbigniew Canary 1961-04-30"
    entry = registry.BY_TYPE["org.workhardening.clinic.session.recorded.v1"]
    for data in ({"session": canary}, {"session": {"hours": canary}}, {canary: 1}, {"session": {canary: canary}}):
        refused = _opened(_enveloped(entry, data))
        assert isinstance(refused, Violation)
        assert "Canary" not in f"{refused} {refused.code} {refused.field} {refused.detail}"
