"""Why progress refuses a clinic's event, and how to mend it. Codes are stable; clinics' systems act on them."""

from __future__ import annotations

REFUSALS: dict[str, tuple[str, str, str | None]] = {
    "case_closed": ("the program is over for this case", "open a new case for a new program", None),
    "day_to_come": ("a day to come cannot be closed", "close days that have ended", "/through"),
    "held_on_to_come": (
        "a session is recorded when it has been held or missed",
        "check the date, and the event's `time`",
        "/session/held_on",
    ),
    "held_on_out_of_range": (
        "the date lies long before the case was opened",
        "check the date; an earlier program's session belongs to the case of that program",
        "/session/held_on",
    ),
    "too_many_reports": (
        "this case has more session reports than any program needs",
        "check what sends them; then close the case and open a new one",
        None,
    ),
    "session_exists": (
        "another session is recorded for this date",
        "send SessionCorrected with the id of the recorded session in `supersedes`",
        "/session/held_on",
    ),
    "session_unknown": (
        "no session with this id was recorded in this case",
        "name the id of the event that recorded the session",
        "/supersedes",
    ),
    "session_superseded": (
        "this session has been corrected already",
        "name the id of the latest correction",
        "/supersedes",
    ),
    "readiness_unknown": (
        "readiness has not been assessed in this case",
        "sign the latest ReadinessAssessed event",
        "/readiness_event",
    ),
    "readiness_superseded": (
        "this is not the latest readiness assessment: a later report or week replaced it, or is about to",
        "sign the latest ReadinessAssessed event",
        "/readiness_event",
    ),
    "readiness_expired": (
        "the assessment has expired",
        "test again: a capacity that was measured too long ago does not show what the worker can do now",
        "/readiness_event",
    ),
    "role_not_allowed": (
        "this role may not sign or withdraw readiness",
        "have it signed by a role that the clinic's policy names",
        "/role",
    ),
    "restriction_not_allowed": (
        "a restriction names an activity or a zone that is neither documented nor the job's, or a mental demand",
        "name `work_hours`, a physical kind or one of the job's; an employer is told it word for word",
        "/restrictions",
    ),
    "reason_required": (
        "the decision is another than recommended",
        "give the reason in `reason_code`",
        "/reason_code",
    ),
    "nothing_to_withdraw": ("no signed readiness stands in this case", "check the case reference", None),
}
"""Code -> (why, how to mend it, the field's path)."""
