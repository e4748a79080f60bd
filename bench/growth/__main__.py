"""Measure what growth costs, on a Kafka and a PostgreSQL of each part's own. Only ratios within a part count.

python -m bench.growth                      everything, some 20 minutes and 10 GB of disk
python -m bench.growth --parts P9 P12       these
python -m bench.growth --scale 0.01         a look whether it works: such figures mean nothing
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import structlog
from rich.console import Console

from bench.growth.parts import PARTS
from bench.growth.report import Measured, table, write
from bench.harness import Say
from bench.report import paper
from bench.sample import Failed, end_as_by_ctrl_c
from deploy.local import postgres
from deploy.local.scratch import scratch_stack
from deploy.local.stack import StackError

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"


def measure(part: str, scale: float, rounds: int, say: Say) -> list[Measured]:
    """One part, on a stack that ends with it. Raises sample.Failed and StackError."""
    # What a statement took is told by an extension that PostgreSQL must be started with.
    with (
        patch.dict(postgres.SETTINGS, {"shared_preload_libraries": "pg_stat_statements"}),
        scratch_stack(ROOT, "growth", say=lambda _: None) as stack,
    ):
        return asyncio.run(PARTS[part](stack, scale, rounds, say))


def _saying(part: str, said: Console) -> Say:
    return lambda line: said.print(f"{part}: {line}", soft_wrap=True, highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, show, and write down."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description="Measure what growth costs.")
    parser.add_argument("--parts", nargs="+", metavar="GOAL", choices=PARTS, default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--scale", type=float, default=1.0, help="of every number of rows and records (1)")
    parser.add_argument("--rounds", type=int, default=3, help="of each part but P11 (3)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of growth.json")
    parser.add_argument("--json", action="store_true", help="the document on standard output instead of a table")
    options = parser.parse_args(argv)
    said = Console(stderr=True)
    end_as_by_ctrl_c()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a new topic has no leader for a moment; it tries again
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)  # the relay and the sender run in this process
    structlog.configure(wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    measured: list[Measured] = []
    took_s: dict[str, float] = {}
    try:
        for part in dict.fromkeys(options.parts):
            began = time.monotonic()
            measured += measure(part, options.scale, options.rounds, _saying(part, said))
            took_s[part] = time.monotonic() - began
            _saying(part, said)(f"took {took_s[part]:.0f} s")
    except KeyboardInterrupt:
        said.print("stopped; nothing was written")
        return 130
    except (Failed, StackError) as error:
        said.print(f"[red]{error}[/red]", highlight=False)
        return 1
    command = f"python -m bench.growth {' '.join(sys.argv[1:] if argv is None else argv)}".strip()
    path = write(measured, took_s, command, options.scale, options.out)
    if options.json:
        print(json.dumps(json.loads(path.read_text(encoding="utf-8"))))
    else:
        paper().print(table(measured, options.scale))
    return 0


if __name__ == "__main__":
    sys.exit(main())
