"""`whp trace`, `status` and `tail` on the running program; and that what one clinic event caused is in one trace."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import date
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest

from ops.target import SERVICES
from simulator.canaries import CANARIES, plant
from tests.e2e.events import document, lines, opening, session
from tests.e2e.place import Place, await_that
from tests.ops.in_process import Command, assert_one_sentence
from workhardening_contracts.envelope import read_structured
from workhardening_contracts.registry import open_closed

pytestmark = pytest.mark.stack


def planted(case: UUID, employer: str) -> list[dict[str, Any]]:
    """What opens a case, with a canary in each field in which a clinic writes of a patient."""
    events = opening(case, employer)
    for event in events:
        data = open_closed(read_structured(json.dumps(event).encode())).data
        event["data"] = document(plant(data), case)["data"]
    return events


@pytest.fixture(scope="module")
def told(place: Place) -> UUID:
    """A case whose employer was told, on a topic of its own."""
    employer, case = f"yard-{uuid4().hex[:8]}", uuid4()
    assert place.whp("employers", "add", employer, "--kafka").returncode == 0
    published = place.whp("publish", "-", given=lines(planted(case, employer)))
    assert published.returncode == 0, published.stderr
    await_that(
        lambda: place.count("notify", f"deliveries WHERE case_ref = '{case}' AND status = 'delivered'"), "a delivery"
    )
    await_that(lambda: any(path[-1].startswith("notify deliver") for path in paths(trace(place, case))), "its span")
    return case


def trace(place: Place, case: UUID) -> list[dict[str, Any]]:
    """The roots as `whp trace` tells a program; nothing while the viewer has nothing."""
    ran = place.whp("trace", str(case), "--json")
    return json.loads(ran.stdout) if ran.returncode == 0 else []


def paths(nodes: list[dict[str, Any]], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """From each root to each span, `service name` for each hop."""
    for node in nodes:
        path = (*above, f"{node['service']} {node['name']}")
        yield path
        yield from paths(node["children"], path)


def spans_of(place: Place, query: str) -> list[dict[str, Any]]:
    """What the viewer answers, as it holds it."""
    answer = httpx.get(f"{place.stack().zipkin}/api/v2/{query}", timeout=10, trust_env=False)
    answer.raise_for_status()
    return cast("list[dict[str, Any]]", answer.json())


def test_one_clinic_event_the_decisions_of_it_and_the_delivery_hang_in_one_trace(place: Place, told: UUID) -> None:
    (delivery,) = {path for path in paths(trace(place, told)) if path[-1] == "notify deliver kafka"}
    assert delivery == (
        "intake receive clinic.assessment.recorded.v1",
        "intake send clinic.events.v1",
        "intake process clinic.events.v1",
        "intake create intake.events.v1",
        "planning process intake.events.v1",
        "planning create planning.events.v1",
        "notify process planning.events.v1",
        "notify deliver kafka",
    )


def test_the_batches_link_to_the_case_and_neither_they_nor_its_spans_hold_a_word_of_the_patient(
    place: Place, told: UUID
) -> None:
    mine = spans_of(place, f"trace/{told.hex}")
    assert {span["traceId"] for span in mine} == {told.hex}

    def batches() -> list[dict[str, Any]]:
        query = "traces?annotationQuery=messaging.batch.message_count&limit=1000"
        found = [span for trace in cast("list[Any]", spans_of(place, query)) for span in trace]
        return [span for span in found if told.hex in span["tags"].values()]

    await_that(lambda: {"CONSUMER", "CLIENT"} <= {span["kind"] for span in batches()}, "the batches' spans")
    below = [span for batch in batches() for span in spans_of(place, f"trace/{batch['traceId']}")]
    assert any(span["tags"].get("db.system.name") == "postgresql" for span in below)
    text = json.dumps([mine, below])
    assert [path for path, canary in CANARIES.items() if canary in text] == []


def test_a_trace_is_drawn_for_a_person_and_one_that_is_not_there_is_said_so(
    place: Place, command: Command, told: UUID
) -> None:
    drawn = command("trace", told)
    assert drawn.returncode == 0, drawn.stderr
    assert "notify deliver kafka" in drawn.stdout
    assert drawn.stdout.splitlines()[-1].endswith(f"/zipkin/traces/{told.hex}")
    assert_one_sentence(command("trace", uuid4()), "WHP_TRACE_RATIO")


def test_the_status_of_all_services_is_told_and_a_case_that_waits_for_a_person_is_one_more_exit_code(
    place: Place, command: Command, told: UUID
) -> None:
    as_data = json.loads(command("status", "--json").stdout)
    assert [one["service"] for one in as_data["services"]] == list(SERVICES)
    for one in as_data["services"]:
        assert one["door"] == "ready"
        assert one["version"]
        figures = {figure["name"] for figure in one["figures"]}
        assert {"whp_consumer_lag_records", "whp_outbox_oldest_seconds", "whp_relay_active"} <= figures
    assert {
        figure["labels"]["clinic"] for figure in as_data["services"][0]["figures"] if figure["labels"].get("clinic")
    }

    table = command("status")
    for service in SERVICES:
        (row,) = [line for line in table.stdout.splitlines() if line.split()[:1] == [service]]
        assert "ready" in row
        assert "leads" in row

    row = "INSERT INTO outbox (topic, case_ref, headers, value, held) VALUES ($1, $2, '{}', '', 'TopicAuthorization')"
    place.query("progress", row, "progress.events.v1", case := uuid4())
    try:
        held = command("status")
        assert held.returncode == 1
        assert (
            "progress: WhpOutboxHeld: whp_outbox_held_rows is 1, above 0; see docs/runbooks/outbox-held.md"
            in held.stdout
        )
        assert json.loads(command("status", "--json").stdout)["needs_a_person"] is True
    finally:
        place.query("progress", "DELETE FROM outbox WHERE case_ref = $1", case)


def test_a_tail_shows_what_was_and_what_comes_of_one_case_only_and_ends_by_ctrl_c(place: Place, told: UUID) -> None:
    with place.begin("tail", str(told), "--from-start", "--json") as following:
        await_that(lambda: "following" in place.said(), "the beginning")
        events = opening(other := uuid4(), "acme-logistics")
        assert place.whp("publish", "-", given=lines(events)).returncode == 0
        sent = place.whp("publish", "-", given=lines([session(told)]))
        assert sent.returncode == 0, sent.stderr
        await_that(lambda: "session.recorded" in place.said(), "a session, live")
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 0
    out = (place.folder / "out.txt").read_text()
    said = [json.loads(line) for line in out.splitlines()]
    assert said[0]["what"] == "referral.received"
    assert {"case.opened", "plan.issued"} <= {one["what"] for one in said}
    assert said[-1]["what"] == "session.recorded"
    assert str(other) not in out
    assert [path for path, canary in CANARIES.items() if canary in out] == []


def test_a_tail_without_its_start_shows_only_what_comes(place: Place, told: UUID) -> None:
    with place.begin("tail", str(told)) as following:
        await_that(lambda: "following" in place.said(), "the beginning")
        assert place.whp("publish", "-", given=lines([session(told, date(2026, 3, 11))])).returncode == 0
        await_that(lambda: "session.recorded" in place.said(), "a session, live")
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 0
    first, *later = (place.folder / "out.txt").read_text().splitlines()
    assert "session.recorded  held_on 2026-03-11, attended, 2.0 h" in first
    assert not any("referral.received" in line for line in later)


def test_outcomes_are_told_by_clinic_with_what_each_share_is_of(place: Place, told: UUID) -> None:
    groups = {group["clinic"]: group for group in json.loads(place.whp("outcomes", "--json").stdout)}
    (north,) = json.loads(place.whp("outcomes", "--clinic", "north", "--json").stdout)
    assert north == groups["north"]
    of = {row["name"]: row["of"] for row in north["ends"]}
    assert of["not accepted"] >= 1, "the case that was opened is among the decided"
    assert [month["month"] for month in north["months"]] == [1, 3, 6, 12]
    shown = place.whp("outcomes", "--clinic", "north")
    assert "north: outcomes beside 36 programmes" in shown.stdout
    assert_one_sentence(place.whp("outcomes", "--clinic", "nowhere"), "leave --clinic out")
