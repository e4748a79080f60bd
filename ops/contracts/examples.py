"""Golden records that must be read and hostile ones that must be refused, each with its code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workhardening_contracts.envelope import Envelope, Violation, read_http, read_kafka, read_structured
from workhardening_contracts.registry import Entry, open_closed

_FOLDER = "contracts/examples"

Door = Literal["kafka", "http"]


class Hex(BaseModel):
    """Bytes that are no text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hex: Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]


class Repeat(BaseModel):
    """A text over and over: what would be too long to keep in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repeat: str
    times: Annotated[int, Field(ge=1, le=1_000_000)]


class Hostile(BaseModel):
    """A record that is refused. Headers are named as on Kafka (`ce_id`); the HTTP door gets them as `ce-id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: Annotated[str, Field(min_length=1)]
    door: Literal["kafka", "http", "both"]
    key: str | None
    headers: tuple[tuple[str, str | Hex | None], ...]
    value: Hex | Repeat | str | dict[str, Any] | None
    """An object is sent as JSON, a text as it stands."""
    code: str
    """The code of the Violation."""

    @property
    def doors(self) -> tuple[Door, ...]:
        return ("kafka", "http") if self.door == "both" else (self.door,)


def as_bytes(value: Hex | Repeat | str | Mapping[str, Any]) -> bytes:
    """What is sent."""
    if isinstance(value, Hex):
        return bytes.fromhex(value.hex)
    if isinstance(value, Repeat):
        return (value.repeat * value.times).encode()
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def open_at(door: Door, record: Hostile) -> Envelope:
    """Read and validate a record as the door does. Raises Violation."""
    body = None if record.value is None else as_bytes(record.value)
    if door == "kafka":
        headers = [(name, None if text is None else as_bytes(text)) for name, text in record.headers]
        envelope = read_kafka(None if record.key is None else record.key.encode(), headers, body)
    else:
        # An HTTP server hands header bytes over as Latin-1.
        named = [(name.replace("ce_", "ce-"), as_bytes(text or "").decode("latin-1")) for name, text in record.headers]
        envelope = read_http(named, body or b"")
    open_closed(envelope)
    return envelope


def load_hostile(root: Path) -> dict[str, Hostile]:
    """File name -> record. Raises ValueError naming a file that is none."""
    found: dict[str, Hostile] = {}
    for path in sorted((root / _FOLDER / "hostile").glob("*.json")):
        try:
            found[path.name] = Hostile.model_validate_json(path.read_bytes())
        except ValidationError:
            raise ValueError(f"{_FOLDER}/hostile/{path.name} is not a hostile record; mend it") from None
    return found


def load_golden(root: Path) -> dict[str, bytes]:
    """`<type>/<file>` -> the structured-mode document."""
    folder = root / _FOLDER
    paths = sorted(path for path in folder.glob("*/*.json") if path.parent.name != "hostile")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def example_findings(root: Path, entries: Sequence[Entry]) -> list[str]:
    """Golden records that are not read, hostile ones that are, and types without an example."""
    golden = load_golden(root)
    findings = [found for name, body in golden.items() for found in _golden_findings(name, body)]
    shown = {name.split("/")[0] for name in golden}
    findings += [f"{_FOLDER}/{entry.type}: has no example; add one" for entry in entries if entry.type not in shown]
    for name, record in load_hostile(root).items():
        for door in record.doors:
            code = _code_at(door, record)
            if code != record.code:
                findings.append(
                    f"{_FOLDER}/hostile/{name} at {door}: "
                    f"{f'is refused as {code}' if code else 'is accepted'} instead of {record.code}; mend the reader"
                )
    return findings


def _golden_findings(name: str, body: bytes) -> list[str]:
    try:
        event = open_closed(read_structured(body))
    except Violation as violation:
        return [f"{_FOLDER}/{name} at {violation.field or '/'}: {violation.detail}; mend the example"]
    if event.type != name.split("/")[0]:
        return [f"{_FOLDER}/{name}: is a {event.type}; move it to the folder of its type"]
    document = cast("dict[str, Any]", json.loads(body))
    if event.data.model_dump(mode="json", exclude_unset=True) != document["data"]:
        return [f"{_FOLDER}/{name} at /data: is not written back as it was read; mend the model or the example"]
    return []


def _code_at(door: Door, record: Hostile) -> str | None:
    try:
        open_at(door, record)
    except Violation as violation:
        return violation.code
    return None
