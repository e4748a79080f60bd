"""The command that shows how all services are, and whether a person is needed."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import cast

import httpx
from rich.table import Table

from ops import kafka
from ops.alerts import Figure, Finding, alerts, ringing
from ops.app import Json, answer, app, console
from ops.registered import service_of
from ops.target import SERVICES, Target, as_json, connected, given, target
from runtime.metrics import GAUGES
from runtime.running import Running

_LINE = re.compile(r"(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')

# A gauge may ask from where the relay reads; from outside of its process that is the beginning.
_OUTSIDE = cast("Running", SimpleNamespace(relay=SimpleNamespace(floor=0)))
# A session leads a service's relay by this lock; who holds it is known to the database alone.
_RELAY = """SELECT count(*)::float8 FROM pg_locks
WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND classid = hashtext($1)::oid AND objid = hashtext('relay')::oid"""
_NEW_DEAD_LETTERS = """SELECT count(*) FILTER (WHERE reason ~ '^(id_reused|foreign_source)') AS forged,
count(*) FILTER (WHERE reason !~ '^(id_reused|foreign_source)') AS unreadable
FROM dead_letter WHERE received_at > now() - interval '1 hour'"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one service is."""

    service: str
    door: str
    """`ready`, or why not; empty where its address is not known."""
    version: str
    figures: list[Figure]
    findings: list[Finding] = field(default_factory=list[Finding])

    def total(self, name: str) -> float | None:
        """A figure's sum over its labels; None when nobody told it."""
        values = [figure.value for figure in self.figures if figure.name == name]
        return sum(values) if values else None


@app.command
def status(*, json: Json = False) -> int:
    """All services: whether they take work, how far behind they are, and what waits for a person.

    Exits with 1 when something would call a person, and names the runbook's page. The limits are those of the alerts.
    """
    found = asyncio.run(_look(target()))
    findings = [finding for standing in found for finding in standing.findings]
    if json:
        answer(as_json({"services": [asdict(standing) for standing in found], "needs_a_person": bool(findings)}))
        return 1 if findings else 0
    console.print(_table(found))
    for finding in findings:
        answer(f"{finding.service}: {finding.what}; see {finding.runbook}")
    if not findings:
        answer("nothing needs a person")
    return 1 if findings else 0


async def _look(to: Target) -> list[Standing]:
    return list(await asyncio.gather(*(_standing(to, service) for service in SERVICES)))


async def _standing(to: Target, service: str) -> Standing:
    (door, told), behind, (tables, dead) = await asyncio.gather(
        _door(to, service), _behind(to, service), _tables(to, service)
    )
    version = next((figure.labels["version"] for figure in told if figure.name == "whp_build_info"), "")
    # The database knows of every replica's relay, a door of its own process only.
    of_door = [figure for figure in told if figure.name == "whp_partitions_stopped"]
    figures = [*of_door, *behind, *tables]
    findings = ringing(service, figures, alerts()) + dead
    if door not in ("", "ready"):
        findings.insert(0, Finding(service, f"its door is {door}", "docs/runbooks/service-silent.md"))
    return Standing(service, door, version, figures, findings)


async def _door(to: Target, service: str) -> tuple[str, list[Figure]]:
    """What a service's door says of itself: in a word, and its figures, for which production asks for a key."""
    address, key = to.doors.get(service), given("WHP_API_KEY")
    if address is None:
        return "", []
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False, headers=headers) as http:
            ready = await http.get(f"{address}/readyz")
            told = await http.get(f"{address}/metrics")
    except httpx.HTTPError as error:
        return f"silent ({type(error).__name__})", []
    door = "ready" if ready.status_code == 200 else f"not ready ({ready.status_code})"
    return door, read(told.text) if told.status_code == 200 else []


async def _behind(to: Target, service: str) -> list[Figure]:
    lag = await kafka.lag(to.kafka, f"whp.{service}", service_of(service).topics)
    return [Figure("whp_consumer_lag_records", behind, {"topic": topic}) for topic, (_, behind) in lag.items()]


async def _tables(to: Target, service: str) -> tuple[list[Figure], list[Finding]]:
    """The same figures as /metrics tells, by the administrator, so that they come when no door answers."""
    figures: list[Figure] = []
    async with connected(to.database, service) as connection:
        for gauge in (*GAUGES, *service_of(service).gauges):
            rows = await connection.fetch(gauge.query, *gauge.arguments(_OUTSIDE))
            figures += [
                Figure(gauge.name, float(row[-1]), {gauge.label: str(row[0])} if len(row) > 1 else {}) for row in rows
            ]
        figures.append(Figure("whp_relay_active", await connection.fetchval(_RELAY, service), {}))
        dead = await connection.fetchrow(_NEW_DEAD_LETTERS)
    pages = {"forged": "forged-record", "unreadable": "dead-letters"}
    return figures, [
        Finding(service, f"{dead[kind]} records of the last hour are dead letters ({kind})", f"docs/runbooks/{page}.md")
        for kind, page in pages.items()
        if dead is not None and dead[kind]
    ]


def read(text: str) -> list[Figure]:
    """The figures of Prometheus's text format."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return [Figure(each["name"], float(each["value"]), dict(_LABEL.findall(each["labels"]))) for each in found if each]


# Title, figure, unit.
_COLUMNS = (
    ("behind", "whp_consumer_lag_records", ""), ("outbox waits", "whp_outbox_oldest_seconds", " s"),
    ("held", "whp_outbox_held_rows", ""), ("parked", "whp_parked_cases", ""), ("dead letters", "whp_dead_letters", ""),
    ("stopped partitions", "whp_partitions_stopped", ""),
)  # fmt: skip


def _table(found: list[Standing]) -> Table:
    table = Table(show_edge=False)
    for column in ("service", "door", "version", "relay", *(title for title, _, _ in _COLUMNS)):
        table.add_column(column, justify="left" if column in ("service", "door", "version", "relay") else "right")
    for standing in found:
        figures = [(standing.total(name), unit) for _, name, unit in _COLUMNS]
        table.add_row(
            standing.service, standing.door or "not asked", standing.version or "?",
            "leads" if standing.total("whp_relay_active") else "none",
            *("?" if value is None else f"{value:.0f}{unit}" for value, unit in figures),
        )  # fmt: skip
    return table
