"""From the sign-off form to a clinic's event, and that nothing is sent which was not shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet

from runtime.http import Problem
from services.console import sign_off, story
from services.console.story import Logged, read_story
from services.console.views import EmployerPreview, ReadinessShown
from tests.services.console.cases import readiness
from tests.services.notify.cases import CASE
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.envelope import read_structured
from workhardening_contracts.registry import open_closed

Form = Mapping[str, Sequence[str]]
SEALER = Fernet("A" * 43 + "=")
READY: Form = {
    "role": ["physician"],
    "decision": ["ready"],
    "effective_from": ["2026-03-10"],
    "effective_through": [""],
    "reason_code": [""],
}
LIMITED: Form = {
    **READY,
    "decision": ["ready_with_restrictions"],
    "effective_through": ["2026-04-10"],
    "reason_code": ["graded_return"],
    "activity": ["lift", "", "stand"],
    "zone": ["overhead", "", ""],
    "frequency": ["occasional", "", ""],
    "limit": ["5", "", ""],
    "unit": ["kg", "", "kg"],
}
TOLD = (EmployerPreview("acme", {"status": "no_restrictions", "sequence": 3}, None, ("work_status",), ("law",)),)


def shown(is_: Any = "meets") -> ReadinessShown:
    event = readiness(is_=is_)
    log = [Logged(event.source, event.id, event.type, event.time, 1, "", event.envelope.data)]
    found = story.readiness(read_story(log, "north"))
    assert found is not None
    return found


def test_a_form_says_a_signature_in_the_contracts_words() -> None:
    signed = sign_off.read_form(READY, shown())
    assert (signed.readiness_event, signed.role, signed.decision) == ("assessed-1", "physician", "ready")
    assert (signed.effective_from.isoformat(), signed.effective_through, signed.reason_code) == (
        "2026-03-10", None, None
    )  # fmt: skip


def test_restrictions_are_read_row_by_row_and_an_empty_limit_means_not_at_all() -> None:
    lift, stand = sign_off.read_form(LIMITED, shown()).restrictions
    assert lift.limit is not None
    assert (lift.activity, lift.zone, lift.frequency, lift.limit.amount) == ("lift", "overhead", "occasional", 5.0)
    assert (stand.activity, stand.zone, stand.limit) == ("stand", None, None)


def test_another_decision_than_the_recommended_one_needs_a_reason() -> None:
    with pytest.raises(Problem) as refused:
        sign_off.read_form(READY, shown("not_yet"))
    assert (refused.value.status, refused.value.code, refused.value.field) == (
        422, "reason_required", "/reason_code"
    )  # fmt: skip
    signed = sign_off.read_form({**READY, "reason_code": ["clinical_judgement"]}, shown("not_yet"))
    assert sign_off.contradicts(signed, shown("not_yet"))
    assert not sign_off.contradicts(signed, shown())


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"role": [""]}, "/role"),
        ({"decision": ["maybe"]}, "/decision"),
        ({"effective_from": ["soon"]}, "/effective_from"),
        ({"effective_through": ["2026-03-01"]}, ""),
        ({"decision": ["ready_with_restrictions"]}, ""),
        ({"reason_code": ["Because of the back!"]}, "/reason_code"),
        ({**LIMITED, "limit": ["much", "", ""]}, "/limit/0"),
        ({**LIMITED, "limit": ["-1", "", ""]}, "/restrictions/0/limit/amount"),
        ({**LIMITED, "unit": ["stone", "", ""]}, "/restrictions/0/limit/unit"),
    ],
)
def test_what_cannot_be_signed_is_named_by_its_field_and_not_repeated(changed: Form, field: str) -> None:
    with pytest.raises(Problem) as refused:
        sign_off.read_form({**READY, **changed}, shown())
    assert (refused.value.status, refused.value.field) == (422, field)
    theirs = [value for values in changed.values() for value in values if len(value) > 4 and "ready" not in value]
    assert not any(value in refused.value.detail for value in theirs)


def test_only_what_was_shown_is_sent_and_a_second_click_is_the_same_signature() -> None:
    signed = sign_off.read_form(READY, shown())
    seal = sign_off.seal(SEALER, CASE, signed, TOLD)
    name = sign_off.opened(SEALER, seal, CASE, signed, TOLD)
    assert sign_off.opened(SEALER, seal, CASE, signed, TOLD) == name
    assert sign_off.opened(SEALER, sign_off.seal(SEALER, CASE, signed, TOLD), CASE, signed, TOLD) != name


def test_what_was_not_shown_is_refused_whatever_differs() -> None:
    signed = sign_off.read_form(READY, shown())
    seal = sign_off.seal(SEALER, CASE, signed, TOLD)
    other = sign_off.read_form({**READY, "effective_from": ["2026-03-11"]}, shown())
    later = (replace(TOLD[0], update={"status": "no_restrictions", "sequence": 4}),)
    tries = [
        (seal, other, TOLD),
        (seal, signed, later),
        (seal, signed, ()),
        ("", signed, TOLD),
        ("x" * 90, signed, TOLD),
    ]
    for given, said, told in tries:
        with pytest.raises(Problem) as refused:
            sign_off.opened(SEALER, given, CASE, said, told)
        assert (refused.value.status, refused.value.code) == (409, "not_as_shown")


def test_a_preview_is_good_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = sign_off.read_form(READY, shown())
    seal = sign_off.seal(SEALER, CASE, signed, TOLD)
    monkeypatch.setattr(sign_off, "SHOWN_S", -1)
    with pytest.raises(Problem, match="not_as_shown"):
        sign_off.opened(SEALER, seal, CASE, signed, TOLD)


def test_the_event_is_the_clinics_own_and_keeps_its_contract() -> None:
    signed = sign_off.read_form(LIMITED, shown())
    event = sign_off.signature_event("console-1", CASE, "north", signed, datetime(2026, 3, 9, tzinfo=UTC))

    envelope = read_structured(json.dumps(event).encode())
    assert (envelope.source, envelope.subject, envelope.type) == ("/clinics/north", CASE, ReadinessSigned.TYPE)
    assert open_closed(envelope).data == signed
