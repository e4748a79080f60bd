"""The pages, as a browser without scripts uses them."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html import unescape
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response

from runtime.limits import Buckets, Rate
from services.intake.consultations.callers import Strangers
from tests.services.intake.consultations.conftest import Office

pytestmark = pytest.mark.stack

HOSTILE = "<script>CANARY</script>"


def hidden(page: str) -> dict[str, str]:
    """The fields of the booking form that a person does not see."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def times(page: str) -> list[str]:
    return [unescape(value) for value in re.findall(r'name="starts_at" value="([^"]+)"', page)]


def assert_safe(answer: Response) -> None:
    """Nothing can act in it, and nobody keeps it."""
    policy = answer.headers["content-security-policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert 'name="viewport"' in answer.text


async def booking(office: Office, person: AsyncClient, **typed: str) -> Response:
    therapist = await office.therapist()
    page = (await person.get(f"/consultations/therapists/{therapist}", params={"zone": "Asia/Tokyo"})).text
    form = {**hidden(page), "starts_at": times(page)[-1], "name": "Alex", "contact": "555 0100", "service": "", **typed}
    assert (form["therapist"], form["zone"]) == (str(therapist), "Asia/Tokyo")
    return await person.post("/consultations/bookings", data=form)


async def test_a_person_finds_a_therapist_books_comes_back_and_cancels(office: Office) -> None:
    async with office.client() as person:
        therapist = await office.therapist(name=HOSTILE)
        looked = await person.get("/consultations")
        assert_safe(looked)
        assert f"/consultations/therapists/{therapist}" in looked.text
        week = await person.get(f"/consultations/therapists/{therapist}")
        assert_safe(week)
        assert "Europe/Berlin" in week.text
        assert len(times(week.text)) > 16
        booked = await booking(office, person)
        assert booked.status_code == 303
        mine = booked.headers["location"]
        shown = await person.get(mine)
        assert_safe(shown)
        assert "is booked" in shown.text
        assert "(Asia/Tokyo)" in shown.text
        gone = await person.post(f"{mine}/cancel")
        assert (gone.status_code, gone.headers["location"]) == (303, mine)
        assert "was cancelled" in (await person.get(mine)).text


async def test_a_form_that_is_sent_twice_books_once(office: Office) -> None:
    async with office.client() as person:
        therapist = await office.therapist()
        page = (await person.get(f"/consultations/therapists/{therapist}")).text
        form = {**hidden(page), "starts_at": times(page)[-1], "name": "Alex", "contact": "555 0100"}
        first, again = [await person.post("/consultations/bookings", data=form) for _ in range(2)]
        assert first.headers["location"] == again.headers["location"]
        other = hidden((await person.get(f"/consultations/therapists/{therapist}")).text)
        taken = await person.post("/consultations/bookings", data={**form, "key": other["key"]})
        assert taken.status_code == 409
        assert_safe(taken)
        assert "somebody has just taken this time" in taken.text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": " "}, "say your name"),
        ({"contact": ""}, "how the clinic reaches you"),
        ({"starts_at": HOSTILE}, "choose a time"),
        ({"therapist": "x", "zone": "Asia/Tokyo"}, "Send the form as the page has it"),
        ({"zone": "Mars/Olympus"}, "choose a time zone"),
        ({"key": "x"}, "no such therapist"),
    ],
)
async def test_what_is_missing_or_wrong_is_said_in_words_and_not_repeated(
    office: Office, typed: dict[str, str], said: str
) -> None:
    async with office.client() as person:
        therapist = await office.therapist()
        page = (await person.get(f"/consultations/therapists/{therapist}")).text
        form = {**hidden(page), "starts_at": times(page)[-1], "name": "Alex", "contact": "555 0100", **typed}
        answer = await person.post("/consultations/bookings", data=form)
        assert answer.status_code in (404, 422)
        assert_safe(answer)
        assert said in answer.text
        assert "CANARY" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        f"therapists/{uuid4()}",
        "therapists/CANARY",
        f"therapists/{uuid4()}?from=CANARY",
        f"therapists/{uuid4()}?zone=CANARY",
        "appointments/CANARY",
    ],
)
async def test_what_is_not_there_is_a_page_too(office: Office, path: str) -> None:
    answer = await office.ask("GET", f"/consultations/{path}")
    assert answer.status_code in (404, 422)
    assert_safe(answer)
    assert "CANARY" not in answer.text


async def test_pages_are_counted_with_the_doors(office: Office) -> None:
    office.app.state.strangers = Strangers(Buckets(Rate(1 / 3600, 3)))
    async with office.client("203.0.113.77") as stranger:
        answers = [await stranger.get("/consultations/appointments/x") for _ in range(3)]
        assert {answer.status_code for answer in answers} == {404}
        limited = await stranger.get("/consultations")
        assert limited.status_code == 429
        assert_safe(limited)
        assert int(limited.headers["retry-after"]) > 3000
        assert (await stranger.get("/v1/consultations/services")).status_code == 429
