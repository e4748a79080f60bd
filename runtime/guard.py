"""Who is let in: the key is looked up for each request, and nobody may ask or guess without end.

Failed keys are counted by address, since a look-up costs the database; but a key that was good a while ago is looked up
whatever its neighbours at the same address do, and each key has a bucket of its own: nobody can shut another out.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from runtime.db import Pool
from runtime.keys import Bearer, digest, find_bearer, well_formed
from runtime.limits import FAILED_KEYS, KEYS, Buckets, Rate, per_minute
from runtime.settings import Settings

# A partner's software calls more often than this; one that does not waits, at worst, for its address's next token.
REMEMBERED_S = 3600.0
# Far more than there are keys; a bound all the same.
_MOST_REMEMBERED = 10_000


class Limited(Exception):
    """Somebody asks too much. Says for how many seconds to wait, and who it is where a key tells."""

    def __init__(self, wait_s: float, bearer: Bearer | None = None) -> None:
        super().__init__("limited")
        self.wait_s = wait_s
        self.bearer = bearer


@dataclass
class Guard:
    """The memory of one process."""

    keys: Buckets = field(default_factory=lambda: Buckets(KEYS))
    failures: Buckets = field(default_factory=lambda: Buckets(FAILED_KEYS))
    _good: dict[bytes, tuple[Bearer, float]] = field(default_factory=dict[bytes, tuple[Bearer, float]])
    """Digest of a key -> whose it is, and when it was last found valid. It never lets anybody in by itself."""

    async def identify(self, pool: Pool, key: str | None, address: str, now: float) -> Bearer | None:
        """Whose key this is; None without a valid one. `now` is a clock that only goes forward.

        Raises Limited, and what a lost database raises.
        """
        where = network_of(address)
        if key is None or not well_formed(key):
            return self._failed(where, now)
        mark = digest(key)
        recent = mark in self._good and now - self._good[mark][1] <= REMEMBERED_S
        if recent:
            self._count(mark, now)
        elif wait := self.failures.wait(where, now):
            raise Limited(wait)
        found = await find_bearer(pool, key)
        self._good.pop(mark, None)
        if found is None:
            return self._failed(where, now)
        self._good[mark] = found, now
        if len(self._good) > _MOST_REMEMBERED:
            del self._good[next(iter(self._good))]
        if not recent:
            self._count(mark, now)
        return found

    def remembered(self, key: str) -> Bearer | None:
        """Whose key this was when it was last looked up; for what must be answered while the database is away."""
        held = self._good.get(digest(key))
        return None if held is None else held[0]

    def _count(self, mark: bytes, now: float) -> None:
        """By digest and not by prefix: who has seen a prefix cannot use up the bucket of its key."""
        if wait := self.keys.take(mark.hex(), now):
            raise Limited(wait, self._good[mark][0])

    def _failed(self, where: str, now: float) -> None:
        if wait := self.failures.take(where, now):
            raise Limited(wait)


def guard_of(settings: Settings) -> Guard:
    """A guard with these limits."""
    return Guard(
        Buckets(Rate(settings.key_requests_per_s, settings.key_burst)),
        Buckets(per_minute(settings.failed_keys_per_minute)),
    )


def network_of(address: str) -> str:
    """Who counts as one: an IPv4 address, or the /64 that an IPv6 customer gets whole."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:  # an IPv4 caller at an IPv6 socket
        ip = ip.ipv4_mapped
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))
