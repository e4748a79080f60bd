"""Judge whatever can be judged. Pure; called after every event that may have brought the last missing piece.

Topics arrive in any order between them. So nothing is decided on arrival: facts are recorded, and a week is judged
when it is closed and the plan that answers the verdict before it is there, on what was reported before it was closed.
A safety alert does not wait for the week: it is judged as soon as a day is closed by which it was reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from services.progress import forecast, readiness, session_log, verdict
from services.progress.policy import Policy
from services.progress.session_log import Entry
from services.progress.state import (
    Assessed,
    AwaitingPlan,
    AwaitingSignature,
    Closed,
    Frozen,
    InProgram,
    Judging,
    Outcome,
    Point,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.progress import (
    AttendanceLapsed,
    CaseClosed,
    CaseEscalated,
    ReadinessAssessed,
    WeekAdvanced,
    WeekHeld,
    WeekRegressed,
)

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
VERDICTS: dict[verdict.Verdict, type[WeekAdvanced | WeekHeld | WeekRegressed | CaseEscalated]] = {
    "advance": WeekAdvanced,
    "hold": WeekHeld,
    "regress": WeekRegressed,
    "escalate": CaseEscalated,
}

Name = Callable[[int], str]
"""The id of the nth event that is emitted."""
Step = tuple[InProgram | Closed, list[EventData]]


def settle(case: InProgram, policy: Policy, name: Name) -> Step:
    """Take every step that the facts allow; the case after them and what they emit, in order."""
    now: InProgram | Closed = case
    emitted: list[EventData] = []
    while isinstance(now, InProgram):
        step = _step(now, policy, _from(name, len(emitted)))
        if step is None:
            break
        now, events = step
        emitted += events
    return now, emitted


def judging_is_due(case: InProgram, closed_through: date | None) -> bool:
    """Whether a closed week waits only for its plan."""
    return (
        isinstance(case.status, AwaitingPlan)
        and case.judged_through is not None
        and _judged_on(case, case.judged_through + DAY, case.judged_through + WEEK, closed_through) is not None
    )


def alerted_since(case: InProgram) -> bool:
    """Whether a safety alert was reported that no verdict, and so no readiness, has counted yet."""
    return any(each.alerts and _is_news(each, case) for each in session_log.current(case.log))


def close(case: InProgram, outcome: Outcome, on: date, reason_code: str) -> tuple[Closed, list[EventData]]:
    """The program ends with this outcome."""
    event = CaseClosed(
        clinic=case.clinic,
        closed_on=on,
        outcome=outcome,
        reason_code=reason_code,
        weeks_judged=case.weeks_judged,
    )
    return Closed(clinic=case.clinic, outcome=outcome, readiness=case.readiness), [event]


def _step(case: InProgram, policy: Policy, name: Name) -> Step | None:
    """The next step, or None. A withdrawal comes last: it ends the case after all that was closed before it."""
    closed_through = case.withdrawn.closed_through if case.withdrawn else case.closed_through
    match case.status:
        case Judging() if through := _judged_on(case, case.plan.week.starts_on, case.plan.week.ends_on, closed_through):
            return _judge(case, through, policy, name)
        case AwaitingSignature() if case.readiness and _reaches(closed_through, case.readiness.expires_on + DAY):
            return close(case, "not_ready", case.readiness.expires_on, "unsigned")
        case Frozen():
            last = case.plan.week.ends_on + WEEK * policy.max_frozen_weeks
            if _reaches(closed_through, last):
                return close(case, "discontinued", last, "frozen_too_long")
        case _:
            pass
    if case.withdrawn and not judging_is_due(case, closed_through):
        return close(case, "withdrawn", case.withdrawn.on, case.withdrawn.reason_code)
    return None


def _judged_on(case: InProgram, starts_on: date, ends_on: date, closed_through: date | None) -> date | None:
    """The day whose closing judges the week: the first by which a safety alert is known, else its last. None: none yet.

    What was known when a day was closed never changes after that, so a late judging finds the same day.
    """
    for nth in range((ends_on - starts_on).days + 1):
        day = starts_on + DAY * nth
        if not _reaches(closed_through, day):
            return None
        view = session_log.as_of(case.log, day)
        if any(each.alerts and each.held_on <= day and _is_news(each, case) for each in view):
            return day
    return ends_on


def _judge(case: InProgram, through: date, policy: Policy, name: Name) -> Step:
    """Judge the week up to `through`: say what was missed, the verdict, where the case stands, whether it ends here."""
    week = case.plan.week
    view = session_log.as_of(case.log, through)
    judged = verdict.judge(
        week,
        [each for each in view if week.starts_on <= each.held_on <= through],
        [each for each in view if each.held_on < week.starts_on and _is_news(each, case)],
        case.plan.baseline_pain,
        _before(case, view, policy),
        policy,
    )
    final = week.number >= case.plan.total_weeks or judged.discontinue
    events = _missed(case, judged)
    verdict_id = name(len(events))
    events.append(_verdict(case, through, judged, final))
    after = _after(case, through, judged, policy)
    if judged.discontinue:
        closed, ending = close(after, "discontinued", week.ends_on, "no_compliance_or_gain")
        return closed, events + ending
    if final or week.number >= policy.readiness_from_week:
        assessed = _readiness(after, through, view, judged.alerts, final, policy)
        after = after.model_copy(
            update={
                "readiness": Assessed(
                    id=name(len(events)),
                    readiness=assessed.readiness,
                    expires_on=assessed.expires_on,
                    final=final,
                    activities=readiness.activities(case.plan.job),
                    zones=readiness.zones(case.plan.job),
                )
            }
        )
        events.append(assessed)
    if final:
        status = AwaitingSignature()
    elif judged.verdict == "escalate":
        status = Frozen(verdict=verdict_id)
    else:
        status = AwaitingPlan(verdict=verdict_id)
    return after.model_copy(update={"status": status}), events


def _missed(case: InProgram, judged: verdict.Judgement) -> list[EventData]:
    """Sessions that are missing. An excused day was spoken about, so it is not; an alert cuts the week short."""
    week = case.plan.week
    if judged.alerts or judged.attended + judged.excused >= week.days:
        return []
    return [
        AttendanceLapsed(
            clinic=case.clinic,
            week=week.number,
            planned=week.days,
            attended=judged.attended,
            through=week.ends_on,
        )
    ]


def _verdict(case: InProgram, through: date, judged: verdict.Judgement, final: bool) -> EventData:
    week = case.plan.week
    return VERDICTS[judged.verdict](
        clinic=case.clinic,
        week=week.number,
        total_weeks=case.plan.total_weeks,
        starts_on=week.starts_on,
        through=through,
        plan_version=case.plan.version,
        attendance=judged.attendance,
        attained=judged.attained,
        reasons=judged.reasons,
        final=final,
    )


def _after(case: InProgram, through: date, judged: verdict.Judgement, policy: Policy) -> InProgram:
    """The case with this week counted."""
    week = case.plan.week
    # The next assessment looks back `retest_days`, and an alert can bring it on the very next day.
    keep_from = through + DAY - timedelta(days=policy.retest_days) + DAY
    points = (Point(week=week.number, demand=key, amount=amount) for key, amount in judged.best.items())
    return case.model_copy(
        update={
            "log": session_log.compact(case.log, through, keep_from),
            "judged_through": through,
            "weeks_judged": case.weeks_judged + 1,
            "holds": case.holds + 1 if judged.verdict == "hold" else 0,
            "stalled": judged.stalled,
            "trend": (*case.trend, *points),
        }
    )


def _readiness(
    case: InProgram, through: date, view: Sequence[Entry], alerts: Sequence[str], final: bool, policy: Policy
) -> ReadinessAssessed:
    week = case.plan.week
    standing = readiness.assess(case.plan.job, view, through, alerts, case.plan.baseline_pain, policy)
    unmet = _unmet(case, standing)
    return ReadinessAssessed(
        clinic=case.clinic,
        week=week.number,
        readiness=standing.readiness,
        standings=standing.demands,
        restrictions=standing.restrictions,
        vetoes=standing.vetoes,
        confidence=standing.confidence,
        shift_hours_days=standing.shift_hours_days,
        flags=standing.flags,
        forecast=forecast.forecast(unmet, week.number, policy.forecast_weeks, barred=not standing.met),
        warnings=forecast.warnings(unmet, case.plan.total_weeks, policy.forecast_weeks, policy.gain),
        assessed_through=through,
        expires_on=readiness.expires_on(through, policy),
        final=final,
    )


def _unmet(case: InProgram, standing: readiness.Standing) -> dict[str, list[tuple[int, float]]]:
    """Each unmet deciding demand's weeks so far, as shares of what is required, at most twice it.

    What is beyond that says nothing on when it is reached, and a demand of next to nothing would make it infinite.
    """
    return {
        each.demand: [
            (point.week, min(2.0, point.amount / each.required.amount))
            for point in case.trend
            if point.demand == each.demand and each.required.amount > 0
        ]
        for each in verdict.deciding(standing.demands)
        if not each.met
    }


def _before(case: InProgram, view: Sequence[Entry], policy: Policy) -> verdict.Before:
    """What the weeks before left behind. A flare counts also where it was reported late."""
    starts_on = case.plan.week.starts_on
    lately = [each for each in view if each.attended and starts_on - WEEK <= each.held_on < starts_on]
    flared, _ = verdict.flares(lately, case.plan.baseline_pain, policy)
    best: dict[str, float] = {}
    for point in case.trend:
        best[point.demand] = max(point.amount, best.get(point.demand, 0.0))
    return verdict.Before(holds=case.holds, flared=flared > 0, stalled=case.stalled, best=best)


def _is_news(each: Entry, case: InProgram) -> bool:
    """Whether no verdict has counted this report yet, and no assessment has answered its alerts."""
    if case.cleared_through is not None and each.held_on <= case.cleared_through:
        return False
    judged = case.judged_through
    return judged is None or each.held_on > judged or not session_log.known_by(each, judged)


def _from(name: Name, first: int) -> Name:
    return lambda nth: name(first + nth)


def _reaches(closed_through: date | None, day: date) -> bool:
    return closed_through is not None and closed_through >= day
