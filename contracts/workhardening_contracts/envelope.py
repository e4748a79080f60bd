"""CloudEvents 1.0 attributes to and from Kafka headers and HTTP headers: strict, and our own.

Binary mode goes out; binary and structured mode come in. A missing required attribute is never defaulted: the
event is unreadable. (The CloudEvents SDK 2.2.0 mints a fresh id when `ce_id` is missing, which would turn one
event into many; it serves as an oracle in the tests instead.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, unquote
from uuid import UUID

from pydantic import BaseModel

from workhardening_contracts.contract import EventData, Violation, violation_of

__all__ = [
    "BATCHED",
    "BINARY",
    "MENDS",
    "PATTERNS",
    "REQUIRED",
    "STRUCTURED",
    "Envelope",
    "Event",
    "EventData",
    "Unreadable",
    "Violation",
    "clinic_source",
    "event_of",
    "media_type",
    "read_batch",
    "read_http",
    "read_kafka",
    "read_structured",
    "service_source",
    "strict_json",
    "violation_of",
    "write_http",
    "write_kafka",
    "write_structured",
]

D = TypeVar("D", bound=BaseModel, covariant=True)

BINARY = "application/json"
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

REQUIRED = ("id", "source", "type", "subject", "time")
_OPTIONAL = ("sequence", "causationid", "policyversion", "traceparent", "dataschema")
# Digits are written out: \d would let in the digits of other scripts.
PATTERNS = {
    "id": re.compile(r"[\x21-\x7e]{1,200}"),
    "source": re.compile(r"/[a-z0-9][a-z0-9_/.-]{0,119}"),
    "type": re.compile(r"[a-z][a-z0-9_.]{2,119}"),
    "subject": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "time": re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
    ),
    "sequence": re.compile(r"[1-9][0-9]{0,17}"),
    "causationid": re.compile(r"[\x21-\x7e]{1,330}"),
    "policyversion": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}"),
    "dataschema": re.compile(r"[\x21-\x7e]{1,200}"),
}
MENDS = {
    "id": "1 to 200 printable ASCII characters without spaces",
    "source": "a path such as /clinics/<id>",
    "type": "a type of the registry, such as org.workhardening.clinic.session.recorded.v1",
    "subject": "the case reference: a UUID in lower case with hyphens",
    "time": "an RFC 3339 date-time with an offset, such as 2026-03-02T09:30:00+01:00",
    "sequence": "a whole number from 1",
    "causationid": "the causing event as source#id",
    "policyversion": "up to 64 letters, digits and _.:+-",
    "dataschema": "a URI without spaces",
}
# All of printable ASCII but space, the double quote and the percent sign stands for itself in an HTTP header.
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_KNOWN = frozenset({"specversion", "datacontenttype", *REQUIRED, *_OPTIONAL})
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Unreadable(Violation):
    """An envelope or a JSON body that cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of one event with its data still as JSON bytes."""

    id: str
    source: str
    type: str
    subject: UUID
    """The case reference; also the Kafka key."""
    time: datetime
    """Business time, with an offset."""
    data: bytes
    sequence: int | None = None
    """Per case and topic, from 1, no gap; None from clinics, on rejections and of consultations."""
    causationid: str | None = None
    """`source#id` of the event that caused this one."""
    policyversion: str | None = None
    traceparent: str | None = None
    dataschema: str | None = None

    @property
    def reference(self) -> str:
        """What another event's `causationid` says of this one."""
        return f"{self.source}#{self.id}"


@dataclass(frozen=True, slots=True)
class Event(Generic[D]):
    """An event whose data has been validated against its contract."""

    envelope: Envelope
    data: D

    @property
    def id(self) -> str:
        return self.envelope.id

    @property
    def source(self) -> str:
        return self.envelope.source

    @property
    def type(self) -> str:
        return self.envelope.type

    @property
    def case(self) -> UUID:
        return self.envelope.subject

    @property
    def time(self) -> datetime:
        return self.envelope.time

    @property
    def reference(self) -> str:
        return self.envelope.reference


def clinic_source(clinic: str) -> str:
    """The `source` of a clinic's events."""
    return f"/clinics/{clinic}"


def service_source(service: str) -> str:
    """The `source` of a service's events."""
    return f"/services/{service}"


def strict_json(body: bytes) -> Any:
    """Parse JSON without duplicate keys, NaN, infinities or absurd depth. Raises Unreadable."""
    try:
        # Decoded here, since json.loads would guess UTF-16 and UTF-32, and let lone surrogates through.
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
        )
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("json.too_deep", "", "the JSON is nested too deeply") from None
    except ValueError:
        raise Unreadable("json.invalid", "", "the body is not valid JSON in UTF-8") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("json.duplicate_key", "", "a JSON object names the same key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise Unreadable("json.number", "", "a number is too large")
    return number


def _no_constant(_: str) -> float:
    raise Unreadable("json.number", "", "NaN and Infinity are not JSON numbers")


def read_kafka(key: bytes | None, headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Envelope:
    """Read a Kafka record, binary or structured. Raises Unreadable.

    A null or non-UTF-8 header value, a header given twice with different values, a null value and a key that is
    not the subject all make the record unreadable.
    """
    given: dict[str, str] = {}
    for name, raw in headers:
        lowered = name.lower()
        if lowered != "content-type" and not lowered.startswith("ce_"):
            continue
        try:
            text = None if raw is None else raw.decode("utf-8")
        except UnicodeDecodeError:
            text = None
        if text is None:
            raise Unreadable("envelope.header", f"/{_shown(lowered)}", "a header is null or not UTF-8")
        if given.setdefault(lowered, text) != text:
            raise Unreadable("envelope.header_twice", f"/{_shown(lowered)}", "a header is given twice")
    if value is None:
        raise Unreadable("envelope.no_data", "/data", "the record has no value")
    envelope = _read(given, "ce_", value)
    if key is None or key != str(envelope.subject).encode():
        raise Unreadable("envelope.key", "/key", "the Kafka key must be the subject, the case reference")
    return envelope


def read_http(headers: Iterable[tuple[str, str]], body: bytes) -> Envelope:
    """Read an HTTP request, binary (`ce-*` headers) or structured. Raises Unreadable."""
    given: dict[str, str] = {}
    for name, text in headers:
        lowered = name.lower()
        if lowered != "content-type" and not lowered.startswith("ce-"):
            continue
        # Header values are percent-encoded (CloudEvents HTTP binding 1.0, 3.1.3.2); what decodes to no UTF-8 is refused
        # by its pattern.
        if "%" in text and lowered != "content-type":
            text = unquote(text)
        if given.setdefault(lowered, text) != text:
            raise Unreadable("envelope.header_twice", f"/{_shown(lowered)}", "a header is given twice")
    return _read(given, "ce-", body)


def read_structured(body: bytes) -> Envelope:
    """Read a structured-mode event: one JSON object with the attributes and `data`. Raises Unreadable."""
    return _structured(strict_json(body))


def read_batch(body: bytes) -> list[Envelope | Unreadable]:
    """Read a batch: one JSON array of structured events, each read for itself. An empty one is a batch.

    Raises Unreadable where it is no array at all. (CloudEvents JSON format 1.0, 4.)
    """
    documents = strict_json(body)
    if not isinstance(documents, list):
        raise Unreadable("envelope.batch", "", "a batch is one JSON array of structured events")
    read: list[Envelope | Unreadable] = []
    for document in cast("list[Any]", documents):
        try:
            read.append(_structured(document))
        except Unreadable as error:
            read.append(error)
    return read


def media_type(content_type: str) -> str:
    """A media type without its parameters."""
    return content_type.split(";")[0].strip().lower()


def _structured(document: Any) -> Envelope:
    if not isinstance(document, dict):
        raise Unreadable("envelope.structured", "", "a structured event is one JSON object")
    fields = cast("dict[str, Any]", document)
    if "data" not in fields:
        raise Unreadable("envelope.no_data", "/data", "the event has no data")
    if "data_base64" in fields:
        raise Unreadable("envelope.data_twice", "/data_base64", "send data or data_base64, not both; ours is data")
    attributes: dict[str, str] = {}
    for name, text in fields.items():
        # A null is an absent attribute and extensions may be of any type (CloudEvents JSON format 1.0, 2.2 and 2.3).
        if name not in _KNOWN or text is None:
            continue
        if name == "sequence" and type(text) is int:
            text = str(text)
        if not isinstance(text, str):
            raise Unreadable("envelope.attribute", f"/{name}", "an attribute must be a string")
        attributes[name] = text
    if media_type(attributes.get("datacontenttype", BINARY)) != BINARY:
        raise Unreadable("envelope.content_type", "/datacontenttype", f"data must be {BINARY}")
    try:
        data = json.dumps(fields["data"], separators=(",", ":")).encode()
    except RecursionError:
        raise Unreadable("json.too_deep", "/data", "the JSON is nested too deeply") from None
    return _checked(attributes, data)


def _read(given: Mapping[str, str], prefix: str, body: bytes) -> Envelope:
    content = media_type(given.get("content-type", BINARY))
    if content == STRUCTURED:
        return read_structured(body)
    if content != BINARY:
        raise Unreadable("envelope.content_type", "/content-type", f"send {BINARY} or {STRUCTURED}")
    return _checked({name.removeprefix(prefix): text for name, text in given.items()}, body)


def _checked(attributes: Mapping[str, str], data: bytes) -> Envelope:
    if attributes.get("specversion") != "1.0":
        raise Unreadable("envelope.specversion", "/specversion", "specversion must be 1.0")
    for name in REQUIRED:
        if name not in attributes:
            raise Unreadable("envelope.missing", f"/{name}", f"{name} is required: {MENDS[name]}")
    for name, pattern in PATTERNS.items():
        if name in attributes and not pattern.fullmatch(attributes[name]):
            raise Unreadable("envelope.attribute", f"/{name}", f"{name} must be {MENDS[name]}")
    try:
        time = datetime.fromisoformat(attributes["time"])
        time.astimezone(UTC)  # a time near year 1 or 9999 has no UTC; nobody could store it
    except (ValueError, OverflowError):
        raise Unreadable("envelope.attribute", "/time", f"time must be {MENDS['time']}") from None
    traceparent = attributes.get("traceparent", "")
    return Envelope(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        subject=UUID(attributes["subject"]),
        time=time,
        data=data,
        sequence=int(attributes["sequence"]) if "sequence" in attributes else None,
        causationid=attributes.get("causationid"),
        policyversion=attributes.get("policyversion"),
        # A forged or malformed traceparent must not cost anyone an event: it is dropped.
        traceparent=traceparent if _TRACEPARENT.fullmatch(traceparent) else None,
        dataschema=attributes.get("dataschema"),
    )


def _attributes(envelope: Envelope) -> dict[str, str]:
    written = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": str(envelope.subject),
        "time": envelope.time.isoformat(),
    }
    for name in _OPTIONAL:
        given = getattr(envelope, name)
        if given is not None:
            written[name] = str(given)
    return written


def write_kafka(envelope: Envelope) -> tuple[bytes, list[tuple[str, bytes]], bytes]:
    """Key, headers and value of a binary-mode record."""
    headers = [(f"ce_{name}", text.encode()) for name, text in _attributes(envelope).items()]
    headers.append(("content-type", BINARY.encode()))
    return str(envelope.subject).encode(), headers, envelope.data


def write_http(envelope: Envelope) -> tuple[dict[str, str], bytes]:
    """Headers and body of a binary-mode request."""
    headers = {f"ce-{name}": quote(text, safe=_HEADER_SAFE) for name, text in _attributes(envelope).items()}
    return headers | {"content-type": BINARY}, envelope.data


def write_structured(envelope: Envelope) -> dict[str, Any]:
    """The structured-mode document, data included as JSON."""
    return {**_attributes(envelope), "data": json.loads(envelope.data)}


def event_of(
    data: EventData,
    *,
    id: str,
    source: str,
    subject: UUID,
    time: datetime,
    traceparent: str | None = None,
    causationid: str | None = None,
) -> Envelope:
    """The envelope for an event a partner is about to send.

    Raises ValueError for a time without offset and Unreadable for an attribute that every reader would refuse.
    """
    if time.tzinfo is None:
        raise ValueError("time needs an offset")
    envelope = Envelope(
        id=id,
        source=source,
        type=data.TYPE,
        subject=subject,
        time=time.astimezone(UTC),
        data=data.model_dump_json(exclude_none=True).encode(),
        causationid=causationid,
        traceparent=traceparent,
        dataschema=data.dataschema(),
    )
    return _checked(_attributes(envelope), envelope.data)


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[a-z0-9_-]{1,40}", name) else "?"
