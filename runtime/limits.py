"""Token buckets by name, in the memory of one process, by the clock that is given.

In memory, since a count that all processes share would cost a write for each request and would fail with its store. N
processes let through N times as much: the numbers protect a process, they meter nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# A token that is short of a millionth is there: a caller who waits exactly as long as he was told must be let in.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second for as long as one likes, and so many at once."""

    per_s: float
    burst: int


def per_minute(count: int) -> Rate:
    """So many a minute, and as many at once."""
    return Rate(count / 60, count)


KEYS = Rate(per_s=50, burst=500)
"""Of one API key. At once: an evening's sessions of a clinic of 300 open cases, with corrections. For as long as one
likes: the 75,000 sessions of such a clinic's year (300 x 250 days) come in within 25 minutes. A loop that went wrong
asks no more than that."""
FAILED_KEYS = per_minute(60)
"""Of one address. A client with an old key that tries once a second is told so each time."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many tokens there were at a moment (seconds of a clock that only goes forward)."""

    tokens: float
    at: float


def level(bucket: Bucket | None, rate: Rate, now: float) -> float:
    """The tokens there are by now. No bucket is a full one."""
    if bucket is None:
        return rate.burst
    return min(rate.burst, bucket.tokens + max(0.0, now - bucket.at) * rate.per_s)


def take(bucket: Bucket | None, rate: Rate, now: float) -> tuple[Bucket, float]:
    """The bucket after one token was asked for, and how many seconds until there is one; 0 when it was taken."""
    tokens = level(bucket, rate, now)
    at = now if bucket is None else max(now, bucket.at)
    if tokens >= 1 - _ROUNDING:
        return Bucket(max(0.0, tokens - 1), at), 0.0
    return Bucket(tokens, at), (1 - tokens) / rate.per_s


@dataclass
class Buckets:
    """A bucket for each name."""

    rate: Rate
    most: int = 10_000
    """Names that are remembered, about 2 MB: whoever comes under ever new names must not fill the memory."""
    _held: dict[str, Bucket] = field(default_factory=dict[str, Bucket])

    def __len__(self) -> int:
        return len(self._held)

    def take(self, name: str, now: float) -> float:
        """Ask for one token of this name's. 0 when it was taken, else the seconds until there is one."""
        # Behind all others: the first is the one that was not asked for the longest.
        bucket, wait = take(self._held.pop(name, None), self.rate, now)
        if len(self._held) >= self.most:
            self._forget(now)
        self._held[name] = bucket
        return wait

    def wait(self, name: str, now: float) -> float:
        """How many seconds until there is a token; nothing is taken."""
        return take(self._held.get(name), self.rate, now)[1]

    def _forget(self, now: float) -> None:
        """Forget who has a full bucket, which is the same as none; then who was not heard of for the longest.

        A quarter at once, so that a flood of new names does not have all of them looked through for each.
        """
        self._held = {name: held for name, held in self._held.items() if level(held, self.rate, now) < self.rate.burst}
        while len(self._held) > self.most * 3 // 4:
            del self._held[next(iter(self._held))]
