"""Readiness as it is told, and told anew when a report changes what it says.

A clinician signs the latest assessment. A session that is corrected or entered late after its week was judged leaves
the verdict as it is: the plan and the clinic have acted on it, and the next one counts the report. But the assessment
can still be signed. So each report of the days that it looked at is held against it, one by one in the order in which
they came; where it would say something else it is told again, of the same day and to the same expiry. So is it when the
demand profile is corrected, or the assessment that the program began with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from services.progress import forecast, readiness, session_log, verdict
from services.progress.policy import Policy
from services.progress.session_log import Entry
from services.progress.state import Assessed, Basis, Corrected, InProgram, PlanInHand
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import DemandProfile
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.progress import ReadinessAssessed

Name = Callable[[int], str]
"""The id of the nth event that is emitted."""


def basis_of(case: InProgram, through: date, alerts: tuple[str, ...], *, final: bool) -> Basis:
    """What an assessment of the day `through` rests on: job and baseline as they are known, and the reports that came
    before that day was closed."""
    return Basis(
        week=case.plan.week.number,
        total_weeks=case.plan.total_weeks,
        job=case.corrected and case.corrected.job,
        baseline_pain=_baseline(case, through),
        through=through,
        alerts=alerts,
        final=final,
        reports=sum(session_log.known_by(each, through) for each in case.log),
    )


def assess(case: InProgram, basis: Basis, log: Iterable[Entry], policy: Policy) -> ReadinessAssessed:
    """What is told on this basis with this much of the log."""
    sessions = session_log.current(log)
    job = basis.job or case.plan.job
    standing = readiness.assess(job, sessions, basis.through, basis.alerts, basis.baseline_pain, policy)
    unmet = _unmet(case, standing)
    return ReadinessAssessed(
        clinic=case.clinic,
        week=basis.week,
        readiness=standing.readiness,
        standings=standing.demands,
        restrictions=standing.restrictions,
        vetoes=standing.vetoes,
        confidence=standing.confidence,
        shift_hours_days=standing.shift_hours_days,
        flags=standing.flags,
        forecast=forecast.forecast(unmet, basis.week, policy.forecast_weeks, barred=not standing.met),
        warnings=forecast.warnings(unmet, basis.total_weeks, policy.forecast_weeks, policy.gain),
        assessed_through=basis.through,
        expires_on=readiness.expires_on(basis.through, policy),
        final=basis.final,
    )


def signable(id: str, told: ReadinessAssessed, job: DemandProfile, basis: Basis) -> Assessed:
    """What is kept of it."""
    return Assessed(
        id=id,
        readiness=told.readiness,
        expires_on=told.expires_on,
        final=told.final,
        activities=readiness.activities(job),
        zones=readiness.zones(job),
        basis=basis,
    )


def replanned(case: InProgram, plan: PlanInHand) -> InProgram:
    """The case with another plan in hand. Its assessment stays one against the job as it was known then."""
    corrected, latest = case.corrected, case.readiness
    if corrected is not None and (corrected.job, corrected.baseline_pain) == (plan.job, plan.baseline_pain):
        corrected = None
    if latest is not None and latest.basis is not None:
        latest = latest.model_copy(update={"basis": _against(latest.basis, latest.basis.job or case.plan.job, plan)})
    return case.model_copy(update={"plan": plan, "corrected": corrected, "readiness": latest})


def reassessed(
    case: InProgram, found: AssessmentCompleted, policy: Policy, name: Name
) -> tuple[InProgram, list[EventData]]:
    """The case once intake has completed the assessment anew, and its readiness where that says something else by it.

    The job is as it should have been from the first. A baseline is of its day: one that was measured after what the
    readiness looked at says nothing on it.
    """
    known = Corrected(job=found.job, baseline_pain=found.baseline_pain, assessed_on=found.assessed_on)
    planned = (case.plan.job, case.plan.baseline_pain) == (found.job, found.baseline_pain)
    now = case.model_copy(update={"corrected": None if planned else known})
    latest = case.readiness
    if latest is None or latest.basis is None:
        return now, []
    before, log = latest.basis, case.log[: latest.basis.reports]
    pain = found.baseline_pain if found.assessed_on <= before.through else before.baseline_pain
    basis = _against(before, found.job, case.plan).model_copy(update={"baseline_pain": pain})
    told = assess(now, basis, log, policy)
    if told == assess(case, before, log, policy):
        return now.model_copy(update={"readiness": latest.model_copy(update={"basis": basis})}), []
    again = signable(name(0), told, found.job, basis)
    return now.model_copy(update={"readiness": again}), [told.model_copy(update={"supersedes": latest.id})]


def recounted(
    case: InProgram, moved_on: Callable[[date | None], bool], policy: Policy, name: Name
) -> tuple[InProgram, list[EventData]] | None:
    """The case with the reports counted that came since its assessment, and what it says anew; None: there are none.

    `moved_on`: whether the case goes on from this assessment once a day is closed. A report that came after that is the
    next assessment's, and waits for it.
    """
    latest = case.readiness
    if latest is None or latest.basis is None:
        return None
    log, basis, events = case.log, latest.basis, list[EventData]()
    for nth in range(basis.reports, len(log)):
        if not _concerns(log, nth, basis):
            continue
        if moved_on(log[nth].reported_after):
            break
        before, basis = basis, _counting(basis, nth, case)
        told = assess(case, basis, log[: nth + 1], policy)
        if told != assess(case, before, log[:nth], policy):
            events.append(told.model_copy(update={"supersedes": latest.id}))
            latest = signable(name(len(events) - 1), told, basis.job or case.plan.job, basis)
    if basis is latest.basis and not events:
        return None
    return case.model_copy(update={"readiness": latest.model_copy(update={"basis": basis})}), events


def is_news(each: Entry, case: InProgram) -> bool:
    """Whether no verdict has counted this report yet, and no assessment has answered its alerts."""
    if case.cleared_through is not None and each.held_on <= case.cleared_through:
        return False
    judged = case.judged_through
    return judged is None or each.held_on > judged or not session_log.known_by(each, judged)


def _concerns(log: Sequence[Entry], nth: int, basis: Basis) -> bool:
    """Whether the nth report is of a day that the assessment looked at, or takes one away from it."""
    each = log[nth]
    if each.held_on <= basis.through or each.replaces is None:
        return each.held_on <= basis.through
    return any(other.id == each.replaces and other.held_on <= basis.through for other in log[:nth])


def _counting(basis: Basis, nth: int, case: InProgram) -> Basis:
    """The basis with one more report and its alerts. One that was told is not taken away: it stands until answered."""
    each = case.log[nth]
    new = each.alerts if each.held_on <= basis.through and is_news(each, case) else ()
    return basis.model_copy(update={"reports": nth + 1, "alerts": tuple(sorted({*basis.alerts, *new}))})


def _against(basis: Basis, job: DemandProfile, plan: PlanInHand) -> Basis:
    """The basis with this job."""
    return basis.model_copy(update={"job": None if job == plan.job else job})


def _baseline(case: InProgram, through: date) -> float:
    known = case.corrected
    return case.plan.baseline_pain if known is None or known.assessed_on > through else known.baseline_pain


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
