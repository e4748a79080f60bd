"""Memory and lag over time by service, as an SVG that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.sustained.figures import Look

WIDTH, HEIGHT = 900, 190
"""Of one panel."""
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 30
COLOURS = {"intake": "#4477aa", "planning": "#228833", "progress": "#ccbb44", "notify": "#aa3377"}
"""Tol's bright colours, told apart by most people whose colour vision differs."""


def draw(looks: Sequence[Look]) -> str:
    """Two panels, one below the other: resident memory, and records that a group has not committed."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {2 * HEIGHT}"',
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{2 * HEIGHT}" fill="white"/>',
    ]
    for index, (service, colour) in enumerate(COLOURS.items()):
        lines.append(f'<rect x="{LEFT + index * 90}" y="9" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{LEFT + index * 90 + 17}" y="19">{service}</text>')
    lines += _panel(looks, 0, "resident memory, MB", lambda look, service: look.rss_mb[service])
    lines += _panel(looks, HEIGHT, "records not committed", lambda look, service: look.lag[service])
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(looks: Sequence[Look], down: int, title: str, value: Callable[[Look, str], float]) -> list[str]:
    last = max((look.at_s for look in looks), default=0.0) or 1.0
    most = max((value(look, service) for look in looks for service in COLOURS), default=0.0) or 1.0

    def x(seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / last, 1)

    def y(height: float) -> float:
        return round(down + HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height / most, 1)

    lines = [f'<text x="{WIDTH - RIGHT}" y="{down + 19}" text-anchor="end">{title}</text>']
    for share in (0, 0.5, 1):
        at = y(most * share)
        lines.append(f'<line x1="{LEFT}" y1="{at}" x2="{WIDTH - RIGHT}" y2="{at}" stroke="#dddddd"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{most * share:.0f}</text>')
        below, seconds = down + HEIGHT - BOTTOM + 15, last * share
        lines.append(f'<text x="{x(seconds)}" y="{below}" text-anchor="middle">{seconds:.0f} s</text>')
    for service, colour in COLOURS.items():
        points = " ".join(f"{x(look.at_s)},{y(value(look, service))}" for look in looks)
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    return lines
