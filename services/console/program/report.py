"""The weekly report to the referrer: how the week was judged and why, in words. Pure, and an allow-list.

The referrer is the clinician who treats the worker or sent them. Nothing in a case records what that clinician may be
told beyond the course of the program, so pain, scores, mental demands, safety findings and notes stay out, and the
report says that they do. Whoever may know them asks the clinic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.console.views import CasePage, DemandChart, VerdictShown
from workhardening_contracts.demand import MENTAL_KINDS
from workhardening_contracts.planning import PlannedWeek, Shortfall
from workhardening_contracts.progress import Forecast, Reason

MEANS = {
    "advance": "The week's targets were reached. The next week asks a little more.",
    "hold": "The week is repeated at about the same targets.",
    "regress": "The next week goes one step back, so that the worker can build up again safely.",
    "escalate": "Training stands still until a clinician of the program has decided how it goes on.",
}
SAID = {
    "attainment_low": "On average less than the plan's least share of the deciding targets was shown.",
    "attendance_low": "Fewer sessions were attended than a week needs to advance.",
    "held_too_often": "The same targets were held as often as the plan allows.",
    "late_session": "A session of an earlier week was reported late and counted.",
    "discontinued": "There was neither enough attendance nor gain over several weeks: the program ends.",
    "no_targets": "The week had no targets.",
}
"""Findings of the week as a whole that may be told, in words. Any other is only said to be there."""
OF_A_DEMAND = frozenset({"target_attained", "target_missed", "not_performed"})
UNNAMED = "There was a clinical finding that this report does not name."
LEFT_OUT = (
    "Pain, scores, mental demands, safety findings and notes are left out: the case holds no record that a referrer "
    "may be told them. The clinic answers questions."
)


@dataclass(frozen=True, slots=True)
class DemandRow:
    """One physical demand of the job in the week. Amounts in `unit`; None where nothing was asked or shown."""

    key: str
    critical: bool
    unit: str
    start: float | None
    target: float | None
    shown: float | None
    required: float
    finding: str | None
    """`target_attained`, `target_missed` or `not_performed`."""


@dataclass(frozen=True, slots=True)
class Report:
    """One judged week."""

    verdict: VerdictShown
    means: str
    findings: tuple[str, ...]
    demands: tuple[DemandRow, ...]
    next: PlannedWeek | None
    """What was planned in answer: nothing after the last week, after an escalation, or before the answer is there."""
    shortfall: tuple[Shortfall, ...]
    """What the answering plan will not reach."""
    forecast: Forecast | None
    """Of this week's assessment, where it is the latest."""


def weekly_report(page: CasePage, number: int) -> Report | None:
    """The report of a week; None before it is judged."""
    judged = [each for each in page.verdicts if each.week == number]
    if not judged:
        return None
    verdict = judged[-1]
    answer = next((each for each in page.plans if each.version == verdict.plan_version + 1), None)
    going_on = answer if answer and answer.weeks and not verdict.final else None
    assessed = page.readiness
    return Report(
        verdict=verdict,
        means="The program's last week was judged." if verdict.final else MEANS[verdict.verdict],
        findings=_findings(verdict.reasons),
        demands=tuple(
            _row(chart, number, verdict.reasons)
            for chart in page.demands
            if _physical(chart.key) and chart.unit != "score"
        ),
        next=going_on.weeks[0] if going_on else None,
        shortfall=tuple(each for each in going_on.shortfall if _physical(each.demand)) if going_on else (),
        forecast=assessed.forecast if assessed and assessed.week == number else None,
    )


def _findings(reasons: Sequence[Reason]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(SAID.get(each.code, UNNAMED) for each in reasons if each.code not in OF_A_DEMAND))


def _physical(key: str) -> bool:
    return key.split("/")[0] not in MENTAL_KINDS


def _row(chart: DemandChart, number: int, reasons: Sequence[Reason]) -> DemandRow:
    at = {point.week: point for point in chart.points}
    finding = next((each.code for each in reasons if each.demand == chart.key and each.code in OF_A_DEMAND), None)
    return DemandRow(
        key=chart.key,
        critical=chart.critical,
        unit=chart.unit,
        start=at[0].attained if 0 in at else None,
        target=at[number].target if number in at else None,
        shown=at[number].attained if number in at else None,
        required=chart.required,
        finding=finding,
    )
