"""Strategies for JSON Schemas of the subset that pydantic emits, and for instances of such a schema."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

Schema = dict[str, Any]
# A million is beyond every bound of ours and far from where floats get coarse.
_FAR = 1_000_000
_MANY = 3

FORMATS = FormatChecker(["date"])


def valid(instance: Any, schema: Mapping[str, Any]) -> bool:
    """What the reference implementation says, with formats checked."""
    validator: Any = Draft202012Validator(schema, format_checker=FORMATS)
    return validator.is_valid(instance)


def instances(schema: Any, document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Valid instances. Open objects now and then get a property that the schema does not know."""
    if schema is True or schema == {}:
        return st.sampled_from([None, True, 0, 1.5, "text", [], {}])
    if "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return instances(target, document)
    if "anyOf" in schema:
        return st.one_of([instances(one, document) for one in schema["anyOf"]]).filter(lambda one: _beside(one, schema))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _TYPED[schema["type"]](schema, document)


def _beside(instance: Any, schema: Mapping[str, Any]) -> bool:
    rest = {name: value for name, value in schema.items() if name in {"maxLength", "minimum"}}
    return valid(instance, rest)


def _string(schema: Any, _: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 40)
    if schema.get("format") == "date":
        return st.dates(date(2000, 1, 1), date(2099, 12, 31)).map(date.isoformat)
    if "pattern" in schema:
        return _matching(schema["pattern"], longest).filter(lambda text: valid(text, schema))
    longest = min(longest, shortest + 10)
    return st.sampled_from(["a" * shortest, "a" * longest]) | st.text(min_size=shortest, max_size=longest)


def _matching(pattern: str, longest: int) -> st.SearchStrategy[str]:
    return st.from_regex(re.compile(pattern), fullmatch=True).map(lambda text: text[:longest])


def _integer(schema: Any, _: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    lower = max(schema.get("minimum", -_FAR), schema.get("exclusiveMinimum", -_FAR) + 1)
    upper = min(schema.get("maximum", _FAR), schema.get("exclusiveMaximum", _FAR) - 1)
    # The bounds themselves, since that is where two versions differ.
    return st.sampled_from([lower, upper]) | st.integers(lower, upper) if lower <= upper else st.nothing()


def _number(schema: Any, _: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    lower = max(schema.get("minimum", -_FAR), schema.get("exclusiveMinimum", -_FAR))
    upper = min(schema.get("maximum", _FAR), schema.get("exclusiveMaximum", _FAR))
    if lower > upper:
        return st.nothing()
    numbers = st.sampled_from([lower, upper]) | st.floats(lower, upper, allow_subnormal=False)
    return numbers.filter(lambda number: valid(number, schema))


def _array(schema: Any, document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    fixed: list[Any] = list(schema.get("prefixItems", ()))
    rest = schema.get("items", True)
    shortest = schema.get("minItems", 0)
    longest = min(schema.get("maxItems", shortest + _MANY), max(shortest, len(fixed)) + _MANY)
    if rest is False:
        longest = min(longest, len(fixed))
    return st.integers(shortest, longest).flatmap(
        lambda size: st.tuples(
            *(instances(fixed[index] if index < len(fixed) else rest, document) for index in range(size))
        ).map(list)
    )


def _object(schema: Any, document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    required: list[str] = schema.get("required", [])
    others = schema.get("additionalProperties", True)
    optional = {name: instances(one, document) for name, one in properties.items() if name not in required}
    if others is not False:
        optional["unknown_to_us"] = instances(others, document)
    return st.fixed_dictionaries(
        {name: instances(properties.get(name, others), document) for name in required}, optional=optional
    )


def _boolean(_: Any, __: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.booleans()


def _null(_: Any, __: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.none()


_TYPED: dict[str, Callable[[Any, Mapping[str, Any]], st.SearchStrategy[Any]]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "array": _array,
    "object": _object,
    "boolean": _boolean,
    "null": _null,
}


@st.composite
def _bounds(draw: st.DrawFn, lower: str, upper: str) -> Schema:
    """Both, one or none of two bounds; the lower is never above the upper."""
    first, second = draw(st.none() | st.integers(0, 4)), draw(st.none() | st.integers(0, 4))
    if first is not None and second is not None:
        first, second = min(first, second), max(first, second)
    return {name: value for name, value in ((lower, first), (upper, second)) if value is not None}


@st.composite
def _texts(draw: st.DrawFn) -> Schema:
    narrowed = [{"pattern": r"^[a-c]+$"}, {"pattern": r"^[a-z]*$"}, {"format": "date"}]
    return {"type": "string", **draw(_bounds("minLength", "maxLength") | st.sampled_from(narrowed))}


@st.composite
def _numbers(draw: st.DrawFn) -> Schema:
    kinds = [("minimum", "maximum"), ("exclusiveMinimum", "maximum"), ("minimum", "exclusiveMaximum")]
    lower, upper = draw(st.sampled_from(kinds))
    return {"type": draw(st.sampled_from(["number", "integer"])), **draw(_bounds(lower, upper))}


@st.composite
def _fixed(draw: st.DrawFn) -> Schema:
    values: list[Any] = ["a", "b", "abcd", "2026-03-02", 1, 2, 3.5, True, None]
    if draw(st.booleans()):
        return {"const": draw(st.sampled_from(values))}
    return {"enum": draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))}


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[Schema]) -> Schema:
    properties = draw(st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
    required = draw(st.sets(st.sampled_from("abc"))) & properties.keys()
    schema: Schema = {"type": "object", "properties": properties, "required": sorted(required)}
    others = draw(st.none() | st.just(False) | inner)
    return schema if others is None else {**schema, "additionalProperties": others}


@st.composite
def _arrays(draw: st.DrawFn, inner: st.SearchStrategy[Schema]) -> Schema:
    if draw(st.booleans()):
        return {"type": "array", "items": draw(inner), **draw(_bounds("minItems", "maxItems"))}
    fixed = draw(st.lists(inner, min_size=1, max_size=2))
    return {"type": "array", "prefixItems": fixed, "items": False, "minItems": len(fixed), "maxItems": len(fixed)}


@st.composite
def _unions(draw: st.DrawFn, inner: st.SearchStrategy[Schema]) -> Schema:
    beside: list[Schema] = [{}, {}, {"maxLength": 2}, {"minimum": 2}]
    return {"anyOf": draw(st.lists(inner, min_size=2, max_size=3)), **draw(st.sampled_from(beside))}


def _wrapped(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return _objects(inner) | _arrays(inner) | _unions(inner)


def _plain(kind: str) -> Schema:
    return {"type": kind}


SCALARS: st.SearchStrategy[Schema] = st.one_of(
    _texts(), _numbers(), _fixed(), st.sampled_from(["boolean", "null"]).map(_plain)
)
SCHEMAS: st.SearchStrategy[Schema] = st.recursive(SCALARS, _wrapped, max_leaves=6)

ALIKE: st.SearchStrategy[tuple[Schema, Schema]] = st.one_of(
    st.tuples(_numbers(), _numbers()), st.tuples(_texts(), _texts()), st.tuples(_fixed(), SCALARS)
)
"""Two schemas of one kind that differ in a detail, as a field does between two versions."""
