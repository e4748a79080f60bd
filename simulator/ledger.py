"""What was sent and what answer came: the other half of every reconciliation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from workhardening_contracts.envelope import Envelope

Expected = Literal["accept", "reject", "duplicate", "dead_letter", "wait"]
"""What the system should do with it: fold it; refuse it (at the door or by EventRejected); absorb it as one it knows;
dead-letter it; or keep it waiting for a premise that never comes."""

Via = Literal["http", "kafka"]


@dataclass(frozen=True, slots=True)
class Sending:
    """An event to be sent, and what should come of it."""

    envelope: Envelope
    expected: Expected = "accept"
    mischief: str | None = None
    """The kind of hostile or untidy input it is; None for regular business."""
    status: int = 202
    """The HTTP status that the front door should answer."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record that is no event; only a clinic's own Kafka topic takes it."""

    name: str
    """Tells it apart in the ledger; never in the record."""
    mischief: str
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None


@dataclass(slots=True)
class Entry:
    """One line of the ledger."""

    source: str
    id: str
    type: str
    case: str
    clinic: str
    """Whose key or topic it went by."""
    via: Via
    expected: Expected
    mischief: str | None
    wanted: int | None
    """The HTTP status that should come; None over Kafka."""
    answer: int | None
    """The HTTP status that came; None over Kafka, where the broker's acknowledgement is all."""
    attempts: int
    refused: str | None = None
    """The code of the EventRejected that was heard in the feed."""

    @property
    def surprising(self) -> bool:
        """Whether something else came of it than expected, as far as a clinic can see."""
        if self.answer != self.wanted:
            return True
        return self.unanswered or (self.expected in ("accept", "duplicate") and self.refused is not None)

    @property
    def unanswered(self) -> bool:
        """Whether its refusal is still to be heard in the feed."""
        passed_the_door = self.answer is None or self.answer == 202
        return self.expected == "reject" and passed_the_door and self.refused is None


@dataclass(slots=True)
class DayClose:
    """A clinic closed a day for all its open cases at once; the front door makes one DayClosed of each."""

    clinic: str
    through: str
    answer: int
    attempts: int


@dataclass
class Ledger:
    """Everything the simulator sent. With a path, each answer is a line of JSON there as soon as it is known."""

    path: Path | None = None
    entries: list[Entry] = field(default_factory=list[Entry])
    closes: list[DayClose] = field(default_factory=list[DayClose])
    errors: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])
    """Each different answer that said no: HTTP status and body."""
    _known: dict[tuple[str, str], Entry] = field(default_factory=dict[tuple[str, str], Entry])
    _early: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """Refusals that were heard before the answer to the sending: a service died that had passed it on."""
    _file: TextIO | None = None

    def __enter__(self) -> Ledger:
        if self.path is not None:
            self._file = self.path.open("w", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def sent(self, sending: Sending | RawRecord, clinic: str, via: Via, answer: int | None, attempts: int) -> None:
        """Note a sending and its answer."""
        if isinstance(sending, RawRecord):
            entry = Entry(
                f"/clinics/{clinic}", sending.name, "", "", clinic, via, "dead_letter", sending.mischief, None,
                answer, attempts,
            )  # fmt: skip
        else:
            envelope = sending.envelope
            entry = Entry(
                source=envelope.source,
                id=envelope.id,
                type=envelope.type,
                case=str(envelope.subject),
                clinic=clinic,
                via=via,
                # What bears an id or a source that may be someone else's is not answered by EventRejected: the answer
                # would speak of their event. The front door says 403 or 409 instead; over Kafka it is a dead letter.
                expected="dead_letter" if via == "kafka" and sending.status in (403, 409) else sending.expected,
                mischief=sending.mischief,
                wanted=sending.status if via == "http" else None,
                answer=answer,
                attempts=attempts,
            )
        self.entries.append(entry)
        # A refusal names an id; where an id was used twice it is the later use, the untidy one, that is refused.
        self._known[entry.source, entry.id] = entry
        entry.refused = self._early.pop((entry.source, entry.id), None)
        self._write("sent", asdict(entry))

    def closed(self, clinic: str, through: str, answer: int, attempts: int) -> None:
        """Note a day that was closed for a whole clinic."""
        close = DayClose(clinic, through, answer, attempts)
        self.closes.append(close)
        self._write("day_closed", asdict(close))

    def refused(self, source: str, id: str, code: str) -> None:
        """Note an EventRejected of the feed."""
        entry = self._known.get((source, id))
        if entry is None:
            self._early[source, id] = code
        else:
            entry.refused = code
        self._write("refused", {"source": source, "id": id, "code": code})

    def said_no(self, status: int, text: str) -> None:
        """Note what a door says that does not take or give something."""
        if (status, text) not in self.errors:
            self.errors.add((status, text))
            self._write("error", {"status": status, "text": text})

    def unanswered(self, clinic: str) -> bool:
        """Whether refusals of this clinic's events are still to be heard."""
        return any(entry.unanswered for entry in self.entries if entry.clinic == clinic)

    def surprises(self) -> list[Entry]:
        """The entries of which something else came than expected."""
        return [entry for entry in self.entries if entry.surprising]

    def _write(self, what: str, facts: dict[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"what": what, **facts}) + "\n")
            self._file.flush()
