"""The bill of materials says what is deployed: every locked package with its version and hashes, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "app.txt"
LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def recipe() -> list[str]:
    """The command of `make sbom`."""
    (command,) = re.findall(r"^\t\$\(BIN\)/(cyclonedx-py .*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    program, *arguments = command.split()
    return [str(Path(sys.executable).with_name(program)), *arguments]


def written(file: Path) -> bytes:
    *arguments, target = recipe()
    assert target == "build/sbom.cdx.json"
    subprocess.run([*arguments, str(file)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    return file.read_bytes()


def test_the_bill_of_materials_is_the_lock(tmp_path: Path) -> None:
    bill = json.loads(written(tmp_path / "first.json"))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "work-hardening-program")
    locked = {match["name"]: match["version"] for match in LOCKED.finditer(LOCK.read_text("utf-8"))}
    assert len(locked) > 30
    assert {part["name"]: part["version"] for part in bill["components"]} == locked
    for part in bill["components"]:
        assert part["purl"].startswith("pkg:pypi/")
        hashes = [each for reference in part["externalReferences"] for each in reference.get("hashes", ())]
        assert hashes, part["name"]
        assert {each["alg"] for each in hashes} == {"SHA-256"}


def test_the_same_lock_gives_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "first.json") == written(tmp_path / "second.json")


def test_every_package_of_both_locks_is_pinned_by_hash() -> None:
    for lock in (LOCK, LOCK.with_name("dev.txt")):
        for block in re.split(r"\n(?=\S)", lock.read_text("utf-8")):
            if LOCKED.match(block):
                assert "--hash=sha256:" in block, block.splitlines()[0]
