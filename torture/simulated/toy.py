"""A service small enough to know the right answer of: it notes each event it folds, and says each sum.

Amounts steer what happens: 13 makes the handler fail until the service is mended, 7 is refused, 99 makes the database
refuse the effect for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from runtime.db import Connection, Writer
from runtime.fold import Handlers, Outcome, Refusal, Rejected
from torture.simulated.statements import MODELS
from torture.simulated.store import Session
from workhardening_contracts.envelope import Event, EventData

CLINIC = "sim.clinic"
"""What partners send."""
INTERNAL = "sim.internal"
"""What another service of ours sends."""
OUT = "sim.out"

FAILS, REFUSED, UNWRITABLE = 13, 7, 99


class Opened(EventData):
    """The premise of all else."""

    TYPE: ClassVar[str] = "org.workhardening.test.opened.v1"


class Added(EventData):
    """A partner adds a number."""

    TYPE: ClassVar[str] = "org.workhardening.test.added.v1"

    amount: int


class Checked(EventData):
    """Another service of ours adds a number."""

    TYPE: ClassVar[str] = "org.workhardening.test.checked.v1"

    amount: int


class Erased(EventData):
    """The case is to be forgotten."""

    TYPE: ClassVar[str] = "org.workhardening.test.erased.v1"


class Summed(EventData):
    """What the toy emits."""

    TYPE: ClassVar[str] = "org.workhardening.test.summed.v1"

    total: int


class Refused(EventData):
    """The toy's rejection."""

    TYPE: ClassVar[str] = "org.workhardening.test.refused.v1"

    code: str


class Sum(BaseModel):
    """The toy's state."""

    owner: str = ""
    total: int = 0


@dataclass(frozen=True)
class Policy:
    """Whether the defect of the handler was mended."""

    version: str = "sim-1"
    mended: bool = False


@dataclass(frozen=True)
class Noted:
    """The effect of one event."""

    case: UUID
    reference: str
    amount: int


@dataclass(frozen=True)
class Forgotten:
    """The effects of a case go."""

    case: UUID


BROKEN, MENDED = Policy(), Policy(version="sim-2", mended=True)


def on_opened(state: Sum | None, event: Event[Opened], policy: Policy) -> Outcome[Sum]:
    """The premise has come."""
    return Outcome(state or Sum(owner=event.source), effects=[Noted(event.case, event.reference, 0)])


def on_number(state: Sum | None, event: Event[Any], policy: Policy) -> Outcome[Sum]:
    """Wait, fail, refuse or add."""
    amount: int = event.data.amount
    if state is None:
        return Outcome(state, wait=True)
    if amount == FAILS and not policy.mended:
        raise RuntimeError("the defect")
    if amount == REFUSED:
        return Outcome(state, reject=Refusal("unlucky", "seven is refused", "send another number"))
    after = Sum(owner=state.owner, total=state.total + amount)
    return Outcome(after, emit=[Summed(total=after.total)], effects=[Noted(event.case, event.reference, amount)])


def on_erased(state: Sum | None, event: Event[Erased], policy: Policy) -> Outcome[Sum]:
    """Forget the case."""
    return Outcome(None, effects=[Forgotten(event.case)], erase=True)


def handlers(mended: Callable[[], bool]) -> Handlers[Sum, Policy]:
    """The toy's table."""

    def rejection(rejected: Rejected) -> EventData:
        return Refused(code=rejected.refusal.code)

    def topic_of(model: type[EventData]) -> str:
        return OUT

    def from_partner(type_: str) -> bool:
        return type_ != Checked.TYPE

    return Handlers(
        service="toy",
        state=Sum,
        on={Opened: on_opened, Added: on_number, Checked: on_number, Erased: on_erased},
        policy=lambda event: MENDED if mended() else BROKEN,
        sender=lambda event: event.source if from_partner(event.type) else None,
        owner=lambda state: state.owner,
        topic_of=topic_of,
        judges=from_partner,
        from_partner=from_partner,
        rejection=rejection,
        known_type=lambda type_: type_.startswith("org.workhardening.test."),
        partner_topics=frozenset({CLINIC}),
        keeps_unreadable=frozenset({CLINIC}),
        erasures=frozenset({Erased}),
    )


_NOTE = "INSERT INTO noted (case_ref, reference, amount) SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[])"
_FORGET = "DELETE FROM noted WHERE case_ref = any($1::uuid[])"


async def write_noted(connection: Connection, rows: Sequence[Noted]) -> None:
    """Note what was folded; the table refuses 99."""
    await connection.execute(
        _NOTE, [row.case for row in rows], [row.reference for row in rows], [row.amount for row in rows]
    )


async def write_forgotten(connection: Connection, rows: Sequence[Forgotten]) -> None:
    """Forget the effects of erased cases."""
    await connection.execute(_FORGET, [row.case for row in rows])


WRITERS: dict[type, Writer] = {Noted: write_noted, Forgotten: write_forgotten}


async def _note(s: Session, refs: list[UUID], references: list[str], amounts: list[int]) -> None:
    for ref, reference, amount in zip(refs, references, amounts, strict=True):
        if amount == UNWRITABLE:
            raise asyncpg.CheckViolationError("noted_amount_check")
        id = s.store.draw("noted")
        s.put("noted", id, {"id": id, "case_ref": ref, "reference": reference, "amount": amount})


async def _forget(s: Session, refs: list[UUID]) -> None:
    for id, _ in [entry for entry in s.rows("noted") if entry[1]["case_ref"] in refs]:
        await s.lock("noted", id)
        s.put("noted", id, None)


MODELS[_NOTE] = _note
MODELS[_FORGET] = _forget
