"""The default policies' numbers, written anew, each with its source."""

WAITING = 50
"""Events of a case that may wait: eight weeks of five sessions, and some to spare."""
PATIENCE_DAYS = 14
"""Wall-clock days after which what waits is given up: a paper referral is keyed in by then."""

# Intake: the usual entry criteria of work hardening programs (CARF).
FURTHER_CRITERIA = 1
"""Of the criteria (b) to (e), beside (a)."""
LEAST_HOURS = 2.0
"""Tolerance a day, h: a first session is two hours."""
LEAST_DAYS = 3
"""Tolerance a week: conditioning needs about three sessions a week (ACSM)."""
INJURY_YEARS = 2
BARRING = {
    "cauda_equina", "chest_pain", "progressive_neurological_deficit", "suspected_infection", "suspected_malignancy",
    "unstable_angina", "unstable_fracture",
}  # fmt: skip
"""Red flags of the low-back-pain guidelines, and ACSM's absolute contraindications to exercise testing."""
PARTS = 50
GRANTS = 100
CORRECTIONS = 20
OVERRIDERS = {"medical_director", "physician", "program_director"}
"""Those who answer for an admission. The program's own convention."""
AHEAD_DAYS = 1
"""A clinic's date may be one ahead of an event's time, which may bear any offset."""

# Planning: the program's own length, and as many extensions as a week may be held.
WEEKS = 8
EXTENSIONS = 2
LAST_WEEK = 52
"""The largest number that the contracts carry."""

# Progress.
ATTENDANCE = 0.8
ATTAINED = 0.9
REGRESS_BELOW = 0.6
FLARE = 2.0
"""NPRS points above the baseline, 24 h later: the least clinically important change (Farrar 2001). The scale ends
at 10."""
HOLDS = 2
STALLED = 2
GAIN = 0.02
READINESS_FROM = 4
CONFIDENCE = 7.0
SHIFT_DAYS = 2
FULL_SHIFT = 8.0
RETEST_DAYS = 14
SIGNERS = {
    "physician", "occupational_therapist", "physical_therapist", "physician_assistant", "nurse_practitioner",
    "chiropractor",
}  # fmt: skip
"""Those who write work status reports (28 Tex. Admin. Code 129.5), and the therapists who lead work hardening."""
EARLIEST_DAYS = 60
REPORTS = 500
FROZEN_WEEKS = 4

# Notify: a work status names the date until which it holds (28 Tex. Admin. Code 129.5, form DWC-73).
REVIEW_DAYS = 28
ANSWERS = 20
TOLD = 100
