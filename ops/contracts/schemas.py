"""The frozen schemas: what each event type was promised to look like, version by version, append-only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from ops.contracts.readable import RULES, readable
from workhardening_contracts.contract import EventData
from workhardening_contracts.registry import Entry

Side = Literal["producer", "consumer"]
SIDES: tuple[Side, ...] = ("producer", "consumer")

_FOLDER = "contracts/schemas"
_MANIFEST = "FROZEN"


@dataclass(frozen=True, order=True)
class Frozen:
    """The name of one frozen file: `<type>/<version>.<side>.json`."""

    type: str
    version: str
    side: Side

    @property
    def name(self) -> str:
        return f"{self.type}/{self.version}.{self.side}.json"


class _WithRules(GenerateJsonSchema):
    """Names the validators of a model, which JSON Schema cannot express but a reader refuses by."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        rules = sorted(cast("type[EventData]", schema["cls"]).__pydantic_decorators__.model_validators)
        return {**written, RULES: rules} if rules else written


def schema_of(model: type[EventData], side: Side) -> dict[str, Any]:
    """The JSON Schema of an event's data: closed for producers, open to unknown fields for consumers.

    Titles and the models' own texts are left out, so that they can be mended freely; the texts of fields stay, since
    they say the unit.
    """
    schema = deepcopy(model.model_json_schema(schema_generator=_WithRules))
    for node in [schema, *cast("dict[str, Any]", schema.get("$defs", {})).values()]:
        node.pop("description", None)
    for node in _nodes(schema):
        node.pop("title", None)
        if side == "consumer" and node.get("additionalProperties") is False:
            del node["additionalProperties"]
    return schema


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema object inside a schema; names of properties and definitions are not mistaken for keywords."""
    if not isinstance(schema, dict):
        return
    node = cast("dict[str, Any]", schema)
    yield node
    for name, value in node.items():
        if name in {"properties", "$defs"}:
            for inner in cast("dict[str, Any]", value).values():
                yield from _nodes(inner)
        elif name in {"anyOf", "oneOf", "prefixItems"}:
            for inner in cast("list[Any]", value):
                yield from _nodes(inner)
        elif name in {"items", "additionalProperties"}:
            yield from _nodes(value)


def current(entries: Sequence[Entry]) -> dict[Frozen, dict[str, Any]]:
    """The schemas of the models as they are now."""
    return {
        Frozen(entry.type, entry.model.VERSION, side): schema_of(entry.model, side)
        for entry in entries
        for side in SIDES
    }


def text_of(schema: Mapping[str, Any]) -> str:
    """A schema as it is written: the same text for the same schema."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def load_frozen(root: Path) -> dict[Frozen, dict[str, Any]]:
    """Every frozen schema. Raises ValueError naming a file that is no schema."""
    found: dict[Frozen, dict[str, Any]] = {}
    for path in sorted((root / _FOLDER).glob("*/*.json")):
        name = path.relative_to(root / _FOLDER).as_posix()
        version, _, side = path.name.removesuffix(".json").rpartition(".")
        if side not in SIDES:
            raise ValueError(f"{_FOLDER}/{name} is neither a producer's nor a consumer's schema; delete it")
        try:
            found[Frozen(path.parent.name, version, side)] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"{_FOLDER}/{name} is not JSON; restore it from the history") from None
    return found


def manifest_findings(root: Path) -> list[str]:
    """Frozen files that were changed, deleted, or put there without `freeze`."""
    listed = _manifest(root)
    findings: list[str] = []
    for name, digest in listed.items():
        path = root / _FOLDER / name
        if not path.exists():
            findings.append(f"{_FOLDER}/{name}: was frozen and is gone; restore it from the history")
        elif _digest(path) != digest:
            findings.append(f"{_FOLDER}/{name}: was frozen and has changed; restore it and freeze a new VERSION")
    present = {path.relative_to(root / _FOLDER).as_posix() for path in (root / _FOLDER).glob("*/*")}
    findings += [
        f"{_FOLDER}/{name}: is not in {_MANIFEST}; frozen files are written by `whp contracts freeze` only"
        for name in sorted(present - listed.keys())
    ]
    return findings


def model_findings(frozen: Mapping[Frozen, Mapping[str, Any]], models: Mapping[Frozen, Mapping[str, Any]]) -> list[str]:
    """Models that are not what their VERSION was frozen as."""
    findings: list[str] = []
    for key, schema in models.items():
        if key not in frozen:
            findings.append(f"{_FOLDER}/{key.name}: is not frozen yet; run `whp contracts freeze`")
        elif frozen[key] != schema:
            where = _first_difference(frozen[key], schema)
            findings.append(f"{_FOLDER}/{key.name} at {where}: the model has changed; bump its VERSION and freeze")
    return findings


def compatibility_findings(schemas: Mapping[Frozen, Mapping[str, Any]]) -> list[str]:
    """Every producer's version against every consumer's version of the same type, older, newer and its own."""
    findings: list[str] = []
    for writer, written in schemas.items():
        for reader, read in schemas.items():
            if writer.side != "producer" or reader.side != "consumer" or writer.type != reader.type:
                continue
            findings += [
                f"{_FOLDER}/{reader.name} cannot read {writer.version} at {found}; "
                "keep what both versions allow, or publish a new type beside this one"
                for found in readable(written, read)
            ]
    return findings


def freeze_schemas(root: Path, entries: Sequence[Entry]) -> list[str]:
    """Write what is not frozen yet, never over a file, and list it in the manifest; gives the written files."""
    folder, listed = root / _FOLDER, _manifest(root)
    written: list[str] = []
    for key, schema in current(entries).items():
        path = folder / key.name
        if path.exists() or key.name in listed:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(schema), encoding="utf-8")
        listed[key.name] = _digest(path)
        written.append(f"{_FOLDER}/{key.name}")
    if written:
        lines = [f"{digest}  {name}\n" for name, digest in sorted(listed.items())]
        (folder / _MANIFEST).write_text("".join(lines), encoding="utf-8")
        written.append(f"{_FOLDER}/{_MANIFEST}")
    return written


def _manifest(root: Path) -> dict[str, str]:
    path = root / _FOLDER / _MANIFEST
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_difference(left: Any, right: Any, path: str = "") -> str:
    if isinstance(left, dict) and isinstance(right, dict):
        before, now = cast("dict[str, Any]", left), cast("dict[str, Any]", right)
        for name in sorted(before.keys() | now.keys()):
            if name not in before or name not in now:
                return f"{path}/{name}"
            if before[name] != now[name]:
                return _first_difference(before[name], now[name], f"{path}/{name}")
    return path or "/"
