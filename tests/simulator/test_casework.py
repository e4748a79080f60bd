"""How a clinic handles one case: given what its feed says, what it sends next."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

from simulator import admission, casework, jobs, workers
from simulator.casework import Case
from simulator.clinic import opened
from simulator.cohort import reference
from simulator.ledger import Sending
from simulator.workers import Fate, Worker
from tests.services.console.cases import readiness
from tests.services.notify.cases import event
from tests.simulator.program import Program, live
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseWithdrawn,
    DayClosed,
    ReadinessSigned,
    SessionRecorded,
)
from workhardening_contracts.registry import open_closed

MONDAY = date(2025, 1, 6)
ELIGIBLE = Fate(eligibility=0.9, response=0.1, temperament=0.5, leaving=0.999)
STEADY: dict[str, Any] = {"attendance": 1.0, "flare_hazard": 0.0, "stop_hazard": 0.0, "leave_week": 99}


def case(seed: int = 1, *, fate: Fate = ELIGIBLE, mischief: float = 0.0, **change: Any) -> Case:
    """A case whose worker has come regularly and without pain, but for what is changed."""
    random = Random(seed)
    met = workers.meet(jobs.draw(random, "Nursing Assistants"), fate, random)
    worker: Worker = replace(met, **{**STEADY, **change})
    ref = reference(seed, "", 0, MONDAY)
    return Case(
        ref,
        "north",
        worker,
        admission.refer(worker, fate, ref.hex[-12:], "acme", MONDAY, random),
        MONDAY,
        "acme",
        lambda purpose: Random(f"{seed}/{purpose}"),
        mischief=mischief,
        victim="harbour",
    )


def types(sent: list[Sending]) -> list[str]:
    return [sending.envelope.type.removeprefix("org.workhardening.clinic.").removesuffix(".v1") for sending in sent]


def said(sent: list[Sending], model: type[Any]) -> list[Any]:
    return [open_closed(s.envelope).data for s in sent if s.envelope.type == model.TYPE]


def test_a_case_begins_with_its_referral_once_the_week_before_is_closed() -> None:
    begun = case()
    assert begun.next_close == MONDAY - timedelta(days=1)
    assert begun.closed(MONDAY - timedelta(days=2)) == []
    assert types(begun.closed(MONDAY - timedelta(days=1))) == ["referral.received"]
    assert begun.next_close is None
    assert begun.stage == "waiting for a decision on the referral"


def test_a_steady_worker_trains_eight_weeks_and_is_signed_ready() -> None:
    program, steady = Program(), case()
    sent = live(program, steady)
    assert (steady.outcome, steady.weeks, steady.ended) == ("ready", 8, True)
    assert types(sent)[0] == "referral.received"
    assert types(sent).count("day.closed") == 8
    assert {"assessment.recorded", "consent.recorded", "readiness.signed"} <= set(types(sent))


def test_hearing_an_event_again_sends_nothing() -> None:
    program, heard_twice = Program(), case()
    live(program, heard_twice)
    again = case()
    again.closed(MONDAY)
    opening = opened(program.feed[again.ref][0])
    assert opening is not None
    assert again.hear(opening) != []
    assert again.hear(opening) == []


def test_who_is_not_eligible_is_declined_and_nothing_more_is_sent() -> None:
    declined = case(fate=replace(ELIGIBLE, eligibility=0.05))
    sent = live(Program(), declined)
    assert (declined.outcome, declined.ended) == ("declined", True)
    assert set(types(sent)) <= {"referral.received", "referral.corrected"}


def test_what_is_missing_in_a_referral_is_completed_when_it_is_asked_for() -> None:
    corrected = [
        types(sent)[:3]
        for seed in range(40)
        if "referral.corrected" in types(sent := live(Program(), case(seed, leave_week=1, says_so=True)))
    ]
    assert corrected
    assert all(first[:2] == ["referral.received", "referral.corrected"] for first in corrected)


def test_an_assessment_in_parts_is_completed_when_it_is_asked_for() -> None:
    sent = next(
        sent
        for seed in range(40)
        if len(said(sent := live(Program(), case(seed, leave_week=1, says_so=True)), AssessmentRecorded)) == 2
    )
    first, second = said(sent, AssessmentRecorded)
    assert first.functional_tests is None
    assert second.functional_tests
    assert second.physical_examination is None


def test_who_leaves_and_says_so_is_withdrawn() -> None:
    leaving = case(leave_week=3, says_so=True)
    sent = live(Program(), leaving)
    assert (leaving.outcome, leaving.weeks) == ("withdrawn", 3)
    assert len(said(sent, CaseWithdrawn)) == 1


def test_who_leaves_without_a_word_is_discontinued_by_the_program() -> None:
    leaving = case(leave_week=3, says_so=False)
    sent = live(Program(), leaving)
    assert leaving.outcome == "discontinued"
    assert said(sent, CaseWithdrawn) == []


def test_a_safety_stop_leads_to_another_assessment_or_out_of_the_program() -> None:
    outcomes: set[bool] = set()
    for seed in range(12):
        stopped = case(seed, stop_hazard=0.02)
        sent = live(Program(), stopped)
        assert stopped.ended, stopped.stage
        alarms = [each.session.held_on for each in said(sent, SessionRecorded) if each.session.safety_stop]
        if alarms:
            held = [each.session.held_on for each in said(sent, SessionRecorded)]
            sunday = alarms[0] + timedelta(days=6 - alarms[0].weekday())
            assert not [on for on in held if alarms[0] < on <= sunday]
            assert alarms[0] in [each.through for each in said(sent, DayClosed)]
            outcomes.add(stopped.outcome == "withdrawn")
            assessments = {data.assessed_on for data in said(sent, AssessmentRecorded)}
            assert stopped.outcome == "withdrawn" or max(assessments) > MONDAY + timedelta(days=7)
    assert outcomes == {True, False}


def test_who_signed_what_was_replaced_meanwhile_signs_what_replaced_it_and_nobody_else_does() -> None:
    first = readiness("first", final=True)
    anew = event(first.data.model_copy(update={"supersedes": "first"}), "anew")
    signing, waiting = case(), case()
    (signed,) = said(signing.hear(first), ReadinessSigned)
    assert waiting.hear(anew) == []
    (again,) = signing.hear(anew)
    assert [each.readiness_event for each in (signed, *said([again], ReadinessSigned))] == ["first", "anew"]
    assert again.envelope.id.endswith("signed.2.2"), "another event, not the first one said twice"
    assert signing.hear(event(first.data.model_copy(update={"supersedes": "other"}), "third")) == []


def test_a_signature_follows_the_recommendation_or_gives_its_reason() -> None:
    recommended = {"meets": "ready", "meets_with_restrictions": "ready_with_restrictions"}
    reasons: set[str | None] = set()
    for seed in range(15):
        program = Program()
        one = case(seed, fate=replace(ELIGIBLE, response=seed / 15))
        signatures = said(live(program, one), ReadinessSigned)
        found = {envelope.id: opened(envelope) for envelope in program.feed[one.ref]}
        for signature in signatures:
            assessed: Any = found[signature.readiness_event]
            usual = recommended.get(assessed.data.readiness, "not_ready")
            assert (signature.decision == usual) == (signature.reason_code is None)
            reasons.add(signature.reason_code)
    assert None in reasons


def test_a_forgotten_signature_ends_when_the_assessment_expires(monkeypatch: Any) -> None:
    monkeypatch.setattr(casework, "FORGETS_TO_SIGN", 1.0)
    forgotten = case()
    sent = live(Program(), forgotten)
    assert (forgotten.outcome, forgotten.ended) == ("not_ready", True)
    assert said(sent, ReadinessSigned) == []


def test_a_withdrawn_readiness_is_waited_for(monkeypatch: Any) -> None:
    monkeypatch.setattr(casework, "WITHDRAWS_READINESS", 1.0)
    withdrawn = case()
    assert types(live(Program(), withdrawn))[-1] == "readiness.withdrawn"
    assert withdrawn.stage == "ended after its readiness was revoked"


def test_late_sessions_are_sent_after_their_week_was_closed() -> None:
    late = 0
    for seed in range(4):
        sent = live(Program(), case(seed, mischief=0.6))
        for index, sending in enumerate(sent):
            if sending.mischief == "late":
                late += 1
                held_on = sending.envelope.id[-10:]
                closed = [earlier.envelope.id[-10:] for earlier in sent[:index] if ".closed." in earlier.envelope.id]
                assert max(closed) >= held_on
    assert late > 0


def test_a_walk_in_comes_before_the_plan_and_is_not_entered_twice() -> None:
    walk_in = case(mischief=1.0)
    sent = live(Program(), walk_in)
    early = [sending for sending in sent if sending.mischief == "early"]
    assert len(early) == 1
    same_day = [s for s in sent if s.envelope.id == early[0].envelope.id and s.mischief is None]
    assert same_day == []


def test_what_is_said_keeps_its_contract_and_lies_within_two_years() -> None:
    for seed in range(3):
        for sending in live(Program(), case(seed)):
            open_closed(sending.envelope)
            assert MONDAY <= sending.envelope.time.date() < MONDAY + timedelta(days=2 * 365)
