"""The gate's comparison: sound against the reference implementation, and awake to each way of breaking a reader."""

from collections import Counter
from copy import deepcopy
from itertools import chain
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from ops.contracts.readable import readable
from ops.contracts.schemas import schema_of
from tests.contracts.instances import ALIKE, SCHEMAS, Schema, instances, valid
from workhardening_contracts import clinic, registry

_BUSY = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def _nodes(schema: Any) -> list[Schema]:
    """Every schema inside a schema, itself first."""
    if not isinstance(schema, dict):
        return []
    node = cast("Schema", schema)
    inner: list[Any] = [*node.get("properties", {}).values(), *node.get("anyOf", ()), *node.get("prefixItems", ())]
    nested = (_nodes(one) for one in [*inner, node.get("items"), node.get("additionalProperties")])
    return [node, *chain.from_iterable(nested)]


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """A writer and a reader that differs from it in one or two places, as one version differs from the next."""
    writer = draw(SCHEMAS)
    reader = deepcopy(writer)
    for _ in range(draw(st.integers(0, 2))):
        node = draw(st.sampled_from(_nodes(reader)))
        name = draw(st.sampled_from(sorted(node) or ["type"]))
        _change(node, name, draw(st.sampled_from(["drop", "more", "less"])), draw(SCHEMAS))
    return writer, reader


def _change(node: Schema, name: str, how: str, other: Schema) -> None:
    value: Any = node.get(name)
    if name == "type":
        node[name] = {"drop": "number", "more": "integer", "less": "string"}[how]
    elif how == "drop":
        node.pop(name)
    elif name in {"enum", "anyOf", "prefixItems"}:
        node[name] = value[:1] if how == "less" else [*value, other if name != "enum" else "more"]
    elif name == "required":
        node[name] = value[:-1]
    elif name == "properties" and how == "more":
        node[name] = {**value, "b": other}
    elif name in {"items", "additionalProperties"}:
        node[name] = other
    elif type(value) is int:
        node[name] = max(0, value + (1 if how == "more" else -1))


def test_what_is_called_readable_is_read_by_the_reference_implementation() -> None:
    seen: Counter[bool] = Counter()

    @_BUSY
    @given(_pairs(), st.data())
    def every_instance_of_the_writer_is_valid_for_the_reader(pair: tuple[Schema, Schema], data: st.DataObject) -> None:
        writer, reader = pair
        verdict = not readable(writer, reader)
        event(f"readable: {verdict}")
        seen[verdict and writer != reader] += 1
        if not verdict:
            return
        for _ in range(3):
            instance = data.draw(instances(writer, writer))
            assume(valid(instance, writer))
            assert valid(instance, reader)

    every_instance_of_the_writer_is_valid_for_the_reader()
    # The property says nothing where nothing is readable.
    assert seen[True] > 20, seen


@_BUSY
@given(ALIKE, st.data())
def test_a_field_that_is_called_readable_is_read_at_its_bounds_too(
    pair: tuple[Schema, Schema], data: st.DataObject
) -> None:
    writer, reader = pair
    assume(not readable(writer, reader))
    assert valid(data.draw(instances(writer, writer)), reader)


@_BUSY
@given(SCHEMAS, SCHEMAS, st.data())
def test_unrelated_schemas_are_not_called_readable_by_accident(
    writer: Schema, reader: Schema, data: st.DataObject
) -> None:
    if not readable(writer, reader):
        instance = data.draw(instances(writer, writer))
        assume(valid(instance, writer))
        assert valid(instance, reader)


@_BUSY
@given(SCHEMAS)
def test_every_schema_reads_itself(schema: Schema) -> None:
    # Pydantic puts no constraint beside a union, and the comparison only has to be safe about one.
    assume(not any("anyOf" in node and len(node) > 1 for node in _nodes(schema)))
    assert readable(schema, schema) == []


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.model.__name__)
def test_every_consumer_reads_the_producer_of_its_own_version(entry: registry.Entry) -> None:
    assert readable(schema_of(entry.model, "producer"), schema_of(entry.model, "consumer")) == []


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}


def _object(properties: Schema, required: tuple[str, ...] = (), /, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), **more}


def _tagged(*tags: str) -> Schema:
    return {
        "oneOf": [_object({"tag": {"const": tag}, tag: NUMBER}, ("tag",)) for tag in tags],
        "discriminator": {"propertyName": "tag"},
    }


BREAKING: dict[str, tuple[Schema, Schema, str]] = {
    "a format is not just any text": (TEXT, {"type": "string", "format": "date"}, "/: the reader wants the format"),
    "one format is not another": (
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        "/: the reader wants the format",
    ),
    "a pattern is not just any text": (TEXT, {"type": "string", "pattern": "^a$"}, "/: the reader wants the pattern"),
    "shorter text": (TEXT, {"type": "string", "minLength": 1}, "/: the writer may send shorter"),
    "longer text": (
        {"type": "string", "maxLength": 9},
        {"type": "string", "maxLength": 8},
        "/: the writer may send longer",
    ),
    "a number where a whole one is read": (NUMBER, {"type": "integer"}, "/: the writer may send number"),
    "more than the reader's bound": (
        {**NUMBER, "maximum": 16},
        {**NUMBER, "maximum": 12},
        "/: the writer may send more",
    ),
    "a bound that is excluded": (
        {**NUMBER, "minimum": 0},
        {**NUMBER, "exclusiveMinimum": 0},
        "/: the writer may send less",
    ),
    "null": ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, "/: the writer may send null"),
    "a new word": ({"enum": ["a", "b"]}, {"enum": ["a"]}, "/: the writer may send 'b'"),
    "true for one": ({"const": True}, {"enum": [1]}, "/: the writer may send True"),
    "free text for known words": (TEXT, {"enum": ["a"]}, "/: the reader knows fixed values only"),
    "a field that may be missing": (
        _object({"a": TEXT}),
        _object({"a": TEXT}, ("a",)),
        "/a: the reader requires it",
    ),
    "a field of another type": (_object({"a": TEXT}), _object({"a": NUMBER}), "/a: the writer may send string"),
    "an unknown field at a closed door": (
        _object({"a": TEXT}),
        _object({}, additionalProperties=False),
        "/a: the writer may send it",
    ),
    "an open writer and a field it does not know": (
        _object({}),
        _object({"a": NUMBER}),
        "/a: the writer may send anything",
    ),
    "more items": (
        {"type": "array", "items": TEXT},
        {"type": "array", "items": TEXT, "maxItems": 3},
        "/: the writer may send more",
    ),
    "no items": (
        {"type": "array", "items": TEXT},
        {"type": "array", "items": TEXT, "minItems": 1},
        "/: the writer may send fewer",
    ),
    "items of another type": (
        {"type": "array", "items": TEXT},
        {"type": "array", "items": NUMBER},
        "/*: the writer may send string",
    ),
    "another place in a tuple": (
        {"type": "array", "prefixItems": [TEXT, NUMBER], "items": False, "maxItems": 2},
        {"type": "array", "prefixItems": [TEXT, TEXT], "items": False, "maxItems": 2},
        "/1: the writer may send number",
    ),
    "a new variant": (_tagged("a", "b"), _tagged("a"), "/: the tag tag does not lead"),
    "a changed variant": (
        _tagged("a"),
        {**_tagged("a"), "oneOf": [_object({"tag": {"const": "a"}, "a": TEXT}, ("tag",))]},
        "/a: the writer may send number",
    ),
    "a union without a tag": (TEXT, {"oneOf": [TEXT, NUMBER]}, "/: the reader has a oneOf without a discriminator"),
    "a constraint beside a union": (TEXT, {"anyOf": [TEXT, NUMBER], "maxLength": 2}, "/: the writer may send longer"),
    "a rule of the model": (_object({}), {**_object({}), "x-rules": ["_ends_after_start"]}, "/: the reader checks"),
    "a keyword that is not judged": ({"type": "object"}, {"type": "object", "minProperties": 1}, "/: the reader says"),
    "a constraint beside a reference": (
        {"$ref": "#/$defs/T", "$defs": {"T": TEXT}},
        {"$ref": "#/$defs/T", "maxLength": 3, "$defs": {"T": TEXT}},
        "/: the reader says maxLength beside $ref",
    ),
    "inside a definition": (
        {**_object({"a": {"$ref": "#/$defs/T"}}), "$defs": {"T": TEXT}},
        {**_object({"a": {"$ref": "#/$defs/T"}}), "$defs": {"T": NUMBER}},
        "/a: the writer may send string",
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_each_way_of_breaking_a_reader_is_found_at_its_path(name: str) -> None:
    writer, reader, finding = BREAKING[name]
    found = readable(writer, reader)
    assert found
    assert found[0].startswith(finding)


SAFE: dict[str, tuple[Schema, Schema]] = {
    "a whole number where any is read": ({"type": "integer"}, NUMBER),
    "a narrower bound": ({**NUMBER, "exclusiveMinimum": 0}, {**NUMBER, "minimum": 0}),
    "known words where text is read": ({"enum": ["a", "b"]}, TEXT),
    "a date where text is read": ({"type": "string", "format": "date"}, TEXT),
    "a required field where it may be missing": (_object({"a": TEXT}, ("a",)), _object({"a": TEXT})),
    "a new field of a closed writer": (_object({"a": TEXT}, additionalProperties=False), _object({})),
    "a new optional field of the reader": (_object({}, additionalProperties=False), _object({"a": NUMBER})),
    "one of more variants": (_tagged("a"), _tagged("a", "b")),
    "a value that may now be null": (TEXT, {"anyOf": [TEXT, {"type": "null"}]}),
    "a recursive model": (
        {"$ref": "#/$defs/T", "$defs": {"T": _object({"next": {"$ref": "#/$defs/T"}})}},
        {"$ref": "#/$defs/T", "$defs": {"T": _object({"next": {"$ref": "#/$defs/T"}})}},
    ),
}


@pytest.mark.parametrize("name", SAFE)
def test_a_change_that_breaks_nobody_is_let_through(name: str) -> None:
    writer, reader = SAFE[name]
    assert readable(writer, reader) == []


def test_a_recursive_model_that_differs_further_down_is_found() -> None:
    def linked(value: Schema) -> Schema:
        node = _object({"value": value, "next": {"$ref": "#/$defs/T"}})
        return {"$ref": "#/$defs/T", "$defs": {"T": node}}

    assert readable(linked(TEXT), linked(NUMBER)) == ["/value: the writer may send string and the reader takes number"]


def test_hours_that_were_widened_are_found_in_the_real_session() -> None:
    frozen = schema_of(clinic.SessionRecorded, "consumer")
    wider = schema_of(clinic.SessionRecorded, "producer")
    wider["$defs"]["Session"]["properties"]["hours"]["maximum"] = 24
    assert readable(wider, frozen) == ["/session/hours: the writer may send more than the reader's upper bound of 16"]
