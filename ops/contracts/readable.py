"""Whether everything that one JSON Schema lets a writer write is accepted by the schema of a reader.

The contract gate is ours because the general tools answer another question (whether two texts differ) and see neither
`format` nor a model's own rules. It covers what pydantic emits and is sound rather than complete: an empty answer
proves readability; what it cannot judge is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from math import inf
from typing import Any, cast

Schema = Mapping[str, Any]

RULES = "x-rules"
"""The model's own validators by name, which JSON Schema cannot say. A reader with one more may refuse what is sent."""

_SILENT = frozenset({"title", "description", "default", "examples", "deprecated", "$defs", "$schema", "$id"})
_JUDGED = frozenset(
    {"type", "enum", "const", "anyOf", "oneOf", "discriminator", "pattern", "minLength", "maxLength", "format"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"items", "prefixItems", "minItems", "maxItems"}
    | {"properties", "required", "additionalProperties", RULES}
)


@dataclass(frozen=True)
class _Pair:
    """The two documents that references point into, where we are, and which references are being compared already."""

    writer: Schema
    reader: Schema
    path: str = ""
    seen: frozenset[tuple[str, str]] = field(default_factory=frozenset[tuple[str, str]])

    def at(self, step: str | int) -> _Pair:
        return replace(self, path=f"{self.path}/{step}")

    def says(self, what: str) -> list[str]:
        return [f"{self.path or '/'}: {what}"]


def readable(writer: Schema, reader: Schema) -> list[str]:
    """What the writer may write and the reader would refuse, each as `path: what`; empty when all is read."""
    return _compare(writer, reader, _Pair(writer, reader))


def _compare(writer: Schema | bool, reader: Schema | bool, pair: _Pair) -> list[str]:
    if writer is False or reader is True:
        return []
    if reader is False:
        return pair.says("the writer may send it and the reader allows nothing here")
    writer = {} if writer is True else writer
    references = (str(writer.get("$ref", "")), str(reader.get("$ref", "")))
    if all(references):
        if references in pair.seen:
            return []  # a recursive model: the outer comparison decides
        pair = replace(pair, seen=pair.seen | {references})
    writer, reader = _resolve(writer, pair.writer), _resolve(reader, pair.reader)
    if unknown := sorted(reader.keys() - _JUDGED - _SILENT):
        return pair.says(f"the reader says {', '.join(unknown)}, which this check cannot judge")
    # A keyword of the writer that is not judged only narrows what it writes: leaving it out stays on the safe side.
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in writer:
            return [found for one in writer[alternatives] for found in _compare(one, reader, pair)]
    if "const" in writer or "enum" in writer:
        values = [writer["const"]] if "const" in writer else list(writer["enum"])
        refused = [value for value in values if not accepts(value, reader, pair.reader)]
        return pair.says(f"the writer may send {_listed(refused)}, which the reader does not know") if refused else []
    if isinstance(writer.get("type"), list):
        return [found for one in writer["type"] for found in _compare({**writer, "type": one}, reader, pair)]
    if "anyOf" in reader:
        return _compare_rest(writer, reader, "anyOf", pair) + _any_of(writer, reader["anyOf"], pair)
    if "oneOf" in reader:
        return _compare_rest(writer, reader, "oneOf", pair) + _one_of(writer, reader, pair)
    if "const" in reader or "enum" in reader:
        return pair.says("the reader knows fixed values only and the writer is free")
    return _compare_typed(writer, reader, pair)


def _compare_rest(writer: Schema, reader: Schema, without: str, pair: _Pair) -> list[str]:
    rest = {name: value for name, value in reader.items() if name not in {without, "discriminator"} | _SILENT}
    return _compare(writer, rest, pair) if rest else []


def _any_of(writer: Schema, alternatives: list[Schema], pair: _Pair) -> list[str]:
    tried = [_compare(writer, alternative, pair) for alternative in alternatives]
    return [] if any(not found for found in tried) else min(tried, key=len, default=pair.says("nothing is allowed"))


def _one_of(writer: Schema, reader: Schema, pair: _Pair) -> list[str]:
    """Exactly one alternative must take it, so all others must be told apart by their tag."""
    tag = cast("Schema", reader.get("discriminator", {})).get("propertyName")
    if tag is None:
        return pair.says("the reader has a oneOf without a discriminator, which this check cannot judge")
    here = [one for one in reader["oneOf"] if not _other_tag(writer, one, tag, pair)]
    if len(here) != 1:
        return pair.says(f"the tag {tag} does not lead to exactly one alternative of the reader")
    return _compare(writer, here[0], pair)


def _other_tag(writer: Schema, alternative: Schema, tag: str, pair: _Pair) -> bool:
    """Whether the writer always sends a tag that this alternative of the reader refuses."""
    sent = cast("Schema", writer.get("properties", {})).get(tag, {})
    known = cast("Schema", _resolve(alternative, pair.reader).get("properties", {})).get(tag, True)
    values = [sent["const"]] if "const" in sent else sent.get("enum", ())
    return (
        tag in writer.get("required", ())
        and bool(values)
        and not any(accepts(value, known, pair.reader) for value in values)
    )


def _compare_typed(writer: Schema, reader: Schema, pair: _Pair) -> list[str]:
    wanted, given = reader.get("type"), writer.get("type")
    accepted: tuple[str, ...] = () if wanted is None else (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if accepted and given not in accepted and not (given == "integer" and "number" in accepted):
        return pair.says(f"the writer may send {given or 'anything'} and the reader takes {' or '.join(accepted)}")
    findings: list[str] = []
    # A constraint of the reader binds only values of its type; a writer without a type may send any of them.
    if given in {"string", None}:
        findings += _strings(writer, reader, pair)
    if given in {"number", "integer", None}:
        findings += _numbers(writer, reader, pair)
    if given in {"array", None}:
        findings += _arrays(writer, reader, pair)
    if given in {"object", None}:
        findings += _objects(writer, reader, pair)
    return findings


def _strings(writer: Schema, reader: Schema, pair: _Pair) -> list[str]:
    findings: list[str] = []
    for name in ("format", "pattern"):
        # A format is compared like an enumeration of one word: another one, or none, is another set of strings.
        if name in reader and reader[name] != writer.get(name):
            findings += pair.says(f"the reader wants the {name} {reader[name]} and the writer has {writer.get(name)}")
    if reader.get("minLength", 0) > writer.get("minLength", 0):
        findings += pair.says(f"the writer may send shorter text than the reader's {reader['minLength']} characters")
    if reader.get("maxLength", inf) < writer.get("maxLength", inf):
        findings += pair.says(f"the writer may send longer text than the reader's {reader['maxLength']} characters")
    return findings


def _numbers(writer: Schema, reader: Schema, pair: _Pair) -> list[str]:
    findings: list[str] = []
    if _lower(reader) > _lower(writer):
        findings += pair.says(f"the writer may send less than the reader's lower bound of {_lower(reader)[0]}")
    if _upper(reader) < _upper(writer):
        findings += pair.says(f"the writer may send more than the reader's upper bound of {_upper(reader)[0]}")
    return findings


def _lower(schema: Schema) -> tuple[float, bool]:
    """The lower bound and whether it is excluded: a larger pair is a tighter bound."""
    return max((schema.get("minimum", -inf), False), (schema.get("exclusiveMinimum", -inf), True))


def _upper(schema: Schema) -> tuple[float, bool]:
    """The upper bound and whether it is included: a smaller pair is a tighter bound."""
    return min((schema.get("maximum", inf), True), (schema.get("exclusiveMaximum", inf), False))


def _arrays(writer: Schema, reader: Schema, pair: _Pair) -> list[str]:
    findings: list[str] = []
    if reader.get("minItems", 0) > writer.get("minItems", 0):
        findings += pair.says(f"the writer may send fewer than the reader's {reader['minItems']} items")
    if reader.get("maxItems", inf) < writer.get("maxItems", inf):
        findings += pair.says(f"the writer may send more than the reader's {reader['maxItems']} items")
    fixed = max(len(writer.get("prefixItems", ())), len(reader.get("prefixItems", ())))
    for index in range(fixed + 1):
        if index >= writer.get("maxItems", inf):
            break
        here = pair.at(index if index < fixed else "*")
        findings += _compare(_item(writer, index), _item(reader, index), here)
    return findings


def _item(schema: Schema, index: int) -> Schema | bool:
    fixed = schema.get("prefixItems", ())
    return fixed[index] if index < len(fixed) else schema.get("items", True)


def _objects(writer: Schema, reader: Schema, pair: _Pair) -> list[str]:
    findings: list[str] = []
    written, known = writer.get("properties", {}), reader.get("properties", {})
    others_written, others_known = writer.get("additionalProperties", True), reader.get("additionalProperties", True)
    for name in sorted(set(reader.get("required", ())) - set(writer.get("required", ()))):
        findings += pair.at(name).says("the reader requires it and the writer may leave it out")
    for name in sorted(written.keys() | known.keys()):
        findings += _compare(written.get(name, others_written), known.get(name, others_known), pair.at(name))
    findings += _compare(others_written, others_known, pair.at("*"))
    for rule in sorted(set(reader.get(RULES, ())) - set(writer.get(RULES, ()))):
        findings += pair.says(f"the reader checks {rule} and the writer does not")
    return findings


def accepts(value: Any, schema: Schema | bool, document: Schema) -> bool:
    """Whether a fixed value is valid; False for anything that cannot be told (composite values, unknown keywords)."""
    if isinstance(schema, bool):
        return schema
    schema = _resolve(schema, document)
    if schema.keys() - _JUDGED - _SILENT or isinstance(value, list | dict):
        return False
    if "anyOf" in schema and not any(accepts(value, one, document) for one in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(accepts(value, one, document) for one in schema["oneOf"]) != 1:
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return False
    wanted = schema.get("type", _type(value))
    accepted = (wanted,) if isinstance(wanted, str) else wanted
    if _type(value) not in accepted and not (_type(value) == "integer" and "number" in accepted):
        return False
    if isinstance(value, str):
        return (
            schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", inf)
            and ("pattern" not in schema or re.search(schema["pattern"], value) is not None)
            and ("format" not in schema or _formatted(value, schema["format"]))
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _lower(schema) <= (value, False) and (value, True) <= _upper(schema)
    return True


def _formatted(value: str, wanted: str) -> bool:
    if wanted != "date":
        return False
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _same(left: Any, right: Any) -> bool:
    """JSON equality: 1 and 1.0 are the same, 1 and true are not."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def _resolve(schema: Schema, document: Schema) -> Schema:
    """Follow a local reference. A constraint beside it is not merged but marked, which no reader passes."""
    if "$ref" not in schema:
        return schema
    target: Any = document
    for step in str(schema["$ref"]).removeprefix("#/").split("/"):
        target = target[step]
    beside = schema.keys() - {"$ref"} - _SILENT
    return _resolve({**target, **{f"{name} beside $ref": True for name in beside}}, document)


def _listed(values: list[Any]) -> str:
    return ", ".join(repr(value) for value in values[:5]) + (", ..." if len(values) > 5 else "")
