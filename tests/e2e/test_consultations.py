"""From a consultation that a stranger books to the case that it becomes, and to its erasure: on the running program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.e2e.place import Place, await_that
from tests.ops.in_process import Command
from tests.services.intake.cases import referral
from tests.services.intake.consultations.people import EVERY_DAY, PROFILE

pytestmark = pytest.mark.stack

CANARY = "canary-5512"


@pytest.fixture
def anybody(steady: Place) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=steady.stack().front_door, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def clinic(steady: Place) -> Iterator[httpx.Client]:
    key = {"authorization": f"Bearer {steady.target().clinics['north']}"}
    with httpx.Client(base_url=steady.stack().front_door, timeout=60, trust_env=False, headers=key) as client:
        yield client


def told(place: Place, booking: str) -> list[str]:
    """The types in the clinic's feed of one booking, in order."""
    rows = place.query("notify", f"SELECT event ->> 'type' FROM feed WHERE case_ref = '{booking}' ORDER BY id")
    return [row[0].removeprefix("org.workhardening.intake.").removesuffix(".v1") for row in rows]


def test_a_consultation_becomes_a_case_and_the_case_is_erased_with_it(
    steady: Place, command: Command, anybody: httpx.Client, clinic: httpx.Client
) -> None:
    therapist = uuid4()
    path = f"/v1/consultations/therapists/{therapist}"
    assert clinic.put(path, json=PROFILE).status_code == 200
    assert clinic.put(f"{path}/hours", json=EVERY_DAY).status_code == 200

    day = str(datetime.now(UTC).date() + timedelta(days=3))
    slots = anybody.get(f"{path}/slots", params={"from": day, "days": 1, "zone": "America/New_York"}).json()["slots"]
    wish = {
        "therapist": str(therapist), "starts_at": slots[0]["starts_at"], "zone": "America/New_York",
        "name": f"{CANARY} name", "contact": f"{CANARY} contact",
    }  # fmt: skip
    booked: dict[str, Any] = anybody.post(
        "/v1/consultations/bookings", json=wish, headers={"idempotency-key": str(uuid4())}
    ).json()
    booking = booked["id"]
    await_that(lambda: told(steady, booking) == ["consultation.booked"], "the booking in the clinic's feed")

    # The clock is not waited for: the reminder is due now, and the running worker finds it.
    steady.query("intake", "UPDATE bookings SET remind_at = now() WHERE id = $1 RETURNING id", UUID(booking))
    both = ["consultation.booked", "consultation.reminder.due"]
    await_that(lambda: told(steady, booking) == both, "the reminder in the clinic's feed")
    assert steady.count("notify", f"messages WHERE case_ref = '{booking}' AND kind = 'consultation'") == 1

    body = referral().model_dump(mode="json", exclude_none=True)
    for _ in range(2):
        assert clinic.post(f"/v1/consultations/bookings/{booking}/refer", json=body).json()["case"] == booking
    await_that(lambda: told(steady, booking) == [*both, "case.opened"], "the case in the clinic's feed")

    with_name = "SELECT count(*) FROM bookings b WHERE position($1 IN b::text) > 0"
    assert steady.query("intake", with_name, CANARY)[0][0] == 1
    assert CANARY not in json.dumps(
        [
            list(map(str, row))
            for row in steady.query("notify", f"SELECT f::text FROM feed f WHERE case_ref = '{booking}'")
        ]
    )
    erased = command("erase", booking, "--reason", "worker_request")
    assert erased.returncode == 0, erased.stdout + erased.stderr
    assert steady.query("intake", with_name, CANARY)[0][0] == 0
    assert anybody.get(f"/v1/consultations/appointments/{booked['token']}").status_code == 404
    assert told(steady, booking) == []
