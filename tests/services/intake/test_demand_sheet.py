"""The printable job-demand sheet."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from services.intake.composite_lifting import JobTask, LiftingJob, composite_index
from services.intake.demand_library import parse
from services.intake.demand_sheet import POLICY, STYLE, amount, sheet
from services.intake.job_comparison import Job, job_of
from services.intake.templates import SURVEY
from workhardening_contracts.demand import Demand, DemandProfile
from workhardening_contracts.quantity import Quantity

LIBRARY = {t.soc_code: t for t in parse(SURVEY.read_text(encoding="utf-8").splitlines(keepends=True)).templates}


class Page(HTMLParser):
    """The tags, attributes and texts of a sheet; every tag must be closed in its order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.said = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said = f"{self.said} {data}"


def _analysed(title: str, basis: str = "job_analysis") -> Job:
    lift = Demand(
        kind="lift", zone="floor_waist", frequency="seldom", amount=Quantity(amount=20, unit="kg"), critical=True
    )
    return Job(title=title, profile=DemandProfile(title=title, basis=basis, demands=(lift,), shift_hours=8))


def test_a_draft_says_so_and_shows_each_demand_with_its_error_and_room_to_confirm_it() -> None:
    page = Page(sheet(job_of(LIBRARY["53706200"])))
    said = " ".join(page.said.split())
    for words in ("draft", "100 lb (45.4 kg)", "52.6 % ± 3.2", "job_analysis", "not published", "At this workplace"):
        assert words in said
    assert "confirmed it" in said


def test_each_occupation_has_a_sheet_without_scripts_and_links() -> None:
    for template in LIBRARY.values():
        page = Page(sheet(job_of(template)))
        assert not {"script", "img", "link", "iframe", "a", "form"} & set(page.tags)
        assert page.attributes <= {"lang", "charset", "name", "content", "class", "scope"}


def test_a_draft_has_room_for_what_the_survey_does_not_know_and_a_confirmed_job_needs_none() -> None:
    assert 'class="more"' in sheet(job_of(LIBRARY["53706200"]))
    confirmed = sheet(_analysed("Mover"))
    assert 'class="more"' not in confirmed
    assert "At this workplace" not in confirmed


def test_what_a_clinic_wrote_cannot_act() -> None:
    html = sheet(_analysed("<script>alert(1)</script>"))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("basis", "says"), [("job_analysis", "confirmed"), ("employer", "No job analysis"), ("hearsay", "draft")]
)
def test_a_sheet_says_how_far_its_job_may_be_trusted(basis: str, says: str) -> None:
    assert says in Page(sheet(_analysed("Mover", basis))).said


def test_the_lifting_tasks_stand_on_the_sheet_with_their_composite_index() -> None:
    task = JobTask(
        name="Sacks <to> the belt", unit_system="metric", load=23.0, horizontal=25.0, vertical=75.0, travel=25.0,
        lifts_per_minute=0.2, duration_hours=1.0, coupling="good",
    )  # fmt: skip
    far = task.model_copy(update={"name": "far", "horizontal": 64.0})
    said = Page(sheet(_analysed("Mover"), composite_index(LiftingJob(tasks=(task,))))).said
    assert "Sacks <to> the belt" in said
    assert "1.00" in said
    assert "outside any limit" in Page(sheet(_analysed("Mover"), composite_index(LiftingJob(tasks=(task, far))))).said


def test_the_policy_lets_the_sheets_own_style_in_and_nothing_else() -> None:
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert f"<style>{STYLE}</style>" in sheet(_analysed("Mover")), "byte for byte what the hash was taken of"
    assert "@page" in STYLE


def test_amounts_are_told_in_both_units_of_mass() -> None:
    quantities = Quantity(amount=50, unit="lb"), Quantity(amount=20, unit="kg"), Quantity(amount=7.1, unit="h")
    assert [amount(each) for each in quantities] == ["50 lb (22.7 kg)", "20 kg (44.1 lb)", "7.1 h"]
