"""How the pages say things, what a form becomes, and which files a browser gets."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest

from services.console.pages import assets, words
from services.console.pages.forms import asked, drafted
from services.console.pages.words import FILTERS
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.progress import Forecast
from workhardening_contracts.quantity import Quantity

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pain_flare", "Pain flare"),
        ("hours_capped.lift", "Hours capped: lift"),
        ("alert.phq9_item9", "PHQ-9 item 9 reported"),
        ("in_program", "In the program"),
        (None, ""),
    ],
)
def test_a_code_is_said_in_words(code: str | None, said: str) -> None:
    assert words.words(code) == said


def test_a_list_of_codes_is_one_sentence_that_keeps_names_as_they_are() -> None:
    assert words.listed(["Escalated", "phq9_item9", "pain_flare"]) == "Escalated, PHQ-9 item 9, pain flare"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("lift/floor_waist/occasional", "Lift, floor to waist, occasional"),
        ("stand/-/constant", "Stand, constant"),
        ("something_new/-/seldom", "Something new, seldom"),
    ],
)
def test_a_demands_key_is_said_in_words(key: str, said: str) -> None:
    assert words.demand(key) == said


def test_a_time_has_one_form_whatever_its_offset() -> None:
    berlin = timezone(timedelta(hours=2))
    assert words.moment(datetime(2025, 6, 1, 1, 5, tzinfo=berlin)) == "31 May 2025, 23:05 UTC"
    assert words.iso(datetime(2025, 6, 1, 1, 5, tzinfo=berlin)) == "2025-05-31T23:05:00Z"
    assert words.day(date(2025, 3, 3)) == words.day("2025-03-03") == "3 Mar 2025"
    assert words.day(None) == "–"


def test_an_amount_has_its_unit_and_no_digits_that_say_nothing() -> None:
    assert words.quantity(Quantity(amount=22.5, unit="kg")) == "22.5 kg"
    assert words.quantity(Quantity(amount=6.0, unit="h")) == "6 h"
    assert words.quantity(Quantity(amount=7.0, unit="score")) == "7"
    assert words.quantity(Quantity(amount=100, unit="N")) == "100 N"
    assert words.quantity(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "–"), (0.4, "0 s"), (61, "1 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_an_age_is_said_in_the_largest_unit_that_tells_it(seconds: float | None, said: str) -> None:
    assert words.age(seconds) == said


def test_a_restriction_says_where_how_often_and_how_much() -> None:
    limited = Restriction(
        activity="lift", zone="floor_waist", frequency="occasional", limit=Quantity(amount=10, unit="kg")
    )
    assert words.restriction(limited) == "Lift, floor to waist, occasional: at most 10 kg"
    assert words.restriction(Restriction(activity="climb")) == "Climb: not at all"


def test_a_forecast_says_rather_that_it_does_not_know_than_a_number() -> None:
    assert words.forecast(Forecast(status="reached")) == "The critical demands are met."
    assert words.forecast(Forecast(status="insufficient_data")).startswith("Not enough data")
    assert "week 8.4 (80 % interval: 7.6 to 9.9)" in words.forecast(
        Forecast(status="expected", week=8.42, earliest=7.6, latest=9.9)
    )


def test_two_cases_of_one_minute_are_told_apart_in_short() -> None:
    one, other = UUID(int=0x01955B2E8C007A108B1E5D2F6C3A9E01), UUID(int=0x01955B2E8C007A108B1E5D2F6C3A9E02)
    assert words.short(one) == "01955b2e…9e01"
    assert words.short(one) != words.short(other)


def test_every_filter_is_used_by_a_template() -> None:
    folder = ROOT / "services/console/pages/templates"
    text = " ".join(path.read_text("utf-8") for path in folder.glob("*.html"))
    assert [name for name in FILTERS if f"|{name}" not in text] == []


FORM = {
    "role": ["physician "], "decision": ["ready_with_restrictions"], "effective_from": ["2025-04-14"],
    "effective_through": ["2025-05-31"], "reason_code": [""], "activity": ["lift", ""], "zone": ["overhead", ""],
    "frequency": ["", ""], "limit": ["5", "3"], "unit": ["kg", "h"],
}  # fmt: skip


def test_a_row_without_an_activity_is_no_restriction() -> None:
    sent = asked(FORM)
    assert sent["activity"] == ["lift"]
    assert sent["limit"] == ["5"]
    assert sent["role"] == ["physician"]


def test_restrictions_that_were_typed_for_another_decision_are_not_sent() -> None:
    assert asked(FORM | {"decision": ["ready"]})["activity"] == []


def test_a_form_is_shown_again_as_it_was_typed() -> None:
    draft = drafted(FORM)
    assert [row.activity for row in draft.rows] == ["lift", ""]
    assert ("limit", "5") in draft.fields()
    assert asked({name: [value] for name, value in draft.fields()}) == asked(FORM)


def test_a_form_with_nothing_in_it_is_a_draft_too() -> None:
    assert drafted({}).decision == ""


def test_the_service_does_not_start_without_its_assets_and_says_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHP_CONSOLE_ASSETS", str(tmp_path))
    assets.files.cache_clear()
    with pytest.raises(assets.AssetsMissing, match="run `make setup`, or set WHP_CONSOLE_ASSETS"):
        assets.files()
    monkeypatch.undo()
    assets.files.cache_clear()
    assert set(assets.files()) == {*assets.FROM_NPM, *assets.OWN}


def test_an_address_changes_with_what_it_leads_to() -> None:
    name, _, digest = assets.address("console.css").partition("?")
    assert name == "/static/console.css"
    assert len(digest) == 12
