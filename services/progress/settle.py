"""Judge whatever can be judged. Pure; called after every event that may have brought the last missing piece.

Topics arrive in any order between them. So nothing is decided on arrival: facts are recorded, and a week is judged
when it is closed and the plan that answers the verdict before it is there, on what was reported before it was closed.
A safety alert does not wait for the week: it is judged as soon as a day is closed by which it was reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from services.progress import assessing, session_log, verdict
from services.progress.assessing import Name, is_news
from services.progress.policy import Policy
from services.progress.session_log import Entry
from services.progress.state import (
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
    return any(each.alerts and is_news(each, case) for each in session_log.current(case.log))


def close(case: InProgram, outcome: Outcome, on: date, reason_code: str) -> tuple[Closed, list[EventData]]:
    """The program ends with this outcome."""
    event = CaseClosed(
        clinic=case.clinic,
        closed_on=on,
        outcome=outcome,
        reason_code=reason_code,
        weeks_judged=case.weeks_judged,
    )
    kept = case.readiness and case.readiness.model_copy(update={"basis": None})
    return Closed(clinic=case.clinic, outcome=outcome, readiness=kept), [event]


def _step(case: InProgram, policy: Policy, name: Name) -> Step | None:
    """The next step, or None. A withdrawal comes last: it ends the case after all that was closed before it."""
    if (counted := recounted(case, policy, name)) is not None:
        return counted
    closed_through = case.withdrawn.closed_through if case.withdrawn else case.closed_through
    match case.status:
        case Judging() if through := _judged_on(case, case.plan.week.starts_on, case.plan.week.ends_on, closed_through):
            return _judge(case, through, policy, name)
        case AwaitingSignature() if case.readiness and _reaches(closed_through, case.readiness.expires_on + DAY):
            return close(case, "not_ready", case.readiness.expires_on, "unsigned")
        case Frozen() if _reaches(closed_through, last := _frozen_until(case, policy)):
            return close(case, "discontinued", last, "frozen_too_long")
        case _:
            pass
    if case.withdrawn and not judging_is_due(case, closed_through):
        return close(case, "withdrawn", case.withdrawn.on, case.withdrawn.reason_code)
    return None


def recounted(case: InProgram, policy: Policy, name: Name) -> tuple[InProgram, list[EventData]] | None:
    """Count the reports that came since the latest assessment; None: there is none to count. See `assessing`."""

    def moved_on(closed_through: date | None) -> bool:
        match case.status:
            case Judging():
                week = case.plan.week
                return _judged_on(case, week.starts_on, week.ends_on, closed_through) is not None
            case AwaitingPlan():
                return judging_is_due(case, closed_through)
            case Frozen():
                return _reaches(closed_through, _frozen_until(case, policy))
            case AwaitingSignature():
                return case.readiness is not None and _reaches(closed_through, case.readiness.expires_on + DAY)

    return assessing.recounted(case, moved_on, policy, name)


def _frozen_until(case: InProgram, policy: Policy) -> date:
    return case.plan.week.ends_on + WEEK * policy.max_frozen_weeks


def _judged_on(case: InProgram, starts_on: date, ends_on: date, closed_through: date | None) -> date | None:
    """The day whose closing judges the week: the first by which a safety alert is known, else its last. None: none yet.

    What was known when a day was closed never changes after that, so a late judging finds the same day.
    """
    alerted = any(each.alerts for each in case.log)
    for nth in range((ends_on - starts_on).days + 1):
        day = starts_on + DAY * nth
        if not _reaches(closed_through, day):
            return None
        view = session_log.as_of(case.log, day) if alerted else ()
        if any(each.alerts and each.held_on <= day and is_news(each, case) for each in view):
            return day
    return ends_on


def _judge(case: InProgram, through: date, policy: Policy, name: Name) -> Step:
    """Judge the week up to `through`: say what was missed, the verdict, where the case stands, whether it ends here."""
    week = case.plan.week
    view = session_log.as_of(case.log, through)
    judged = verdict.judge(
        week.targets,
        week.days,
        [each for each in view if week.starts_on <= each.held_on <= through],
        [each for each in view if each.held_on < week.starts_on and is_news(each, case)],
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
        basis = assessing.basis_of(after, through, judged.alerts, final=final)
        told = assessing.assess(after, basis, after.log[: basis.reports], policy)
        after = after.model_copy(
            update={"readiness": assessing.signable(name(len(events)), told, basis.job or case.plan.job, basis)}
        )
        events.append(told)
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
    # This assessment looks back `retest_days`, and may have to be told anew.
    keep_from = through - timedelta(days=policy.retest_days) + DAY
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


def _before(case: InProgram, view: Sequence[Entry], policy: Policy) -> verdict.Before:
    """What the weeks before left behind. A flare counts also where it was reported late."""
    starts_on = case.plan.week.starts_on
    lately = [each for each in view if each.attended and starts_on - WEEK <= each.held_on < starts_on]
    flared, _ = verdict.flares(lately, case.plan.baseline_pain, policy)
    best: dict[str, float] = {}
    for point in case.trend:
        best[point.demand] = max(point.amount, best.get(point.demand, 0.0))
    return verdict.Before(holds=case.holds, flared=flared > 0, stalled=case.stalled, best=best)


def _from(name: Name, first: int) -> Name:
    return lambda nth: name(first + nth)


def _reaches(closed_through: date | None, day: date) -> bool:
    return closed_through is not None and closed_through >= day
