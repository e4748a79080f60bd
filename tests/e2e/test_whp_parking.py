"""A case that is parked for real, seen and dealt with by `whp`; and dead letters."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer

from ops.demo import drained
from ops.reconcile import Reconciliation, reconcile
from tests.e2e.events import lines, opening, session
from tests.e2e.place import Place, await_that
from tests.ops.in_process import Command, assert_one_sentence
from workhardening_contracts.kafka import client_options
from workhardening_contracts.registry import PLANNING_TOPIC

pytestmark = pytest.mark.stack

PARKING = ("progress", "notify", "console")
"""Who reads planning's events."""


@dataclass(frozen=True)
class Parked:
    """A case of which an event by planning could not be read, with a session behind it."""

    ref: UUID
    session: str
    """The session's id."""
    before: int
    """What progress had parked before, of other tests on this stack."""


@pytest.fixture
def parked(place: Place, command: Command) -> Parked:
    """Parked in progress and in the console, with the session queueing behind, and in notify."""
    ref = uuid4()
    before = reconciled(place).consumers["progress"].parked
    assert command("publish", "-", given=lines(opening(ref, "acme-logistics"))).returncode == 0
    for service in PARKING:
        await_that(lambda service=service: folded(place, service, ref, "plan.issued"), f"the plan at {service}")
    asyncio.run(send(place, ref, b"no event"))
    for service in PARKING:
        await_that(lambda service=service: queued(place, service, ref) == 1, f"a parked case in {service}")
    event = session(ref)
    assert command("publish", "-", given=lines([event])).returncode == 0
    for service in ("progress", "console"):
        await_that(lambda service=service: queued(place, service, ref) == 2, f"the session behind it in {service}")
    return Parked(ref, event["id"], before)


async def send(place: Place, ref: UUID, value: bytes) -> None:
    """An internal event of ours that cannot be read, which is a defect of ours."""
    producer: Any = AIOKafkaProducer(**client_options(place.stack().kafka))
    await producer.start()
    await producer.send_and_wait(PLANNING_TOPIC, value, key=str(ref).encode())
    await producer.stop()


def folded(place: Place, service: str, ref: UUID, kind: str) -> int:
    return place.count(service, f"event_log WHERE case_ref = '{ref}' AND type LIKE '%{kind}.v1' AND result = 'folded'")


def queued(place: Place, service: str, ref: UUID) -> int:
    return place.count(service, f"parked WHERE case_ref = '{ref}' AND resolved_at IS NULL")


def reconciled(place: Place) -> Reconciliation:
    async def run() -> Reconciliation:
        await drained(place.target())
        return await reconcile(place.target())

    return asyncio.run(run())


def test_a_parked_case_is_seen_retried_discarded_and_goes_on(place: Place, command: Command, parked: Parked) -> None:
    ref = str(parked.ref)

    # Seen
    listed = place.whp("parked", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    mine = {row["service"]: row for row in json.loads(listed.stdout) if row["case_ref"] == ref}
    assert {service: row["records"] for service, row in mine.items()} == {"progress": 2, "notify": 1, "console": 2}
    assert mine["progress"]["reason"].startswith("envelope."), "the first failure, not what queues behind it"
    assert ref in command("parked", "list").stdout

    shown = place.whp("parked", "show", ref)
    assert [line.split()[0] for line in shown.stdout.splitlines()] == [
        "progress",
        "progress",
        "notify",
        "console",
        "console",
    ]
    assert "planning.events.v1" in shown.stdout.splitlines()[0]
    assert parked.session in shown.stdout.splitlines()[1]
    as_data = json.loads(command("parked", "show", ref, "--json").stdout)
    assert [row["service"] for row in as_data] == ["progress", "progress", "notify", "console", "console"]
    assert not {"key", "value", "headers"} & as_data[0].keys(), "what was said stays where it is"

    # It adds up while it is parked, since a parked event is neither lost nor done.
    meanwhile = reconciled(place)
    assert meanwhile.findings == []
    assert meanwhile.consumers["progress"].parked == parked.before + 1

    # Retried in vain: what could not be read cannot be read now.
    retried = command("parked", "retry", ref, "--service", "progress")
    assert retried.returncode == 1
    assert retried.stdout.startswith("progress: 0 folded, 2 left, the first fails with envelope.")

    # Discarded for a reason that is kept, and then the rest is folded in order.
    discarded = place.whp("parked", "discard", ref, "--service", "progress", "--reason", "no event of planning's")
    assert discarded.returncode == 0, discarded.stderr
    kept = place.query(
        "progress", f"SELECT resolution, resolution_reason FROM parked WHERE case_ref = '{ref}' ORDER BY id"
    )
    assert kept[0]["resolution"] == "discarded"
    assert kept[0]["resolution_reason"].startswith("no event of planning's (by ")
    retried = place.whp("parked", "retry", ref, "--service", "progress")
    assert retried.returncode == 0, retried.stdout
    assert retried.stdout == "progress: 1 folded, 0 left\n"
    assert folded(place, "progress", parked.ref, "session.recorded") == 1

    # And in the other services.
    for service in ("notify", "console"):
        assert command("parked", "discard", ref, "--service", service, "--reason", "likewise").returncode == 0
    assert command("parked", "retry", ref).returncode == 0
    assert ref not in command("parked", "list").stdout
    assert_one_sentence(command("parked", "show", ref), "is parked nowhere")

    # The case goes on by itself, and everything adds up.
    later = session(parked.ref, date(2026, 3, 12))
    assert command("publish", "-", given=lines([later])).returncode == 0
    await_that(lambda: folded(place, "progress", parked.ref, "session.recorded") == 2, "a session after the mend")
    after = reconciled(place)
    assert after.findings == []
    assert after.consumers["progress"].parked == parked.before


def test_a_parked_case_says_so_in_its_story(place: Place, command: Command, parked: Parked) -> None:
    story = json.loads(command("case", parked.ref, "--json").stdout)
    assert {one["service"]: one["parked"] for one in story["services"]} == {
        "intake": 0, "planning": 0, "progress": 2, "notify": 1, "console": 2
    }  # fmt: skip
    assert "2 parked" in command("case", parked.ref).stdout
    for service in PARKING:
        assert command("parked", "discard", parked.ref, "--service", service, "--reason", "tidied up").returncode == 0
    assert command("parked", "retry", parked.ref).returncode == 0


def test_what_is_not_parked_cannot_be_discarded(command: Command) -> None:
    ref = uuid4()
    assert_one_sentence(command("parked", "show", ref), "is parked nowhere")
    assert_one_sentence(
        command("parked", "discard", ref, "--service", "intake", "--reason", "none"), "is not parked in intake"
    )
    assert_one_sentence(
        command("parked", "discard", ref, "--service", "billing", "--reason", "none"), "there is no service billing"
    )
    assert_one_sentence(command("parked", "retry", ref, "--service", "billing"), "there is no service billing")
    assert command("parked", "discard", ref).returncode == 2, "a discard without a service and a reason is none"


def test_dead_letters_are_listed_and_shown_without_what_they_say(place: Place, command: Command) -> None:
    listed = place.whp("dead-letters", "list", "--limit", "1000", "--json")
    assert listed.returncode == 0, listed.stderr
    letters = json.loads(listed.stdout)
    reasons = {letter["reason"] for letter in letters}
    assert {"envelope.key", "envelope.missing", "envelope.header"} <= reasons, (
        "of the hostile stream of the demonstration"
    )
    assert len(command("dead-letters", "list", "--limit", "2").stdout.splitlines()) == 2

    letter = next(letter for letter in letters if letter["reason"] == "envelope.missing")
    at = (letter["topic"], str(letter["partition"]), str(letter["offset"]))
    shown = place.whp("dead-letters", "show", *at)
    assert shown.returncode == 0, shown.stderr
    assert "envelope.missing" in shown.stdout
    as_data = json.loads(command("dead-letters", "show", *at, "--json").stdout)
    assert as_data["service"] == "intake"
    assert "value" not in as_data
    said = json.loads(command("dead-letters", "show", *at, "--value", "--json").stdout)["value"]
    assert said.startswith("{")
    assert said not in shown.stdout


def test_a_dead_letter_that_is_not_there_is_said_so(command: Command) -> None:
    assert_one_sentence(command("dead-letters", "show", "clinic.events.v1", 0, 999_999), "no such dead letter")
