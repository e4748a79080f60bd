"""The reconciliation can fail: each violation, seeded into a copy of what a real cohort left behind, is found.

The copy costs nothing and harms nothing: topics are read once and given to the reconciliation as a list that a test
has changed; databases are changed in a transaction that only the reconciliation sees and that is rolled back.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer

from ops import kafka
from ops.demo import drained
from ops.reconcile import Reconciliation, reconcile
from ops.target import Target, connected
from runtime.db import Connection
from tests.e2e.place import Place, demonstrate
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import Envelope, Unreadable, read_kafka
from workhardening_contracts.kafka import client_options
from workhardening_contracts.readiness import EventRejected
from workhardening_contracts.registry import CLINIC_TOPIC, EMPLOYER_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC

pytestmark = pytest.mark.stack


@dataclass
class Scratch:
    """What a cohort left behind, to be tampered with."""

    target: Target
    records: list[Any]
    """Every record of every topic, each partition in order."""
    books: dict[str, list[Any]]
    """What employers' receivers hold."""
    sql: dict[str, str] = field(default_factory=dict[str, str])
    """Service -> what is done to its tables."""

    def of(self, topic: str) -> list[Any]:
        """The events of a topic; what others put there that is none is no example."""
        return [record for record in self.records if record.topic == topic and _is_event(record)]

    def put(self, old: Any, new: Any) -> None:
        """Have another record in a record's place."""
        self.records[self.records.index(old)] = new

    async def reconcile(self, monkeypatch: pytest.MonkeyPatch) -> Reconciliation:
        """What the reconciliation makes of it."""

        async def read(bootstrap: str, topics: Sequence[str]) -> AsyncGenerator[Any]:
            for record in self.records:
                yield record

        @contextlib.asynccontextmanager
        async def open_changed(url: str, schema: str) -> AsyncGenerator[Connection]:
            async with connected(url, schema) as connection:
                change = connection.transaction()
                await change.start()
                try:
                    if schema in self.sql:
                        done = await connection.execute(self.sql[schema])
                        assert not done.endswith(" 0"), f"{self.sql[schema]} changed nothing"
                    yield connection
                finally:
                    await change.rollback()

        monkeypatch.setattr("ops.reconcile.records", read)
        monkeypatch.setattr("ops.reconcile.connected", open_changed)
        return await reconcile(self.target, self.books)


@pytest.fixture(scope="module")
async def everything(place: Place) -> tuple[Target, list[Any], dict[str, list[Any]]]:
    """The stack at rest: its addresses, its records, and the books of receivers that took all that was delivered."""
    target = place.target()
    await drained(target)
    names = await kafka.topic_names(target.kafka)
    records = [record async for record in kafka.records(target.kafka, names)]
    books: dict[str, list[Any]] = {}
    async with connected(target.database, "notify") as connection:
        for row in await connection.fetch(
            "SELECT employer, case_ref, event_id, sequence FROM deliveries WHERE status = 'delivered'"
            " AND employer IN (SELECT employer FROM endpoints WHERE kind = 'webhook') ORDER BY id"
        ):
            books.setdefault(row["employer"], []).append(SimpleNamespace(**dict(row)))
    return target, records, books


@pytest.fixture
def scratch(everything: tuple[Target, list[Any], dict[str, list[Any]]]) -> Scratch:
    """A copy of it."""
    target, records, books = everything
    return Scratch(target, list(records), {name: list(updates) for name, updates in books.items()})


def _is_event(record: Any) -> bool:
    try:
        json.loads(envelope_of(record).data)
    except (Unreadable, ValueError, RecursionError):
        return False
    return True


def envelope_of(record: Any) -> Envelope:
    return read_kafka(record.key, record.headers, record.value)


def with_header(record: Any, name: str, value: str) -> Any:
    """The record with this attribute changed."""
    return replace(
        record, headers=tuple((key, value.encode() if key == f"ce_{name}" else old) for key, old in record.headers)
    )


def busiest(records: Sequence[Any]) -> list[Any]:
    """The records of the case that has the most."""
    cases: dict[bytes, list[Any]] = {}
    for record in records:
        cases.setdefault(record.key, []).append(record)
    return max(cases.values(), key=len)


def assert_only(found: Reconciliation, *kinds: str, perhaps: str = "\0") -> None:
    """It does not hold, and there is at least one finding of each of these kinds and none of another but `perhaps`."""
    assert not found.holds
    for kind in kinds:
        assert any(kind in finding for finding in found.findings), f"{kind}: {found.findings}"
    assert [line for line in found.findings if not any(kind in line for kind in (*kinds, perhaps))] == []


async def test_what_nobody_tampered_with_holds(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await scratch.reconcile(monkeypatch)
    assert found.findings == []
    assert found.holds
    assert found.webhooks["received"] == found.webhooks["delivered"] > 0


async def test_an_update_that_gave_way_to_nothing_is_a_finding(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.sql["notify"] = (
        "UPDATE deliveries SET status = 'coalesced', superseded_by = event_id"
        " WHERE id = (SELECT min(id) FROM deliveries WHERE status = 'delivered')"
    )
    assert_only(await scratch.reconcile(monkeypatch), "and nothing took its place", perhaps="differs from what was")


async def test_nothing_at_all_proves_nothing() -> None:
    assert not Reconciliation({}).holds


@pytest.mark.parametrize("service", ["intake", "planning", "progress", "notify"])
async def test_an_event_that_a_consumer_never_took_is_lost(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    scratch.sql[service] = (
        "DELETE FROM event_log WHERE (case_ref, id) IN"
        " (SELECT case_ref, id FROM event_log WHERE result = 'folded' AND topic <> 'runtime' LIMIT 1)"
    )
    found = await scratch.reconcile(monkeypatch)
    assert found.consumers[service].lost == found.total("lost") == 1
    assert_only(found, f"{service}: lost", perhaps="has no cause in the log")


async def test_an_event_of_a_day_far_ahead_is_expected_of_its_judge_and_of_no_other_reader(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = next(each for each in scratch.of(CLINIC_TOPIC) if envelope_of(each).type == DayClosed.TYPE)
    ahead = with_header(with_header(day, "id", "of-a-day-ahead"), "time", "2036-01-01T00:00:00Z")
    scratch.records.append(ahead)
    found = await scratch.reconcile(monkeypatch)
    assert found.consumers["progress"].lost == found.total("lost") == 1
    assert_only(found, "progress: lost")


async def test_a_record_of_a_clinics_own_topic_that_came_to_nothing_is_lost(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.sql["intake"] = (
        "DELETE FROM receipts WHERE (source, id) IN (SELECT source, id FROM receipts"
        " WHERE source = '/clinics/kafka-valley' AND status = 'accepted' LIMIT 1)"
    )
    found = await scratch.reconcile(monkeypatch)
    assert found.consumers["bridge"].lost >= 1
    assert_only(found, "bridge: lost the record")


async def test_a_dead_letter_that_was_not_kept_is_lost(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.sql["intake"] = "DELETE FROM dead_letter WHERE topic = 'clinic.kafka-valley.events.v1'"
    found = await scratch.reconcile(monkeypatch)
    assert found.consumers["bridge"].lost > 1
    assert_only(found, "bridge: lost the record")


async def test_an_outbox_row_that_was_left_over_is_found(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.sql["planning"] = (
        "INSERT INTO outbox (topic, case_ref, headers, value)"
        " VALUES ('planning.events.v1', gen_random_uuid(), '[]', '{}')"
    )
    assert_only(await scratch.reconcile(monkeypatch), "planning: 1 outbox rows are not published")


async def test_the_last_event_of_a_case_that_was_decided_and_never_published_is_lost(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.records.remove(busiest(scratch.of(PROGRESS_TOPIC))[-1])
    found = await scratch.reconcile(monkeypatch)
    assert found.consumers["progress"].lost == 1
    assert_only(found, "lacks sequence")


async def test_all_events_of_a_case_that_were_never_published_are_lost(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = busiest(scratch.of(PLANNING_TOPIC))
    scratch.records = [record for record in scratch.records if record not in gone]
    found = await scratch.reconcile(monkeypatch)
    assert found.consumers["planning"].lost == len(gone) > 1
    assert_only(found, "lacks sequence 1")


async def test_a_sequence_used_for_two_events_is_a_duplicate(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = busiest(scratch.of(PLANNING_TOPIC))[:2]
    scratch.put(second, with_header(second, "sequence", str(envelope_of(first).sequence)))
    found = await scratch.reconcile(monkeypatch)
    assert found.duplicate == 1
    assert_only(found, "uses a sequence number for two events", "lacks sequence")


async def test_a_record_that_was_written_twice_is_one_event(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivery is at least once: a relay that died after the broker's answer writes again, and consumers absorb it."""
    scratch.records.append(busiest(scratch.of(PLANNING_TOPIC))[0])
    found = await scratch.reconcile(monkeypatch)
    assert found.findings == []


async def test_events_of_a_case_that_changed_places_are_out_of_order(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = busiest(scratch.of(PROGRESS_TOPIC))[:2]
    place, other = scratch.records.index(first), scratch.records.index(second)
    scratch.records[place], scratch.records[other] = second, first
    found = await scratch.reconcile(monkeypatch)
    assert found.out_of_order == 1
    assert_only(found, "is out of order")


async def test_an_event_that_nothing_caused_is_found(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    record = scratch.of(PLANNING_TOPIC)[0]
    scratch.put(record, with_header(record, "causationid", "/clinics/north#never-said"))
    assert_only(await scratch.reconcile(monkeypatch), "has no cause in the log")


async def test_a_case_that_took_a_topic_backwards_is_out_of_order(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.sql["progress"] = (
        'UPDATE event_log SET "offset" = "offset" + 1000000 WHERE (case_ref, id) IN (SELECT case_ref, id FROM event_log'
        " WHERE topic = 'planning.events.v1' ORDER BY sequence LIMIT 1)"
    )
    found = await scratch.reconcile(monkeypatch)
    assert found.out_of_order == 1
    assert_only(found, "took planning.events.v1 out of order")


async def test_a_version_that_two_events_made_is_a_duplicate(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.sql["planning"] = (
        "UPDATE event_log SET case_version = 1 WHERE (case_ref, id) IN"
        " (SELECT case_ref, id FROM event_log WHERE case_version = 2 LIMIT 1)"
    )
    found = await scratch.reconcile(monkeypatch)
    assert found.duplicate == 1
    assert any("made version 1 twice" in finding for finding in found.findings)


async def test_a_rejection_that_was_told_nobody_is_found(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.sql["progress"] = (
        "UPDATE event_log SET result = 'rejected' WHERE (case_ref, id) IN"
        " (SELECT case_ref, id FROM event_log WHERE result = 'folded' AND topic = 'clinic.events.v1' LIMIT 1)"
    )
    found = await scratch.reconcile(monkeypatch)
    assert_only(found, "and told nobody")


async def test_a_rejection_that_was_never_published_is_found(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [record for record in scratch.records if dict(record.headers).get("ce_type") == EventRejected.TYPE.encode()]
    by_progress = [record for record in said if envelope_of(record).source == "/services/progress"]
    assert by_progress
    scratch.records = [record for record in scratch.records if record not in by_progress]
    found = await scratch.reconcile(monkeypatch)
    assert_only(found, "and told nobody")


async def test_a_delivered_update_that_the_receiver_lacks_is_lost(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    del next(iter(scratch.books.values()))[-1]
    found = await scratch.reconcile(monkeypatch)
    assert found.total("lost") == 1
    assert_only(found, "lacks a delivered update")


async def test_an_update_that_the_receiver_counted_twice_is_a_duplicate(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = next(iter(scratch.books.values()))
    book.append(book[-1])
    found = await scratch.reconcile(monkeypatch)
    assert found.duplicate == 1
    assert_only(found, "counted an update twice")


async def test_updates_that_the_receiver_took_in_the_wrong_order_are_found(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = next(book for book in scratch.books.values() if len(book) > 5)
    ref = next(update.case_ref for update in book if update.sequence == 2)
    places = [place for place, update in enumerate(book) if update.case_ref == ref][:2]
    book[places[0]], book[places[1]] = book[places[1]], book[places[0]]
    found = await scratch.reconcile(monkeypatch)
    assert found.out_of_order == 1
    assert_only(found, "came out of order")


async def test_an_update_that_nobody_sent_is_found(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    book = next(iter(scratch.books.values()))
    book.append(SimpleNamespace(**{**vars(book[-1]), "event_id": "forged", "sequence": book[-1].sequence + 1}))
    assert_only(await scratch.reconcile(monkeypatch), "holds an update that nobody sent")


async def test_an_update_without_a_disclosure_is_found(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.sql["notify"] = (
        "UPDATE deliveries SET event_id = 'undisclosed' WHERE id IN (SELECT id FROM deliveries"
        " WHERE status = 'delivered' LIMIT 1)"
    )
    found = await scratch.reconcile(monkeypatch)
    assert any("was told undisclosed and no disclosure says so" in finding for finding in found.findings)


async def test_a_disclosure_of_what_was_never_tried_is_found(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.sql["notify"] = (
        "INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)"
        " VALUES ('acme-logistics', gen_random_uuid(), 'untried', 1, 'webhook', '{}', '{}', '')"
    )
    assert_only(await scratch.reconcile(monkeypatch), "has a disclosure of untried that was never tried")


async def test_an_employers_topic_that_says_more_than_was_delivered_is_found(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = replace(scratch.of(PLANNING_TOPIC)[0], topic=EMPLOYER_TOPIC.replace("<id>", "acme-logistics"))
    scratch.records.append(forged)
    assert_only(await scratch.reconcile(monkeypatch), "the topic of acme-logistics differs from what was delivered")


async def test_a_record_that_a_service_has_not_come_to_yet_is_lost_until_it_has(place: Place) -> None:
    """For real: intake stands still while a record that is no event comes in, and then goes on."""
    target = place.target()
    await drained(target)
    pid = place.stack().services["intake"].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        producer: Any = AIOKafkaProducer(**client_options(target.kafka))
        await producer.start()
        await producer.send_and_wait(CLINIC_TOPIC, b"no event", key=b"no case")
        await producer.stop()
        found = await reconcile(target)
        assert found.consumers["intake"].lost == 1
        assert_only(found, "intake: lost", "intake: 1 records of clinic.events.v1 are not committed")
    finally:
        os.kill(pid, signal.SIGCONT)
    await drained(target)
    after = await reconcile(target)
    assert after.findings == []
    assert after.consumers["intake"].dead_lettered == found.consumers["intake"].dead_lettered + 1


def test_a_demonstration_that_does_not_reconcile_says_so_and_fails(place: Place) -> None:
    """For real: an event that was decided and that the broker refused is left in the outbox."""
    place.query(
        "progress",
        "INSERT INTO outbox (topic, case_ref, headers, value, held)"
        " VALUES ('progress.events.v1', gen_random_uuid(), '[]', '{}', 'refused by the broker')",
    )
    try:
        ran = demonstrate(place, cases=1)
    finally:
        place.query("progress", "DELETE FROM outbox WHERE held IS NOT NULL")
    assert ran.code == 1
    assert "reconciliation does not hold" in ran.out
    assert "finding progress: 1 outbox rows are not published" in ran.out
    assert ran.report["holds"] is False
    assert cast(list[str], ran.report["findings"]) == ["progress: 1 outbox rows are not published"]
