"""Rows of a caseload, for the tests of its import."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from ops.caseload.columns import COLUMNS

ROW: Mapping[str, str] = {
    "case_number": "C-1",
    "referred_on": "2026-03-02",
    "worker_ref": "w-1",
    "employer": "acme-logistics",
    "employee_key": "E-17",
    "injury_date": "2025-11-18",
    "body_part": "lower back",
    "workplace_injury": "yes",
    "demanding_job": "yes",
    "return_to_work_goal": "yes",
    "medical_clearance": "yes",
    "treatment_consent": "yes",
    "job_title": "Order picker",
    "job_basis": "job_analysis",
    "job_shift_hours": "8",
    "job_demands": "lift/floor_waist/occasional 22.5 kg critical | stand/-/constant 6 h",
    "tolerance_hours_per_day": "2.5",
    "tolerance_days_per_week": "4",
    "assessed_on": "2026-03-03",
    "history_flags": "none",
    "examination": "lumbar_flexion_pain/both",
    "posture": "none",
    "mobility": "lumbar/flexion/not_applicable 40",
    "functional_tests": "lift/floor_waist/occasional 10 kg",
    "baseline_pain": "4",
    "consent_scopes": "work_status",
    "consent_basis": "worker_consent",
    "consent_from": "2026-03-02",
}
"""A row that fills what it takes until a plan is issued and the employer may be told."""


def row(number: int | str = 1, **changes: str) -> dict[str, str]:
    """The row with another case number, and these cells changed; an empty one is as good as none."""
    return {**ROW, "case_number": f"C-{number}", "worker_ref": f"w-{number}", **changes}


def table(rows: Iterable[Mapping[str, str]], delimiter: str = ",", end: str = "\r\n", bom: bool = False) -> bytes:
    """A CSV as a spreadsheet writes it, with all columns."""
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, list(COLUMNS), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return (b"\xef\xbb\xbf" if bom else b"") + written.getvalue().encode()
