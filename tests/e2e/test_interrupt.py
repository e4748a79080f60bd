"""Ctrl-C in the middle of a demonstration: what it started stops, and what ran before goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.place import Place, await_that, give_back, new_place

pytestmark = pytest.mark.stack


@pytest.fixture
def empty() -> Iterator[Place]:
    """A place where nothing runs."""
    here = new_place()
    try:
        yield here
    finally:
        give_back(here)


def test_ctrl_c_stops_everything_that_the_demonstration_started(empty: Place) -> None:
    with empty.begin("demo", "--cases", "40") as demo:
        await_that(lambda: empty.count("progress", "event_log") > 20 or demo.poll() is not None, "a cohort under way")
        assert demo.poll() is None, empty.said()
        assert {"kafka", "postgres", "supervisor", "intake", "notify"} <= set(empty.processes().values())
        demo.send_signal(signal.SIGINT)
        code = demo.wait()
    assert code == 130, empty.said()
    assert empty.processes() == {}
    assert "Traceback" not in empty.said()
    assert empty.said().splitlines()[-1] == "stopped"


def test_ctrl_c_leaves_a_stack_alone_that_ran_before(place: Place) -> None:
    before = place.processes()
    taken = place.count("progress", "event_log")
    with place.begin("demo", "--cases", "40") as demo:
        await_that(lambda: place.count("progress", "event_log") > taken + 20 or demo.poll() is not None, "a cohort")
        assert demo.poll() is None, place.said()
        demo.send_signal(signal.SIGINT)
        code = demo.wait()
    assert code == 130, place.said()
    assert place.processes() == before
    assert place.whp("parked", "list").returncode == 0
