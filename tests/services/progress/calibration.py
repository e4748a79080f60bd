"""How often the forecast's 80 % interval holds, on a simulated cohort in memory.

    python -m tests.services.progress.calibration --cases 400 --seed 1

The simulator's clinics and workers, and the folds of all four services. Readiness is assessed from week 1 on, so that
there is a forecast at each closed week. Counted are the forecasts of cases that really became ready, made before their
critical demands were met; the truth is the week at whose close these were first all met.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runtime.policy import Policies
from services.console.outcomes import wilson
from services.progress import handlers as progress
from services.progress.policy import Policy
from services.progress.verdict import deciding
from simulator.clinic import opened
from simulator.cohort import CohortConfig, make_cases
from tests.simulator.program import Program, live
from workhardening_contracts.progress import ReadinessAssessed

READY = ("ready", "ready_with_restrictions")


@dataclass(frozen=True)
class Course:
    """One case that was admitted: how its worker responds to training, how it ended, each week's assessment."""

    response: str
    outcome: str | None
    weeks: Sequence[ReadinessAssessed]

    @property
    def met_in(self) -> int | None:
        """The first week at whose close all critical demands were met."""
        return next((each.week for each in self.weeks if all(one.met for one in deciding(each.standings))), None)


@dataclass(frozen=True)
class Coverage:
    """Forecasts made before the event, and what became of them."""

    made: int
    """Weeks in which there was something to forecast."""
    expected: int
    """Those that named a week; the others said `insufficient_data`."""
    held: int
    """The truth lay in the interval."""
    sooner: int
    later: int
    width: float
    """Mean width of the intervals, weeks from the first to the last, both counted."""

    @property
    def share(self) -> float:
        return self.held / self.expected if self.expected else 0.0


def courses(cases: int, seed: int, policy: Policy | None = None) -> Iterator[Course]:
    """Take a cohort through the program. Needs about 0.15 s of CPU a case."""
    policies = Policies(policy or Policy(readiness_from_week=1))
    for case in make_cases(CohortConfig(cases=cases, seed=seed, hostile_rate=0.0), ["harbour", "north"]):
        program = Program()
        program.handlers = {**program.handlers, "progress": progress.handlers(policies)}
        live(program, case)
        told = [event.data for envelope in program.feed[case.ref] if (event := opened(envelope)) is not None]
        yield Course(case.worker.response, case.outcome, [each for each in told if isinstance(each, ReadinessAssessed)])


def coverage(cohort: Iterable[Course], week: int | None = None) -> Coverage:
    """How the forecasts of one week, or of all, turned out in the cases that became ready."""
    made = expected = held = sooner = later = 0
    width = 0.0
    for course in cohort:
        met = course.met_in
        if course.outcome not in READY or met is None:
            continue
        for each in course.weeks:
            if each.week >= met or week not in (None, each.week):
                continue
            made += 1
            said = each.forecast
            if said.status != "expected" or said.earliest is None or said.latest is None:
                continue
            expected += 1
            held += said.earliest <= met <= said.latest
            sooner += met < said.earliest
            later += met > said.latest
            width += said.latest - said.earliest + 1
    return Coverage(made, expected, held, sooner, later, width / expected if expected else 0.0)


def warned(cohort: Iterable[Course], code: str) -> Counter[tuple[str, bool]]:
    """Cases by (response, whether any assessment warned of this before the critical demands were met)."""
    return Counter(
        (course.response, any(one.code == code for each in course.weeks for one in each.warnings))
        for course in cohort
        if course.weeks
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    cohort = list(courses(given.cases, given.seed))
    ready = sum(course.outcome in READY for course in cohort)
    print(f"{given.cases} referrals, seed {given.seed}: {ready} became ready")
    print("week   to say   said   held          95 %   sooner   later   width")
    for week in (*range(1, 13), None):
        found = coverage(cohort, week)
        if not found.expected:
            if found.made:
                print(f"{week or 'all':>4} {found.made:8} {found.expected:6}   insufficient_data")
            continue
        low, high = wilson(found.held, found.expected)
        print(
            f"{week or 'all':>4} {found.made:8} {found.expected:6} {found.share:6.1%} {low:6.1%}-{high:6.1%}"
            f" {found.sooner:8} {found.later:7} {found.width:7.2f}"
        )
    for code in ("plateau", "late"):
        by = warned(cohort, code)
        said = ", ".join(
            f"{by[name, True]} of {by[name, True] + by[name, False]} {name}"
            for name, _ in sorted({(n, 0) for n, _ in by})
        )
        print(f"warned of {code}, cases by response: {said}")


if __name__ == "__main__":
    main()
