"""Measure the program beside what else one could have written, on a Kafka and a PostgreSQL of this run's own.

python -m bench                             everything, five rounds
python -m bench --only product naive        these
python -m bench --rounds 1 --cases 400      a look whether it works: such figures mean nothing
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import harness, report
from bench.sample import Failed, end_as_by_ctrl_c
from deploy.local.stack import StackError

RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    """Run, show, and write down."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the program beside its alternatives.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=harness.NAMES, help=", ".join(harness.NAMES))
    parser.add_argument("--rounds", type=int, default=5, help="each measures every variant once (5)")
    parser.add_argument("--cases", type=int, default=10_000, help="whose fourth week is the load (10000)")
    parser.add_argument("--seed", type=int, default=1, help="of the cases and of the orders (1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of results.json and results.svg")
    parser.add_argument("--json", action="store_true", help="the document on standard output instead of tables")
    options = parser.parse_args(argv)
    said = Console(stderr=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a new topic has no leader for a moment; it tries again
    end_as_by_ctrl_c()
    names = list(dict.fromkeys(options.only or harness.NAMES))
    try:
        samples, repeated = harness.run(
            names, rounds=options.rounds, cases=options.cases, seed=options.seed, say=said.print
        )
    except KeyboardInterrupt:
        said.print("stopped; nothing was written")
        return 130
    except (Failed, StackError) as error:
        said.print(f"[red]{error}[/red]", highlight=False)
        return 1
    command = f"python -m bench {' '.join(sys.argv[1:] if argv is None else argv)}".strip()
    path = report.write(samples, repeated, command, options.out)
    if options.json:
        print(json.dumps(json.loads(path.read_text(encoding="utf-8"))))
    else:
        report.show(samples, report.paper())
    return 0


if __name__ == "__main__":
    sys.exit(main())
