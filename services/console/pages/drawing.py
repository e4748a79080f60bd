"""From what a page shows to HTML: one way to draw, with the headers that every page has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from services.console.pages import words
from services.console.pages.assets import address
from services.console.views import Visitor

# No script and no style is in a page itself, so whatever text got into one cannot act.
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "font", "connect")),
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # Patient data: neither a proxy nor the browser's cache keeps it.
    "cache-control": "no-store",
    "vary": "HX-Request",
}


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("services.console.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(words.FILTERS)
    known = cast("dict[str, Any]", made.globals)
    known |= {"static": address, "parts": made.get_template("parts.html").module}
    return made


_TEMPLATES = _environment()


def draw(
    template: str, visitor: Visitor | None, *, status: int = 200, headers: Mapping[str, str] | None = None, **shown: Any
) -> HTMLResponse:
    """A page. All text in it is escaped; `visitor` is None where nobody is signed in."""
    html = _TEMPLATES.get_template(template).render(visitor=visitor, as_of=datetime.now(UTC), **shown)
    return HTMLResponse(html, status, _HEADERS | dict(headers or {}))
