"""The circuit breaker of a partition: case after case failing is our defect, and parking them all mends nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# This many distinct cases failing, and at least half of those seen, is a defect of ours and not of theirs.
CASES = 20
SHARE = 0.5
WINDOW_S = 300.0


@dataclass
class Breaker:
    """Stops a partition whose cases fail one after another. Only handlers' failures and our unreadable events count."""

    seen: dict[Any, float] = field(default_factory=dict[Any, float])
    failed: dict[Any, float] = field(default_factory=dict[Any, float])

    def trips(self, cases: Iterable[Any], failures: Iterable[Any], now: float) -> bool:
        """Count one batch's cases; whether the partition must stop."""
        self.seen.update(dict.fromkeys(cases, now))
        self.failed.update(dict.fromkeys(failures, now))
        for tally in (self.seen, self.failed):
            for case in [case for case, at in tally.items() if now - at > WINDOW_S]:
                del tally[case]
        return len(self.failed) >= CASES and len(self.failed) >= SHARE * len(self.seen)
