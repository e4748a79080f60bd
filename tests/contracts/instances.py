"""Strategies for JSON Schemas of the subset that pydantic emits, and for instances of such a schema."""

from collections.abc import Mapping
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
    return Draft202012Validator(schema, format_checker=FORMATS).is_valid(instance)


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
        matching = st.from_regex(schema["pattern"], fullmatch=True)
        return matching.map(lambda text: text[:longest]).filter(lambda text: valid(text, schema))
    longest = min(longest, shortest + 10)
    return st.sampled_from(["a" * shortest, "a" * longest]) | st.text(min_size=shortest, max_size=longest)


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


_TYPED = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "array": _array,
    "object": _object,
    "boolean": lambda schema, document: st.booleans(),
    "null": lambda schema, document: st.none(),
}

_SMALL = st.integers(0, 4)


def _bounds(lower: str, upper: str) -> st.SearchStrategy[Schema]:
    """Both, one or none of two bounds; the lower is never above the upper."""
    return st.tuples(st.none() | _SMALL, st.none() | _SMALL).map(
        lambda pair: {
            name: value for name, value in zip((lower, upper), _ordered(*pair), strict=True) if value is not None
        }
    )


def _ordered(low: int | None, high: int | None) -> tuple[int | None, int | None]:
    return (low, high) if low is None or high is None else (min(low, high), max(low, high))


_TEXTS = st.one_of(
    _bounds("minLength", "maxLength").map(lambda bounds: {"type": "string", **bounds}),
    st.sampled_from([r"^[a-c]+$", r"^[a-z]*$"]).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.just({"type": "string", "format": "date"}),
)
_NUMBERS = st.builds(
    lambda kind, bounds: {"type": kind, **bounds},
    st.sampled_from(["number", "integer"]),
    _bounds("minimum", "maximum") | _bounds("exclusiveMinimum", "maximum") | _bounds("minimum", "exclusiveMaximum"),
)
_FIXED = st.one_of(
    st.lists(st.sampled_from(["a", "b", "abcd", "2026-03-02", 1, 2, True, None]), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    st.sampled_from(["a", 1, 3.5, None]).map(lambda value: {"const": value}),
)
SCALARS: st.SearchStrategy[Schema] = st.one_of(
    _TEXTS, _NUMBERS, _FIXED, st.sampled_from([{"type": "boolean"}, {"type": "null"}])
)


def _wrapped(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    objects = st.builds(
        lambda properties, required, others: {
            "type": "object",
            "properties": properties,
            "required": sorted(required & properties.keys()),
            **others,
        },
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        st.sets(st.sampled_from("abc")),
        st.sampled_from([{}, {"additionalProperties": False}])
        | inner.map(lambda others: {"additionalProperties": others}),
    )
    arrays = st.one_of(
        st.builds(
            lambda items, bounds: {"type": "array", "items": items, **bounds}, inner, _bounds("minItems", "maxItems")
        ),
        st.lists(inner, min_size=1, max_size=2).map(
            lambda fixed: {
                "type": "array",
                "prefixItems": fixed,
                "items": False,
                "minItems": len(fixed),
                "maxItems": len(fixed),
            }
        ),
    )
    unions = st.builds(
        lambda alternatives, beside: {"anyOf": alternatives, **beside},
        st.lists(inner, min_size=2, max_size=3),
        st.sampled_from([{}, {}, {"maxLength": 2}, {"minimum": 2}]),
    )
    return objects | arrays | unions


SCHEMAS: st.SearchStrategy[Schema] = st.recursive(SCALARS, _wrapped, max_leaves=6)

ALIKE: st.SearchStrategy[tuple[Schema, Schema]] = st.one_of(
    st.tuples(_NUMBERS, _NUMBERS), st.tuples(_TEXTS, _TEXTS), st.tuples(_FIXED, SCALARS)
)
"""Two schemas of one kind that differ in a detail, as a field does between two versions."""
