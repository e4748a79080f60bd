"""The alerts' own limits, held against figures as they are now: what rings for a person is written down once."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import yaml

_SIMPLE = re.compile(
    r"(?P<over>max|min|sum) by \([a-z, ]+\) \((?P<figure>whp_\w+)(?:\{(?P<label>\w+)!=\"(?P<other>\w+)\"\})?\)"
    r" (?P<than>>|==) (?P<limit>\d+)"
)
_THAN = {">": operator.gt, "==": operator.eq}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of /metrics, without the service's label."""

    name: str
    value: float
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """One that a look at the figures decides; those over a span of time are Prometheus's."""

    name: str
    figure: str
    than: str
    limit: float
    runbook: str
    without: tuple[str, str] | None = None
    """A label's value that does not count."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What needs a person, and the page that says how to mend it."""

    service: str
    what: str
    runbook: str


def alerts() -> list[Alert]:
    """Those of deploy/alerts that can be decided at once."""
    text = files("deploy").joinpath("alerts", "workhardening.yaml").read_text(encoding="utf-8")
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return [
        Alert(
            rule["alert"],
            found["figure"],
            found["than"],
            float(found["limit"]),
            rule["annotations"]["runbook"],
            (found["label"], found["other"]) if found["label"] else None,
        )
        for rule in rules
        if (found := _SIMPLE.fullmatch(rule["expr"].strip()))
    ]


def ringing(service: str, figures: Iterable[Figure], rules: Sequence[Alert]) -> list[Finding]:
    """What these figures of a service call a person for, without the patience that an alert has."""
    found: list[Finding] = []
    for rule in rules:
        mine = [
            figure.value
            for figure in figures
            if figure.name == rule.figure
            and (rule.without is None or figure.labels.get(rule.without[0]) != rule.without[1])
        ]
        worst = max(mine, default=None)
        if worst is not None and _THAN[rule.than](worst, rule.limit):
            limit = f", above {rule.limit:g}" if rule.than == ">" else ""
            found.append(Finding(service, f"{rule.name}: {rule.figure} is {worst:g}{limit}", rule.runbook))
    return found
