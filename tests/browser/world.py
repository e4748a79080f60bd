"""A console of made-up cases: every state that a page can show, without a service behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from pydantic import ValidationError

from runtime.http import Problem
from services.console import views
from services.console.outcomes import Told, months_after, table
from workhardening_contracts.clinic import BlockMinutes, ReadinessSigned, Restriction
from workhardening_contracts.planning import PlannedWeek, Shortfall, Station, Target, Verdict
from workhardening_contracts.progress import DemandStanding, Forecast, Reason, TrendWarning
from workhardening_contracts.quantity import Quantity

CLINICIAN = views.Visitor("whp_northcli", "clinician", "north", ("north",))
OPERATOR = views.Visitor("whp_opsopsop", "operations", None)

BEGAN = date(2025, 3, 3)
NOW = datetime(2025, 4, 14, 9, 30, tzinfo=UTC)

# Kind, zone, frequency, unit, baseline, required, critical.
JOB = (
    ("lift", "floor_waist", "occasional", "kg", 9.0, 22.5, True),
    ("lift", "overhead", "occasional", "kg", 4.5, 11.3, True),
    ("carry", None, "frequent", "kg", 6.8, 13.6, True),
    ("stand", None, "constant", "h", 2.5, 6.0, True),
    ("walk", None, "frequent", "h", 1.5, 3.5, False),
    ("kneel", None, "occasional", "min", 12.0, 40.0, False),
    ("confidence", None, "occasional", "score", 4.0, 7.0, False),
)


_HUNG_UP = views.Tick(UUID(int=0), "nobody")


def ref_of(number: int) -> UUID:
    return UUID(f"01955b2e-8c00-7a10-8b1e-{number:012x}")


ON_COURSE, ESCALATED, SIGNABLE, REFERRED, CLOSED = (ref_of(number) for number in (1, 2, 3, 4, 5))
FOREIGN = ref_of(9999)
STUCK = ref_of(777)
HOSTILE_TEXT = "<script>document.title='taken'</script><b>Order picker</b>"


def line(number: int, **changed: Any) -> views.CaseLine:
    plain = views.CaseLine(
        ref=ref_of(number),
        clinic="north",
        worker_ref=f"w-{number}",
        job_title=("Order picker", "Roofer", "Nursing assistant", "Warehouse loader", "Line cook")[number % 5],
        phase="in_program",
        week=number % 8 + 1,
        total_weeks=8,
        verdict=cast("tuple[Verdict, ...]", ("advance", "advance", "hold", "advance", "regress"))[number % 5],
        risk="low" if number % 5 in (0, 1, 3) else "raised",
        risk_reasons=() if number % 5 in (0, 1, 3) else ("attendance_low", "pain_flare")[: number % 2 + 1],
        escalated=False,
        readiness="not_yet",
        awaits_signature=False,
        outcome=None,
        last_event_at=NOW - timedelta(hours=number),
    )
    return replace(plain, **changed)


def caseload() -> list[views.CaseLine]:
    special = [
        line(
            2,
            verdict="escalate",
            risk="high",
            risk_reasons=("escalated", "alert.phq9_item9"),
            escalated=True,
            week=4,
        ),
        line(1, risk="low", risk_reasons=(), verdict="advance", week=6),
        line(3, readiness="meets_with_restrictions", awaits_signature=True, verdict="advance", week=8, risk="low"),
        line(
            4, phase="referred", week=None, total_weeks=None, verdict=None, readiness=None, job_title=None,
            risk="raised", risk_reasons=("information_needed",),
        ),
        line(5, phase="closed", week=8, outcome="ready", readiness="meets", verdict="advance", risk="low"),
        line(6, job_title=HOSTILE_TEXT, risk="low", risk_reasons=(), verdict="advance"),
    ]  # fmt: skip
    return special + [line(number) for number in range(10, 80)]


def standings() -> tuple[DemandStanding, ...]:
    made: list[DemandStanding] = []
    for index, (kind, zone, frequency, unit, base, required, critical) in enumerate(JOB):
        shown = required if index < 4 else base + (required - base) * 0.7
        made.append(
            DemandStanding(
                demand=f"{kind}/{zone or '-'}/{frequency}",
                critical=critical,
                required=Quantity.model_validate({"amount": required, "unit": unit}),
                shown=Quantity.model_validate({"amount": round(shown, 1), "unit": unit}),
                met=index < 4,
            )
        )
    return tuple(made)


RECOMMENDED = (Restriction(activity="walk", frequency="frequent", limit=Quantity(amount=2.9, unit="h")),)


def readiness(final: bool) -> views.ReadinessShown:
    return views.ReadinessShown(
        event_id="progress-readiness-1",
        at=NOW,
        week=8 if final else 6,
        readiness="meets_with_restrictions" if final else "not_yet",
        standings=standings(),
        restrictions=RECOMMENDED,
        vetoes=() if final else ("unresolved_flare",),
        confidence=7.0,
        shift_hours_days=2 if final else 0,
        flags=("pain_above_baseline",),
        forecast=Forecast(status="expected", week=8.4, earliest=7.6, latest=9.9),
        warnings=()
        if final
        else (
            TrendWarning(
                code="plateau",
                demand="kneel/-/occasional",
                from_week=3,
                through_week=6,
                slope=0.004,
                slope_low=-0.01,
                slope_high=0.02,
            ),
        ),
        assessed_through=BEGAN + timedelta(days=41),
        expires_on=BEGAN + timedelta(days=55),
        final=final,
        missing=()
        if final
        else (
            views.Missing("veto", "unresolved_flare", True),
            views.Missing("hours_not_shown", "", True),
            views.Missing("demand_unmet", "kneel/-/occasional", False),
        ),
    )


def weeks(done: int) -> tuple[views.DemandChart, ...]:
    charts: list[views.DemandChart] = []
    for index, (kind, zone, frequency, unit, base, required, critical) in enumerate(JOB):
        points: list[views.WeekPoint] = []
        for week in range(1, 9):
            target = base + (required - base) * week / 8
            attained = round(target * (1.03 - 0.05 * ((week + index) % 3)), 1) if week <= done else None
            points.append(views.WeekPoint(week, BEGAN + timedelta(days=7 * week - 1), round(target, 1), attained))
        key = f"{kind}/{zone or '-'}/{frequency}"
        charts.append(views.DemandChart(key, kind, zone, frequency, critical, unit, required, tuple(points)))
    return tuple(charts)


def sessions(done: int) -> tuple[views.SessionPoint, ...]:
    made: list[views.SessionPoint] = []
    for number in range(done * 4):
        on = BEGAN + timedelta(days=number // 4 * 7 + number % 4)
        absent = number % 9 == 8
        before = 4.0 - number * 0.08
        made.append(
            views.SessionPoint(
                on=on,
                attendance="absent" if absent else "attended",
                hours=0.0 if absent else 2.5 + number * 0.15,
                pain_before=None if absent else round(before, 1),
                pain_after=None if absent else round(before + 1.2 - number % 2 * 0.4, 1),
                pain_next_day=None if absent else round(before + 0.3, 1),
                exertion=None if absent else 5.0,
                confidence=None if absent else round(4 + number * 0.12, 1),
                safety_stop=number == 13,
                red_flags=(),
            )
        )
    return tuple(made)


def verdicts(done: int) -> tuple[views.VerdictShown, ...]:
    made: list[views.VerdictShown] = []
    for week in range(1, done + 1):
        held = week == 3
        lift = Quantity(amount=9.0 + week * 1.6, unit="kg")
        reasons = (
            Reason(
                code="target_missed" if held else "target_attained",
                demand="lift/floor_waist/occasional",
                attained=Quantity(amount=round(lift.amount * (0.8 if held else 1.02), 1), unit="kg"),
                target=lift,
            ),
            *((Reason(code="pain_flare"),) if held else ()),
        )
        made.append(
            views.VerdictShown(
                event_id=f"progress-verdict-{week}",
                at=NOW - timedelta(days=7 * (done - week)),
                week=week,
                total_weeks=8,
                verdict="hold" if held else "advance",
                starts_on=BEGAN + timedelta(days=7 * week - 7),
                through=BEGAN + timedelta(days=7 * week - 1),
                plan_version=week,
                attendance=0.75 if held else 1.0,
                reasons=reasons,
                final=week == 8,
                policy_version="2025-1",
            )
        )
    return tuple(made)


def plans(done: int) -> tuple[views.PlanShown, ...]:
    def planned(number: int) -> PlannedWeek:
        targets = tuple(
            Target.model_validate(
                {
                    "kind": kind, "zone": zone, "frequency": frequency, "critical": critical,
                    "amount": {"amount": round(base + (required - base) * number / 8, 1), "unit": unit},
                }
            )
            for kind, zone, frequency, unit, base, required, critical in JOB
        )  # fmt: skip
        return PlannedWeek(
            number=number,
            starts_on=BEGAN + timedelta(days=7 * number - 7),
            ends_on=BEGAN + timedelta(days=7 * number - 3),
            days=4,
            hours_per_day=2.5 + number * 0.5,
            targets=targets,
            minutes=BlockMinutes(mobility=30, strengthening=60, endurance=40, job_simulation=60, education=20),
            stations=tuple(
                Station(demand=f"{each.kind}/{each.zone or '-'}/{each.frequency}", amount=each.amount, minutes=20)
                for each in targets
                if each.amount.unit == "kg"
            ),
            education=("pacing",),
        )

    short = Shortfall(
        demand="kneel/-/occasional",
        required=Quantity(amount=40, unit="min"),
        projected=Quantity(amount=36, unit="min"),
    )
    return tuple(
        views.PlanShown(
            event_id=f"planning-{version}",
            version=version,
            effective_from=BEGAN + timedelta(days=7 * version - 7),
            current_week=version,
            total_weeks=8,
            answers=None if version == 1 else ("hold" if version == 4 else "advance"),
            frozen=False,
            weeks=tuple(planned(number) for number in range(version, 9)),
            shortfall=(short,) if version == 1 else (),
            assumed=("walk/-/frequent",) if version == 1 else (),
        )
        for version in range(1, done + 1)
    )


def moments(first: int, count: int) -> tuple[views.Moment, ...]:
    return tuple(
        views.Moment(
            at=NOW - timedelta(days=number),
            type="org.workhardening.progress.week.advanced.v1" if number % 5 == 0 else
            "org.workhardening.clinic.session.recorded.v1",
            name="week.advanced" if number % 5 == 0 else "session.recorded",
            source="/services/progress" if number % 5 == 0 else "/clinics/north",
            event_id=f"event-{number}",
            detail="week 3 of 8" if number % 5 == 0 else "attended",
        )
        for number in range(first, first + count)
    )  # fmt: skip


GRANTS = (
    views.Grant("acme-logistics", "work_status", "worker_consent", BEGAN, None),
    views.Grant("acme-logistics", "attendance", "worker_consent", BEGAN, date(2025, 12, 31)),
)

# As they are sent: what is null is left out.
UPDATE: Mapping[str, Any] = {
    "case_ref": str(SIGNABLE), "employee_key": "E-20417", "status": "unable", "effective_from": "2025-03-10",
    "effective_through": "2025-05-04", "restrictions": [], "outcome": "in_program", "sequence": 1,
    "previous_sequence": 0, "program": {"attendance": 0.92},
}  # fmt: skip
READY: Mapping[str, Any] = {
    "case_ref": str(CLOSED), "status": "no_restrictions", "effective_from": "2025-04-28", "restrictions": [],
    "outcome": "ready", "certifier_role": "physician", "sequence": 3, "previous_sequence": 2,
}  # fmt: skip

FARED: Mapping[str | None, int] = {
    "declined": 12, "in_program": 9, "withdrawn": 15, "discontinued": 7, "ready": 32, "ready_with_restrictions": 20,
    "not_ready": 14,
}  # fmt: skip
AFTERWARDS = (
    Told(1, True, "usual_job", "no", 30), Told(1, True, "not_working", "yes", 2),
    Told(1, True, "unknown", "unknown", 4), Told(1, False, "modified_work", "no", 3), Told(1, False, None, None, 11),
    Told(3, True, "usual_job", "no", 3), Told(3, True, None, None, 21),
)  # fmt: skip


@dataclass
class World:
    """What all visitors of one test see; a test changes it."""

    lines: list[views.CaseLine] = field(default_factory=caseload)
    parked: list[views.ParkedCase] = field(
        default_factory=lambda: [
            views.ParkedCase("planning", STUCK, 3, NOW - timedelta(hours=2), "KeyError at planning/trajectory.py:88")
        ]
    )
    signed: list[tuple[UUID, dict[str, list[str]]]] = field(default_factory=list[tuple[UUID, dict[str, list[str]]]])
    down: set[str] = field(default_factory=set[str])
    discarded: list[tuple[str, UUID, str]] = field(default_factory=list[tuple[str, UUID, str]])
    listeners: list[asyncio.Queue[views.Tick | None]] = field(default_factory=list["asyncio.Queue[views.Tick | None]"])

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody listens."""

    def hang_up(self) -> None:
        """End every stream, as a console that is started anew does."""
        self.heard.clear()
        for queue in self.listeners:
            queue.put_nowait(_HUNG_UP)

    def change(self, ref: UUID, **changed: Any) -> None:
        """Change a case's line and tell whoever listens."""
        self.lines = [replace(each, **changed) if each.ref == ref else each for each in self.lines]
        for queue in self.listeners:
            queue.put_nowait(views.Tick(ref, "north"))


class MadeUp:
    """`views.Console` over a World."""

    def __init__(self, world: World, visitor: views.Visitor) -> None:
        self._world = world
        self._visitor = visitor

    @property
    def visitor(self) -> views.Visitor:
        return self._visitor

    def _as(self, role: views.Role) -> None:
        if self._visitor.role != role:
            raise Problem(403, "forbidden", f"this page is for the role {role}")

    def _line(self, ref: UUID) -> views.CaseLine:
        self._as("clinician")
        found = next((each for each in self._world.lines if each.ref == ref), None)
        if found is None:
            raise Problem(404, "not_found", "there is no such case")
        return found

    async def caseload(self, wanted: views.CaseloadFilter) -> views.CaseloadPage:
        self._as("clinician")
        if "console" in self._world.down:
            raise Problem(503, "unavailable", "the read model does not answer")
        asked = {"week": wanted.week, "verdict": wanted.verdict, "risk": wanted.risk, "phase": wanted.phase}
        found = [
            each
            for each in self._world.lines
            if all(value is None or getattr(each, name) == value for name, value in asked.items())
        ]
        found.sort(key=lambda each: (not each.escalated, ("high", "raised", "low").index(each.risk)))
        start = int(wanted.after or 0)
        more = str(start + views.PAGE) if len(found) > start + views.PAGE else None
        return views.CaseloadPage(wanted, tuple(found[start : start + views.PAGE]), more, ("north",))

    async def case(self, ref: UUID) -> views.CasePage:
        found = self._line(ref)
        known = found.phase != "referred"
        done = (found.week or 1) - 1 if known else 0
        signed = views.Signature("ready", (), BEGAN + timedelta(days=56), None, "physician", True, "clinical_judgement")
        return views.CasePage(
            line=found,
            missing=() if known else ("medical_clearance", "assessment.posture"),
            alerts=("phq9_item9",) if found.escalated else (),
            baseline_pain=4.0 if known else None,
            demands=weeks(done) if known else (),
            sessions=sessions(done) if known else (),
            verdicts=verdicts(done) if known else (),
            plans=plans(done) if known else (),
            readiness=readiness(found.awaits_signature or found.phase == "closed") if known else None,
            signature=signed if found.phase == "closed" else None,
            grants=GRANTS if known else (),
            timeline=moments(0, views.PAGE if known else 1),
            timeline_next="50" if known else None,
            seen=(views.Seen(NOW, self._visitor.name, "clinician", "case"),),
            trace_url="http://127.0.0.1:9/trace" if known else None,
        )

    async def timeline(self, ref: UUID, after: str) -> views.TimelinePage:
        self._line(ref)
        if after != "50":
            raise Problem(422, "position.invalid", "give the `next` of an earlier answer", field="/query/after")
        return views.TimelinePage(moments(50, 7), None)

    async def sign_off(self, ref: UUID) -> views.SignOffPage:
        found = self._line(ref)
        if found.readiness is None:
            raise Problem(409, "nothing_to_sign", "there is no assessment yet: it comes with the first verdict")
        return views.SignOffPage(
            line=found,
            readiness=readiness(final=True),
            signature=None,
            recommended="ready_with_restrictions",
            roles=("occupational_therapist", "physician", "physical_therapist"),
            restrictions=RECOMMENDED,
            activities=("lift", "carry", "stand", "walk", "kneel", "work_hours"),
            zones=("floor_waist", "waist_shoulder", "overhead", "forward"),
        )

    async def preview(self, ref: UUID, form: Mapping[str, Sequence[str]]) -> views.Preview:
        signed = self._read(ref, form)
        status = {"ready": "no_restrictions", "ready_with_restrictions": "with_restrictions"}.get(signed.decision)
        told = views.EmployerPreview(
            "acme-logistics",
            None
            if status is None
            else {
                **UPDATE, "status": status, "effective_from": signed.effective_from.isoformat(),
                "effective_through": signed.effective_through and signed.effective_through.isoformat(),
                "restrictions": [each.model_dump(mode="json") for each in signed.restrictions],
                "outcome": signed.decision, "certifier_role": signed.role, "sequence": 2, "program": None,
            },
            "nothing_new" if status is None else None,
            ("work_status",),
            ("worker_consent",),
        )  # fmt: skip
        against = signed.decision != "ready_with_restrictions"
        return views.Preview(signed, against, (told,), shown=f"seal-{signed.decision}")

    async def sign(self, ref: UUID, form: Mapping[str, Sequence[str]], shown: str) -> views.Sent:
        if shown != f"seal-{self._read(ref, form).decision}":
            raise Problem(409, "not_as_shown", "employers would be told something else by now")
        self._world.signed.append((ref, {name: list(values) for name, values in form.items()}))
        return views.Sent("event-1")

    def _read(self, ref: UUID, form: Mapping[str, Sequence[str]]) -> ReadinessSigned:
        self._line(ref)
        one = {name: form[name][0] or None for name in ("role", "decision", "effective_from", "effective_through")}
        reason = form["reason_code"][0] or None
        if one["role"] is None:
            raise Problem(422, "role.missing", "choose the role that you sign as", field="/role")
        if one["decision"] != "ready_with_restrictions" and reason is None:
            raise Problem(
                422, "reason_required", "give a reason: this decision is another than recommended", field="/reason_code"
            )
        limits = [
            {
                "activity": activity, "zone": zone or None, "frequency": frequency or None,
                "limit": {"amount": float(most), "unit": unit} if most else None,
            }
            for activity, zone, frequency, most, unit in zip(
                *(form[name] for name in ("activity", "zone", "frequency", "limit", "unit")), strict=True
            )
        ]  # fmt: skip
        body = {**one, "reason_code": reason, "restrictions": limits, "readiness_event": "progress-readiness-1"}
        try:
            return ReadinessSigned.model_validate_json(json.dumps(body))
        except ValidationError as error:
            raise Problem(422, "form.invalid", "name a day until which it holds", field="/effective_through") from error

    async def employer(self, ref: UUID) -> views.EmployerPage:
        if "notify" in self._world.down:
            raise Problem(503, "unavailable", "notify does not answer", headers={"retry-after": "5"})
        both, consent = ("work_status", "attendance"), ("worker_consent",)
        told = (
            views.Disclosed("acme-logistics", "notify-3", 3, NOW, "webhook", both[:1], consent, READY),
            views.Disclosed("acme-logistics", "notify-2", 2, NOW, "webhook", both, consent, UPDATE),
            views.Disclosed("acme-logistics", "notify-1", 1, NOW - timedelta(days=30), "pull", both[:1], consent, None),
        )
        found = self._line(ref)
        known = found.phase != "referred"
        return views.EmployerPage(found, GRANTS if known else (), told if known else ())

    async def outcomes(self) -> views.OutcomesPage:
        north = views.Outcomes("north", table(FARED), months_after(AFTERWARDS))
        if self._visitor.role == "operations":
            return views.OutcomesPage((views.Outcomes(None, north.ends, north.months), north), (), more=False)
        due = (
            views.FollowUpDue(CLOSED, "north", 1, date(2025, 3, 1), "overdue"),
            views.FollowUpDue(CLOSED, "north", 3, date(2025, 4, 10), "due"),
        )
        return views.OutcomesPage((north,), due if self._world.lines else (), more=False)

    async def operations(self) -> views.OperationsPage:
        self._as("operations")
        up = [
            views.ServiceHealth(name, True, True, "", 12, 3, 0.2, 0, self._parked(name), 1 if name == "intake" else 0)
            for name in ("intake", "planning", "progress", "notify", "console")
            if name not in self._world.down
        ]
        down = [
            views.ServiceHealth(name, None, None, "no answer in 2 s", None, None, None, None, None, None)
            for name in self._world.down
        ]
        dead = views.DeadLetter("intake", "clinic.events.v1", 3, 8812, NOW, "ce_id is missing")
        ends = (
            views.Endpoint("acme-logistics", "active", "closed", None, 0, None),
            views.Endpoint("brick-and-sons", "active", "open", NOW - timedelta(hours=5), 14, 18_000.0),
        )
        return views.OperationsPage((*up, *down), tuple(self._world.parked), (dead,), ends)

    def _parked(self, service: str) -> int:
        return sum(each.service == service for each in self._world.parked)

    async def retry(self, service: str, ref: UUID) -> views.Retried:
        self._as("operations")
        return views.Retried(1, 2, "KeyError at planning/trajectory.py:88")

    async def discard(self, service: str, ref: UUID, reason: str) -> None:
        self._as("operations")
        if len(reason) < 3:
            raise Problem(422, "reason.missing", "say why it is given up", field="/reason")
        self._world.discarded.append((service, ref, reason))
        self._world.parked = [each for each in self._world.parked if (each.service, each.case) != (service, ref)]

    async def ticks(self, ref: UUID | None = None) -> AsyncIterator[views.Tick | None]:
        queue: asyncio.Queue[views.Tick | None] = asyncio.Queue()
        self._world.listeners.append(queue)
        self._world.heard.set()
        try:
            yield None
            while True:
                tick = await queue.get()
                if tick is _HUNG_UP:
                    return
                if tick is None or ref is None or tick.case == ref:
                    yield tick
        finally:
            self._world.listeners.remove(queue)
