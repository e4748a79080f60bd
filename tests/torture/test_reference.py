"""The model and the services were written apart from the same rules: where they agree, both are probably right."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from runtime.fold import Handlers
from runtime.policy import Policies
from services.intake import handlers as intake
from services.intake.policy import Policy as IntakePolicy
from services.notify import handlers as notify
from services.notify.policy import Policy as NotifyPolicy
from services.planning import handlers as planning
from services.planning.policy import Policy as PlanningPolicy
from services.progress import handlers as progress
from services.progress.policy import Policy as ProgressPolicy
from simulator.ledger import Sending
from tests.simulator.program import services
from tests.torture.checker_world import World, cohort, lived
from torture.checker import check
from torture.reference import amounts, sessions
from torture.reference import intake as model_intake
from torture.reference.planning import MODEL as PLANNING
from torture.reference.replay import Event, Replay
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import clinic_source, event_of
from workhardening_contracts.registry import INTAKE_TOPIC

CASE = "01944000-0000-7000-8000-000000000001"


def taken(world: World) -> Counter[str]:
    """How often each kind of event came to each result, over all services."""
    return Counter(
        f"{row['type'].removeprefix('org.workhardening.').removesuffix('.v1')} {row['result']}"
        for tables in world.evidence().services.values()
        for row in tables.log
    )


def test_model_and_services_agree_on_a_hostile_cohort() -> None:
    world = cohort()
    assert check(world.evidence()) == []
    seen = taken(world)
    walked = (
        "progress.week.advanced folded", "progress.week.held folded", "progress.week.regressed folded",
        "progress.case.escalated folded", "progress.readiness.ready folded", "clinic.consent.revoked folded",
        "clinic.case.withdrawn folded", "clinic.readiness.signed rejected", "clinic.session.corrected folded",
        "clinic.session.recorded waiting", "intake.case.declined folded", "clinic.case.erased folded",
        "rejections.event.rejected folded",
    )  # fmt: skip
    assert [path for path in walked if not seen[path]] == []


def test_model_and_services_agree_when_clinics_say_anything_at_any_time() -> None:
    world = cohort(seed=1, cases=10, hostile=0.15, unruly=0.7)
    assert check(world.evidence()) == []
    seen = taken(world)
    assert seen["clinic.session.recorded rejected"] > 5
    assert seen["clinic.readiness.withdrawn rejected"] > 5
    assert seen["clinic.assessment.recorded rejected"] > 5


OTHER_NUMBERS: Mapping[str, Handlers[Any, Any]] = {
    "a longer tolerance": intake.handlers(Policies(IntakePolicy(min_hours_per_day=8))),
    "a shorter program": planning.handlers(Policies(PlanningPolicy(weeks=6))),
    "no extension": planning.handlers(Policies(PlanningPolicy(max_extensions=0))),
    "stricter targets": progress.handlers(Policies(ProgressPolicy(attained=1.0))),
    "an earlier readiness": progress.handlers(Policies(ProgressPolicy(readiness_from_week=3))),
    "a longer validity of tests": progress.handlers(Policies(ProgressPolicy(retest_days=21))),
    "a shorter review": notify.handlers(Policies(NotifyPolicy(review_days=7))),
}


@pytest.mark.parametrize("what", OTHER_NUMBERS)
def test_a_service_that_decides_by_other_numbers_is_found_out(what: str) -> None:
    handlers = OTHER_NUMBERS[what]
    # It says that it decided by the default policy.
    world = lived(World(3, {**services(), handlers.service: handlers}), 4, 6, 0.0, 0.4)
    found = {violation.invariant for violation in check(world.evidence())}
    assert found & {"I12", "I6"}


def test_a_case_of_another_policy_is_not_replayed() -> None:
    handlers = progress.handlers(Policies(ProgressPolicy(attendance=1.0, version="strict-2")))
    world = lived(World(3, {**services(), "progress": handlers}), 3, 4, 0.0)
    assert check(world.evidence()) == []


def event(name: str, nth: int, **data: Any) -> Event:
    when = datetime(2025, 1, 6 + nth, 12, tzinfo=UTC)
    return Event(
        "/services/x", f"{name}.{nth}", f"org.workhardening.{name}.v1", CASE, when, {"clinic": "north", **data}
    )


def test_a_plan_waits_for_its_assessment_then_answers_the_verdict_in_order() -> None:
    case = Replay()
    held = event("progress.week.held", 9, final=False, week=1, through="2025-01-19")
    assert PLANNING.take(case, held) == "waiting"
    assert PLANNING.take(case, event("intake.assessment.completed", 1, assessed_on="2025-01-07")) == "folded"
    assert [said.data["plan_version"] for said in case.said] == [1, 2]
    assert [said.sequence for said in case.said] == [1, 2]
    assert case.said[1].data["total_weeks"] == 9
    assert case.waiting == []


def test_another_clinics_event_changes_nothing() -> None:
    case = Replay()
    PLANNING.take(case, event("intake.assessment.completed", 1, assessed_on="2025-01-07"))
    before = dict(case.state or {})
    foreign = replace(event("progress.case.closed", 2), data={"clinic": "harbour"})
    assert PLANNING.take(case, foreign) == "ignored"
    assert case.state == before


def test_pounds_and_kilograms_compare_exactly() -> None:
    demand = {"kind": "lift", "frequency": "occasional", "amount": {"amount": 20.0, "unit": "lb"}}
    shown = {"kind": "lift", "frequency": "frequent", "amount": {"amount": 20 * 0.45359237, "unit": "kg"}}
    assert amounts.best([shown], demand) == pytest.approx(20.0)
    assert amounts.best([{**shown, "frequency": "seldom"}], demand) is None


def test_pain_that_lasts_over_two_sessions_is_one_flare() -> None:
    raised = {"held_on": "2025-01-06", "pain_after": 8.0, "pain_next_day": 8.0}
    assert sessions.flares([raised, {**raised, "held_on": "2025-01-07"}], 2.0) == (1, 0)
    assert sessions.flares([{**raised, "pain_next_day": None}], 2.0) == (0, 1)


@pytest.mark.parametrize(
    ("clearance", "verdict"), [("yes", "accepted"), ("unknown", "information_needed"), ("no", "declined")]
)
def test_unknown_is_not_no(clearance: str, verdict: str) -> None:
    day = datetime(2025, 1, 6, tzinfo=UTC).date()
    referral: dict[str, Any] = {
        "criteria": dict.fromkeys(("workplace_injury", *model_intake.FURTHER), "yes"),
        "injury": {"occurred_on": "2024-01-06"},
        "return_to_work_goal": "yes",
        "medical_clearance": clearance,
        "treatment_consent": "yes",
        "job": {"title": "any"},
        "tolerance_hours_per_day": 2.0,
        "tolerance_days_per_week": 3,
    }
    assert model_intake.decide(referral, day)["verdict"] == verdict


def test_what_waits_too_long_is_given_up() -> None:
    case = Replay()
    held = event("progress.week.held", 9, final=False, week=1, through="2025-01-19")
    PLANNING.take(case, held)
    PLANNING.give_up(case, [held])
    assert (case.waiting, case.said) == ([], [])  # planning judges no verdict, so it says nothing


def test_a_case_that_is_parked_is_accounted_for() -> None:
    world = lived(World(3), 3, 3, 0.0)
    case = next(row for row in world.evidence().services["progress"].cases if row["state"])
    sender = clinic_source(case["state"]["clinic"])
    world.write(INTAKE_TOPIC, case["case_ref"].encode(), [("ce_source", b"/services/intake")], b"{}")
    world.settle()
    for day in (1, 2):
        said = event_of(
            DayClosed(through=date(2025, 9, day)),
            id=f"late.{day}",
            source=sender,
            subject=UUID(case["case_ref"]),
            time=datetime(2025, 9, day, 20, tzinfo=UTC),
        )
        world.send(Sending(said), case["state"]["clinic"])
        world.settle()
    evidence = world.evidence()
    assert [row["reason"] for row in evidence.services["progress"].parked][1:] == ["behind_parked"] * 2
    assert check(evidence) == []
