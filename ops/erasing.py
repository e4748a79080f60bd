"""`whp erase`: the erasure of a case, said by operations on behalf of the clinic that owns it.

It is a CaseErased of the owning clinic and takes the clinics' own way in (`admit`, the code of the front door and of
the bridge): screened, receipted, produced to `clinic.events.v1`, folded by each service in the case's order. To delete
rows from here would be quicker and wrong: an event that is still on its way to a service would bring the case back, a
batch that has the case in hand would write it again, and nothing would tell afterwards who erased what. Whose case it
is, the services' states say and not the operator.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from ops.app import Json, answer, app, say
from ops.registered import handlers_of, service_of
from ops.target import SERVICES, CommandError, Target, as_json, connected, digest_key, in_schema, target
from runtime.cases import Conflict
from runtime.db import open_pool
from runtime.relay import Publisher, PublishFailed
from runtime.retry import forget_waiting
from runtime.telemetry import set_up_traces
from services.intake.admission import Desk, admit
from services.intake.receipts import PostgresReceipts
from services.intake.screening import Refused
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.envelope import clinic_source, event_of

REASONS = ("worker_request", "opened_in_error", "retention_ended")
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Held:
    """What one service holds of a case."""

    service: str
    clinic: str | None = None
    """The owner, where the service has a state of the case."""
    erased: bool = False
    waiting: int = 0
    """Events whose premise has not come."""
    parked: int = 0
    heard: bool = False
    """The erasure has come here."""

    @property
    def done(self) -> bool:
        """Whether the erasure came and left nothing."""
        return self.heard and self.clinic is None and not self.waiting and not self.parked


@app.command
def erase(ref: UUID, *, reason: str, patience: float = 60, json: Json = False) -> int:
    """Erase a case on behalf of its clinic, for good. Exits with 1 when a service has not done so yet.

    What goes and what stays: docs/erasure.md.

    Parameters
    ----------
    reason
        `worker_request`, `opened_in_error` or `retention_ended`; it is kept. Nothing of a patient belongs here.
    patience
        For how many seconds to watch for all services to have erased it. The erasure is on its way all the same.
    """
    if reason not in REASONS:
        raise CommandError(f"give a reason: one of {', '.join(REASONS)}")
    event, held = asyncio.run(_erase(target(), ref, reason, patience))
    done = all(each.done for each in held)
    if json:
        answer(as_json({"event": event, "erased": done, "services": [asdict(each) for each in held]}))
    else:
        for each in held:
            answer(f"{each.service:9} {_said(each)}")
    if not done:
        say("the erasure is on its way; when the services have come so far, run this again: it erases what is left")
    return 0 if done else 1


def _said(held: Held) -> str:
    if held.done:
        return "erased" if held.erased else "holds nothing of it"
    if held.parked:
        return f"{held.parked} parked records of a case that never came about: give them up with `whp parked discard`"
    return "not yet erased"


async def _erase(to: Target, ref: UUID, reason: str, patience: float) -> tuple[str, list[Held]]:
    held = await _look(to, ref)
    owners = {each.clinic for each in held if each.clinic is not None}
    if not owners and any(each.waiting or each.parked for each in held):
        owners = await _owner_of_old(to, ref)  # erased in some services, and in others it never came about
    if not owners:
        raise CommandError(
            f"case {ref} is erased already"
            if any(each.erased for each in held)
            else f"no service knows case {ref}: check it, or look at `whp dead-letters list`"
        )
    if len(owners) > 1:
        raise CommandError(f"the services do not agree on whose case {ref} is: look at `whp case {ref}` first")
    clinic = owners.pop()
    event = await _publish(to, ref, clinic, reason)
    until = time.monotonic() + patience
    while True:
        held = await _look(to, ref, event)
        for each in held:
            if each.heard and each.clinic is None and each.waiting:
                await _forget(to, ref, clinic, each.service)
        if all(each.done for each in held) or time.monotonic() > until:
            return event, held
        await asyncio.sleep(LOOK_S)


async def _look(to: Target, ref: UUID, event: str = "") -> list[Held]:
    found: list[Held] = []
    for service in SERVICES:
        async with connected(to.database, service) as connection:
            row = await connection.fetchrow(
                "SELECT state->>'clinic' AS clinic, erased, jsonb_array_length(waiting) AS waiting, parked,"
                " EXISTS (SELECT 1 FROM event_log l WHERE l.case_ref = c.case_ref AND l.id = $2) AS heard"
                " FROM cases c WHERE case_ref = $1",
                ref,
                event,
            )
        found.append(Held(service, **dict(row)) if row else Held(service))
    return found


async def _owner_of_old(to: Target, ref: UUID) -> set[str]:
    """Whose case it was; intake remembers that of a case that it has erased."""
    async with connected(to.database, "intake") as connection:
        return {row["clinic"] for row in await connection.fetch("SELECT clinic FROM caseload WHERE case_ref = $1", ref)}


async def _forget(to: Target, ref: UUID, clinic: str, service: str) -> None:
    """A service in which the case never came about lets the erasure wait with all else; here its owner is known."""
    pool = await open_pool(in_schema(to.database, service), "whp", size=1)
    try:
        await forget_waiting(
            pool, ref, clinic, handlers_of(service), service_of(service).writers, clinic_source(clinic)
        )
    except Conflict:
        pass  # it has moved on; the next look tries again
    finally:
        await pool.close()


async def _publish(to: Target, ref: UUID, clinic: str, reason: str) -> str:
    """Take the event in as the front door does. Returns its id. Raises CommandError."""
    # Of an erased case the services keep the ids of its events and nothing of what they said. So the id says, for the
    # audit, that it was operations, why, and who.
    who = re.sub(r"[^A-Za-z0-9_-]", "", os.environ.get("USER", ""))[:32] or "unknown"
    now = datetime.now(UTC)
    event = event_of(
        CaseErased(reason_code=reason),
        id=f"operations.erasure.{reason}.{who}.{uuid4().hex}",
        source=clinic_source(clinic),
        subject=ref,
        time=now,
    )
    telemetry = set_up_traces("whp", 0.0)
    publisher = Publisher(to.kafka, "whp", telemetry)
    pool = await open_pool(in_schema(to.database, "intake"), "whp", size=1)
    try:
        await admit(
            Desk(PostgresReceipts(pool), publisher.publish, digest_key(), telemetry.receiving), clinic, event, now
        )
    except PublishFailed:
        raise CommandError("Kafka did not take the erasure: run it again") from None
    except Refused as refused:
        raise CommandError(f"the erasure is refused ({refused.code}): {refused.detail}; {refused.mend}") from None
    finally:
        await publisher.stop()
        await pool.close()
        telemetry.stop()
    return event.id
