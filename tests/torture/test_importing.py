"""The caseload of the large import is the same for a seed, and there is nothing to mend in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ops.caseload.checking import check
from ops.caseload.fault import Fault
from torture.importing import write_caseload


def test_a_seed_writes_one_caseload_of_as_many_good_events_as_it_says(tmp_path: Path) -> None:
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    events = write_caseload(first, 500, seed=1)
    write_caseload(again, 500, seed=1)
    write_caseload(other, 500, seed=2)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    found: list[Fault] = []
    checked = check(first, "north", datetime(2026, 6, 1, tzinfo=UTC), found.append)
    assert (checked.lines, checked.events, found) == (500, events, [])
