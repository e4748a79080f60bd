"""Examples with one value changed to anything: they are read or refused, and no answer repeats what was sent."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, cast

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.fhir.outcome import operation_outcome, refused
from tests.services.intake.fhir.sending import example, read_bundle, updating

CANARY = "canary-7731"
JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", CANARY, "2025", "2025-02-30", "0001-01-01", "9999-12-31T23:59:59-14:00", "\ud800", "\x00"]),
    st.sampled_from([[], {}, [CANARY], {CANARY: CANARY}, {"coding": CANARY}, [[[]]], [None], [{}]]),
)  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each value in a document is, those that hold others included."""
    found = [here] if here else []
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        inner = list(enumerate(cast("list[Any]", value)))
    for name, each in inner:
        found += places(each, (*here, name))
    return found


CORRECTED = updating(example("session"), "Encounter", "fhir-1")
SENT = {"referral": example("referral"), "assessment": example("assessment"), "correction": CORRECTED}


@pytest.mark.parametrize("name", SENT)
def test_an_example_with_anything_in_it_is_read_or_refused(name: str) -> None:
    whole = SENT[name]
    where = [place for place in places(whole) if place[0] == "entry"]

    @settings(max_examples=100, derandomize=True, database=None, deadline=None)
    @given(place=st.sampled_from(where), value=JSON)
    def each(place: tuple[Any, ...], value: Any) -> None:
        bundle = deepcopy(whole)
        inner: Any = bundle
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        said, issues = read_bundle(bundle)
        assert not (said and refused(issues))
        if issues:
            told = operation_outcome(issues)
            OperationOutcome.model_validate(told)
            assert CANARY not in json.dumps(told)

    each()
