"""What every contract model shares: closed for producers, strict about types, and silent about values in errors."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

# A single line without control characters, bidirectional overrides or NUL: what a log line, a mail header and
# PostgreSQL's jsonb can all carry (NUL cannot be stored in jsonb; CR and LF forge log lines and headers).
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"

Line = Annotated[str, StringConstraints(pattern=PRINTABLE, min_length=1, max_length=500)]
"""One line of text for people, 1 to 500 characters."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]
"""A word of an open vocabulary: a string with documented values; an unknown one is carried and shown, never dropped."""

Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$", max_length=64)]
"""An opaque identifier that a partner minted. It must not be derived from a person's data."""

EventId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", min_length=1, max_length=200)]
"""The CloudEvents id: printable ASCII without spaces, unique per source."""

Score10 = Annotated[float, Field(ge=0, le=10)]
"""A 0-10 numeric rating (pain NPRS, exertion RPE CR10, confidence)."""

Ratio = Annotated[float, Field(ge=0, le=1)]
"""A share between 0 and 1."""


class Contract(BaseModel):
    """A value object of the contracts. Frozen; unknown fields are refused when producing."""

    # Fields that may be null have None as their default: a null is left out when an event is written.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class EventData(Contract):
    """The data of one event type. `TYPE` is the CloudEvents type, `VERSION` the contract's major.minor."""

    TYPE: ClassVar[str] = ""
    VERSION: ClassVar[str] = "1.0"

    @classmethod
    def dataschema(cls) -> str:
        """The `dataschema` attribute: a URN that carries the minor version, e.g. `urn:workhardening:<type>:1.0`."""
        return f"urn:workhardening:{cls.TYPE}:{cls.VERSION}"


class Violation(Exception):
    """Data that breaks its contract. Carries a stable code, the field's path and a sentence; never a value."""

    def __init__(self, code: str, field: str, detail: str) -> None:
        super().__init__(f"{code} at {field or '/'}: {detail}")
        self.code = code
        self.field = field
        self.detail = detail


def violation_of(error: ValidationError) -> Violation:
    """Reduce a pydantic error to its first finding, without the input that caused it.

    Unknown field names are the sender's own text, so a path shows them only when they look like a field name.
    """
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    parts = [str(part) for part in first["loc"]]
    path = "".join("/" + (part if part.isidentifier() or part.isdigit() else "?") for part in parts)
    return Violation(f"contract.{first['type']}", path[:200], first["msg"])
