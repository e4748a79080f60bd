"""CPU per event of each variant and part, as an SVG that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import median

from bench.sample import Sample

WIDTH, ROW, LEFT, RIGHT, TOP = 900, 26, 150, 70, 34
COLOURS = {"client": "#4477aa", "postgres": "#228833", "kafka": "#ccbb44"}
"""Tol's bright colours, told apart by most people whose colour vision differs."""


def draw(samples: Sequence[Sample]) -> str:
    """A bar for each variant, the cheapest first, as long as its cost's square root; its parts share it."""
    costs: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(sample.variant for sample in samples):
        mine = [sample for sample in samples if sample.variant == name]
        parts = {part: median(each.cpu_s[part] / each.events * 1e6 for each in mine) for part in mine[0].cpu_s}
        costs[name] = parts
    order = sorted(costs, key=lambda name: sum(costs[name].values()))
    most = max((sum(parts.values()) for parts in costs.values()), default=1.0)
    height = TOP + ROW * len(order) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for index, (part, colour) in enumerate(COLOURS.items()):
        lines.append(f'<rect x="{LEFT + index * 90}" y="9" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{LEFT + index * 90 + 17}" y="19">{part}</text>')
    lines.append(f'<text x="{WIDTH - 10}" y="19" text-anchor="end">CPU per event, us; the square root is drawn</text>')
    for row, name in enumerate(order):
        y, total = TOP + row * ROW, sum(costs[name].values())
        # Costs lie 50 times apart: by their square roots the small ones can still be seen.
        length, x = (WIDTH - LEFT - RIGHT) * (total / most) ** 0.5, float(LEFT)
        lines.append(f'<text x="{LEFT - 6}" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        for part, cost in costs[name].items():
            width = length * cost / total if total else 0.0
            colour = COLOURS.get(part, "#999999")
            lines.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>')
            x += width
        lines.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{total:.0f}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"
