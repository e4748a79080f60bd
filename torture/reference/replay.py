"""Replay a case's log: apply each event to the state, or let it wait, or refuse it; then offer again what waits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pydantic import ValidationError

from torture.reference.numbers import WAITING
from workhardening_contracts.contract import Violation
from workhardening_contracts.envelope import strict_json
from workhardening_contracts.registry import BY_TYPE, CLINIC_TOPIC

Json = dict[str, Any]
State = Json | None
CLINIC = "org.workhardening.clinic."
REJECTED = "org.workhardening.rejections.event.rejected.v1"


@dataclass(frozen=True)
class Event:
    """One event of a case."""

    source: str
    id: str
    type: str
    case: str
    time: datetime
    data: Json
    cause: str | None = None

    @property
    def reference(self) -> str:
        """What another event's `causationid` says of this one."""
        return f"{self.source}#{self.id}"

    @property
    def day(self) -> date:
        """The business date, by the sender's own clock."""
        return self.time.date()

    @property
    def name(self) -> str:
        """The type without its prefix and version, e.g. `clinic.day.closed`."""
        return self.type.removeprefix("org.workhardening.").rsplit(".", 1)[0]


@dataclass(frozen=True)
class Said:
    """An event or an effect that a service must have made, as far as the model decides it."""

    type: str
    id: str
    cause: str
    sequence: int | None
    data: Json


class Waits(Exception):
    """The event's premise has not come."""


class Refused(Exception):
    """The judge refuses the event; the argument is the code."""


class Erased(Exception):
    """All that is held of the case is deleted."""


Handler = Callable[[State, Event], tuple[State, list[tuple[str, Json]]]]
"""(state, event) -> (next state, what is said: name and data). It may change the state
that it is given, but not before it waits or refuses."""


@dataclass
class Replay:
    """A case as the model has it."""

    state: State = None
    waiting: list[Event] = field(default_factory=list[Event])
    said: list[Said] = field(default_factory=list[Said])
    sequences: dict[str, int] = field(default_factory=dict[str, int])
    results: dict[str, str] = field(default_factory=dict[str, str])
    """Event -> what became of it in the end, as the log must say it."""
    erased: bool = False


@dataclass(frozen=True)
class Model:
    """One service: what it reads, and what each event does."""

    service: str
    on: Mapping[str, Handler]

    def take(self, case: Replay, event: Event) -> str:
        """Apply one event, then what was waiting; the result of the first."""
        result = case.results[event.reference] = self._apply(case, event)
        going = result == "folded"
        while going and case.waiting and not case.erased:
            going = False
            for each in list(case.waiting):
                line = case.waiting.copy()
                case.waiting.remove(each)
                came = self._apply(case, each, again=True)
                if came == "waiting":
                    case.waiting = line
                    continue
                case.results[each.reference] = came
                going = True
                break
        return result

    def give_up(self, case: Replay, events: list[Event]) -> None:
        """What waited too long is refused, or dropped by a service that does not judge it."""
        for event in events:
            case.waiting.remove(event)
            case.results[event.reference] = "rejected" if self.judges(event.type) else "discarded"
            if self.judges(event.type):
                self._say(case, event, "rejections.event.rejected", {"code": "wait_expired"}, 0)

    def judges(self, type_: str) -> bool:
        """Whether this service may refuse this type."""
        return type_ in BY_TYPE and BY_TYPE[type_].judge == self.service

    def _apply(self, case: Replay, event: Event, *, again: bool = False) -> str:
        if not is_valid(event):
            return self.refuse(case, event, None)
        if case.erased:
            return self.refuse(case, event, "case_erased")
        if case.state is not None and _sender(event) not in (None, case.state["clinic"]):
            return self.refuse(case, event, "foreign_source")
        try:
            state, said = self.on[event.name](case.state, event)
        except Waits:
            if len(case.waiting) >= WAITING and not again:
                return self.refuse(case, event, "waiting_full")
            if not again:
                case.waiting.append(event)
            return "waiting"
        except Refused as refused:
            return self.refuse(case, event, str(refused))
        except Erased:
            case.state, case.waiting, case.erased = None, [], True
            return "folded"
        case.state = state
        for nth, (name, data) in enumerate(said):
            self._say(case, event, name, data, nth)
        return "folded"

    def refuse(self, case: Replay, event: Event, code: str | None) -> str:
        """Refuse an event, as far as this service judges it; the result as the log must say it."""
        if not self.judges(event.type):
            return "ignored"
        self._say(case, event, "rejections.event.rejected", {"code": code} if code else {}, 0)
        return "rejected"

    def _say(self, case: Replay, event: Event, name: str, data: Json, nth: int) -> None:
        type_ = f"org.workhardening.{name}.v1"
        if type_ == REJECTED:
            data = data | {"judge": self.service, "rejected_source": event.source, "rejected_id": event.id}
            case.said.append(Said(type_, "", event.reference, None, data))
            return
        topic = BY_TYPE[type_].topic if type_ in BY_TYPE else name
        case.sequences[topic] = case.sequences.get(topic, 0) + 1
        sequence = case.sequences[topic]
        case.said.append(Said(type_, own_id(self.service, event, nth), event.reference, sequence, data))


def own_id(service: str, cause: Event, nth: int) -> str:
    """The id of the `nth` event that a service makes of `cause`: derived, so that making it again names the same."""
    return f"{cause.case}.{hashlib.sha256(f'{service}|{cause.reference}|{nth}'.encode()).hexdigest()[:16]}"


def is_valid(event: Event) -> bool:
    """Whether its data keeps its contract, as a consumer reads it."""
    return event.data.get("") is None


def read(body: bytes, type_: str) -> Json:
    """An event's data; `{"": "invalid"}` for what breaks its contract, which no contract allows as a field."""
    try:
        data: Json = strict_json(body)
        BY_TYPE[type_].model.model_validate_json(body, extra="ignore")
    except (Violation, ValidationError):
        return {"": "invalid"}
    return data


def _sender(event: Event) -> str | None:
    """The clinic that an event comes from or speaks of; None for a rejection, which lays no claim to its case."""
    if event.type == REJECTED:
        return None
    named = event.data.get("clinic")
    if isinstance(named, str):
        return named
    return event.source.removeprefix("/clinics/") if event.source.startswith("/clinics/") else ""


def on_erased(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    """A case that is known is erased; a stranger cannot bar one that is about to be opened."""
    if state is None:
        raise Waits
    raise Erased


def clinic_topic(type_: str) -> bool:
    """Whether clinics publish this type."""
    return type_ in BY_TYPE and BY_TYPE[type_].topic == CLINIC_TOPIC
