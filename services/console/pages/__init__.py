"""The console's pages: drawn on the server, alive through HTMX and server-sent events. See docs/console.md."""

from __future__ import annotations

from fastapi import FastAPI

from services.console.pages import caseload, live, operating, outcomes, program, session, signing
from services.console.pages.assets import files, static
from services.console.pages.errors import add_error_pages


def add_pages(app: FastAPI) -> None:
    """Add the pages, what browsers load beside them, and problems as pages. Raises AssetsMissing, with the mend."""
    files()
    for module in (session, caseload, program, signing, outcomes, operating, live):
        app.include_router(module.pages)
    app.include_router(static)
    add_error_pages(app)
