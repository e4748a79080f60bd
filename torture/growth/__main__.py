"""Measure what growth does, on a PostgreSQL and a Kafka of this run's own. Only the ratios within a run count.

python -m torture.growth                 all parts, some 15 minutes and 6 GB of disk
python -m torture.growth floor drain     these parts
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.scratch import scratch_stack
from torture.growth import deliveries, hanging, outbox, tables
from torture.growth.measure import Part

ROOT = Path(__file__).parents[2]
PARTS: Mapping[str, Part] = {
    "floor": outbox.floor,
    "drain": outbox.drain,
    "held": outbox.drain_under_a_held_snapshot,
    "outbox-churn": tables.outbox_churn,
    "cases-churn": tables.cases_churn,
    "log": tables.log,
    "deliveries": deliveries.claim_behind_a_dead_endpoint,
    "hanging": hanging.healthy_beside_hanging,
}


def _quiet(_: str) -> None: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser(prog="python -m torture.growth", description="Measure what growth does.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (all)")
    parser.add_argument("--scale", type=float, default=1.0, help="of every number of rows (1)")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for name in options.parts or PARTS:
        with scratch_stack(ROOT, "growth", say=_quiet) as stack:
            print(f"{name}", flush=True)
            for line in asyncio.run(PARTS[name](stack, options.scale)):
                print(f"  {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
