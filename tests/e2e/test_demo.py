"""The demonstration: a cohort through the real parts, reconciled; again; and with each service killed in the middle."""

from __future__ import annotations

import json
import os
import signal

import pytest

from ops.target import SERVICES
from tests.e2e.place import Demonstration, Place, await_that, demonstrate

pytestmark = pytest.mark.stack

PROMISED = (
    "cases", "accepted", "effects", "rejected", "parked", "dead_lettered", "lost", "duplicate", "out_of_order",
    "outcomes", "webhooks", "topics", "versions", "trace",
)  # fmt: skip


def test_a_demonstration_reconciles_and_reports_every_promised_figure(demonstration: Demonstration) -> None:
    assert demonstration.code == 0, demonstration.out + demonstration.err
    report = demonstration.report
    assert set(PROMISED) <= report.keys()
    assert report["cases"] == 12
    assert report["waiting"] == 0
    assert_balanced(report)


def test_its_stream_is_hostile_enough_for_the_figures_to_mean_something(demonstration: Demonstration) -> None:
    report = demonstration.report
    assert report["rejected"] > 0
    assert report["dead_lettered"] > 0
    assert {"duplicate", "foreign_source", "orphan", "violation", "no_key", "nan"} <= report["untidy"].keys()


def test_each_consumer_balances_by_itself(demonstration: Demonstration) -> None:
    consumers = demonstration.report["consumers"]
    assert consumers.keys() == {*SERVICES, "bridge"}
    for name, figures in consumers.items():
        parts = ("effects", "waiting", "rejected", "parked", "dead_lettered", "lost")
        assert figures["accepted"] == sum(figures[part] for part in parts), name
        assert figures["accepted"] > 0, name


def test_employers_hold_every_update_that_counts_as_delivered(demonstration: Demonstration) -> None:
    webhooks = demonstration.report["webhooks"]
    assert webhooks["delivered"] > 0
    assert webhooks["received"] >= webhooks["delivered"], "more only where an answer was lost on the way back"
    assert webhooks["disclosures"] >= webhooks["delivered"]
    assert webhooks["pending"] == webhooks["failed"] == 0


def test_every_topic_is_counted_and_nobody_is_behind(demonstration: Demonstration) -> None:
    topics = demonstration.report["topics"]
    own = {f"{name}.events.v1" for name in ("clinic", "intake", "planning", "progress")}
    assert own | {"clinic.rejections.v1", "clinic.kafka-valley.events.v1"} <= topics.keys()
    assert topics["clinic.events.v1"]["records"] > topics["clinic.events.v1"]["events"], "it was sent duplicates"
    behind = [count for figures in topics.values() for name, count in figures.items() if name.startswith("behind_")]
    assert len(behind) > 10
    assert not any(behind)


def test_a_case_is_one_trace_across_all_services(demonstration: Demonstration) -> None:
    trace = demonstration.report["trace"]
    assert set(SERVICES) <= set(trace["services"])
    assert trace["spans"] > len(SERVICES)
    assert f"its trace {trace['trace_id']}" in demonstration.out
    for service in SERVICES:
        assert any(f"{service} {did} " in demonstration.out for did in ("receive", "process")), service


def test_outcomes_stand_beside_the_published_figures(demonstration: Demonstration) -> None:
    outcomes = {row["name"].strip(): row for row in demonstration.report["outcomes"]}
    # 36 programmes, AJOT 1994;48(4):327: 11.5 % not accepted, 24.6 % of those accepted did not complete.
    assert outcomes["not accepted"]["published"] == 11.5
    assert outcomes["did not complete"]["published"] == 24.6
    assert outcomes["not accepted"]["of"] == 12
    ended = ("ready: usual job", "ready with restrictions: modified work", "not ready")
    assert sum(outcomes[name]["count"] for name in ended) == outcomes["not ready"]["of"] > 0
    assert "published %" in demonstration.out


def test_a_person_reads_the_line_that_a_program_reads(demonstration: Demonstration) -> None:
    report = demonstration.report
    assert (
        f"reconciliation holds: {report['accepted']} accepted = {report['effects']} effects"
        f" + {report['rejected']} rejected + {report['parked']} parked + {report['dead_lettered']} dead-lettered;"
        " lost 0, duplicate 0, out of order 0"
    ) in demonstration.out
    assert "one case's story" in demonstration.out
    assert report["versions"]["kafka"] == "4.3.1"
    assert report["versions"]["postgresql"].startswith("18.")


def test_the_same_seed_runs_again_on_the_same_stack(place: Place, demonstration: Demonstration) -> None:
    second = demonstrate(place)
    assert second.code == 0, second.out + second.err
    assert_balanced(second.report)
    assert second.report["accepted"] > demonstration.report["accepted"], "it counts what both runs left behind"
    assert second.report["outcomes"] == demonstration.report["outcomes"], "the same workers fare the same"


def test_killing_each_service_in_the_middle_loses_nothing(place: Place) -> None:
    before = {name: place.stack().services[name] for name in SERVICES}
    taken = place.count("progress", "event_log")
    report = place.folder / "killed.json"
    with place.begin("demo", "--cases", "16", "--seed", "11", "--report", report) as demo:
        for nth, name in enumerate(SERVICES, 1):
            # Each further event that progress takes proves that the last death was survived.
            wanted = taken + 80 * nth
            await_that(
                lambda wanted=wanted: place.count("progress", "event_log") >= wanted or demo.poll() is not None,
                f"{wanted} events in the log of progress",
            )
            assert demo.poll() is None, f"{name} was to die in the middle: {place.said()}"
            pid = place.stack().services[name].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        code = demo.wait()
    assert code == 0, place.said()
    figures = json.loads(report.read_text())
    assert_balanced(figures)
    assert not figures["hanging"]
    assert not figures["unsettled"]
    for name, service in place.stack().services.items():
        assert service.restarts == before[name].restarts + 1, f"{name} was started again once, and did not die besides"
        assert service.pid not in (None, before[name].pid)
        assert place.processes()[service.pid or 0] == name


def assert_balanced(report: dict[str, object]) -> None:
    """Accepted is what became of it, and nothing was lost, doubled or reordered."""
    parts = ("effects", "waiting", "rejected", "parked", "dead_lettered")
    figures = {name: value for name, value in report.items() if isinstance(value, int)}
    assert figures["accepted"] == sum(figures[name] for name in parts) > 0
    assert figures["lost"] == figures["duplicate"] == figures["out_of_order"] == 0
    assert report["findings"] == []
    assert report["holds"] is True
