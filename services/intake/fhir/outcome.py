"""What is said of resources that were sent: issues, and the OperationOutcome that carries them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to say. It holds no value of what was sent."""

    severity: Severity
    code: str
    """Of FHIR's value set issue-type, e.g. `required`, `value`, `not-supported`."""
    at: str
    """FHIRPath of the element, e.g. `Bundle.entry[3].resource.period`."""
    text: str


def error(code: str, at: str, text: str) -> Issue:
    """Why what was sent is refused."""
    return Issue("error", code, at, text)


def left_out(at: str, text: str) -> Issue:
    """What has no place in the program's events, and why. The rest is taken in without it."""
    return Issue("information", "not-supported", at, text)


def refused(issues: Iterable[Issue]) -> bool:
    """Whether one of these is an error."""
    return any(issue.severity == "error" for issue in issues)


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The resource. What is the same but for its place is one issue with all the places."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for issue in issues:
        places.setdefault((issue.severity, issue.code, issue.text), []).append(issue.at)
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": severity, "code": code, "diagnostics": text, "expression": list(dict.fromkeys(at))}
            for (severity, code, text), at in places.items()
        ],
    }
