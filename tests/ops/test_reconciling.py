"""`whp reconcile` on real services: it finds nothing while they work, and what is lost on purpose."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.reconciling import FATES
from tests.e2e.events import lines, opening
from tests.e2e.place import Place, await_that, running_place

pytestmark = pytest.mark.stack

BALANCED = ("effects", "waiting", "parked", "given_up", "rejected", "dead_lettered", "in_flight", "lost")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A stack of this module's own, with the four services."""
    with running_place() as place:
        yield place


def looked(place: Place) -> tuple[int, dict[str, Any]]:
    """The exit code, and what was found."""
    ran = place.whp("reconcile", "--json")
    assert ran.stderr == "", ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def found(place: Place) -> set[tuple[str, str | None]]:
    """(invariant, case) of each violation; the exit code must say that there are any."""
    code, document = looked(place)
    assert code == (1 if document["violations"] else 0)
    assert document["holds"] is (not document["violations"])
    return {(each["invariant"], each["case"]) for each in document["violations"]}


@contextmanager
def mended(place: Place, service: str, undo: str) -> Generator[None]:
    """Whatever is spoiled within, spoil nothing for the next test."""
    try:
        yield
    finally:
        place.query(service, undo)


def opened(place: Place) -> UUID:
    """A case with a plan, all of it taken by everyone."""
    ref = uuid4()
    assert place.whp("publish", "-", given=lines(opening(ref, "acme-logistics"))).returncode == 0
    await_that(
        lambda: place.count("notify", f"event_log WHERE case_ref = '{ref}' AND type LIKE '%plan.issued.v1'"), ref.hex
    )
    return ref


def test_a_system_in_which_nothing_happened_proves_nothing(place: Place) -> None:
    if place.count("intake", "event_log"):
        pytest.fail("this test must come first: the stack has a history")
    ran = place.whp("reconcile")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "proves nothing" in ran.stderr


def test_nothing_is_found_while_a_cohort_is_on_its_way(place: Place) -> None:
    looks: list[dict[str, Any]] = []
    with place.begin("demo", "--cases", "25", "--seed", "3") as demo:
        await_that(lambda: place.count("progress", "event_log") > 50, "a cohort on its way")
        while demo.poll() is None:
            code, document = looked(place)
            assert document["violations"] == []
            assert code == 0
            looks.append(document)
    assert demo.returncode == 0, place.said()
    code, at_rest = looked(place)
    assert (code, at_rest["violations"]) == (0, [])
    assert at_rest["total"]["in_flight"] == at_rest["total"]["lost"] == 0
    assert any(look["total"]["accepted"] < at_rest["total"]["accepted"] for look in looks), "none was under way"
    for look in (*looks, at_rest):
        for tally in (*look["consumers"].values(), look["total"]):
            assert tally["accepted"] == sum(tally[fate] for fate in BALANCED)
    assert tuple(FATES) == BALANCED


def test_a_person_reads_a_table_and_one_line(place: Place) -> None:
    ran = place.whp("reconcile")
    assert ran.returncode == 0, ran.stdout
    assert "reconciliation holds: " in ran.stdout.splitlines()[-1]
    for consumer in ("intake", "planning", "progress", "notify", "bridge"):
        assert any(consumer in line for line in ran.stdout.splitlines()), consumer


def test_an_effect_that_was_deleted_is_found(place: Place) -> None:
    ref = opened(place)
    assert found(place) == set()
    copy = f"lost_{ref.hex}"
    place.query("planning", f"CREATE TABLE {copy} AS SELECT * FROM event_log WHERE case_ref = '{ref}' LIMIT 1")
    undo = f"INSERT INTO event_log SELECT * FROM {copy}"
    with mended(place, "planning", undo):
        place.query(
            "planning",
            f"DELETE FROM event_log WHERE (case_ref, source, id) IN (SELECT case_ref, source, id FROM {copy})",
        )
        assert {("I1", str(ref)), ("I2", str(ref))} <= found(place)
        ran = place.whp("reconcile")
        assert ran.returncode == 1
        assert f"I1 {ref}: planning lost a record [" in ran.stdout
        assert "violations" in ran.stdout.splitlines()[-1]
    assert found(place) == set()


def test_a_promise_that_never_reached_the_outbox_is_found(place: Place) -> None:
    place.query("planning", "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    place.query("planning", "CREATE TRIGGER lose BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION lose()")
    ref = uuid4()
    with mended(place, "planning", "DROP FUNCTION lose CASCADE"):
        assert place.whp("publish", "-", given=lines(opening(ref, "acme-logistics"))).returncode == 0
        await_that(lambda: place.count("planning", f"cases WHERE case_ref = '{ref}' AND sequences <> '{{}}'"), "a plan")
        assert found(place) == {("I1", str(ref))}
    with mended(place, "planning", f"UPDATE cases SET sequences = '{{}}' WHERE case_ref = '{ref}'"):
        assert found(place) == {("I1", str(ref))}, "and it stays so"
    assert found(place) == set()


def test_what_is_promised_and_not_published_for_a_minute_is_found(place: Place) -> None:
    ref = opened(place)
    headers = json.dumps({"ce_causationid": "none"})
    row = (
        "INSERT INTO outbox (topic, case_ref, headers, value, held, created_at)"
        f" VALUES ('planning.events.v1', '{ref}', '{headers}', '', 'TestError', now() - interval '%s seconds')"
    )
    with mended(place, "planning", f"DELETE FROM outbox WHERE case_ref = '{ref}'"):
        place.query("planning", row % 5)
        assert found(place) == set(), "a young row is on its way"
        place.query("planning", row % 90)
        assert found(place) == {("I9", str(ref))}
