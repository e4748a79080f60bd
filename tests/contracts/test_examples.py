"""The hostile records one by one, so that a failure names its record, and that they cover what they are there for."""

from pathlib import Path

import pytest

from ops.contracts.examples import load_golden, load_hostile, open_at
from ops.contracts.schemas import schema_of
from tests.contracts.instances import valid
from workhardening_contracts.contract import Violation
from workhardening_contracts.envelope import read_structured, strict_json
from workhardening_contracts.registry import BY_TYPE

ROOT = Path(__file__).parents[2]
HOSTILE = load_hostile(ROOT)
GOLDEN = load_golden(ROOT)


@pytest.mark.parametrize(("name", "door"), [(name, door) for name, one in HOSTILE.items() for door in one.doors])
def test_a_hostile_record_is_refused_with_its_code(name: str, door: str) -> None:
    with pytest.raises(Violation) as raised:
        open_at("kafka" if door == "kafka" else "http", HOSTILE[name])
    assert raised.value.code == HOSTILE[name].code


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_record_is_valid_by_its_schema_too(name: str) -> None:
    envelope = read_structured(GOLDEN[name])
    assert envelope.dataschema == BY_TYPE[envelope.type].model.dataschema()
    assert valid(strict_json(envelope.data), schema_of(BY_TYPE[envelope.type].model, "producer"))


def test_the_records_of_services_carry_their_cause_and_those_of_clinics_their_clinic() -> None:
    for name, body in GOLDEN.items():
        envelope = read_structured(body)
        if envelope.source.startswith("/clinics/"):
            assert envelope.sequence is None, name
        else:
            assert envelope.source.startswith("/services/"), name
            # A consultation is booked at a door and reminded of by the clock: no event is the cause.
            assert envelope.causationid or ".consultation." in envelope.type, name


def test_what_an_envelope_can_get_wrong_is_shown_by_a_record() -> None:
    assert {record.code for record in HOSTILE.values()} >= {
        "envelope.attribute",
        "envelope.content_type",
        "envelope.header",
        "envelope.header_twice",
        "envelope.key",
        "envelope.missing",
        "envelope.no_data",
        "envelope.specversion",
        "json.duplicate_key",
        "json.invalid",
        "json.number",
        "json.too_deep",
        "contract.extra_forbidden",
        "contract.unknown_type",
    }
