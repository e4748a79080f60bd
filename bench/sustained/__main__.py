"""Measure the chain at work, on a Kafka and a PostgreSQL of this run's own.

python -m bench.sustained                             ten minutes at a steady rate, then replicas: some half an hour
python -m bench.sustained --parts steady --rate 150   one part
python -m bench.sustained --minutes 0.5 --cases 50 --rounds 1     a look whether it works: such figures mean nothing
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.harness import CACHE, ROOT, Say
from bench.report import paper
from bench.sample import Failed, Sample, end_as_by_ctrl_c
from bench.stories import stories_of
from bench.sustained import replicas, steady, telling
from bench.sustained.plan import plan_of
from deploy.local.scratch import scratch_stack
from deploy.local.stack import StackError

PARTS = ("steady", "replicas")
RESULTS = Path(__file__).parent.parent / "results"
LIVES = 400
"""Different lives at a steady rate; told again, of other cases, as often as it takes."""
APART_S = 5.0
"""Between two records of a case, on the average: far more than the chain takes for what the first one leads to."""


def run_steady(cases: int, rate: float, minutes: float, seed: int, say: Say) -> steady.Steady:
    """Raises Failed and StackError; stops all that it started."""
    lives = min(cases, LIVES)
    say(f"the load: {lives} whole lives (made once, some seconds for each hundred)")
    stories = stories_of(lives, seed, CACHE)
    plan = plan_of(stories, max(1, round(rate * APART_S)), round(rate * minutes * 60))
    with scratch_stack(ROOT, "sustained", say=_quiet) as stack:
        say(f"{len(plan.records)} clinic events of {plan.lives} cases, {rate:g} a second")
        return asyncio.run(steady.run(stack, plan, rate, seed, say))


def run_replicas(cases: int, rounds: int, seed: int, say: Say) -> tuple[list[Sample], int]:
    """The samples, and how many had to be repeated. Raises Failed and StackError; stops all that it started."""
    say(f"the backlogs: {cases} cases for planning and for progress (made once, some minutes for 5,000)")
    backlogs = replicas.backlogs(cases, seed, CACHE)
    with scratch_stack(ROOT, "sustained", say=_quiet) as stack:
        return asyncio.run(replicas.run(stack, backlogs, rounds, seed, say))


def _quiet(_: str) -> None: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run, show, and write down."""
    parser = argparse.ArgumentParser(prog="python -m bench.sustained", description="Measure the chain at work.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help=f"{', '.join(PARTS)} (all)")
    parser.add_argument("--minutes", type=float, default=10, help="of steady work (10)")
    parser.add_argument("--rate", type=float, default=100, help="clinic events a second (100)")
    parser.add_argument("--rounds", type=int, default=3, help="each drains every backlog by every number once (3)")
    parser.add_argument("--cases", type=int, default=5000, help="whose backlog is drained (5000)")
    parser.add_argument("--seed", type=int, default=1, help="of the cases, arrivals and orders (1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of sustained.json and sustained.svg")
    parser.add_argument("--json", action="store_true", help="the document on standard output instead of tables")
    options = parser.parse_args(argv)
    said = Console(stderr=True)
    end_as_by_ctrl_c()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a new topic has no leader for a moment; it tries again
    found: steady.Steady | None = None
    samples: list[Sample] = []
    repeated = 0
    try:
        if "steady" in options.parts:
            found = run_steady(options.cases, options.rate, options.minutes, options.seed, said.print)
        if "replicas" in options.parts:
            samples, repeated = run_replicas(options.cases, options.rounds, options.seed, said.print)
    except KeyboardInterrupt:
        said.print("stopped; nothing was written")
        return 130
    except (Failed, StackError) as error:
        said.print(f"[red]{error}[/red]", highlight=False)
        return 1
    command = f"python -m bench.sustained {' '.join(sys.argv[1:] if argv is None else argv)}".strip()
    path = telling.write(found, samples, repeated, command, options.out)
    if options.json:
        print(json.dumps(json.loads(path.read_text(encoding="utf-8"))))
    else:
        telling.show(found, samples, paper())
    return 1 if found is not None and found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
