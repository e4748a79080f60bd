"""Job demands and measured capacities, in the same terms, and when one satisfies the other.

Kinds are an open vocabulary. Physical: `lift`, `carry`, `push`, `pull`, `stand`, `walk`, `sit`, `climb`, `stoop`,
`kneel`, `crouch`, `crawl`, `reach`, `grip`, `balance`, `shift`. Mental: `concentration`, `pace`, `stress_tolerance`,
`confidence` (self-efficacy 0-10). Zones: `floor_waist`, `waist_shoulder`, `overhead`, `forward`. An unknown kind is
carried, planned for and shown like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field, StringConstraints, model_validator

from workhardening_contracts.contract import Code, Contract, Line
from workhardening_contracts.quantity import Amount, Quantity, at_least, comparable

Frequency = Literal["seldom", "occasional", "frequent", "constant"]
"""Share of the shift: seldom up to 2 %, occasional up to 1/3, frequent 1/3 to 2/3, constant above 2/3 (ORS 2018)."""

DemandKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9][a-z0-9_.-]*/(-|[a-z0-9][a-z0-9_.-]*)/(seldom|occasional|frequent|constant)$", max_length=140
    ),
]
"""A demand's key as other events name it, see `Demand.key`."""

FREQUENCY_ORDER: tuple[Frequency, ...] = ("seldom", "occasional", "frequent", "constant")

MENTAL_KINDS = frozenset({"concentration", "pace", "stress_tolerance", "confidence"})


class Demand(Contract):
    """One thing the job requires."""

    kind: Code
    """Open vocabulary, see the module's text."""
    zone: Code | None = None
    """Height or direction where it matters, e.g. `floor_waist`; null where it does not."""
    frequency: Frequency
    amount: Quantity
    critical: bool
    """The job cannot be done without it: unmet, it bars `meets`; an unmet other demand becomes a restriction."""

    @property
    def key(self) -> str:
        """What tells demands of one job apart: `kind/zone/frequency`, `-` for no zone."""
        return f"{self.kind}/{self.zone or '-'}/{self.frequency}"


class Capacity(Contract):
    """What the worker was measured to do, in the terms of a demand."""

    kind: Code
    zone: Code | None = None
    frequency: Frequency
    amount: Quantity
    measured_on: date
    """The day of the test; re-tests expire."""


class DemandProfile(Contract):
    """All of a job's demands that the program trains for."""

    title: Line
    """The job's title, for people."""
    basis: Code
    """`job_analysis` (confirmed at the workplace), `employer` (stated), or `template` (a draft from survey figures)."""
    demands: Annotated[tuple[Demand, ...], Field(min_length=1, max_length=60)]
    shift_hours: Annotated[float, Field(gt=0, le=16)]
    """Hours of one shift, h."""

    @model_validator(mode="after")
    def _each_demand_is_named_once(self) -> DemandProfile:
        if len({demand.key for demand in self.demands}) < len(self.demands):
            raise ValueError("a demand (kind, zone, frequency) is listed twice")
        return self


def frequency_covers(shown: Frequency, required: Frequency) -> bool:
    """A capacity shown at a higher frequency satisfies the same amount at a lower one, never the reverse."""
    return FREQUENCY_ORDER.index(shown) >= FREQUENCY_ORDER.index(required)


def satisfies(capacity: Capacity, demand: Demand) -> bool:
    """Whether this capacity meets this demand: same kind and zone, frequency at least, amount at least."""
    return (
        capacity.kind == demand.kind
        and capacity.zone == demand.zone
        and frequency_covers(capacity.frequency, demand.frequency)
        and comparable(capacity.amount, demand.amount)
        and at_least(capacity.amount, demand.amount)
    )


class Measured(Protocol):
    """A capacity, or what has the parts of one."""

    @property
    def kind(self) -> str: ...
    @property
    def zone(self) -> str | None: ...
    @property
    def frequency(self) -> Frequency: ...
    @property
    def amount(self) -> Quantity | Amount: ...


M = TypeVar("M", bound=Measured)


def best_capacity(capacities: Iterable[M], demand: Demand) -> M | None:
    """The largest capacity measured for this demand's kind and zone at its frequency or a higher one, or None."""
    fitting = [
        capacity
        for capacity in capacities
        if capacity.kind == demand.kind
        and capacity.zone == demand.zone
        and frequency_covers(capacity.frequency, demand.frequency)
        and comparable(capacity.amount, demand.amount)
    ]
    return max(fitting, key=lambda found: found.amount.amount_in(demand.amount.unit), default=None)
