"""The weekly verdict: advance, hold, regress or escalate, with its reasons demand by demand. Pure, and cautious.

What is not known never advances a week: a target that nobody showed, a pain that nobody wrote down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

from services.progress.policy import Policy
from services.progress.session_log import Entry, Shown, capacities, pain_after_a_day
from workhardening_contracts.demand import Capacity, best_capacity
from workhardening_contracts.planning import Target
from workhardening_contracts.progress import Reason
from workhardening_contracts.quantity import ratio

Verdict = Literal["advance", "hold", "regress", "escalate"]

_CLOSE = 1e-9  # as quantities are compared: a share that was computed may miss its figure in the last place


class _Demanded(Protocol):
    @property
    def critical(self) -> bool: ...


_D = TypeVar("_D", bound=_Demanded)


@dataclass(frozen=True)
class Before:
    """What the weeks before this one left behind."""

    holds: int = 0
    """How often in a row the same targets were held."""
    flared: bool = False
    """The seven days before the week had a flare."""
    stalled: int = 0
    """Weeks in a row without compliance or gain."""
    best: Mapping[str, float] = field(default_factory=dict[str, float])
    """The best so far by demand key, in the demand's unit."""


@dataclass(frozen=True)
class Judgement:
    """A week's verdict and what it rests on."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    attended: int
    excused: int
    attendance: float
    """Attended / planned, at most 1."""
    attained: tuple[Capacity, ...]
    """The best of the week for each target that was shown, in the target's unit."""
    best: Mapping[str, float]
    """The best of the week and of what was reported late, by the key of each deciding demand, in the demand's unit."""
    alerts: tuple[str, ...]
    stalled: int
    """Weeks in a row without compliance or gain, this one included unless an alert cut it short."""
    discontinue: bool


@dataclass(frozen=True)
class _Tried:
    """A week's target, and the best that was shown for it."""

    target: Target
    top: Shown | None

    @property
    def critical(self) -> bool:
        return self.target.critical


def deciding(demands: Sequence[_D]) -> list[_D]:
    """What decides of a job's demands, or of a week's targets: the critical ones, or all where the job names none."""
    return [each for each in demands if each.critical] or list(demands)


def below(share: float, least: float) -> bool:
    """Whether a share misses its figure by more than rounding."""
    return share < least - _CLOSE


def flare_at(baseline_pain: float, policy: Policy) -> float:
    """The NPRS from which pain, still there a day later, is a flare. The scale ends at 10, which is always one."""
    return min(10.0, baseline_pain + policy.flare_rise) - _CLOSE


def flares(there: Sequence[Entry], baseline_pain: float, policy: Policy) -> tuple[int, int]:
    """Flares in these attended sessions, and sessions of which it is not known how the pain was a day later.

    Raised after one session and still raised after the next is one flare that has not settled. Pain that had not risen
    right after a session cannot be *still* raised, so it needs no second look.
    """
    raised = flare_at(baseline_pain, policy)
    found = unknown = 0
    lasting = False
    for nth, each in enumerate(there):
        settled = each.pain_after is not None and each.pain_after < raised
        next_day = pain_after_a_day(there, nth)
        if next_day is not None:
            found += next_day >= raised and not lasting
            lasting = next_day >= raised
        elif settled:
            lasting = False
        else:
            unknown += 1
    return found, unknown


def judge(
    targets: Sequence[Target],
    days: int,
    sessions: Iterable[Entry],
    late: Iterable[Entry],
    baseline_pain: float,
    before: Before,
    policy: Policy,
) -> Judgement:
    """Judge a closed week of so many planned `days` on its `sessions`; `late` are reports of earlier weeks that came
    since the last verdict."""
    held = sorted(sessions, key=lambda each: each.held_on)
    there = [each for each in held if each.attended]
    excused = sum(each.attendance == "excused" for each in held)
    shown = capacities(there)
    tried = [_tried(target, shown) for target in targets]
    counted = deciding(tried)
    shares = [None if each.top is None else ratio(each.top.amount, each.target.amount) for each in counted]
    known = [min(1.0, share) for share in shares if share is not None]
    attendance = min(1.0, len(there) / days)
    flared, unknown = flares(there, baseline_pain, policy)
    late = list(late)
    shown_late = capacities((*there, *late)) if late else shown
    alerts = tuple(sorted({code for each in (*held, *late) for code in each.alerts}))

    stepping_back = {
        "second_flare": flared + before.flared >= 2 and flared > 0,
        "attainment_low": bool(known) and below(sum(known) / len(known), policy.regress_below),
    }
    holding = {
        "attendance_low": below(attendance, policy.attendance),
        "not_performed": None in shares or not shares,
        "target_missed": any(below(share, policy.attained) for share in known),
        "pain_flare": flared > 0,
        "pain_not_reported": unknown > 0,
    }
    too_often = any(holding.values()) and before.holds >= policy.max_holds
    verdict: Verdict = "advance"
    if alerts:
        verdict = "escalate"
    elif any(stepping_back.values()) or too_often:
        verdict = "regress"
    elif any(holding.values()):
        verdict = "hold"

    complied = not below(len(there), policy.attendance * max(0, days - excused))
    gained = any(_is_gain(each, before, policy) for each in counted)
    stalled = 0 if complied or gained else before.stalled + (not alerts)
    discontinue = verdict in ("hold", "regress") and stalled >= policy.stalled_weeks

    of_the_week = {
        **dict.fromkeys(alerts, True),
        **stepping_back,
        # An alert cuts the week short: what is missing of it is no absence.
        "attendance_low": holding["attendance_low"] and not alerts,
        "pain_flare": holding["pain_flare"],
        "pain_not_reported": holding["pain_not_reported"],
        "held_too_often": too_often,
        "late_session": bool(late),
        "discontinued": discontinue,
    }
    return Judgement(
        verdict=verdict,
        reasons=(
            *(_reason(each, policy) for each in tried),
            *(Reason(code=code) for code, given in of_the_week.items() if given),
            *(() if targets else (Reason(code="no_targets"),)),
        ),
        attended=len(there),
        excused=excused,
        attendance=attendance,
        attained=tuple(
            Capacity(**each.top._replace(amount=each.top.amount.in_unit(each.target.amount.unit))._asdict())
            for each in tried
            if each.top is not None
        ),
        best={
            each.target.key: top.amount.amount_in(each.target.amount.unit)
            for each in counted
            if (top := _tried(each.target, shown_late).top if late else each.top) is not None
        },
        alerts=alerts,
        stalled=stalled,
        discontinue=discontinue,
    )


def _tried(target: Target, shown: Mapping[str, Sequence[Shown]]) -> _Tried:
    return _Tried(target, best_capacity(shown.get(target.kind, ()), target))


def _is_gain(tried: _Tried, before: Before, policy: Policy) -> bool:
    """Whether more was shown than ever before. What is shown for the first time is what gains are measured from."""
    earlier = before.best.get(tried.target.key)
    if tried.top is None or earlier is None:
        return False
    return tried.top.amount.amount_in(tried.target.amount.unit) > earlier * (1 + policy.gain)


def _reason(tried: _Tried, policy: Policy) -> Reason:
    key, wanted, top = tried.target.key, tried.target.amount, tried.top
    if top is None:
        return Reason(code="not_performed", demand=key, target=wanted)
    attained = not below(ratio(top.amount, wanted), policy.attained)
    code = "target_attained" if attained else "target_missed"
    return Reason(code=code, demand=key, attained=top.amount.in_unit(top.amount.unit), target=wanted)
