"""Readiness and its signature, at the figures of the policy."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.progress.policy import Policy
from services.progress.readiness import Standing, activities, assess, expires_on, zones
from services.progress.session_log import Entry, entry
from services.progress.signature import contradicts, objection
from services.progress.state import Assessed
from tests.services.planning.cases import LIFT, STAND, demand
from tests.services.progress.worker import signature
from workhardening_contracts.clinic import Performed, Restriction, Session
from workhardening_contracts.demand import Demand, DemandProfile, Frequency
from workhardening_contracts.quantity import Quantity, Unit

SUNDAY = date(2026, 5, 3)
POLICY = Policy()


def job(*demands: Demand, hours: float = 8.0) -> DemandProfile:
    return DemandProfile(title="Job", basis="job_analysis", demands=demands, shift_hours=hours)


JOB = job(LIFT, STAND)


def done(of: Demand, amount: float | None = None, frequency: Frequency | None = None) -> Performed:
    return Performed(
        kind=of.kind,
        zone=of.zone,
        frequency=frequency or of.frequency,
        amount=of.amount if amount is None else Quantity(amount=amount, unit=of.amount.unit),
    )


def held(
    days_ago: int = 2,
    *performed: Performed,
    hours: float = 8.0,
    confidence: float | None = 8.0,
    pain_after: float | None = 2.0,
    pain_next_day: float | None = 2.0,
) -> Entry:
    on = SUNDAY - timedelta(days=days_ago)
    given = Session(
        held_on=on,
        attendance="attended",
        hours=hours,
        performed=performed,
        confidence=confidence,
        pain_after=pain_after,
        pain_next_day=pain_next_day,
    )
    return entry(f"s-{days_ago}", given, None)


ALL = (done(LIFT), done(STAND))


def standing(*sessions: Entry, of: DemandProfile = JOB, alerts: tuple[str, ...] = (), **policy: object) -> Standing:
    ordered = sorted(sessions, key=lambda each: each.held_on)
    return assess(of, ordered, SUNDAY, alerts, 3.0, POLICY.model_copy(update=policy))


def test_all_shown_in_time_meets_the_job() -> None:
    met = standing(held(3, *ALL), held(2, *ALL))
    assert (met.readiness, met.restrictions, met.vetoes, met.confidence) == ("meets", (), (), 8.0)
    assert [(each.demand, each.met) for each in met.demands] == [(LIFT.key, True), (STAND.key, True)]


@pytest.mark.parametrize(
    ("hours", "confidence", "readiness"),
    [
        ((8.0, 8.0), 7.0, "meets"),
        ((8.0, 7.9), 7.0, "not_yet"),  # the shift on one day only
        ((8.0, 8.0), 6.9, "not_yet"),
        ((8.0, 8.0), None, "insufficient_data"),
    ],
)
def test_the_shift_on_two_days_and_confidence_of_seven_are_gates(
    hours: tuple[float, float], confidence: float | None, readiness: str
) -> None:
    sessions = [held(3 - nth, *ALL, hours=h, confidence=confidence) for nth, h in enumerate(hours)]
    assert standing(*sessions).readiness == readiness


def test_confidence_counts_as_the_session_says_it_or_as_a_performance() -> None:
    performed = done(demand("confidence", 9.0, "score", "constant"))
    assert standing(held(3, *ALL, confidence=None), held(2, *ALL, performed, confidence=None)).confidence == 9.0


def test_the_latest_confidence_counts_not_the_best() -> None:
    assert standing(held(3, *ALL, confidence=9.0), held(2, *ALL, confidence=5.0)).readiness == "not_yet"


def test_a_shift_longer_than_the_program_trains_counts_from_a_full_day() -> None:
    assert standing(held(3, *ALL), held(2, *ALL), of=job(LIFT, hours=12.0)).readiness == "meets"


def test_a_critical_demand_must_be_met_at_its_frequency() -> None:
    seldom = done(LIFT, 40.0, "seldom")
    short = standing(held(3, seldom, done(STAND)), held(2, seldom, done(STAND)))
    assert short.readiness == "insufficient_data"
    assert short.demands[0].met is None
    weak = done(LIFT, 19.0)
    assert standing(held(3, weak, done(STAND)), held(2, weak, done(STAND))).readiness == "not_yet"


def test_what_failed_outranks_what_is_not_known() -> None:
    assert standing(held(3, done(LIFT, 5.0), confidence=None)).readiness == "not_yet"


def test_an_unmet_other_demand_becomes_a_restriction_with_what_was_shown() -> None:
    less = done(STAND, 120.0)
    limited = standing(held(3, done(LIFT), less), held(2, done(LIFT), less))
    assert limited.readiness == "meets_with_restrictions"
    [restriction] = limited.restrictions
    assert (restriction.activity, restriction.frequency) == ("stand", "frequent")
    assert restriction.limit == Quantity(amount=120.0, unit="min")


def test_what_was_not_shown_at_all_is_not_allowed_at_all() -> None:
    limited = standing(held(3, done(LIFT)), held(2, done(LIFT)))
    [restriction] = limited.restrictions
    assert restriction.limit is None
    assert limited.flags == ("not_shown.stand",)


def test_an_unmet_shift_demand_is_a_limit_on_work_hours() -> None:
    shift = demand("shift", 8.0, "h", "constant", critical=False)
    short = [held(days, done(LIFT), hours=7.0) for days in (3, 2)]
    [restriction] = standing(*short, of=job(LIFT, shift, hours=7.0)).restrictions
    assert (restriction.activity, restriction.limit) == ("work_hours", Quantity(amount=7.0, unit="h"))


@pytest.mark.parametrize(("amount", "unit", "most"), [(10.0, "h", 8.0), (600.0, "min", 480.0)])
def test_more_hours_than_the_program_has_are_asked_for_up_to_its_longest_day_and_flagged(
    amount: float, unit: Unit, most: float
) -> None:
    shift = demand("shift", amount, unit, "constant")
    met = standing(held(3, done(LIFT)), held(2, done(LIFT)), of=job(LIFT, shift, hours=10.0))
    assert (met.readiness, met.flags) == ("meets", ("hours_capped.shift",))
    assert met.demands[1].required == Quantity(amount=most, unit=unit)


def test_where_no_demand_is_critical_all_of_them_decide() -> None:
    lift, stand = (each.model_copy(update={"critical": False}) for each in (LIFT, STAND))
    short = [held(days, done(lift), done(stand, 100.0)) for days in (3, 2)]
    assert standing(*short, of=job(lift, stand)).readiness == "not_yet"
    assert standing(held(3, done(lift)), held(2, done(lift)), of=job(lift, stand)).readiness == "insufficient_data"
    assert standing(held(3, *ALL), held(2, *ALL), of=job(lift, stand)).readiness == "meets"


def test_without_any_report_of_pain_nothing_can_be_said() -> None:
    silent = [held(days, *ALL, pain_after=None, pain_next_day=None) for days in (3, 2)]
    assert standing(*silent).readiness == "insufficient_data"
    assert standing(silent[0], held(2, *ALL, pain_next_day=None)).readiness == "meets"


def test_a_mental_demand_is_flagged_and_never_told_as_a_restriction() -> None:
    pace = demand("pace", 8.0, "score", critical=False)
    flagged = standing(held(3, *ALL), held(2, *ALL), of=job(LIFT, pace))
    assert (flagged.readiness, flagged.restrictions) == ("meets", ())
    assert flagged.flags == ("unmet.pace", "not_shown.pace")


def test_a_flag_about_a_kind_with_the_longest_name_is_still_a_code() -> None:
    long = demand("k" * 64, 5.0, "kg", critical=False)
    [flag] = standing(held(3, *ALL), held(2, *ALL), of=job(LIFT, long)).flags
    assert len(flag) == 64


def test_tests_expire_after_14_days() -> None:
    assert standing(held(13, *ALL), held(12, *ALL)).readiness == "meets"
    assert standing(held(15, *ALL), held(14, *ALL)).readiness == "insufficient_data"
    assert expires_on(SUNDAY, POLICY) == date(2026, 5, 17)


def test_nothing_in_time_is_insufficient_not_a_no() -> None:
    assert standing().readiness == "insufficient_data"


@pytest.mark.parametrize("alert", ["red_flag", "safety_stop", "phq9_item9"])
def test_a_safety_alert_is_a_veto(alert: str) -> None:
    vetoed = standing(held(3, *ALL), held(2, *ALL), alerts=(alert,))
    assert (vetoed.readiness, vetoed.vetoes) == ("not_yet", (alert,))


def test_the_last_known_flare_is_a_veto_and_an_earlier_one_that_passed_is_not() -> None:
    raised, fine = held(2, *ALL, pain_next_day=5.0), held(2, *ALL)
    assert standing(held(3, *ALL), raised).vetoes == ("unresolved_flare",)
    assert standing(held(3, *ALL, pain_next_day=5.0), fine).vetoes == ()


def test_a_high_baseline_hides_no_flare_because_the_scale_ends_at_ten() -> None:
    worst = [held(days, *ALL, pain_next_day=10.0) for days in (3, 2)]
    assert assess(JOB, worst, SUNDAY, (), 9.0, POLICY).vetoes == ("unresolved_flare",)


def test_pain_above_the_baseline_is_a_flag_and_no_gate() -> None:
    sore = standing(held(3, *ALL), held(2, *ALL, pain_after=4.0))
    assert (sore.readiness, sore.flags) == ("meets", ("pain_above_baseline",))


def latest(readiness: str = "meets") -> Assessed:
    return Assessed(id="r", readiness=readiness, expires_on=date(2026, 5, 17), final=True)  # pyright: ignore[reportArgumentType]


def objects(
    decision: str = "ready",
    to: Assessed | None = None,
    on: date = date(2026, 5, 4),
    reason: str | None = None,
    id: str = "r",
    outdated: bool = False,
    corrects: bool = False,
    alerted: bool = False,
) -> str | None:
    signed = signature(decision, on, reason=reason).model_copy(update={"readiness_event": id})
    return objection(
        to or latest(), signed, on, POLICY.signing_roles, outdated=outdated, corrects=corrects, alerted=alerted
    )


@pytest.mark.parametrize(
    ("activity", "zone", "refused"),
    [
        ("work_hours", None, False),
        ("lift", "overhead", False),
        ("juggle", "on_ladders", False),  # the job's own words
        ("pace", None, True),
        ("lumbar_strain", None, True),
        ("lift", "left_shoulder_injury", True),
    ],
)
def test_a_restriction_names_what_is_documented_or_the_jobs_own_and_nothing_mental(
    activity: str, zone: str | None, refused: bool
) -> None:
    profile = job(LIFT, demand("juggle", 12.0, "repetitions", zone="on_ladders"), demand("pace", 8.0, "score"))
    to = latest("meets_with_restrictions").model_copy(
        update={"activities": activities(profile), "zones": zones(profile)}
    )
    signed = signature("ready_with_restrictions", date(2026, 5, 4)).model_copy(
        update={"readiness_event": "r", "restrictions": (Restriction(activity=activity, zone=zone),)}
    )
    found = objection(to, signed, date(2026, 5, 4), ("physician",), outdated=False, corrects=False, alerted=False)
    assert found == ("restriction_not_allowed" if refused else None)


def test_only_the_roles_of_the_policy_may_sign() -> None:
    signed = signature("ready", date(2026, 5, 4)).model_copy(update={"readiness_event": "r"})
    for roles, refused in ((("nurse_practitioner",), "role_not_allowed"), (POLICY.signing_roles, None)):
        given = objection(latest(), signed, date(2026, 5, 4), roles, outdated=False, corrects=False, alerted=False)
        assert given == refused


@pytest.mark.parametrize(
    ("readiness", "decision"),
    [
        ("meets", "ready"),
        ("meets_with_restrictions", "ready_with_restrictions"),
        ("not_yet", "not_ready"),
        ("insufficient_data", "not_ready"),
    ],
)
def test_each_readiness_recommends_one_decision_and_any_other_needs_a_reason(readiness: str, decision: str) -> None:
    for signed in ("ready", "ready_with_restrictions", "not_ready"):
        contradicted = signed != decision
        assert contradicts(latest(readiness), signed, alerted=False) is contradicted  # pyright: ignore[reportArgumentType]
        assert objects(signed, latest(readiness)) == ("reason_required" if contradicted else None)
        assert objects(signed, latest(readiness), reason="clinical_judgement") is None


def test_an_assessment_may_be_signed_on_its_last_day_and_not_after() -> None:
    assert objects(on=date(2026, 5, 17)) is None
    assert objects(on=date(2026, 5, 18)) == "readiness_expired"
    assert objects(on=date(2026, 5, 18), corrects=True) is None


def test_only_the_latest_assessment_may_be_signed_and_not_while_a_closed_week_is_unjudged() -> None:
    assert objects(id="older") == "readiness_superseded"
    assert objects(outdated=True) == "readiness_superseded"
    signed = signature("ready", date(2026, 5, 4))
    unknown = objection(
        None, signed, date(2026, 5, 4), POLICY.signing_roles, outdated=False, corrects=False, alerted=False
    )
    assert unknown == "readiness_unknown"


def test_a_safety_alert_since_the_assessment_makes_ready_need_a_reason_and_not_ready_need_none() -> None:
    assert objects("ready", alerted=True) == "reason_required"
    assert objects("ready", alerted=True, reason="clinical_judgement") is None
    assert objects("not_ready", alerted=True) is None
