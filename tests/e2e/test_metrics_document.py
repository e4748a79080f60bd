"""docs/metrics.md lists what the services tell, and nothing else."""

from __future__ import annotations

import re

import httpx
import pytest
import yaml

from tests.docs.reading import ROOT
from tests.e2e.place import Place

pytestmark = pytest.mark.stack

DOCUMENT = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in DOCUMENT.splitlines()
    if line.startswith("| `") and (cells := [cell.strip() for cell in line.strip("|").split("|")])
}


def told(place: Place) -> dict[str, tuple[str, set[str]]]:
    """Name -> type and labels, of all services."""
    found: dict[str, tuple[str, set[str]]] = {}
    for service in place.stack().services.values():
        text = httpx.get(f"http://127.0.0.1:{service.port}/metrics", timeout=10, trust_env=False).text
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
            lines = re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*)\}}", text, re.MULTILINE)
            labels = {label for line in lines for label in re.findall(r'(\w+)="', line)} - {"service", "le"}
            found[name] = kind, found.get(name, ("", set[str]()))[1] | labels
    return found


def test_the_document_lists_every_figure_with_its_type_unit_and_labels(place: Place) -> None:
    figures = told(place)
    assert sorted(ROWS) == sorted(figures)
    for name, (kind, labels) in figures.items():
        type_, unit, listed, meaning, _ = ROWS[name]
        assert type_ == kind, name
        assert (unit == "s") == name.endswith("_seconds"), name
        assert meaning, name
        own = {label for label in labels if not label.startswith("messaging_")}
        assert own <= set(re.findall(r"`(\w+)`", listed)), name
        assert "conventions" in listed or own == labels, name


def test_the_document_names_the_alerts_of_each_figure() -> None:
    text = (ROOT / "deploy/alerts/workhardening.yaml").read_text(encoding="utf-8")
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    for name, row in ROWS.items():
        mine = {rule["alert"] for rule in rules if re.search(rf"\b{name}\b", rule["expr"])}
        assert set(re.findall(r"Whp\w+", row[4])) == mine, name
