"""What one visitor may look at and do. Each call asks who it is for, and each look at a case is recorded first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from cryptography.fernet import Fernet

from runtime.db import Connection, Pool
from runtime.http import Problem
from services.console import charts, operations, sign_off, story
from services.console.asking import ask
from services.console.caseload import case_line, read_page
from services.console.cohort import read_outcomes_page
from services.console.effects import SQL
from services.console.live import PING_S, Hub
from services.console.settings import ConsoleSettings
from services.console.views import (
    PAGE,
    CaseLine,
    CaseloadFilter,
    CaseloadPage,
    CasePage,
    EmployerPage,
    OperationsPage,
    OutcomesPage,
    Preview,
    ReadinessShown,
    Retried,
    Seen,
    Sent,
    SignOffPage,
    Tick,
    TimelinePage,
    Visitor,
)
from workhardening_contracts.envelope import STRUCTURED

# Who looked last, on the case's page; `whp audit views` tells of all.
_SEEN = 20


@dataclass(frozen=True)
class Looking:
    """The console, for one visitor (`views.Console`)."""

    visitor: Visitor
    pool: Pool
    settings: ConsoleSettings
    sealer: Fernet
    hub: Hub
    still: Callable[[], Awaitable[bool]]
    """Whether the visitor is signed in still."""

    async def caseload(self, wanted: CaseloadFilter) -> CaseloadPage:
        self._only("clinician")
        async with self.pool.acquire(timeout=10) as connection:
            return await read_page(connection, self.visitor.clinics, wanted)

    async def case(self, ref: UUID) -> CasePage:
        async with self._looking(ref, "case") as (connection, line):
            told = await self._story(connection, line)
            seen = [
                Seen(row["at"], row["who"], row["role"], row["what"])
                for row in await connection.fetch(SQL["read_views"], ref, _SEEN)
            ]
        missing, alerts = story.lacking(told)
        moments, following = story.timeline(told, None, PAGE)
        return CasePage(
            line=line,
            missing=missing,
            alerts=alerts,
            baseline_pain=story.baseline_pain(told),
            demands=charts.demand_charts(told),
            sessions=story.sessions(told),
            verdicts=story.verdicts(told),
            plans=story.plans(told),
            readiness=story.readiness(told),
            signature=story.signature(told),
            grants=story.grants(told),
            timeline=moments,
            timeline_next=following,
            seen=tuple(seen),
            trace_url=self.settings.trace_of(ref),
        )

    async def timeline(self, ref: UUID, after: str) -> TimelinePage:
        if not after.isdecimal() or len(after) > 18:
            raise Problem(422, "position.invalid", "give the `next` of an earlier page", field="/query/after")
        async with self._looking(ref, "case") as (connection, line):
            told = await self._story(connection, line)
        return TimelinePage(*story.timeline(told, int(after), PAGE))

    async def sign_off(self, ref: UUID) -> SignOffPage:
        async with self._looking(ref, "sign_off") as (connection, line):
            told = await self._story(connection, line)
        assessed = _to_sign(told)
        named = [each.demand.split("/") for each in assessed.standings]
        return SignOffPage(
            line=line,
            readiness=assessed,
            signature=story.signature(told),
            recommended=sign_off.RECOMMENDED[assessed.readiness],
            roles=self.settings.signing_roles,
            restrictions=assessed.restrictions,
            activities=tuple(dict.fromkeys((*sign_off.ACTIVITIES, *(part[0] for part in named)))),
            zones=tuple(dict.fromkeys((*sign_off.ZONES, *(part[1] for part in named if part[1] != "-")))),
        )

    async def preview(self, ref: UUID, form: Mapping[str, Sequence[str]]) -> Preview:
        _, previewed = await self._previewed(ref, form, "preview")
        return previewed

    async def sign(self, ref: UUID, form: Mapping[str, Sequence[str]], shown: str) -> Sent:
        line, now = await self._previewed(ref, form, "sign")
        id_ = sign_off.opened(self.sealer, shown, ref, now.signed, now.employers)
        event = sign_off.signature_event(id_, ref, line.clinic, now.signed, datetime.now(UTC))
        try:
            await ask(
                self.settings,
                self.settings.key,
                "intake",
                "POST",
                f"/v1/clinics/{line.clinic}/signatures",
                event,
                STRUCTURED,
            )
        except Problem as problem:
            if problem.code != "id_reused":  # the second click: the first one was taken
                raise
        return Sent(id_)

    async def employer(self, ref: UUID) -> EmployerPage:
        async with self._looking(ref, "employer") as (connection, line):
            told = await self._story(connection, line)
        document = await ask(self.settings, self.settings.key, "notify", "GET", f"/v1/disclosures/{ref}")
        return EmployerPage(line, story.grants(told), operations.disclosed(document))

    async def outcomes(self) -> OutcomesPage:
        clinics = self.visitor.clinics if self.visitor.role == "clinician" else None
        async with self.pool.acquire(timeout=10) as connection:
            return await read_outcomes_page(connection, clinics, datetime.now(UTC).date())

    async def operations(self) -> OperationsPage:
        self._only("operations")
        return await operations.gather(self.settings)

    async def retry(self, service: str, ref: UUID) -> Retried:
        self._only("operations")
        return await operations.retry(self.settings, service, ref)

    async def discard(self, service: str, ref: UUID, reason: str) -> None:
        self._only("operations")
        await operations.discard(self.settings, service, ref, reason, self.visitor.name)

    async def ticks(self, ref: UUID | None = None) -> AsyncGenerator[Tick | None]:
        self._only("clinician")
        with self.hub.subscribed() as queue:
            yield None  # the stream is open: what a page lacks is what came before this
            while await self.still():
                try:
                    async with asyncio.timeout(PING_S):
                        tick = await self._next(queue, ref)
                except TimeoutError:
                    tick = None
                yield tick

    async def _next(self, queue: asyncio.Queue[Tick], ref: UUID | None) -> Tick:
        while True:
            tick = await queue.get()
            if tick.clinic in self.visitor.clinics and ref in (None, tick.case):
                return tick

    async def _previewed(self, ref: UUID, form: Mapping[str, Sequence[str]], what: str) -> tuple[CaseLine, Preview]:
        async with self._looking(ref, what) as (connection, line):
            assessed = _to_sign(await self._story(connection, line))
        signed = sign_off.read_form(form, assessed)
        asked = {"signed": signed.model_dump(mode="json", exclude_none=True), "final": assessed.final}
        document = await ask(self.settings, self.settings.key, "notify", "POST", f"/v1/preview/{ref}", asked)
        employers = sign_off.previews(document)
        sealed = sign_off.seal(self.sealer, ref, signed, employers)
        return line, Preview(signed, sign_off.contradicts(signed, assessed), employers, sealed)

    @asynccontextmanager
    async def _looking(self, ref: UUID, what: str) -> AsyncGenerator[tuple[Connection, CaseLine]]:
        """The case's line, for a clinician of its clinic, once the look is recorded. Raises Problem 403 and 404."""
        self._only("clinician")
        async with self.pool.acquire(timeout=10) as connection, connection.transaction():
            row = await connection.fetchrow(SQL["read_line"], ref)
            if row is None or row["clinic"] not in self.visitor.clinics:
                raise Problem(404, "not_found", "there is no such case among yours")
            visitor = self.visitor
            await connection.execute(SQL["add_view"], ref, row["clinic"], visitor.name, visitor.role, what)
            yield connection, case_line(row)

    async def _story(self, connection: Connection, line: CaseLine) -> story.Story:
        rows = await connection.fetch(SQL["read_log"], line.ref, f"/clinics/{line.clinic}")
        return story.read_story(story.logged(rows), line.clinic)

    def _only(self, role: str) -> None:
        if self.visitor.role != role:
            raise Problem(403, "forbidden", f"this page is for {role}")


def _to_sign(told: story.Story) -> ReadinessShown:
    assessed = story.readiness(told)
    if assessed is None:
        raise Problem(409, "nothing_to_sign", "there is no assessment to sign yet")
    return assessed
