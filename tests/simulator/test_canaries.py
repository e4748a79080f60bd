"""Canaries stand in every field that can have one, whichever fields the contracts gain, and decide nothing."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from simulator.canaries import CANARIES, NUMBERS, SPARED, plant
from simulator.cohort import FIRST_MONDAY, CohortConfig, make_cases, reference
from simulator.employer import EmployerConfig
from tests.simulator.program import Program, live
from workhardening_contracts.clinic import (
    AerobicTest,
    AssessmentRecorded,
    CaseErased,
    CaseWithdrawn,
    Criteria,
    Finding,
    Injury,
    JointMobility,
    OutcomeTotal,
    Override,
    Performed,
    ReadinessSigned,
    ReadinessWithdrawn,
    Referral,
    ReferralCorrected,
    ReferralReceived,
    Session,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import Capacity, Demand, DemandProfile
from workhardening_contracts.envelope import clinic_source, event_of
from workhardening_contracts.quantity import Quantity
from workhardening_contracts.registry import CLINIC_TOPIC, ENTRIES, open_closed

SAID_BY_CLINICS = [entry.model for entry in ENTRIES if entry.topic == CLINIC_TOPIC]


def noun(model: type[EventData]) -> str:
    """What an event type speaks of: `org.workhardening.clinic.<noun>.<verb>.v1`."""
    return model.TYPE.split(".")[3]


def fields(annotation: Any, path: str) -> Iterator[tuple[str, type]]:
    """Every field below that can hold something of its own, as (path, str or float)."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            # A part that bears its event's name is the same thing: `referral.injury`, not `referral.referral.injury`.
            yield from fields(field.annotation, path if name == path else f"{path}.{name}")
    elif origin is Annotated:
        yield from fields(get_args(annotation)[0], path)
    elif origin in (Union, types.UnionType, tuple):
        for inner in get_args(annotation):
            if inner not in (types.NoneType, Ellipsis):
                yield from fields(inner, path)
    elif annotation in (str, float):
        yield path, annotation
    else:
        assert origin is Literal or annotation in (bool, int, date), f"{path}: what can a {annotation} hold?"


def text_and_figures() -> set[str]:
    return {path for model in SAID_BY_CLINICS for path, _ in fields(model, noun(model))}


def found(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of an event's JSON, with the same paths."""
    if isinstance(value, dict):
        for name, inner in typing.cast("dict[str, Any]", value).items():
            yield from found(inner, path if name == path else f"{path}.{name}")
    elif isinstance(value, list):
        for inner in typing.cast("list[Any]", value):
            yield from found(inner, path)
    else:
        yield path, value


def planted_in(data: EventData) -> set[str]:
    """The fields of an event in which their own canary stands."""
    leaves = found(json.loads(plant(data).model_dump_json(exclude_none=True)), noun(type(data)))
    return {path for path, value in leaves if path in CANARIES and CANARIES[path] in str(value)}


AMOUNT = Quantity(amount=20.0, unit="kg")
REFERRAL = Referral(
    worker_ref="w-1",
    employer="acme",
    employee_key="e-1",
    injury=Injury(occurred_on=FIRST_MONDAY, body_part="knee"),
    criteria=Criteria(
        workplace_injury="yes", demanding_job="yes", difficulty_with_duties="yes", reinjury_risk="yes",
        gradual_exposure_needed="yes",
    ),
    return_to_work_goal="yes",
    medical_clearance="yes",
    treatment_consent="yes",
    job=DemandProfile(
        title="Picker", basis="employer", shift_hours=8.0,
        demands=(Demand(kind="lift", frequency="seldom", amount=AMOUNT, critical=True),),
    ),
    overrides=(Override(criterion="reinjury_risk", role="physician", reason_code="seen"),),
)  # fmt: skip
SESSION = Session(
    held_on=FIRST_MONDAY,
    attendance="attended",
    hours=2.0,
    performed=(Performed(kind="lift", frequency="seldom", amount=AMOUNT),),
    red_flags=("chest_pain",),
)
WHOLE: tuple[EventData, ...] = (
    ReferralReceived(referral=REFERRAL),
    ReferralCorrected(supersedes="r-1", referral=REFERRAL),
    AssessmentRecorded(
        assessed_on=FIRST_MONDAY,
        history_flags=(),
        physical_examination=(),
        posture=(Finding(code="none"),),
        mobility=(JointMobility(joint="hip", movement="flexion", degrees=90.0, side="left"),),
        functional_tests=(Capacity(kind="lift", frequency="seldom", amount=AMOUNT, measured_on=FIRST_MONDAY),),
        aerobic=AerobicTest(six_minute_walk_m=400.0),
        outcome_measures=(OutcomeTotal(measure="odi", total=20.0),),
        red_flags=("chest_pain",),
    ),
    SessionRecorded(session=SESSION),
    SessionCorrected(supersedes="s-1", session=SESSION),
    ReadinessSigned(
        readiness_event="a-1", role="physician", decision="not_ready", effective_from=FIRST_MONDAY, reason_code="judged"
    ),
    ReadinessWithdrawn(role="physician", reason_code="worse", withdrawn_on=FIRST_MONDAY),
    CaseWithdrawn(withdrawn_on=FIRST_MONDAY, reason_code="moved"),
    CaseErased(reason_code="worker_request"),
)


def test_every_field_of_a_clinic_event_has_a_canary_or_a_reason_to_have_none() -> None:
    assert text_and_figures() == {*CANARIES, *SPARED}
    assert not CANARIES.keys() & SPARED.keys()
    assert all(SPARED.values())


@pytest.mark.parametrize("data", WHOLE, ids=lambda data: type(data).__name__)
def test_a_whole_event_holds_all_its_canaries_and_is_still_valid(data: EventData) -> None:
    expected = {path for path, _ in fields(type(data), noun(type(data)))} & CANARIES.keys()
    assert planted_in(data) == expected
    assert expected
    case = reference(1, "canaries", 0, FIRST_MONDAY)
    open_closed(
        event_of(
            plant(data), id="e-1", source=clinic_source("north"), subject=case, time=datetime(2025, 1, 6, 9, tzinfo=UTC)
        )
    )


def test_every_type_that_has_canaries_is_tried() -> None:
    with_canaries = {model for model in SAID_BY_CLINICS if {p for p, _ in fields(model, noun(model))} & CANARIES.keys()}
    assert with_canaries == {type(data) for data in WHOLE}


def test_a_part_that_is_left_out_stays_out() -> None:
    data = plant(AssessmentRecorded(assessed_on=FIRST_MONDAY, baseline_pain=3.0))
    assert data.model_dump(exclude_defaults=True).keys() == {"assessed_on", "baseline_pain", "outcome_measures"}
    signed = ReadinessSigned(readiness_event="a-1", role="physician", decision="ready", effective_from=FIRST_MONDAY)
    assert plant(signed) == signed


def test_no_canary_is_found_where_another_stands() -> None:
    texts = list(CANARIES.values())
    assert not [(a, b) for a in texts for b in texts if a != b and a in b]
    assert all(str(number) == CANARIES[path] for path, number in NUMBERS.items())


def decided(*, canaries: bool) -> tuple[list[tuple[str, str]], list[dict[str, Any]], list[tuple[str, int]]]:
    """What a cohort's clinics hear and its employers are told; and the ids of what was sent, with the answers."""
    config = CohortConfig(
        cases=30, seed=5, employers={"acme": EmployerConfig(secret="whsec_" + "a" * 40)}, canaries=canaries,
        hostile_rate=0.05,
    )  # fmt: skip
    program = Program()
    sent = [
        (each.envelope.id, each.status)
        for case in make_cases(config, ["north", "harbour"])
        for each in live(program, case)
    ]
    told = [json.loads(row.body)["data"] | {"employee_key": None} for row in program.deliveries]
    return [(envelope.id, envelope.type) for envelope in program.news], told, sent


def test_canaries_decide_nothing() -> None:
    with_them, without = decided(canaries=True), decided(canaries=False)
    assert with_them == without
    assert len(with_them[0]) > 300
    assert with_them[1]
