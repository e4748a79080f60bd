"""What is written for a batch, decided purely: who passes a parked queue, and what is said of events that waited."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runtime.batch import Writes, decide
from runtime.event_log import Key
from runtime.fold import Case, Handlers, Outcome, Position
from runtime.records import Broken, Opened, Record, Unread, open_record
from tests.runtime.toy import Added, Policy, Sum, Summed, added, enveloped, on_added, toy_handlers
from tests.runtime.toy import Opened as Opening
from workhardening_contracts.envelope import Envelope, EventData, write_kafka

CASE = uuid.UUID("018f3c5e-0000-7000-8000-000000000001")
RECORDED = datetime(2026, 1, 5, 9, tzinfo=UTC)
DIGEST_KEY = bytes(32)


class Erased(EventData):
    """The case is to be forgotten."""

    TYPE = "org.workhardening.test.erased.v1"


def on_erased(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
    return Outcome(state, wait=True) if state is None else Outcome(None, erase=True)


def on_summed(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
    return Outcome(Sum(owner="brought back"), emit=[Summed(total=1)], effects=["told"])


WAITING = toy_handlers("in", "out", needs_opening=True)
HANDLERS = replace(
    WAITING,
    on={**WAITING.on, Erased: on_erased, Summed: on_summed},
    erasures=frozenset({Erased}),
    heard_when_erased=frozenset({Summed}),
)


def record(envelope: Envelope, offset: int, recorded: datetime = RECORDED) -> Record:
    key, headers, value = write_kafka(envelope)
    return Record(Position("in", 0, offset), recorded, key, tuple(headers), value)


def batch(
    *envelopes: Envelope, handlers: Handlers[Sum, Policy] = HANDLERS, case: Case[Sum] | None = None
) -> Writes[Sum]:
    items = [open_record(record(envelope, nth), handlers, DIGEST_KEY) for nth, envelope in enumerate(envelopes)]
    logged: dict[Key, bytes] = {}
    return decide(items, logged, {} if case is None else {case.ref: case}, handlers, {})


def results(writes: Writes[Sum]) -> Sequence[str]:
    """What the log says of each event in the end."""
    settled = {each.event.id: each.result for each in writes.settled}
    return [settled.get(row.key[2], row.result) for row in writes.log]


def opening() -> Envelope:
    return enveloped(CASE, "open", Opening())


def erasure(source: str = "/clinics/a") -> Envelope:
    return enveloped(CASE, "erase", Erased(), source)


def test_the_erasure_of_a_parked_case_waits_for_no_person() -> None:
    writes = batch(opening(), added(CASE, "1", 13), added(CASE, "2", 2), erasure(), added(CASE, "3", 3))
    case = writes.cases[CASE]
    assert (case.erased, case.state, case.parked, case.version) == (True, None, 0, 5)
    assert writes.erased == {CASE}
    assert results(writes) == ["folded", "parked", "parked", "folded", "rejected"]
    assert [entry.envelope.data for entry in writes.emitted] == [b'{"code":"case_erased"}']


def test_a_strangers_erasure_queues_behind_what_is_parked() -> None:
    writes = batch(opening(), added(CASE, "1", 13), erasure("/clinics/b"))
    assert (writes.cases[CASE].parked, writes.erased) == (2, set())
    assert writes.parked[1].reason == "behind_parked"


def test_without_a_state_nobody_is_known_to_own_the_case_and_its_erasure_queues() -> None:
    plain = replace(HANDLERS, on={**HANDLERS.on, Added: on_added})
    writes = batch(added(CASE, "1", 13), erasure(), handlers=plain)
    assert (writes.cases[CASE].parked, writes.erased) == (2, set())


def test_an_erasure_that_came_first_takes_effect_when_its_case_is_opened_and_publishes_nothing_of_it() -> None:
    def opens_and_tells(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        return Outcome(Sum(owner="/clinics/a"), emit=[Summed(total=0)])

    telling = replace(HANDLERS, on={**HANDLERS.on, Opening: opens_and_tells})
    writes = batch(erasure(), opening(), added(CASE, "1", 1), handlers=telling)
    assert (writes.cases[CASE].erased, writes.erased) == (True, {CASE})
    assert results(writes) == ["folded", "folded", "rejected"]
    assert [entry.envelope.data for entry in writes.emitted] == [b'{"code":"case_erased"}']


def test_a_strangers_erasure_that_came_first_is_refused_when_the_case_is_opened_and_bars_nothing() -> None:
    writes = batch(erasure("/clinics/b"), opening(), added(CASE, "1", 1))
    assert (writes.cases[CASE].erased, writes.erased) == (False, set())
    assert results(writes) == ["rejected", "folded", "folded"]
    assert b'{"code":"foreign_source"}' in [entry.envelope.data for entry in writes.emitted]


def test_an_erasure_folds_nothing_that_waited() -> None:
    def waits_once(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        return Outcome(Sum(owner="brought back"), effects=["late"]) if state is None else Outcome(state, wait=True)

    writes = batch(
        opening(), added(CASE, "1", 1), erasure(), handlers=replace(HANDLERS, on={**HANDLERS.on, Added: waits_once})
    )
    assert (writes.cases[CASE].waiting, writes.effects, writes.settled) == ((), [], [])


def test_an_erased_case_hears_what_became_of_others_events_and_stays_erased() -> None:
    erased: Case[Sum] = Case(CASE, 0, version=3, erased=True)
    writes = batch(enveloped(CASE, "told", Summed(total=1)), case=erased)
    assert writes.effects == ["told"]
    case = writes.cases[CASE]
    assert (case.state, case.erased, case.version) == (None, True, 4)
    assert writes.log[0].body is None


def test_the_log_says_what_became_of_each_event_that_had_waited() -> None:
    unlucky, fine = added(CASE, "1", 7), added(CASE, "2", 2)
    writes = batch(unlucky, fine, added(CASE, "3", 3, "/clinics/b"), opening())
    assert [row.result for row in writes.log] == ["waiting", "waiting", "waiting", "folded"]
    assert results(writes) == ["rejected", "folded", "rejected", "folded"]
    assert {each.policy_version for each in writes.settled} == {"toy-1"}


def test_what_waits_on_is_not_said_to_be_settled() -> None:
    def never(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        return Outcome(state, wait=True)

    writes = batch(added(CASE, "1", 1), opening(), handlers=replace(HANDLERS, on={**HANDLERS.on, Added: never}))
    assert writes.settled == []


def test_only_partners_are_judged_by_the_clock() -> None:
    late = record(added(CASE, "1", 1), 0, RECORDED - timedelta(days=2))
    assert isinstance(open_record(late, HANDLERS, DIGEST_KEY), Broken)
    ours = toy_handlers("in", "out", partner=False)
    assert isinstance(open_record(late, ours, DIGEST_KEY), Opened)
    unreadable = replace(late, headers=((("ce_id", None)),))
    assert isinstance(open_record(unreadable, ours, DIGEST_KEY), Unread)
