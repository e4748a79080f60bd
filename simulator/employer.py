"""An employer's HR system: receives work-status updates by webhook, trusts none that is not signed, misses none.

It behaves as real receivers do. Now and then it is slow, answers 500 or 429 before it has looked, or loses the answer
to an update that it has already taken; the sender must come again, and the second copy must not count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from types import TracebackType

from aiohttp import web
from pydantic import ValidationError

from workhardening_contracts.envelope import Unreadable, read_structured
from workhardening_contracts.readiness import ReadinessUpdated
from workhardening_contracts.webhook import verify_v1, verify_v1a

HOST = "127.0.0.1"


@dataclass(frozen=True)
class EmployerConfig:
    """How one employer receives. Raises ValueError without a key to verify by."""

    port: int = 0
    """Where it listens on 127.0.0.1; 0 takes a free port."""
    public_key: str | None = None
    """Ed25519 public key, base64, with or without `whpk_`: `v1a` signatures."""
    secret: str | None = None
    """Shared secret: `v1` signatures, where there is no public key."""
    trouble: float = 0.03
    """Chance that the first attempt at an update meets trouble."""

    def __post_init__(self) -> None:
        if self.public_key is None and self.secret is None:
            raise ValueError("an employer needs a public key or a secret to verify by")


@dataclass(slots=True)
class Update:
    """One update, however often it came."""

    employer: str
    case_ref: str
    sequence: int
    previous_sequence: int
    event_id: str
    status: str
    outcome: str
    valid: bool
    """Signed by the program and fit for the contract."""
    attempts: int = 1
    acknowledged: bool = True
    """The sender was told that it was taken. One of which it was not may have been withheld afterwards: it is held here
    all the same, and the sender cannot know."""
    in_order: bool = True
    """Is newer than everything held of its case. The opposite is a defect of the sender."""
    missed: bool = False
    """Says that it follows on an update that is not held. That can be: one that met trouble here and was then withheld,
    because what it said no longer held, is never sent again. What counts is the latest, which can be pulled."""


@dataclass
class Book:
    """What one employer holds."""

    updates: list[Update] = field(default_factory=list[Update])
    """In the order in which they were taken; each once."""
    refused: list[Update] = field(default_factory=list[Update])
    """Deliveries that were not signed by the program, or that broke the contract."""
    attempts: int = 0
    """Deliveries that came, the repeated and the refused ones included."""
    bodies: list[str] = field(default_factory=list[str])
    """What stood in each of them, as it came."""

    def of(self, case_ref: str) -> list[Update]:
        """The updates of one case."""
        return [update for update in self.updates if update.case_ref == case_ref]

    @property
    def out_of_order(self) -> int:
        """Updates that came after a newer one of their case."""
        return sum(not update.in_order for update in self.updates)

    @property
    def gaps(self) -> int:
        """Updates before which another was missed."""
        return sum(update.missed for update in self.updates)


class Employer:
    """A receiver. An asynchronous context manager: listens inside it."""

    def __init__(self, name: str, config: EmployerConfig, seed: str) -> None:
        self.name = name
        self.config = config
        self.book = Book()
        self.port = config.port
        self._seed = seed
        self._attempts: dict[str, int] = {}
        self._taken: dict[str, Update] = {}
        self._last: dict[str, int] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Employer:
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.config.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        id_ = request.headers.get("webhook-id", "")
        attempt = self._attempts[id_] = self._attempts.get(id_, 0) + 1
        self.book.attempts += 1
        self.book.bodies.append(body.decode("utf-8", "replace"))
        trouble = self._trouble(id_) if attempt == 1 else None
        if trouble == "down":
            return web.Response(status=500)
        if trouble == "busy":
            return web.Response(status=429, headers={"Retry-After": "1"})
        if trouble == "slow":
            await asyncio.sleep(0.5)
        status = self.take(body, request.headers, time.time())
        if trouble == "answer_lost" and status == 204:
            self._taken[id_].acknowledged = False
            return web.Response(status=500)
        return web.Response(status=status)

    def _trouble(self, id_: str) -> str | None:
        random = Random(f"{self._seed}/{self.name}/{id_}")
        if random.random() >= self.config.trouble:
            return None
        return random.choice(("down", "busy", "slow", "answer_lost"))

    def take(self, body: bytes, headers: Mapping[str, str], now: float) -> int:
        """Verify, de-duplicate and keep one delivery; the HTTP status to answer. `now` in seconds since 1970."""
        id_ = headers.get("webhook-id", "")
        update = _read(self.name, body)
        if update is None or not self._signed(body, headers, now) or update.event_id != id_:
            self.book.refused.append(update or Update(self.name, "", 0, 0, id_[:200], "", "", valid=False))
            self.book.refused[-1].valid = False
            return 401
        if id_ in self._taken:
            self._taken[id_].attempts += 1
            self._taken[id_].acknowledged = True
            return 204
        update.attempts = self._attempts.get(id_, 1)
        last = self._last.get(update.case_ref, 0)
        update.in_order = update.sequence > last
        update.missed = update.previous_sequence > last
        self._last[update.case_ref] = max(last, update.sequence)
        self._taken[id_] = update
        self.book.updates.append(update)
        return 204

    def _signed(self, body: bytes, headers: Mapping[str, str], now: float) -> bool:
        if self.config.public_key is not None:
            return verify_v1a(body, headers, self.config.public_key, now=now)
        return verify_v1(body, headers, self.config.secret or "", now=now)


def _read(employer: str, body: bytes) -> Update | None:
    with suppress(Unreadable, ValidationError):
        envelope = read_structured(body)
        # The allow-list is closed: a field more than the contract knows is a disclosure, not a nicety.
        data = ReadinessUpdated.model_validate_json(envelope.data, extra="forbid")
        return Update(
            employer, data.case_ref, data.sequence, data.previous_sequence, envelope.id, data.status, data.outcome, True
        )
    return None
