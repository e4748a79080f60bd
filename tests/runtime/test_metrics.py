"""/metrics tells what an operator is woken for, on a real Kafka and PostgreSQL, and nothing of a case."""

from __future__ import annotations

import re
import uuid
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from runtime.cases import SQL
from runtime.metrics import GAUGES, Gauge, Metric, add_metrics, written
from runtime.stages import BOUNDS, STAGES, Histogram
from tests.conftest import Kafka
from tests.runtime.toy import TELEMETRY, Process, added, eventually, send, started, toy_handlers

LINE = re.compile(r'^(?P<name>[a-z_]+)\{(?P<labels>[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*)\} (?P<value>[-+.e\d]+)$')
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}")


async def scraped(process: Process, gauges: tuple[Gauge, ...] = ()) -> str:
    """What Prometheus is answered."""
    app = FastAPI()
    app.state.running = SimpleNamespace(
        service="toy",
        consumer=process.consumer,
        relay=process.relay,
        pool=process.pool,
        telemetry=TELEMETRY,
        settings=SimpleNamespace(mode="local"),
    )
    add_metrics(app, gauges)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def figures(text: str, name: str) -> dict[str, float]:
    """The figures of a metric by their labels, the service's left out."""
    found = {m["labels"].partition(",")[2]: float(m["value"]) for line in text.splitlines() if (m := LINE.match(line))
             and m["name"] == name}  # fmt: skip
    assert found, f"{name} is not told"
    return found


def figure(text: str, name: str) -> float:
    """The one figure of a metric."""
    (value,) = figures(text, name).values()
    return value


async def execute(dsn: str, query: str, *args: Any) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query, *args)
    finally:
        await connection.close()


def test_a_figure_is_written_with_what_it_means_and_its_kind() -> None:
    metric = Metric("whp_x_total", "counter", "Things.", [({"reason": "a"}, 2), ({}, 1234567890.5)])
    assert written([metric], {"service": "toy"}) == (
        "# HELP whp_x_total Things.\n"
        "# TYPE whp_x_total counter\n"
        'whp_x_total{service="toy",reason="a"} 2\n'
        'whp_x_total{service="toy"} 1234567890.5\n'
    )


def test_a_histogram_counts_what_is_not_above_a_bound_and_all_of_it_in_the_last_bucket() -> None:
    took = Histogram()
    for seconds in (0.001, 0.0011, 0.2, 30.0):
        took.add(seconds)
    text = written([Metric("whp_x_seconds", "histogram", "Time.", [({"stage": "open"}, took)])], {"service": "toy"})
    buckets = {labels.partition('le="')[2][:-1]: n for labels, n in figures(text, "whp_x_seconds_bucket").items()}
    assert len(buckets) == len(BOUNDS) + 1
    assert (buckets["0.001"], buckets["0.0025"], buckets["0.1"], buckets["0.25"], buckets["10"]) == (1, 2, 2, 3, 3)
    assert buckets["+Inf"] == figure(text, "whp_x_seconds_count") == 4
    assert figure(text, "whp_x_seconds_sum") == pytest.approx(30.2021)


@pytest.mark.stack
async def test_the_time_of_a_batch_is_told_by_stage_and_what_went_through_the_broker_by_topic(
    kafka: Kafka, dsn: str
) -> None:
    topic, out, case = await kafka.topic(1), await kafka.topic(1), uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(case, str(nth), 1) for nth in range(4)])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:

        async def published() -> bool:
            return TELEMETRY.sent[out] == 4

        await eventually(published)
        await eventually(process.counted)
        text = await scraped(process)
    stages = figures(text, "whp_batch_stage_duration_seconds_count")
    batches = figure(text, "whp_batches_total")
    assert stages == {f'stage="{stage}"': 0 if stage == "retry" else batches for stage in STAGES}
    assert figure(text, "messaging_process_duration_seconds_count") == batches
    assert sum(figures(text, "whp_batch_stage_duration_seconds_sum").values()) == pytest.approx(
        figure(text, "messaging_process_duration_seconds_sum")
    )
    consumed = 'messaging_system="kafka",messaging_operation_name="poll",messaging_consumer_group_name="whp.toy",'
    assert figures(text, "messaging_client_consumed_messages_total") == {
        f'{consumed}messaging_destination_name="{topic}"': 4
    }
    sent = f'messaging_system="kafka",messaging_operation_name="send",messaging_destination_name="{out}"'
    assert figures(text, "messaging_client_sent_messages_total")[sent] == 4


@pytest.mark.stack
async def test_every_figure_is_explained_once_and_none_names_a_case(kafka: Kafka, dsn: str) -> None:
    topic, out, case = await kafka.topic(1), await kafka.topic(1), uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(case, "1", 1), added(case, "2", 13), added(case, "3", 2)])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:
        await eventually(process.counted)
        text = await scraped(process, (Gauge("whp_toys", "Toys.", "SELECT 3"),))
    assert figure(text, "whp_toys") == 3
    lines = text.splitlines()
    explained = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    told = [LINE.match(line) for line in lines if not line.startswith("#")]
    assert all(told), "every line is a figure or a comment"
    part_of = {f"{name}{part}": name for name in kinds for part in ("_bucket", "_sum", "_count")}
    assert sorted(explained) == sorted(kinds) == sorted({part_of.get(f["name"], f["name"]) for f in told if f})
    assert {name for name in kinds if name.endswith("_total")} == {name for name in kinds if kinds[name] == "counter"}
    labels = {pair.partition("=")[0] for found in told if found for pair in found["labels"].split(",")}
    assert {label for label in labels if not label.startswith("messaging_")} == {
        "service", "topic", "partition", "reason", "stage", "le", "version"
    }  # fmt: skip
    assert not UUID.search(text)


@pytest.mark.stack
async def test_a_parked_case_is_told_with_the_class_of_its_reason_and_its_successors_apart(
    kafka: Kafka, dsn: str
) -> None:
    topic, out, case = await kafka.topic(1), await kafka.topic(1), uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(case, "1", 1), added(case, "2", 13), added(case, "3", 2)])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:
        await eventually(process.counted)
        await execute(dsn, "UPDATE parked SET parked_at = now() - interval '2 hours'")
        text = await scraped(process)
    assert figure(text, "whp_parked_cases") == 1
    assert 7200 <= figure(text, "whp_parked_oldest_seconds") < 7300
    parked = figures(text, "whp_parked_total")
    assert {labels: count for labels, count in parked.items() if count} == {
        'reason="handler"': 1, 'reason="behind_parked"': 1
    }  # fmt: skip
    assert len(parked) > 2, "a class is told before its first record: Prometheus sees no rise from nothing"


@pytest.mark.stack
async def test_what_waits_is_told_while_a_batch_hangs_and_is_nothing_afterwards(kafka: Kafka, dsn: str) -> None:
    topic, out, case = await kafka.topic(1), await kafka.topic(1), uuid.uuid4()
    holder = await asyncpg.connect(dsn)
    try:
        async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:
            transaction = holder.transaction()
            await transaction.start()
            await holder.execute("SELECT FROM partitions FOR UPDATE")
            await send(kafka.bootstrap, topic, [added(case, str(nth), 20) for nth in range(3)])

            async def behind() -> bool:
                text = await scraped(process)
                if "whp_consumer_lag_records{" not in text:
                    return False  # not fetched from yet
                lag = figures(text, "whp_consumer_lag_records")
                assert lag.keys() == {f'topic="{topic}",partition="0"'}
                return sum(lag.values()) > 0 and figure(text, "whp_consumer_stalled_seconds") > 0

            await eventually(behind)
            await transaction.rollback()
            await eventually(lambda: execute(dsn, "SELECT count(*) = 3 FROM event_log"))

            async def at_rest() -> bool:
                text = await scraped(process)
                return not figure(text, "whp_consumer_lag_records") and not figure(text, "whp_consumer_stalled_seconds")

            await eventually(at_rest)
    finally:
        await holder.close()


@pytest.mark.stack
async def test_a_stopped_partition_is_told(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    await send(kafka.bootstrap, topic, [added(uuid.uuid4(), str(nth), 13) for nth in range(25)])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:

        async def stopped() -> bool:
            return figure(await scraped(process), "whp_partitions_stopped") == 1

        await eventually(stopped)


@pytest.mark.stack
async def test_a_held_row_is_counted_and_makes_no_unpublished_one_look_old(dsn: str) -> None:
    row = (
        "INSERT INTO outbox (topic, case_ref, headers, value, held, created_at)"
        " VALUES ($1, $2, '{}', '', $3, now() - make_interval(secs => $4))"
    )
    held, other = uuid.uuid4(), uuid.uuid4()
    assert await execute(dsn, SQL["oldest_unpublished"], 0) == 0
    await execute(dsn, row, "t", held, "TopicAuthorizationFailedError", 900.0)
    await execute(dsn, row, "t", held, None, 800.0)
    assert await execute(dsn, SQL["count_held"]) == 1
    assert await execute(dsn, SQL["oldest_unpublished"], 0) == 0, "it waits behind the held one"
    await execute(dsn, row, "t", other, None, 70.0)
    assert 70 <= await execute(dsn, SQL["oldest_unpublished"], 0) < 100


@pytest.mark.stack
async def test_the_oldest_unpublished_row_is_looked_for_from_where_the_relay_reads(kafka: Kafka, dsn: str) -> None:
    topic, out, case = await kafka.topic(1), await kafka.topic(1), uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(case, str(nth), 20) for nth in range(5)])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:

        async def risen() -> bool:
            return process.relay.floor > 1

        await eventually(risen)
        below = (
            "INSERT INTO outbox (id, topic, case_ref, headers, value, created_at) OVERRIDING SYSTEM VALUE"
            " VALUES (0, $1, $2, '{}', '', now() - interval '900 seconds')"
        )
        await execute(dsn, below, out, uuid.uuid4())
        assert figure(await scraped(process), "whp_outbox_oldest_seconds") < 60
        assert await execute(dsn, SQL["oldest_unpublished"], 0) >= 900
    assert process.relay.floor == 0, "who does not lead does not know where the rows begin"


@pytest.mark.stack
async def test_without_the_database_the_other_figures_are_told_still(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:
        assert figure(await scraped(process), "whp_database_up") == 1
        await process.pool.close()
        text = await scraped(process)
    assert figure(text, "whp_database_up") == 0
    assert not any(gauge.name in text for gauge in GAUGES), "what is not known is not told"
    assert figure(text, "whp_records_total") == 0
