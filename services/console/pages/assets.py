"""The files that a browser gets beside the pages: our own, and those that come from npm (docs/console.md)."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from runtime.http import Problem

HERE = Path(__file__).parent

# What is served of the packages, and nothing else of them.
FROM_NPM = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "hx-sse.js": "htmx.org/dist/ext/hx-sse.min.js",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
    "inter.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
}
OWN = ("console.css", "program.css", "console.js", "charts.js", "theme.js", "icon.svg")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".svg": "image/svg+xml"}

# An address bears the hash of what it leads to, so what was fetched once is never asked for again.
_KEEP = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}

static = APIRouter(include_in_schema=False)


class AssetsMissing(Exception):
    """The packages from npm are not there; the message is one sentence with the mend."""


def packages() -> Path:
    """Where npm installed the packages: WHP_CONSOLE_ASSETS, or beside this file."""
    return Path(os.environ.get("WHP_CONSOLE_ASSETS") or HERE / "node_modules").expanduser().absolute()


@cache
def files() -> dict[str, Path]:
    """Every file that is served, by its name. Raises AssetsMissing."""
    there = {name: packages() / path for name, path in FROM_NPM.items()}
    if missing := [name for name, path in there.items() if not path.is_file()]:
        raise AssetsMissing(
            f"The console's {missing[0]} is not in {packages()}: run `make setup`, or set WHP_CONSOLE_ASSETS to the "
            "folder in which `npm ci` installed the packages of services/console/pages/package-lock.json."
        )
    return there | {name: HERE / "static" / name for name in OWN}


@cache
def address(name: str) -> str:
    """Where a browser finds a file."""
    return f"/static/{name}?{hashlib.sha256(files()[name].read_bytes()).hexdigest()[:12]}"


@static.get("/static/{name}")
async def file(name: str) -> FileResponse:
    """One file. Open to all: nothing of a case is in it."""
    found = files().get(name)
    if found is None:
        raise Problem(404, "not_found", "there is no such file")
    return FileResponse(found, media_type=_TYPES[found.suffix], headers=_KEEP)
