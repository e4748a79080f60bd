"""What is watched exists: the dashboard's figures, the alerts' expressions, and the attributes that may leave."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import promql_parser
import pytest
import yaml

from deploy.manifests import ROOT
from runtime import conventions
from runtime.telemetry import resource_of

COLLECTOR: dict[str, Any] = yaml.safe_load((ROOT / "deploy/collector/config.yaml").read_text(encoding="utf-8"))
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboards/workhardening.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts/workhardening.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]


def expressions(panel: dict[str, Any]) -> list[str]:
    """A panel's queries as Prometheus gets them, Grafana's variables filled in."""
    return [
        target["expr"].replace("$__rate_interval", "1m").replace("$service", "intake|notify")
        for target in panel["targets"]
    ]


def test_every_expression_is_promql() -> None:
    for text in [*(rule["expr"] for rule in ALERTS), *(each for panel in PANELS for each in expressions(panel))]:
        promql_parser.parse(text)
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum by (service (whp_parked_cases)")


METRIC = re.compile(r"\b(?:whp|messaging)_\w+")


def named_metrics() -> set[str]:
    """Every figure that the sources of the runtime and the services name as one."""
    sources = [*(ROOT / "runtime").glob("*.py"), *(ROOT / "services").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    plain = set(re.findall(r'"((?:whp|messaging)_[a-z_]+)"', text))
    counted = {f"whp_{name}_total" for name in re.findall(r'^        "([a-z]+)": \(counts\.', text, re.MULTILINE)}
    assert len(counted) >= 5
    return plain | counted


def test_the_dashboard_shows_what_is_told_and_all_that_somebody_is_called_for() -> None:
    shown = {name for panel in PANELS for text in expressions(panel) for name in METRIC.findall(text)}
    told = named_metrics()
    assert {re.sub(r"_(bucket|sum|count)$", "", name) if name not in told else name for name in shown} <= told
    called = {name for rule in ALERTS for name in METRIC.findall(rule["expr"])}
    assert called <= shown


def test_the_dashboards_lines_are_the_alerts_thresholds() -> None:
    for panel in PANELS:
        for alert in re.findall(r"Whp\w+", panel["description"]):
            (rule,) = [rule for rule in ALERTS if rule["alert"] == alert]
            line = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
            assert rule["expr"].endswith(f"> {line}"), alert


def test_panels_have_places_of_their_own_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not mine & taken, panel["title"]
        taken |= mine
    assert all(panel["description"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_what_the_collector_lets_through_is_what_the_services_put_on_their_spans() -> None:
    redaction = COLLECTOR["processors"]["redaction"]
    assert redaction["allow_all_keys"] is False
    of_spans = {text for name, text in vars(conventions).items() if name.isupper() and name != "SCHEMA"}
    assert "case.ref" in of_spans
    assert set(redaction["allowed_keys"]) == of_spans | set(resource_of("intake").attributes)
    assert len(set(redaction["allowed_keys"])) == len(redaction["allowed_keys"])


def test_a_link_bears_no_attributes_which_the_collector_would_let_through() -> None:
    tree = ast.parse((ROOT / "runtime/telemetry.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Link")]
    assert calls
    assert all(len(call.args) == 1 and not call.keywords for call in calls)


def test_the_collectors_pipeline_is_made_of_what_is_defined_and_redacts_before_it_exports() -> None:
    service = COLLECTOR["service"]
    assert service["pipelines"].keys() == {"traces"}
    pipeline = service["pipelines"]["traces"]
    for part in ("receivers", "processors", "exporters"):
        assert set(pipeline[part]) == COLLECTOR[part].keys()
    assert set(service["extensions"]) == COLLECTOR["extensions"].keys()
    order = pipeline["processors"]
    assert order[0] == "memory_limiter"
    assert order.index("redaction") < order.index("batch")
    text = (ROOT / "deploy/collector/config.yaml").read_text(encoding="utf-8")
    manifest = (ROOT / "deploy/collector/collector.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{env:(\w+)\}", text)) == set(re.findall(r"name: ([A-Z_]+),", manifest))
