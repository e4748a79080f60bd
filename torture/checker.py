"""`python -m torture.checker`: hold a running system against the invariants I1 to I12. Exits 1 on any violation.

Shares no code with the runtime or the services' decisions. The ledger, the receivers' books, sampled offsets and log
files are looked at where they are given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ops.target import CommandError, target
from torture.checks import account, causes, chain, employers, offsets, once, order, privacy, rest, states
from torture.checks.readers import READS
from torture.checks.violation import Violation
from torture.evidence import Evidence, gather, read_ledger, read_samples, read_texts

__all__ = ["CHECKS", "Violation", "check", "main"]

Check = Callable[[Evidence], list[Violation]]
CHECKS: tuple[Check, ...] = (
    account.check,
    order.check,
    once.check,
    offsets.check,
    employers.check,
    chain.check,
    privacy.check,
    rest.check,
    causes.check,
    states.check,
)


def check(evidence: Evidence) -> list[Violation]:
    """All violations, in the order of the invariants; each once."""
    found = dict.fromkeys(violation for each in CHECKS for violation in each(evidence))
    return sorted(found, key=lambda violation: (int(violation.invariant[1:]), violation.case or "", violation.text))


def report(evidence: Evidence, violations: list[Violation]) -> str:
    """What was looked at and what was found, for people."""
    lines = [f"{len(evidence.records)} records, {len(evidence.samples)} sampled offsets"]
    for service, tally in account.tally(evidence).items():
        lines.append(f"{service}: " + ", ".join(f"{count} {name}" for name, count in tally.items()))
    by_invariant = Counter(violation.invariant for violation in violations)
    lines += [str(violation) for violation in violations]
    if not any(evidence.services[name].log for name in evidence.services):
        lines.append("nothing happened here, which proves nothing")
    told = ", ".join(f"{name} {count}" for name, count in by_invariant.items())
    lines.append(f"{len(violations)} violations" + (f": {told}" if told else ""))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Check the stack that runs here, or the one that the environment names."""
    parser = argparse.ArgumentParser(prog="python -m torture.checker", description=__doc__)
    parser.add_argument("--ledger", type=Path, help="the simulator's ledger, JSON lines")
    parser.add_argument("--books", type=Path, help="what employers' receivers hold, JSON")
    parser.add_argument("--samples", type=Path, help="sampled offsets, JSON lines")
    parser.add_argument("--log", type=Path, action="append", default=[], help="a log file to search for patients' text")
    parser.add_argument("--canary", action="append", default=[], help="a string that was planted in patients' data")
    given = parser.parse_args(arguments)
    try:
        evidence = asyncio.run(gather(target(), READS))
    except CommandError as error:
        print(error, file=sys.stderr)
        return 2
    evidence.ledger = read_ledger(given.ledger) if given.ledger else None
    evidence.books = json.loads(given.books.read_text(encoding="utf-8")) if given.books else None
    evidence.samples = read_samples(given.samples) if given.samples else []
    evidence.texts = read_texts(given.log)
    evidence.canaries = {text: text for text in given.canary}
    violations = check(evidence)
    print(report(evidence, violations))
    return 1 if violations or not any(tables.log for tables in evidence.services.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
