"""Mail goes through the clinic: it names the worker's reference and nothing clinical."""

from __future__ import annotations

from typing import Any

import pytest

from services.notify import messages
from services.notify.rows import MessageRow
from tests.services.notify.cases import CASE, CLINIC, LIMIT, MONDAY, event, plan, ready, revised
from workhardening_contracts.demand import Demand, DemandProfile
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.quantity import Quantity

CANARY = "canary"


def with_canaries() -> tuple[Any, Any]:
    """A plan and a revision whose clinical and job fields hold a canary."""
    demand = Demand(kind=CANARY, frequency="seldom", amount=Quantity(amount=77.0, unit="kg"), critical=True)
    job = DemandProfile(title=f"{CANARY} title", basis="job_analysis", demands=(demand,), shift_hours=8.0)
    first = event(plan().data.model_copy(update={"job": job, "baseline_pain": 6.5}))
    second = event(revised(2).data.model_copy(update={"job": job, "baseline_pain": 6.5}), "plan-2")
    return first, second


def test_a_plan_is_announced_with_its_start_its_length_and_its_first_week() -> None:
    row = messages.plan_issued(plan(), "worker-7")
    assert (row.audience, row.clinic, row.case_ref) == ("worker", CLINIC, CASE)
    assert "worker-7" in row.subject
    assert "begins on Monday 2026-03-02 and lasts 8 weeks" in row.body
    assert "5 days of 4 hours" in row.body
    assert messages.EDUCATION["pacing"] in row.body


@pytest.mark.parametrize(
    ("verdict", "said"),
    [("advance", "a little more"), ("hold", "more time at this stage"), ("regress", "one step back")],
)
def test_a_week_is_summed_up_in_plain_words(verdict: str, said: str) -> None:
    row = messages.week_summary(revised(2, verdict=verdict), "worker-7")
    assert row is not None
    assert said in row.body
    assert "Week 2 of 8: from Monday 2026-03-09 to Sunday 2026-03-15" in row.body


def test_a_frozen_plan_has_no_next_week_to_write_about() -> None:
    assert messages.week_summary(revised(2, frozen=True, verdict="escalate"), "worker-7") is None


def test_an_education_topic_without_a_text_is_named() -> None:
    week = plan().data.weeks[0].model_copy(update={"education": ("sleep_habits",)})
    row = messages.plan_issued(event(plan().data.model_copy(update={"weeks": (week,)})), "worker-7")
    assert "sleep habits" in row.body


def test_readiness_tells_the_worker_the_date_and_leaves_the_limits_to_the_clinic() -> None:
    full, limited = messages.ready(ready(), "worker-7"), messages.ready(ready(restrictions=(LIMIT,)), "worker-7")
    assert f"without restrictions from Monday {MONDAY.isoformat()}" in full.body
    assert "with restrictions from" in limited.body
    assert "lift" not in limited.body


def test_an_alert_says_that_something_is_there_and_not_what() -> None:
    data = AssessmentCompleted(
        clinic=CLINIC,
        assessed_on=MONDAY,
        job=plan().data.job,
        baseline=(),
        baseline_pain=6.5,
        tolerance_hours_per_day=2.0,
        tolerance_days_per_week=3,
        authorised_weeks=None,
        authorised_hours_per_day=None,
        alerts=("phq9_item9",),
    )
    row = messages.alert(event(data), CLINIC)
    assert "phq9" not in row.body + row.subject
    assert str(CASE) in row.body


def test_no_message_holds_a_job_a_pain_or_a_target() -> None:
    first, second = with_canaries()
    rows: list[MessageRow | None] = [
        messages.plan_issued(first, "worker-7"),
        messages.week_summary(second, "worker-7"),
    ]
    for row in rows:
        assert row is not None
        text = row.subject + row.body
        assert CANARY not in text
        assert "6.5" not in text
        assert "77" not in text


def test_a_subject_is_one_line() -> None:
    assert "\n" not in messages.plan_issued(plan(), "worker-7").subject
