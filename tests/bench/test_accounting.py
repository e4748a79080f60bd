"""CPU of process trees: what a child used counts, while it lives and after it ended."""

from __future__ import annotations

import subprocess
import sys

from bench.accounting import Process, cpu_s, peak_rss_mb, read_stat, tree

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
BURNT_S = 0.25
"""What must be seen of it: the kernel counts in ticks of a hundredth."""


def test_a_name_with_spaces_and_brackets_is_read_over() -> None:
    line = "42 (a) b (c)) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 25 25 20 0 1 0 100 1000 10"
    assert read_stat(line) == Process(42, 7, 2.5)


def test_a_tree_is_a_process_with_all_its_descendants_and_nobody_else() -> None:
    family = {pid: Process(pid, parent, 0.0) for pid, parent in ((1, 0), (10, 1), (11, 10), (12, 11), (20, 1))}
    assert tree(10, family) == {10, 11, 12}
    assert tree(99, family) == set()


def test_a_grandchild_that_lives_and_a_child_that_ended_both_count() -> None:
    grandchild = f"{BURN}print('burnt', flush=True); input()"
    child = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {BURN!r}], check=True)\n"
        f"sys.exit(subprocess.call([sys.executable, '-c', {grandchild!r}]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "burnt\n"
        used = cpu_s({"client": process.pid})["client"]
        resident = peak_rss_mb(process.pid)
        process.communicate("\n")
    assert used > 2 * BURNT_S
    assert resident > 2
