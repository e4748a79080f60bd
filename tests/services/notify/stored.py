"""Notify on a real PostgreSQL: events folded and written by the runtime's own transaction, as in a batch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

from pydantic import SecretStr

from runtime.batch import apply
from runtime.db import Pool
from runtime.fold import Position
from runtime.records import Record, open_record
from runtime.running import Running
from runtime.settings import Settings
from runtime.telemetry import set_up_traces
from services.notify.effects import WRITERS
from tests.services.notify.cases import TABLE, of
from workhardening_contracts.envelope import Event, write_kafka
from workhardening_contracts.registry import BY_MODEL

KEY = "00" * 32
OFFSETS = itertools.count()


async def fold(pool: Pool, events: Sequence[Event[Any]], case: UUID | None = None) -> UUID:
    """One batch of one case, committed. Returns the case's reference."""
    ref = case or uuid4()
    async with pool.acquire() as connection, connection.transaction():
        await fold_in(connection, events, ref)
    return ref


async def fold_in(connection: Any, events: Sequence[Event[Any]], ref: UUID) -> None:
    """The same inside the caller's transaction."""
    items = [open_record(_record(of(each, ref)), TABLE, bytes.fromhex(KEY)) for each in events]
    await apply(connection, items, TABLE, WRITERS, {})


def _record(each: Event[Any]) -> Record:
    key, headers, value = write_kafka(each.envelope)
    place = Position(BY_MODEL[type(each.data)].topic, 0, next(OFFSETS))
    return Record(place, each.time, key, tuple((name, text) for name, text in headers), value)


def running(pool: Pool, publish: Any = None, **more: Any) -> Running:
    """The part of a started service that doors and workers use."""
    more.setdefault("retry_scale", 0.001)
    settings = Settings(
        mode="local",
        kafka_bootstrap=SecretStr("127.0.0.1:1"),
        database_url=SecretStr("postgresql://nowhere"),
        digest_key=SecretStr(KEY),
        **more,
    )
    telemetry = set_up_traces("notify", 0.0)
    return cast(Running, SimpleNamespace(settings=settings, pool=pool, publish=publish, telemetry=telemetry))
