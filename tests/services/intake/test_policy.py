"""Intake's policy: data with bounds, read from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.policy import BadPolicy, load
from services.intake.eligibility import eligibility
from services.intake.handlers import handlers
from services.intake.policy import Policy
from tests.services.intake.cases import TODAY, criteria, decide, kinds, referral, said
from workhardening_contracts.clinic import ReferralReceived


def _file(folder: Path, **default: Any) -> Path:
    path = folder / "policy.json"
    own = {"south": {"min_days_per_week": 5}}
    document = {"version": "2026-1", "intake": {"default": default, "clinics": own}}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_file_changes_the_numbers_and_a_clinic_its_own(tmp_path: Path) -> None:
    policies = load(Policy, _file(tmp_path, further_criteria=2, barring_red_flags=["night_sweats"]))
    assert policies.default.barring_red_flags == {"night_sweats"}
    assert (policies.of("north").min_days_per_week, policies.of("north").version) == (3, "2026-1")
    assert (policies.of("south").min_days_per_week, policies.of("south").version) == (5, "2026-1+south")
    event = said(
        ReferralReceived(referral=referral(criteria=criteria(reinjury_risk="yes"))), "r1", source="/clinics/south"
    )
    assert handlers(policies).policy(event).version == "2026-1+south"
    assert kinds(decide(None, event, policies.of("south"))) == ["CaseDeclined"], "4 days tolerated, 5 asked for"


@pytest.mark.parametrize(
    "beyond",
    [
        {"min_hours_per_day": 9},
        {"min_days_per_week": 0},
        {"max_injury_age_years": 11},
        {"further_criteria": 5},
        {"x": 1},
    ],
)
def test_a_number_outside_its_bounds_or_unknown_is_refused(tmp_path: Path, beyond: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy):
        load(Policy, _file(tmp_path, **beyond))


def test_without_a_file_the_defaults_hold() -> None:
    policy = load(Policy, None).default
    assert policy.version == "default-1"
    assert eligibility(referral(), policy, TODAY).verdict == "accepted"
