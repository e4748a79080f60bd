"""What samples come to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.estimates import quantile
from bench.sample import Sample

MINUTE_S = 60.0
WITHIN = 0.85
"""Of the events per CPU second of one replica: more of them must not fall below it."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the chain."""

    at_s: float
    """Since the first record was due."""
    sent: int
    rss_mb: Mapping[str, float]
    """By service."""
    lag: Mapping[str, int]
    """Records that a service's group has not committed, over all topics that it reads."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event that the services published, as it was read."""

    reference: str
    cause: str
    topic: str
    at: float


def growth(looks: Sequence[Look], service: str, seconds: float) -> tuple[float, float] | None:
    """A service's memory in the third and in the last minute, MB, medians; None of a run too short to have both."""
    third = [look.rss_mb[service] for look in looks if 2 * MINUTE_S <= look.at_s < 3 * MINUTE_S]
    last = [look.rss_mb[service] for look in looks if seconds - MINUTE_S <= look.at_s < seconds]
    return (median(third), median(last)) if third and last and seconds >= 4 * MINUTE_S else None


def waits(due: Mapping[str, float], arrivals: Sequence[Arrival]) -> dict[str, list[float]]:
    """Topic -> milliseconds from the moment at which a clinic's event was due until what came of it was read.

    `due` has the events by their references. What came of an answer counts from the same moment; what came twice, once.
    What goes back to no event of `due` is left out.
    """
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.reference, arrival)
    found: dict[str, list[float]] = {}
    for arrival in first.values():
        root = arrival.cause
        while root in first:
            root = first[root].cause
        if root in due:
            found.setdefault(arrival.topic, []).append((arrival.at - due[root]) * 1000)
    return found


def quantiles(times: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Per topic the median, the 99th percentile and how many there are."""
    return {
        topic: {"samples": len(mine), "p50_ms": round(quantile(0.5, mine), 1), "p99_ms": round(quantile(0.99, mine), 1)}
        for topic, mine in sorted(times.items())
    }


def per_cpu_s(sample: Sample) -> float:
    """Events per second of CPU, of replicas, PostgreSQL and Kafka together."""
    return 1e6 / sample.cpu_us


@dataclass(frozen=True, slots=True)
class Kept:
    """How much of one replica's events per CPU second so many keep: ratios within a round."""

    service: str
    replicas: int
    median: float
    low: float
    high: float
    rounds: int

    @property
    def met(self) -> bool:
        return self.median >= WITHIN


def kept(samples: Sequence[Sample]) -> list[Kept]:
    """Each service and number of replicas beside its own single one."""
    by_round = {(each.more["service"], each.more["replicas"], each.round): per_cpu_s(each) for each in samples}
    found: list[Kept] = []
    for service, replicas in sorted({(service, replicas) for service, replicas, _ in by_round if replicas > 1}):
        ratios = [
            value / by_round[service, 1, round_]
            for (of, many, round_), value in by_round.items()
            if (of, many) == (service, replicas) and (service, 1, round_) in by_round
        ]
        if ratios:
            found.append(Kept(service, replicas, median(ratios), min(ratios), max(ratios), len(ratios)))
    return found


def by_part(used: Mapping[str, float], events: int) -> dict[str, Any]:
    """CPU per event, us."""
    return {part: round(seconds / events * 1e6, 1) for part, seconds in used.items()}
