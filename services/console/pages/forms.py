"""A form as the browser sends it, and the sign-off's form as it is shown again. Pure but for reading the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from urllib.parse import parse_qs

from fastapi import Request

from runtime.http import Problem
from services.console.pages.words import number
from services.console.views import SignOffPage

Form = Mapping[str, Sequence[str]]

# A sign-off with its 40 restrictions has some 250 fields; nothing else of ours is longer.
_MOST_BYTES = 64_000
_MOST_FIELDS = 400

PLAIN = ("role", "decision", "effective_from", "effective_through", "reason_code")
RESTRICTION = ("activity", "zone", "frequency", "limit", "unit")
_SPARE_ROWS = 1


async def form_of(request: Request) -> Form:
    """The fields of a urlencoded form. Raises Problem 413 and 422."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Problem(413, "too_large", "send the form as the page has it")
    try:
        return parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Problem(422, "form.invalid", "send the form as the page has it") from None


def one(form: Form, name: str) -> str:
    """A field that comes once; an empty text where it did not come."""
    return next(iter(form.get(name, ())), "").strip()


@dataclass(frozen=True, slots=True)
class Row:
    """One restriction as typed."""

    activity: str = ""
    zone: str = ""
    frequency: str = ""
    limit: str = ""
    unit: str = "kg"


@dataclass(frozen=True, slots=True)
class Draft:
    """A sign-off as typed so far."""

    role: str
    decision: str
    effective_from: str
    effective_through: str
    reason_code: str
    rows: tuple[Row, ...]

    def fields(self) -> list[tuple[str, str]]:
        """As the form's fields, for the page that asks whether to send it."""
        rows = [(name, str(getattr(row, name))) for row in self.rows if row.activity for name in RESTRICTION]
        return [(name, str(getattr(self, name))) for name in PLAIN] + rows


def begun(page: SignOffPage) -> Draft:
    """The form as it is first shown: what is recommended, from the day after the last that was assessed."""
    rows = tuple(
        Row(
            each.activity,
            each.zone or "",
            each.frequency or "",
            "" if each.limit is None else number(each.limit.amount),
            "kg" if each.limit is None else each.limit.unit,
        )
        for each in page.restrictions
    )
    start = page.readiness.assessed_through + timedelta(days=1)
    role = page.roles[0] if len(page.roles) == 1 else ""
    return Draft(role, page.recommended, start.isoformat(), "", "", rows + (Row(),) * _SPARE_ROWS)


def drafted(form: Form) -> Draft:
    """The form as it was sent, to be shown again."""
    columns = [[value.strip() for value in form.get(name, ())] for name in RESTRICTION]
    rows = [Row(*values) for values in zip_longest(*columns, fillvalue="")]
    kept = tuple(row for row in rows if row.activity) + (Row(),) * _SPARE_ROWS
    return Draft(**{name: one(form, name) for name in PLAIN}, rows=kept)


def asked(form: Form) -> dict[str, Sequence[str]]:
    """What the console is asked to sign: the form without the rows in which no activity was named.

    Restrictions go with one decision only; what was typed for it before another was chosen is not meant.
    """
    draft = drafted(form)
    rows = [row for row in draft.rows if row.activity] if draft.decision == "ready_with_restrictions" else []
    asked: dict[str, Sequence[str]] = {name: [str(getattr(draft, name))] for name in PLAIN}
    return asked | {name: [str(getattr(row, name)) for row in rows] for name in RESTRICTION}
