"""Whatever a case holds, what an employer is sent has fields of the allow-list only: at the top and below it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any, cast

from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.disclosure import disclosure, readiness_updated
from services.notify.state import Known, Signed
from tests.services.notify.cases import CASE, EMPLOYER
from tests.services.notify.test_disclosure import DAYS, SCOPES, STATES
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.intake import ConsentGrant
from workhardening_contracts.quantity import Quantity
from workhardening_contracts.readiness import ReadinessUpdated

ALLOWED = {
    "case_ref", "employee_key", "status", "effective_from", "effective_through", "outcome", "certifier_role",
    "sequence", "previous_sequence", "supersedes",
    "restrictions", "restrictions.activity", "restrictions.zone", "restrictions.frequency", "restrictions.limit",
    "restrictions.limit.amount", "restrictions.limit.unit",
    "program", "program.week", "program.total_weeks", "program.attendance", "program.expected_date",
    "program.demands_met", "program.demands_total",
}  # fmt: skip
"""Written down once more, and not read from the contract: a field that is added there is added here, or not sent."""
CODES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
RESTRICTIONS = st.builds(
    Restriction,
    activity=CODES,
    zone=st.none() | CODES,
    frequency=st.none() | st.sampled_from(["seldom", "occasional", "frequent", "constant"]),
    limit=st.none() | st.builds(Quantity, amount=st.floats(0, 500), unit=st.sampled_from(["kg"])),
)
SIGNED = st.builds(
    Signed,
    decision=st.sampled_from(["ready", "ready_with_restrictions"]),
    restrictions=st.lists(RESTRICTIONS, min_size=1, max_size=4).map(tuple),
    effective_from=DAYS,
    effective_through=st.none(),
    role=CODES,
)
GRANTED = tuple(
    ConsentGrant(employer=EMPLOYER, scope=scope, basis="worker_consent", valid_from=date(2025, 1, 1))
    for scope in SCOPES
)
"""Everything may be told: the employer learns the most that any employer can."""


def paths(value: Any, above: str = "") -> Iterator[str]:
    """Every field of a document, by its path; the elements of a list are one."""
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            yield above + name
            yield from paths(inner, f"{above}{name}.")
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from paths(inner, above)


@settings(derandomize=True, deadline=None, max_examples=300)
@cases(state=STATES, signed=st.none() | SIGNED, everything=st.booleans(), on=DAYS)
def test_no_field_outside_of_the_allow_list_can_be_sent_at_any_depth(
    state: Known, signed: Signed | None, everything: bool, on: date
) -> None:
    more: dict[str, Any] = {"standing": signed} if signed else {}
    if everything:
        more |= {"grants": GRANTED, "stops": (), "declined": False, "closed": False}
    allowed = disclosure(state.model_copy(update=more), EMPLOYER, on, 28)
    if allowed is None:
        assert not everything
        return
    update = readiness_updated(allowed, CASE, None, 1)
    assert set(paths(json.loads(update.model_dump_json()))) <= ALLOWED


def test_the_contract_knows_the_fields_of_the_allow_list_and_no_other() -> None:
    schema = ReadinessUpdated.model_json_schema()
    assert set(declared(schema, schema["$defs"])) == ALLOWED


def declared(schema: dict[str, Any], defs: dict[str, dict[str, Any]], above: str = "") -> Iterator[str]:
    """Every field that a JSON schema knows, by its path."""
    schema = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for name, inner in schema.get("properties", {}).items():
        yield above + name
        yield from declared(inner, defs, f"{above}{name}.")
    for inner in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])):
        yield from declared(inner, defs, above)
