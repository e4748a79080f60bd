"""The chain at work: what is sent and must come of it, what the samples come to, and both parts on the real stack."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.accounting import PROC
from bench.program import handlers_of
from bench.sample import Failed, Sample, process
from bench.stories import SERVICES, Story, stories_of
from bench.sustained import __main__ as command
from bench.sustained import replicas
from bench.sustained.figures import Arrival, Kept, Look, growth, kept, quantiles, waits
from bench.sustained.picture import COLOURS, draw
from bench.sustained.plan import Told, comes_of, plan_of
from bench.sustained.services import Replica, share
from bench.sustained.steady import uneven
from bench.wire import make_template
from deploy.local import stack as local

CASES = 12
LANES = 5


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> list[Story]:
    return stories_of(CASES, 1, tmp_path_factory.mktemp("stories"))


@pytest.fixture(scope="module")
def backlogs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, replicas.Backlog]:
    made = replicas.backlogs(CASES, 1, tmp_path_factory.mktemp("backlogs"))
    return {backlog.service: backlog for backlog in made}


def test_each_record_of_a_case_is_sent_once_and_in_its_order(stories: list[Story]) -> None:
    """More than all stories together, so that some are told again."""
    plan = plan_of(stories, LANES, 2 * sum(story.sent for story in stories))
    assert plan.lives > CASES
    by_case: dict[bytes, list[bytes]] = {}
    for record in plan.records:
        by_case.setdefault(record.key, []).append(record.value)
    assert len(by_case) == plan.lives
    for story in stories:
        whole = [record.value for step in story.steps for record in step.records]
        sent = by_case[str(story.ref).encode()]
        assert sent == whole[: len(sent)]


def test_between_two_records_of_a_case_lie_those_of_all_other_lanes(stories: list[Story]) -> None:
    plan = plan_of(stories, LANES, 200)
    last: dict[bytes, int] = {}
    for nth, record in enumerate(plan.records):
        assert nth - last.get(record.key, nth - LANES) == LANES
        last[record.key] = nth


def test_a_life_that_is_told_to_its_end_comes_to_what_folding_it_gives(stories: list[Story]) -> None:
    """A life with one more record, which there is not, is folded to the end like one that was cut."""
    for story in stories:
        assert comes_of(Told(story, story.sent)) == comes_of(Told(story, story.sent + 1))


def test_of_a_life_that_is_cut_short_only_what_was_told_is_expected(stories: list[Story]) -> None:
    story = max(stories, key=lambda story: story.sent)
    outputs, taken = comes_of(Told(story, story.sent // 2))
    all_outputs, all_taken = comes_of(Told(story, story.sent))
    assert outputs < all_outputs
    assert 0 < taken.total() < all_taken.total()
    assert comes_of(Told(story, 0)) == (Counter(), Counter())


def test_a_plan_expects_the_sum_of_its_lives(stories: list[Story]) -> None:
    some = stories[:LANES]
    plan = plan_of(some, LANES, LANES * min(story.sent for story in some))
    each = [comes_of(Told(story, len(plan.records) // LANES)) for story in some]
    assert plan.outputs == Counter(chain.from_iterable(outputs.elements() for outputs, _ in each))
    assert plan.taken == Counter(chain.from_iterable(taken.elements() for _, taken in each))


def test_a_service_that_took_too_few_or_too_many_events_is_told() -> None:
    assert uneven({"intake": 3, "notify": 5}, {"intake": 3, "notify": 5}) == []
    assert uneven({"intake": 3, "notify": 5}, {"intake": 2, "notify": 6}) == [
        "intake took 2 events, not 3",
        "notify took 6 events, not 5",
    ]


def look(at_s: float, mb: float) -> Look:
    """All services alike."""
    return Look(at_s, int(at_s), dict.fromkeys(SERVICES, mb), dict.fromkeys(SERVICES, int(at_s) % 7))


def test_memory_is_compared_between_the_third_and_the_last_minute() -> None:
    looks = [look(at, 50 if at < 120 else 100 if at < 180 else 110 if at < 540 else 105) for at in range(0, 640, 5)]
    assert growth(looks, "intake", 600) == (100, 105)


def test_a_run_that_is_too_short_to_compare_says_nothing() -> None:
    assert growth([look(at, 100) for at in range(0, 200, 5)], "intake", 200) is None


def arrival(reference: str, cause: str, topic: str, at: float) -> Arrival:
    return Arrival(reference, cause, topic, at)


def test_an_answer_to_an_answer_waits_from_the_clinics_event_on_whatever_is_read_first() -> None:
    arrivals = [arrival("plan", "verdict", "planning", 1.5), arrival("verdict", "day", "progress", 1.25)]
    assert waits({"day": 1.0}, arrivals) == {"planning": [500.0], "progress": [250.0]}


def test_a_second_copy_of_an_answer_and_one_to_nobody_do_not_count() -> None:
    arrivals = [
        arrival("verdict", "day", "progress", 1.5),
        arrival("verdict", "day", "progress", 9.0),
        arrival("other", "before", "progress", 1.1),
    ]
    assert waits({"day": 1.0}, arrivals) == {"progress": [500.0]}
    assert quantiles({"progress": [3.0, 1.0, 2.0]}) == {"progress": {"samples": 3, "p50_ms": 2.0, "p99_ms": 3.0}}


def drained(many: int, round_: int, cpu_us: float) -> Sample:
    """A thousand events."""
    cost = {"replica 1": cpu_us / 2000, "postgres": cpu_us / 4000, "kafka": cpu_us / 4000}
    return Sample(f"planning x{many}", round_, 1000, 1.0, cost, 60.0, {"service": "planning", "replicas": many})


def test_replicas_are_compared_with_one_of_the_same_round() -> None:
    """Of the third round there is no one replica, so nothing to compare with."""
    costs = [(1, 1, 100), (2, 1, 125), (1, 2, 200), (2, 2, 200), (2, 3, 10), (1, 4, 100), (2, 4, 80)]
    found = kept([drained(*cost) for cost in costs])
    assert found == [Kept("planning", 2, 1.0, 0.8, 1.25, 3)]
    assert found[0].met


def test_replicas_that_lose_more_than_a_seventh_miss_the_goal() -> None:
    assert [each.met for each in kept([drained(1, 1, 84), drained(4, 1, 100)])] == [False]


def test_the_picture_has_two_lines_for_each_service_and_all_of_them_within_it() -> None:
    for looks in ([look(at, 100 + at % 9) for at in range(0, 60, 5)], [look(0, 0)], list[Look]()):
        root = ElementTree.fromstring(draw(looks))
        width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
        lines = [child for child in root if child.tag.endswith("polyline")]
        assert len(lines) == 2 * len(COLOURS)
        points = [point.split(",") for line in lines for point in line.attrib["points"].split()]
        assert len(points) == len(lines) * len(looks)
        assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)


def test_planning_is_given_a_planned_case_and_the_verdicts_on_its_weeks(
    backlogs: dict[str, replicas.Backlog],
) -> None:
    load, expected = backlogs["planning"].load, backlogs["planning"].expected
    assert all(json.loads(case.state or "{}")["phase"] == "planned" for case in load.cases)
    types = {dict(record.headers)["ce_type"].decode() for record in load.records}
    assert types <= handlers_of("planning").by_type.keys()
    assert len(expected.taken) == len(load.records)
    assert any("revised" in type_ for _, _, type_, _ in expected.outputs)


def test_members_share_all_topics_of_a_service_evenly() -> None:
    assert share("planning", 1) == [36]
    assert share("progress", 4) == [9, 9, 9, 9]


def stands_still(replica: Replica) -> bool:
    """Whether /proc says so within a moment."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        if (PROC / str(replica.child.pid) / "stat").read_text().rpartition(")")[2].split()[0] == "T":
            return True
        time.sleep(0.01)
    return False


def write_in_vain(replica: Replica) -> None:
    """As when somebody presses Ctrl-C."""
    with replicas.stopped([replica]):
        assert stands_still(replica)
        raise KeyboardInterrupt


async def test_processes_stand_still_while_the_backlog_is_written_even_if_that_fails(tmp_path: Path) -> None:
    async with process([sys.executable, "-c", "input()"], {}, tmp_path / "log") as child:
        replica = Replica("progress", child, tmp_path / "log")
        with pytest.raises(KeyboardInterrupt):
            write_in_vain(replica)
        child.terminate()
        assert await asyncio.wait_for(child.wait(), 5) == -signal.SIGTERM


@pytest.mark.stack
async def test_two_replicas_drain_a_backlog(infrastructure: local.Stack, backlogs: dict[str, replicas.Backlog]) -> None:
    backlog = backlogs["planning"]
    await make_template(infrastructure.database, backlog.template, backlog.service, backlog.load.cases)
    sample = await replicas.sample(infrastructure, backlog, 2, 1)
    assert sample.cpu_s.keys() == {"replica 1", "replica 2", "postgres", "kafka"}
    assert sample.events > 0
    assert sample.rss_mb > 20


@pytest.mark.stack
async def test_a_run_that_brought_other_outputs_than_it_must_fails(
    infrastructure: local.Stack, backlogs: dict[str, replicas.Backlog]
) -> None:
    backlog = backlogs["progress"]
    more = backlog.expected.outputs + Counter([next(iter(backlog.expected.outputs))])
    liar = replace(backlog, expected=replace(backlog.expected, outputs=more))
    await make_template(infrastructure.database, liar.template, liar.service, liar.load.cases)
    with pytest.raises(Failed, match="1 of progress did not do their work: 1 outputs are missing"):
        await replicas.sample(infrastructure, liar, 1, 1)


@pytest.mark.stack
def test_the_chain_at_a_steady_rate_comes_to_what_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "CACHE", tmp_path / "cache")
    code = command.main(
        ["--parts", "steady", "--minutes", "0.2", "--rate", "20", "--cases", "12", "--out", str(tmp_path), "--json"]
    )
    found = json.loads(capsys.readouterr().out)["steady"]
    assert (code, found["wrong"]) == (0, [])
    assert found["sent"] == 240
    assert set(found["lag_at_end"].values()) == {0}
    assert all(found["cpu_us"][part] > 0 for part in (*SERVICES, "postgres", "kafka"))
    assert all(memory > 10 for look in found["looks"] for memory in look["rss_mb"].values())
    assert all(0 < waited["p50_ms"] <= waited["p99_ms"] for waited in found["waits"].values())
    assert (tmp_path / "sustained.svg").exists()
