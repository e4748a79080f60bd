"""One case as its clinic handles it: hears what the program decided, says what the clinic sends next.

A state machine without I/O and without a clock. The case has a calendar of its own: it asks for a day to be closed
(`next_close`), works off what lies before it (`work`) and is told when it was closed (`closed`). All chance comes from
generators named by purpose, so that what is sent does not depend on the order in which answers arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID

from simulator import admission, hostile, workers
from simulator.admission import Draft
from simulator.canaries import plant
from simulator.ledger import Sending
from simulator.workers import Worker
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseWithdrawn,
    ConsentRevoked,
    DayClosed,
    FollowUpRecorded,
    ReadinessSigned,
    ReadinessWithdrawn,
    ReferralCorrected,
    ReferralReceived,
    Restriction,
    Session,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import FREQUENCY_ORDER
from workhardening_contracts.envelope import Event, clinic_source, event_of
from workhardening_contracts.intake import CaseDeclined, CaseOpened, InformationNeeded
from workhardening_contracts.planning import PlanIssued, PlannedWeek, PlanRevised
from workhardening_contracts.progress import CaseClosed, ReadinessAssessed, ReadinessRevoked
from workhardening_contracts.quantity import Quantity

# How clinics behave where no source tells; small, so that each path is walked in a cohort and none rules it.
SIGNED_EARLY = 0.7
CONTRADICTS = 0.05
FORGETS_TO_SIGN = 0.015
WITHDRAWS_READINESS = 0.05
REVOKES_CONSENT = 0.03
LEAVES_AFTER_ESCALATION = 0.4
FOLLOWED_UP = 0.6

REASONS_TO_LEAVE = ("worker_choice", "moved", "returned_elsewhere")

RESTRICTED_DAYS = 28  # a work status with restrictions is written for four weeks, then seen again


class Case:
    """One case of one clinic."""

    def __init__(
        self,
        ref: UUID,
        clinic: str,
        worker: Worker,
        draft: Draft,
        starts_on: date,
        employer: str | None,
        random: Callable[[str], Random],
        *,
        mischief: float = 0.0,
        victim: str | None = None,
        canaries: bool = False,
    ) -> None:
        """`starts_on` is a Monday; `random` gives the generator for a purpose; `victim` is a clinic to be forged.

        `canaries`: they are planted in all that is said.
        """
        self.ref = ref
        self.clinic = clinic
        self.worker = worker
        self.starts_on = starts_on
        self.employer = employer
        self.begun = False
        """Whether the clinic has referred the worker."""
        self.stage = "not referred yet"
        """Where the case stands, or what it waits for; for people."""
        self.outcome: str | None = None
        """`declined`, or the outcome of CaseClosed."""
        self.ended = False
        self.next_close: date | None = starts_on - timedelta(days=1)
        """The day that must be closed before the case can go on; None while it waits for an answer, or has ended."""
        self.weeks = 0
        self._random = random
        self._mischief = mischief
        self._victim = victim
        self._canaries = canaries
        self._heard: set[str] = set()
        self._draft = draft
        self._corrected = False
        self._opened = False
        self._second_part: AssessmentRecorded | None = None
        self._early_session: date | None = None
        self._week: PlannedWeek | None = None
        self._last_week = 0
        self._reassess_on: date | None = None
        self._readiness: Event[ReadinessAssessed] | None = None
        self._signed = False
        self._signatures: list[str] = []
        """The assessments that were signed, latest last: one may be replaced while its signature is on its way."""
        self._late: tuple[Sending, ...] = ()

    def hear(self, event: Event[Any]) -> list[Sending]:
        """What the clinic sends on hearing this event of its feed. Hearing one again sends nothing."""
        if self.ended or event.id in self._heard:
            return []
        self._heard.add(event.id)
        data = event.data
        match data:
            case InformationNeeded():
                sendings = self._complete(data)
            case CaseDeclined():
                sendings = self._declined()
            case CaseOpened():
                sendings = self._admit()
            case PlanIssued() | PlanRevised():
                sendings = self._plan(data, event)
            case ReadinessAssessed():
                sendings = self._judge_readiness(event)
            case CaseClosed():
                sendings = self._close(data)
            case ReadinessRevoked():
                self._end("ended after its readiness was revoked")
                sendings = []
            case _:
                sendings = []
        return self._sprinkled(sendings, event.id)

    def work(self) -> list[Sending]:
        """What is reported of the time up to `next_close`."""
        if self._week is not None:
            week, self._week = self._week, None
            return self._sprinkled(self._train(week), f"week.{week.number}")
        if self._reassess_on is not None:
            on, self._reassess_on = self._reassess_on, None
            whole = admission.assess(self.worker, on, self._random(f"assessment.{on}"))
            return [self._say(whole, f"assessment.{on}", on)]
        return []

    def day_closed(self, through: date) -> Sending:
        """The closing of a day for this case alone."""
        return self._say(DayClosed(through=through), f"closed.{through}", through, hour=23)

    def closed(self, through: date) -> list[Sending]:
        """The day was closed: `next_close` is done with. A case that begins now is referred."""
        if self.next_close is None or self.next_close > through:
            return []
        self.next_close = None
        if self.begun:
            return []
        self.begun = True
        self.stage = "waiting for a decision on the referral"
        referral = self._say(ReferralReceived(referral=self._draft.first), "referral", self.starts_on)
        return self._sprinkled([referral], "start")

    def _complete(self, needed: InformationNeeded) -> list[Sending]:
        if any(missing.startswith("assessment.") for missing in needed.missing):
            part, self._second_part = self._second_part, None
            return [] if part is None else [self._say(part, "assessment.2", part.assessed_on)]
        if self._corrected:
            return []
        self._corrected = True
        correction = ReferralCorrected(supersedes=f"{self.ref}.referral", referral=self._draft.complete)
        return [self._say(correction, "referral.corrected", self.starts_on + timedelta(days=1))]

    def _declined(self) -> list[Sending]:
        if not self._opened:
            self.outcome = "declined"
            self._end("declined")
        return []

    def _admit(self) -> list[Sending]:
        if self._opened:
            return []
        self._opened = True
        self.stage = "waiting for the plan"
        on = self.starts_on + timedelta(days=2)
        random = self._random("assessment")
        whole = admission.assess(self.worker, on, random)
        sendings: list[Sending] = []
        if self.employer is not None and random.random() < 0.95:
            sendings.append(self._say(admission.consent(self.employer, on, random), "consent", on))
        if self._random("early").random() < self._mischief:
            sendings.append(self._walk_in())
        if random.random() < 0.3:
            first, self._second_part = admission.split(whole)
            return [*sendings, self._say(first, "assessment.1", on)]
        return [*sendings, self._say(whole, "assessment", on)]

    def _walk_in(self) -> Sending:
        """A session before there is a plan: the worker came on the first Monday, and it was entered at once."""
        on = self._early_session = self.starts_on + timedelta(days=7)
        session = Session(held_on=on, attendance="attended", hours=self.worker.hours, pain_next_day=self.worker.pain)
        return replace(self._say(SessionRecorded(session=session), f"session.{on}", on), mischief="early")

    def _plan(self, plan: PlanIssued | PlanRevised, event: Event[Any]) -> list[Sending]:
        late, self._late = self._late, ()
        if self._signed:
            return []
        if isinstance(plan, PlanRevised) and plan.frozen:
            return [*late, *self._escalated(plan, event)]
        week = next((week for week in plan.weeks if week.number == plan.current_week), None)
        if week is None or week.number <= self._last_week:
            return list(late)
        self._week, self._last_week = week, week.number
        self.next_close = week.ends_on
        self.stage = f"waiting for the verdict of week {week.number}"
        return list(late)

    def _escalated(self, plan: PlanRevised, event: Event[Any]) -> list[Sending]:
        monday = plan.effective_from
        if self._random(f"escalated.{event.id[-4:]}").random() < LEAVES_AFTER_ESCALATION:
            return [self._withdraw(monday, "medical")]
        self._reassess_on = monday + timedelta(days=2)
        self.next_close = monday + timedelta(days=6 - monday.weekday())
        self.stage = "waiting for the plan to be unfrozen"
        return []

    def _train(self, week: PlannedWeek) -> list[Sending]:
        random = self._random(f"week.{week.number}")
        self.weeks += 1
        days = workers.training_days(week)
        leaves_on = random.choice(days) if self.weeks == self.worker.leave_week else None
        sessions: list[Sending] = []
        alarm: Sending | None = None
        for on in days:
            if on == leaves_on:
                if self.worker.says_so:
                    self.next_close = None
                    return [*sessions, self._withdraw(on, random.choice(REASONS_TO_LEAVE))]
                self.worker = replace(self.worker, gone=True)
            self.worker, session = workers.day(self.worker, week, on, self._random(f"day.{on}"))
            if session is not None and on != self._early_session:
                sessions.append(self._say(SessionRecorded(session=session), f"session.{on}", on))
                if session.safety_stop:
                    alarm = sessions[-1]
                    break  # nobody trains on after an alarm
        disturbed = hostile.disturb(sessions, self._mischief, self._random(f"disturb.{week.number}"))
        self._late = disturbed.late
        sendings = list(disturbed.now)
        if alarm is not None and any(sending.envelope.id == alarm.envelope.id for sending in sendings):
            self.next_close = alarm.envelope.time.date()  # the day is closed at once, and does not wait for the week
        if week.number == 3 and self.employer and random.random() < REVOKES_CONSENT:
            revoked = ConsentRevoked(employer=self.employer, scopes=("work_status",))
            sendings.append(self._say(revoked, "consent.revoked", week.ends_on))
        return sendings

    def _withdraw(self, on: date, reason: str) -> Sending:
        self.stage = "waiting for the withdrawal to close the case"
        self._signed = True
        return self._say(CaseWithdrawn(withdrawn_on=on, reason_code=reason), "withdrawn", on, hour=18)

    def _judge_readiness(self, event: Event[ReadinessAssessed]) -> list[Sending]:
        earlier, self._readiness = self._readiness, event
        found = event.data
        if found.supersedes is not None:
            # Told anew, since a session of it was corrected. What was not signed yet waits as before.
            random = self._random(f"readiness.{found.week}.{len(self._signatures)}")
            return [self._sign(event, random)] if [found.supersedes] == self._signatures[-1:] else []
        if self._signed:
            return []
        random = self._random(f"readiness.{found.week}")
        sendings: list[Sending] = []
        if earlier is not None and random.random() < self._mischief:
            on = found.assessed_through + timedelta(days=1)
            stale = ReadinessSigned(
                readiness_event=earlier.id, role="physician", decision="not_ready", effective_from=on,
                reason_code="clinical_judgement",
            )  # fmt: skip
            said = self._say(stale, f"signed.{found.week}.superseded", on)
            sendings.append(replace(said, expected="reject", mischief="superseded_signature"))
        if found.final:
            return [*sendings, *self._final(event, random)]
        # A signature on an assessment whose next week has begun would race with that week's own assessment.
        if found.readiness == "meets" and self._last_week <= found.week and random.random() < SIGNED_EARLY:
            return [*sendings, self._sign(event, random)]
        return sendings

    def _final(self, event: Event[ReadinessAssessed], random: Random) -> list[Sending]:
        if random.random() < FORGETS_TO_SIGN:
            expires = event.data.expires_on + timedelta(days=1)
            self.next_close = expires + timedelta(days=6 - expires.weekday())
            self.stage = "waiting for the unsigned assessment to expire"
            return []
        return [self._sign(event, random)]

    def _sign(self, event: Event[ReadinessAssessed], random: Random) -> Sending:
        self._signed = True
        self._signatures.append(event.id)
        self._week = None
        self.next_close = None
        self.stage = "waiting for the signature to be taken up"
        found = event.data
        on = found.assessed_through + timedelta(days=1)
        contradicts = random.random() < CONTRADICTS
        restrictions = tuple(found.restrictions)
        match found.readiness:
            case "meets":
                decision = "not_ready" if contradicts else "ready"
            case "meets_with_restrictions":
                decision = "ready" if contradicts else "ready_with_restrictions"
            case _:
                decision = "ready_with_restrictions" if contradicts else "not_ready"
                restrictions = (self._light_duty(),)
        restricted = decision == "ready_with_restrictions"
        signature = ReadinessSigned(
            readiness_event=event.id,
            role=random.choice(("physician", "occupational_therapist", "physical_therapist")),
            decision=decision,
            restrictions=restrictions if restricted else (),
            effective_from=on,
            effective_through=on + timedelta(days=RESTRICTED_DAYS) if restricted else None,
            reason_code="clinical_judgement" if contradicts else None,
        )
        again = f".{len(self._signatures)}" if len(self._signatures) > 1 else ""
        return self._say(signature, f"signed.{found.week}{again}", on)

    def _light_duty(self) -> Restriction:
        return Restriction(
            activity="lift", zone="floor_waist", frequency=FREQUENCY_ORDER[1], limit=Quantity(amount=20.0, unit="lb")
        )

    def _close(self, closed: CaseClosed) -> list[Sending]:
        self.outcome = closed.outcome
        self._week, self.next_close = None, None
        random = self._random("after")
        returned = closed.outcome in ("ready", "ready_with_restrictions")
        if returned and random.random() < WITHDRAWS_READINESS:
            self.stage = "waiting for the readiness to be revoked"
            on = closed.closed_on + timedelta(days=10)
            data = ReadinessWithdrawn(role="physician", reason_code="symptoms_returned", withdrawn_on=on)
            return [self._say(data, "readiness.withdrawn", on)]
        self._end("ended")
        if closed.outcome in ("withdrawn", "discontinued") or random.random() >= FOLLOWED_UP:
            return []
        return [self._follow_up(closed, month, returned, random) for month in (1, 3, 6, 12)]

    def _follow_up(self, closed: CaseClosed, month: int, returned: bool, random: Random) -> Sending:
        on = closed.closed_on + timedelta(days=round(month * 30.4))
        working = "usual_job" if closed.outcome == "ready" else "modified_work"
        data = FollowUpRecorded.model_validate(
            {
                "month": month,
                "as_of": on,
                "reinjured": "yes" if random.random() < 0.03 else "no",
                "working": working if returned and random.random() < 0.93 else "not_working",
            }
        )
        return self._say(data, f"follow_up.{month}", on)

    def _end(self, stage: str) -> None:
        self.stage, self.ended, self.next_close = stage, True, None

    def _say(self, data: EventData, label: str, on: date, *, hour: int = 15) -> Sending:
        envelope = event_of(
            plant(data) if self._canaries else data,
            id=f"{self.ref}.{label}",
            source=clinic_source(self.clinic),
            subject=self.ref,
            time=datetime.combine(on, time(hour), UTC),
        )
        return Sending(envelope)

    def _sprinkled(self, sendings: Sequence[Sending], purpose: str) -> list[Sending]:
        return hostile.sprinkle(sendings, self._victim, self._mischief, self._random(f"sprinkle.{purpose}"))
