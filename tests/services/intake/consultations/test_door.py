"""Consultations through their doors: HTTP, with a real PostgreSQL behind it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest
from httpx import Response
from structlog.testing import capture_logs

from runtime.running import Running
from services.intake.consultations.reminders import look
from services.intake.effects import RemoveBooking, remove_bookings
from tests.services.intake.cases import referral
from tests.services.intake.consultations.conftest import Office
from tests.services.intake.consultations.people import EVERY_DAY, PROFILE
from workhardening_contracts.clinic import ReferralReceived

pytestmark = pytest.mark.stack

PEOPLE = 50


def code(answer: Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def held(office: Office, therapist: UUID) -> int:
    return await office.pool.fetchval(
        "SELECT count(*) FROM appointments WHERE therapist = $1 AND status = 'booked'", therapist
    )


async def kinds(office: Office, booking: str) -> list[str]:
    return [headers.split("intake.consultation.")[1].split(".v1")[0] for headers, _ in await office.events(booking)]


# To look


async def test_anybody_may_read_who_is_on_the_list_and_what_is_offered(office: Office) -> None:
    shown, hidden = await office.therapist(), await office.therapist(listed=False)
    service = uuid4()
    offer = {"name": "Work hardening", "summary": "Eight graded weeks."}
    for _ in range(2):
        assert (await office.as_clinic("PUT", f"/services/{service}", json=offer)).json() == {"id": str(service)}
    therapists = (await office.as_clinic("GET", "/therapists")).json()["therapists"]
    assert str(hidden) not in {each["id"] for each in therapists}
    (found,) = [each for each in therapists if each["id"] == str(shown)]
    assert (found["clinic"], found["zone"], found["profile"]) == ("north", "Europe/Berlin", {**PROFILE, "listed": True})
    services = (await office.ask("GET", "/v1/consultations/services", params={"clinic": "north"})).json()["services"]
    assert str(service) in {each["id"] for each in services}
    elsewhere = await office.ask("GET", "/v1/consultations/services", params={"clinic": "south"})
    assert elsewhere.json() == {"services": []}


async def test_times_are_told_in_the_zone_that_is_asked_for(office: Office) -> None:
    therapist = await office.therapist()
    own, far = await office.free(therapist), await office.free(therapist, zone="Asia/Kathmandu")
    assert len(own) == 16
    assert "T09:00:00+0" in own[0]
    assert far[0].endswith("+05:45")
    assert datetime.fromisoformat(far[0]) == datetime.fromisoformat(own[0])


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"zone": "CANARY/Zone"}, "zone_unknown"),
        ({"zone": "../../etc/passwd"}, "zone_unknown"),
        ({"days": 32}, "request.less_than_equal"),
        ({"from": "CANARY"}, "request.date_from_datetime_parsing"),
    ],
)
async def test_what_cannot_be_asked_is_refused_and_not_repeated(
    office: Office, asked: dict[str, Any], refusal: str
) -> None:
    answer = await office.ask("GET", f"/v1/consultations/therapists/{uuid4()}/slots", params=asked)
    assert code(answer) == (422, refusal)
    assert "CANARY" not in answer.text


# To book


async def test_who_books_has_the_time_and_who_cancels_gives_it_back(office: Office) -> None:
    therapist = await office.therapist()
    time = (await office.free(therapist))[3]
    booked = await office.book(therapist, time)
    assert booked.status_code == 201, booked.text
    assert datetime.fromisoformat(booked.json()["starts_at"]) == datetime.fromisoformat(time)
    assert office.woken
    assert time not in await office.free(therapist)
    mine = f"/v1/consultations/appointments/{booked.json()['token']}"
    seen = (await office.ask("GET", mine)).json()
    assert {name: booked.json()[name] for name in seen} == seen
    for _ in range(2):
        assert (await office.ask("DELETE", mine)).json() == {**seen, "status": "cancelled"}
    assert time in await office.free(therapist)
    assert await kinds(office, seen["id"]) == ["booked", "cancelled"]
    assert (await office.book(therapist, time)).status_code == 201


async def test_a_request_that_is_repeated_books_once_and_is_answered_alike(office: Office) -> None:
    therapist, key = await office.therapist(), str(uuid4())
    time, other = (await office.free(therapist))[:2]
    answers = await asyncio.gather(*(office.book(therapist, time, key) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert await held(office, therapist) == 1
    assert await kinds(office, answers[0].json()["id"]) == ["booked"]
    assert code(await office.book(therapist, other, key)) == (409, "key_reused")


async def test_of_fifty_people_who_want_one_time_exactly_one_has_it(office: Office) -> None:
    therapist = await office.therapist()
    time = (await office.free(therapist))[0]
    answers = await asyncio.gather(*(office.book(therapist, time) for _ in range(PEOPLE)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: PEOPLE - 1}
    assert {code(answer) for answer in answers if answer.status_code == 409} == {(409, "time_taken")}
    assert await held(office, therapist) == 1


async def test_of_fifty_people_whose_times_overlap_no_two_hold_the_therapist_at_once(office: Office) -> None:
    """Times of one set of hours never overlap; those before and after the hours were changed do."""
    therapist = await office.therapist()
    early = (await office.free(therapist))[:5]
    late = [str(datetime.fromisoformat(time) + timedelta(minutes=15)) for time in early]
    shifted = {**EVERY_DAY, "weekly": [{**window, "opens": "09:15"} for window in EVERY_DAY["weekly"]]}
    before = [office.book(therapist, early[n % 5]) for n in range(PEOPLE // 2)]
    change = office.as_clinic("PUT", f"/therapists/{therapist}/hours", json=shifted)
    after = [office.book(therapist, late[n % 5]) for n in range(PEOPLE // 2)]
    answers = await asyncio.gather(*before, change, *after)
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    again = await asyncio.gather(*(office.book(therapist, time) for time in late))
    assert {answer.status_code for answer in again} <= {201, 409}
    rows = await office.pool.fetch(
        "SELECT starts_at, ends_at FROM appointments WHERE therapist = $1 AND status = 'booked' ORDER BY 1", therapist
    )
    assert len(rows) == sum(answer.status_code == 201 for answer in (*answers, *again))
    assert len(rows) >= 3, "every other early one, at the least, or what fits between them"
    assert all(one["ends_at"] <= next_["starts_at"] for one, next_ in pairwise(rows))


async def test_the_database_refuses_whatever_forgets_to_ask(office: Office) -> None:
    """Fifty writers at once that look at nothing: only the constraint is in their way."""
    therapist = await office.therapist()
    number = await office.pool.fetchval("SELECT number FROM therapists WHERE id = $1", therapist)
    begin = datetime.now(UTC)

    async def write(_: int) -> bool:
        starts = begin + timedelta(minutes=random.randrange(300))
        try:
            await office.pool.execute(
                "INSERT INTO bookings (id, idempotency_key, wish_digest, token_digest, clinic, therapist, during, zone,"
                " name, contact, booked_at, cancel_until, kept_until, policy_version)"
                " VALUES ($1, $2, '', $2, 'north', $3, tstzrange($4, $5), '', '', '', $4, $4, $4, '')",
                *(uuid4(), uuid4().bytes, number, starts, starts + timedelta(minutes=30)),
            )
        except (asyncpg.ExclusionViolationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError):
            return False
        return True

    written = await asyncio.gather(*(write(n) for n in range(PEOPLE)))
    meeting = await office.pool.fetchval(
        "SELECT count(*) FROM bookings a JOIN bookings b ON a.therapist = b.therapist AND a.id < b.id"
        " AND a.during && b.during WHERE a.therapist = $1",
        number,
    )
    assert (await held(office, therapist), meeting) == (sum(written), 0)
    assert 0 < sum(written) < PEOPLE


async def test_what_is_not_on_offer_is_refused_by_name_and_nothing_that_was_said_is_repeated(office: Office) -> None:
    therapist, hidden = await office.therapist(), await office.therapist(listed=False)
    time = (await office.free(therapist))[0]
    soon, far = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) + timedelta(days=61)
    with capture_logs() as logs:
        answers = [
            await office.book(uuid4(), time),
            await office.book(hidden, time),
            await office.book(therapist, str(datetime.fromisoformat(time) + timedelta(minutes=1))),
            await office.book(therapist, str(soon)),
            await office.book(therapist, str(far)),
            await office.book(therapist, time, service=str(uuid4())),
            await office.book(therapist, time, zone="CANARY/Zone"),
            await office.book(therapist, time, name="CANARY\x00"),
            await office.book(therapist, "CANARY"),
            await office.book(therapist, time, injury="CANARY"),
            await office.book(therapist, time, key="CANARY"),
        ]
    assert [code(answer) for answer in answers] == [
        (404, "therapist_unknown"),
        (404, "therapist_unknown"),
        (409, "time_not_offered"),
        (409, "too_soon"),
        (409, "too_far"),
        (409, "service_unknown"),
        (422, "contract.value_error"),
        (422, "contract.string_pattern_mismatch"),
        (422, "contract.datetime_parsing"),
        (422, "contract.extra_forbidden"),
        (422, "request.string_pattern_mismatch"),
    ]
    assert "CANARY" not in "".join(answer.text for answer in answers) + repr(logs)


async def test_a_stranger_books_ten_times_in_a_row_and_no_other_waits_for_him(office: Office) -> None:
    therapist = await office.therapist()
    times = await office.free(therapist)
    async with office.client("203.0.113.9") as stranger:
        answers = [
            await stranger.post(
                "/v1/consultations/bookings", json={"therapist": "?"}, headers={"idempotency-key": str(uuid4())}
            )
            for _ in range(11)
        ]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 300
    assert (await office.book(therapist, times[0])).status_code == 201


@pytest.mark.parametrize("token", ["x" * 43, "x", "x" * 44, "%00" + "x" * 42])
async def test_a_token_that_was_never_given_opens_nothing(office: Office, token: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await office.ask(method, f"/v1/consultations/appointments/{token}")
        assert code(answer) in ((404, "booking_unknown"), (422, "request.string_pattern_mismatch"))


async def test_the_token_is_in_no_table_and_no_event_says_who_has_booked(office: Office) -> None:
    therapist = await office.therapist()
    booked = (await office.book(therapist, (await office.free(therapist))[0])).json()
    row = await office.pool.fetchval("SELECT b::text FROM bookings b WHERE id = $1", UUID(booked["id"]))
    assert "CANARY" in row
    assert booked["token"] not in row
    ((headers, value),) = await office.events(booked["id"])
    assert "CANARY" not in headers + value
    assert booked["token"] not in headers + value


# The clinic


async def test_a_clinic_sees_its_own_bookings_and_deletes_one_with_all_that_was_left(office: Office) -> None:
    therapist = await office.therapist(clinic="east")
    times = await office.free(therapist)
    first, second = [(await office.book(therapist, time)).json() for time in (times[2], times[0])]
    listed = (await office.as_clinic("GET", "/bookings", "east")).json()["bookings"]
    assert [each["id"] for each in listed] == [second["id"], first["id"]]
    assert (listed[0]["name"], listed[0]["contact"]) == ("CANARY Alex", "CANARY 555 0100")
    assert (await office.as_clinic("GET", "/bookings", "west")).json() == {"bookings": []}
    path = f"/bookings/{first['id']}"
    assert code(await office.as_clinic("DELETE", path, "west")) == (404, "booking_unknown")
    assert (await office.as_clinic("DELETE", path, "east")).status_code == 200
    assert code(await office.as_clinic("DELETE", path, "east")) == (404, "booking_unknown")
    assert times[2] in await office.free(therapist)
    assert await kinds(office, first["id"]) == ["booked", "cancelled"]
    assert [each["id"] for each in (await office.as_clinic("GET", "/bookings", "east")).json()["bookings"]] == [
        second["id"]
    ]


async def test_no_clinic_changes_what_is_anothers(office: Office) -> None:
    therapist, service = await office.therapist(), uuid4()
    offer = {"name": "Work hardening", "summary": "Eight graded weeks."}
    assert (await office.as_clinic("PUT", f"/services/{service}", json=offer)).status_code == 200
    answers = [
        await office.as_clinic("PUT", f"/therapists/{therapist}", "south", json=PROFILE),
        await office.as_clinic("PUT", f"/services/{service}", "south", json=offer),
        await office.as_clinic("PUT", f"/therapists/{therapist}/hours", "south", json=EVERY_DAY),
    ]
    assert [code(answer) for answer in answers] == [(409, "id_taken"), (409, "id_taken"), (404, "therapist_unknown")]


async def test_a_booking_is_referred_once(office: Office) -> None:
    therapist = await office.therapist()
    booked = (await office.book(therapist, (await office.free(therapist))[0])).json()
    path, body = f"/bookings/{booked['id']}/refer", referral().model_dump(mode="json", exclude_none=True)
    broken = await office.as_clinic("POST", path, json={**body, "worker_ref": "CANARY !"})
    assert code(broken) == (422, "contract.string_pattern_mismatch")
    assert "CANARY" not in broken.text
    answers = [await office.as_clinic("POST", path, json=body) for _ in range(2)]
    expected = {
        "case": booked["id"],
        "event": f"consultation-{booked['id']}",
        "status_url": f"/v1/events/consultation-{booked['id']}",
    }
    assert [(answer.status_code, answer.json()) for answer in answers] == [(202, expected)] * 2
    first, again = (envelope for _, envelope in office.broker.sent)
    assert first == again, "which the event log takes for one"
    assert (str(first.subject), first.type) == (booked["id"], ReferralReceived.TYPE)
    other = await office.as_clinic("POST", path, json={**body, "worker_ref": "another"})
    assert code(other) == (409, "id_reused")
    assert code(await office.as_clinic("POST", path, "south", json=body)) == (404, "booking_unknown")
    (listed,) = [
        each for each in (await office.as_clinic("GET", "/bookings")).json()["bookings"] if each["id"] == booked["id"]
    ]
    assert listed["referred_at"]


async def test_a_broker_that_is_away_is_told_and_the_same_referral_goes_through_later(office: Office) -> None:
    therapist = await office.therapist()
    booked = (await office.book(therapist, (await office.free(therapist))[0])).json()
    path, body = f"/bookings/{booked['id']}/refer", referral().model_dump(mode="json", exclude_none=True)
    office.broker.failures = 1
    assert code(await office.as_clinic("POST", path, json=body)) == (503, "unavailable")
    assert (await office.as_clinic("POST", path, json=body)).status_code == 202


# In time


def at(office: Office) -> Running:
    return cast("Running", office.app.state.running)


async def test_a_reminder_is_told_once_however_many_look_for_it(office: Office) -> None:
    therapist = await office.therapist()
    booked = (await office.book(therapist, (await office.free(therapist))[0])).json()
    starts = datetime.fromisoformat(booked["starts_at"])
    await look(at(office), starts - timedelta(hours=24, seconds=1))
    assert await kinds(office, booked["id"]) == ["booked"], "not before its time"
    due = starts - timedelta(hours=24)
    await asyncio.gather(*(look(at(office), due) for _ in range(3)))
    await look(at(office), due)
    assert await kinds(office, booked["id"]) == ["booked", "reminder.due"]


async def test_nobody_is_reminded_of_what_was_cancelled_or_is_over(office: Office) -> None:
    therapist = await office.therapist()
    first, second = [(await office.book(therapist, time)).json() for time in (await office.free(therapist))[:2]]
    await office.ask("DELETE", f"/v1/consultations/appointments/{first['token']}")
    await look(at(office), datetime.fromisoformat(second["starts_at"]))
    assert await kinds(office, first["id"]) == ["booked", "cancelled"]
    assert await kinds(office, second["id"]) == ["booked"]


async def test_what_a_person_left_goes_in_time_and_with_an_erased_case(office: Office) -> None:
    therapist = await office.therapist()
    first, second = [(await office.book(therapist, time)).json() for time in (await office.free(therapist))[:2]]
    async with office.pool.acquire() as connection:
        await remove_bookings(connection, [RemoveBooking(UUID(first["id"])), RemoveBooking(uuid4())])
    ends = datetime.fromisoformat(second["ends_at"])

    async def left() -> list[str]:
        rows = await office.pool.fetch("SELECT id::text FROM appointments WHERE therapist = $1", therapist)
        return [row["id"] for row in rows]

    await look(at(office), ends + timedelta(days=30))
    assert await left() == [second["id"]]
    await look(at(office), ends + timedelta(days=30, seconds=1))
    assert await left() == []
