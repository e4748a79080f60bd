"""A chain of disclosures shows any single change, and names the place; what was cut off, a kept seal shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.audit import (
    BEFORE_THE_FIRST,
    Anchor,
    Fault,
    Link,
    Row,
    Seal,
    anchors_in,
    canonical,
    chained,
    document,
    exported,
    faults,
    heads_line,
    linked,
)

AT = datetime(2026, 3, 2, 8, 0, 0, 123, tzinfo=UTC)
examples = settings(derandomize=True, deadline=None, max_examples=150)

rows = st.builds(
    Row,
    id=st.integers(1, 2**53),
    employer=st.just("acme"),
    case_ref=st.uuids().map(str),
    event_id=st.text(max_size=20),
    sequence=st.integers(1, 2**53),
    channel=st.sampled_from(["webhook", "kafka", "pull"]),
    scopes=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    bases=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    body_sha256=st.binary(min_size=32, max_size=32),
    disclosed_at=st.datetimes(timezones=st.just(UTC)),
)
logs = st.lists(rows, min_size=3, max_size=12, unique_by=lambda row: row.id)


def stored(seals: Sequence[Seal], kept: Sequence[Row]) -> list[Link]:
    """What the database would give: each seal with its row and the seal before it."""
    by_id = {row.id: row for row in kept}
    ordered = sorted(seals, key=lambda seal: seal.number)
    before: list[Anchor | None] = [None, *(seal.anchor for seal in ordered[:-1])]
    return [Link(seal, by_id.get(seal.disclosure_id), last) for seal, last in zip(ordered, before, strict=True)]


def named(seals: Sequence[Seal], kept: Sequence[Row]) -> Fault:
    """The first place that does not hold."""
    return next(faults(stored(seals, kept)))


@examples
@given(logs)
def test_a_log_that_nobody_changed_holds_however_it_was_sealed_in_batches(log: list[Row]) -> None:
    whole = chained(log, {}, AT)
    head = {"acme": whole[1].anchor}
    assert [*whole[:2], *chained(log[2:], head, AT)] == whole
    assert list(faults(stored(whole, log))) == []
    assert [seal.number for seal in whole] == list(range(1, len(log) + 1))


@examples
@given(logs, st.data())
def test_any_field_of_any_row_that_is_changed_is_named(log: list[Row], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(log) - 1))
    other = data.draw(rows.map(lambda row: replace(row, employer="other")))
    field = data.draw(st.sampled_from([name for name in Row.__slots__ if name != "id"]))
    was, now = getattr(log[at], field), getattr(other, field)
    changed = replace(log[at], **{field: now})
    if was == now:
        return
    kept = [*log[:at], changed, *log[at + 1 :]]
    assert named(chained(log, {}, AT), kept) == Fault("acme", at + 1, log[at].id, "changed")


@examples
@given(logs, st.data())
def test_a_row_that_is_removed_is_named_with_its_seal_or_without(log: list[Row], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(log) - 2))
    seals, kept = chained(log, {}, AT), [*log[:at], *log[at + 1 :]]
    assert named(seals, kept) == Fault("acme", at + 1, log[at].id, "row_missing")
    without = [*seals[:at], *seals[at + 1 :]]
    assert named(without, kept) == Fault("acme", at + 1, None, "seal_missing")
    closed_up = [replace(seal, number=number) for number, seal in enumerate(without, start=1)]
    assert named(closed_up, kept) == Fault("acme", at + 1, log[at + 1].id, "changed")


@examples
@given(logs, rows, st.data())
def test_a_row_that_is_put_between_is_named_even_with_a_seal_that_fits_what_is_before_it(
    log: list[Row], extra: Row, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(log) - 1))
    extra = replace(extra, id=max(row.id for row in log) + 1)
    seals = chained(log, {}, AT)
    before = seals[at - 1].hash if at else BEFORE_THE_FIRST
    moved = [replace(seal, number=seal.number + 1) for seal in seals[at:]]
    for link, place, row in (
        (linked(before, extra, at + 1, AT), at + 2, log[at]),
        (bytes(32), at + 1, extra),
    ):
        forged = [*seals[:at], Seal("acme", at + 1, extra.id, AT, link), *moved]
        assert named(forged, [*log, extra]) == Fault("acme", place, row.id, "changed")


@examples
@given(logs, st.data())
def test_two_rows_that_change_places_are_named(log: list[Row], data: st.DataObject) -> None:
    one, two = sorted(data.draw(st.lists(st.integers(0, len(log) - 1), min_size=2, max_size=2, unique=True)))
    seals = chained(log, {}, AT)
    swapped = list(seals)
    swapped[one] = replace(seals[two], number=one + 1)
    swapped[two] = replace(seals[one], number=two + 1)
    assert named(swapped, log) == Fault("acme", one + 1, log[two].id, "changed")


@examples
@given(logs)
def test_a_chain_that_is_rewritten_whole_or_cut_holds_in_itself_and_differs_from_the_seal_that_was_kept(
    log: list[Row],
) -> None:
    kept = anchors_in(heads_line([chained(log, {}, AT)[-1].anchor]))
    rewritten = chained([replace(log[0], channel="forged"), *log[1:]], {}, AT)
    assert list(faults(stored(rewritten, log))) != []
    forged = [replace(log[0], channel="forged"), *log[1:]]
    assert list(faults(stored(rewritten, forged))) == []
    assert rewritten[-1].anchor not in kept
    cut = chained(log[:-1], {}, AT)
    assert list(faults(stored(cut, log[:-1]))) == []
    assert kept[0].number not in {seal.number for seal in cut}


def test_each_employer_has_a_chain_of_its_own() -> None:
    log = [row(1, "acme"), row(2, "bolt"), row(3, "acme")]
    seals = chained(log, {"bolt": Anchor("bolt", 7, b"x" * 32)}, AT)
    assert [(seal.employer, seal.number) for seal in seals] == [("acme", 1), ("bolt", 8), ("acme", 2)]


def test_a_row_in_another_employers_chain_is_named() -> None:
    (seal,) = chained([row(1, "acme")], {}, AT)
    moved = Link(replace(seal, employer="bolt"), row(1, "acme"), None)
    assert [fault.what for fault in faults([moved])] == ["changed"]


def test_a_time_of_sealing_that_is_changed_is_named() -> None:
    (seal,) = chained([row(1, "acme")], {}, AT)
    assert list(faults([Link(replace(seal, sealed_at=AT + timedelta(microseconds=1)), row(1, "acme"), None)])) != []


def test_what_is_sealed_is_the_same_bytes_for_ever() -> None:
    """Frozen: another form would break every chain that exists."""
    sealed = canonical(document(row(17, "acme"), 3, AT))
    assert sealed.decode() == (
        '{"bases":["worker_consent"],"body_sha256":"' + "00" * 32 + '","case_ref":'
        '"7b0c1f6e-0000-4000-8000-000000000000","channel":"webhook","disclosed_at":"2026-03-02T08:00:00.000123+00:00",'
        '"employer":"acme","event_id":"\\u001fü\\"","id":17,"number":3,"scopes":["work_status"],'
        '"sealed_at":"2026-03-02T08:00:00.000123+00:00","sequence":1}'
    )
    assert linked(BEFORE_THE_FIRST, row(17, "acme"), 3, AT) == hashlib.sha256(bytes(32) + sealed).digest()


@examples
@given(rows)
def test_a_line_of_an_export_can_be_checked_by_whoever_holds_it_and_nothing_else(log_row: Row) -> None:
    (seal,) = chained([log_row], {}, AT)
    line: dict[str, Any] = json.loads(exported(Link(seal, log_row, None)))
    previous, link = bytes.fromhex(line.pop("previous")), line.pop("hash")
    text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(previous + text.encode()).hexdigest() == link
    assert anchors_in(exported(Link(seal, log_row, None))) == [seal.anchor]


def test_there_is_no_line_of_a_row_that_is_gone() -> None:
    (seal,) = chained([row(1, "acme")], {}, AT)
    with pytest.raises(ValueError, match="no row"):
        exported(Link(seal, None, None))


def test_a_line_of_a_log_is_an_anchor_where_it_tells_a_seal() -> None:
    assert anchors_in('{"event": "sent", "employer": "acme", "update": "u1"}') == []
    told = {"event": "end of a disclosure chain", "employer": "acme", "number": 3, "hash": "ff" * 32}
    assert anchors_in(json.dumps(told)) == [Anchor("acme", 3, b"\xff" * 32)]


@pytest.mark.parametrize(
    "line",
    [
        *("", "no json", "[]", "3", '{"employer": "acme", "number": true, "hash": "ff"}'),
        *('{"employer": 1, "number": 1, "hash": "ff"}', '{"employer": "acme", "number": 1, "hash": "xy"}'),
        '{"heads": [3]}',
    ],
)
def test_a_line_that_is_neither_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors among them
        anchors_in(line)


def row(number: int, employer: str) -> Row:
    return Row(
        *(number, employer, "7b0c1f6e-0000-4000-8000-000000000000", '\x1fü"', 1, "webhook"),
        *(("work_status",), ("worker_consent",), bytes(32), AT),
    )
