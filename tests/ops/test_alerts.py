"""What a look at the figures calls a person for: the alerts' own limits."""

from __future__ import annotations

import pytest

from ops.alerts import Figure, alerts, ringing
from ops.status import read


def ring(name: str, value: float, **labels: str) -> list[str]:
    return [finding.runbook for finding in ringing("notify", [Figure(name, value, labels)], alerts())]


def test_the_alerts_that_a_look_decides_are_those_of_one_figure_and_one_limit() -> None:
    names = {alert.name for alert in alerts()}
    assert {"WhpOutboxOld", "WhpOutboxHeld", "WhpRelayAway", "WhpCaseParked", "WhpConsumerBehind"} <= names
    assert not {"WhpServiceSilent", "WhpCasesFail", "WhpConsumerStalled", "WhpDeadLetters"} & names, "they take time"


@pytest.mark.parametrize(
    ("name", "quiet", "loud", "page"),
    [
        ("whp_outbox_oldest_seconds", 60, 61, "outbox-old"),
        ("whp_parked_oldest_seconds", 3600, 3601, "case-parked"),
        ("whp_consumer_lag_records", 10_000, 10_001, "consumer-behind"),
        ("whp_relay_active", 1, 0, "outbox-old"),
        ("whp_partitions_stopped", 0, 1, "partition-stopped"),
    ],
)
def test_a_figure_beyond_its_limit_names_the_page(name: str, quiet: float, loud: float, page: str) -> None:
    assert ring(name, quiet) == []
    assert ring(name, loud) == [f"docs/runbooks/{page}.md"]


def test_what_an_alert_leaves_out_rings_nobody() -> None:
    assert ring("whp_deliveries_failed", 1, reason="backlog_expired") == []
    assert ring("whp_deliveries_failed", 1, reason="refused") != []


def test_the_worst_of_a_figures_lines_decides() -> None:
    lines = [Figure("whp_consumer_lag_records", count, {"topic": str(count)}) for count in (3, 20_000, 5)]
    (finding,) = ringing("intake", lines, alerts())
    assert finding.what == "WhpConsumerBehind: whp_consumer_lag_records is 20000, above 10000"


def test_figures_are_read_as_they_are_written() -> None:
    text = (
        '# HELP whp_x X.\n# TYPE whp_x gauge\nwhp_x{service="a",topic="t.v1"} 2\nwhp_y_seconds{service="a"} 1.5e-05\n'
    )
    assert read(text) == [
        Figure("whp_x", 2, {"service": "a", "topic": "t.v1"}), Figure("whp_y_seconds", 1.5e-05, {"service": "a"})
    ]  # fmt: skip
