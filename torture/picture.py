"""The lag over time with the faults marked, as an SVG that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 1000, 360
LEFT, RIGHT, TOP, BOTTOM = 75, 20, 110, 40
COLOURS = {
    "intake": "#4477aa", "planning": "#228833", "progress": "#ccbb44", "notify": "#aa3377", "intake-bridge": "#66ccee",
}  # fmt: skip
"""Tol's bright colours, told apart by most people whose colour vision differs."""
LANES = ("kill", "pause", "join", "deploy", "rewind", "two_relays", "postgres", "network", "kafka")
"""Rows of marks, the services' faults first."""
_ROW_OF = {
    "postmaster": "postgres", "terminate": "postgres", "snapshot": "postgres", "disk_full": "postgres",
    "broker_kill": "kafka", "broker_stop": "kafka",
}  # fmt: skip


def draw(lag: Sequence[Sequence[Any]], faults: Sequence[Mapping[str, Any]]) -> str:
    """`lag`: (seconds, service, records behind). `faults`: `kind`, `began`, `ended`, `target`, `detail`."""
    last = max([float(entry[0]) for entry in lag] + [float(fault["ended"]) for fault in faults] + [1.0])
    most = max([int(entry[2]) for entry in lag] + [10])

    def x(seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * max(0.0, seconds) / last, 1)

    def y(count: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * count / most, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'font-family="sans-serif" font-size="10">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line(LEFT, y(most * share), WIDTH - RIGHT, y(most * share), "#dddddd"))
        parts.append(_text(LEFT - 6, y(most * share) + 3, f"{most * share:.0f}", "end"))
        parts.append(_text(x(last * share), HEIGHT - BOTTOM + 14, f"{last * share:.0f} s", "middle"))
    for row, name in enumerate(LANES):
        parts.append(_text(LEFT - 6, 16 + row * 10, name, "end"))
    for fault in faults:
        row = LANES.index(_ROW_OF.get(fault["kind"], fault["kind"]))
        began, ended = x(fault["began"]), x(fault["ended"])
        parts.append(
            f'<rect x="{began}" y="{10 + row * 10}" width="{max(1.5, ended - began):.1f}" height="7" fill="#cc3311"'
            f' fill-opacity="0.6"><title>{escape("{kind} {target} {detail}".format(**fault))}</title></rect>'
        )
    for index, (service, colour) in enumerate(COLOURS.items()):
        points = " ".join(f"{x(entry[0])},{y(entry[2])}" for entry in lag if entry[1] == service and entry[0] >= 0)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
        parts.append(_line(LEFT + index * 90, HEIGHT - 8, LEFT + index * 90 + 16, HEIGHT - 8, colour))
        parts.append(_text(LEFT + index * 90 + 20, HEIGHT - 5, service, "start"))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#333333">{escape(text)}</text>'
