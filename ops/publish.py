"""Sending a file's events through the front door."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from ops.target import CommandError, Target


@dataclass(frozen=True, slots=True)
class Answer:
    """What the front door said of one event."""

    id: str
    type: str
    status: int
    code: str | None
    detail: str | None
    field: str | None

    def line(self) -> str:
        """For a person."""
        told = f"{self.status} {self.type} {self.id}"
        if self.code is not None:
            told += f": {self.code}" + (f" at {self.field}" if self.field else "") + f", {self.detail}"
        return told


def documents(text: str) -> list[dict[str, Any]]:
    """One structured event, a list of them, or one per line. Raises CommandError."""
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if whole is None:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        whole = [_parsed(number, line) for number, line in lines]
    events = cast("list[Any]", whole if isinstance(whole, list) else [whole])
    if not events or not all(isinstance(event, dict) for event in events):
        raise CommandError("the file holds no event: give structured CloudEvents as JSON objects")
    return cast("list[dict[str, Any]]", events)


def _parsed(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise CommandError(f"line {number} is not JSON: give one event per line, or one JSON document") from None


def read_events(file: str) -> list[dict[str, Any]]:
    """The events of a file, or of standard input for `-`. Raises CommandError and OSError."""
    return documents(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))


async def publish_all(to: Target, events: Sequence[dict[str, Any]], clinic: str | None) -> list[Answer]:
    """Send events in order. Raises CommandError when there is no key or no door."""
    if not to.front_door:
        raise CommandError("the front door's address is not known: set WHP_FRONT_DOOR")
    async with httpx.AsyncClient(base_url=to.front_door, timeout=30, trust_env=False) as client:
        return [await _send(client, event, _key(to, event, clinic)) for event in events]


def _key(to: Target, event: dict[str, Any], clinic: str | None) -> str:
    if "WHP_API_KEY" in os.environ:
        return os.environ["WHP_API_KEY"]
    name = clinic or str(event.get("source", "")).removeprefix("/clinics/")
    if name not in to.clinics:
        raise CommandError(f"there is no key for clinic {name!r}: set WHP_API_KEY, or one of {', '.join(to.clinics)}")
    return to.clinics[name]


async def _send(client: httpx.AsyncClient, event: dict[str, Any], key: str) -> Answer:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents+json"}
    try:
        answer = await client.post("/v1/events", content=json.dumps(event), headers=headers)
    except httpx.HTTPError as error:
        raise CommandError(f"the front door does not answer ({type(error).__name__}): is the stack up?") from None
    problem = cast("dict[str, Any]", answer.json()) if answer.status_code != 202 else {}
    return Answer(
        str(event.get("id", "")),
        str(event.get("type", "")),
        answer.status_code,
        problem.get("code"),
        problem.get("detail"),
        problem.get("field"),
    )
