"""What documents name exists: links, headings, commands, folders, events; and nothing points where a reader is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from cyclopts import App

from ops.__main__ import load
from ops.app import app
from services.notify.disclosure import PROGRAM_SCOPES, WORK_STATUS
from services.progress.verdict import Verdict
from tests.docs.reading import ROOT, anchors, committed, documents, links, section
from workhardening_contracts.progress import ReadinessAssessed
from workhardening_contracts.registry import ENTRIES

load("")

DOCUMENTS = documents()
EXTERNAL = re.compile(r"^(https?|mailto):")

# `whp`, then words up to the first that is no command: an option, a placeholder in capitals, a path.
_COMMAND = re.compile(r"(?:`|bin/)whp((?: [a-z][a-z-]*)+)")

# Built from parts: this file is held to its own rule.
_REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        *(("pypi", "org"), ("pythonhosted", "org"), ("repo", "maven"), ("maven", "org"), ("mvnrepository", "com")),
        *(("npmjs", "org"), ("npmjs", "com"), ("crates", "io"), ("proxy", "golang"), ("rubygems", "org")),
        *(("docker", "io"), ("ghcr", "io"), ("quay", "io"), ("anaconda", "org")),
    )
)
_MACHINE = re.compile(
    r"(?<![\w.$}/~-])/(?:" + "|".join(("work", "root", "tmp", "home", "Users", "mnt", "opt")) + r")/[\w.]"
)


def relative(path: Path) -> str:
    """A test's name for a file."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_link_leads_to_a_file_and_a_heading_of_the_repository(document: Path) -> None:
    for link in links(document.read_text(encoding="utf-8")):
        if EXTERNAL.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link} names no heading"


def _exists(words: list[str], tree: App) -> bool:
    """Whether the leading words name a command; what follows a command that has none below it are its arguments."""
    known = _below(tree)
    return not words or not known or (words[0] in known and _exists(words[1:], tree[words[0]]))


def _below(tree: App) -> list[str]:
    return [name for name in tree if not name.startswith("-")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    named = _COMMAND.findall(document.read_text(encoding="utf-8"))
    assert [words for words in named if not _exists(words.split(), app)] == []


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    assert not _exists(["audit", "mend"], app)
    assert not _exists(["parked", "forget"], app)
    assert _exists(["parked", "list"], app)
    assert _exists(["publish", "file"], app)


def test_the_commands_table_lists_every_command() -> None:
    table = (ROOT / "ops/README.md").read_text(encoding="utf-8")
    for name in _below(app):
        for full in [f"whp {name} {sub}" for sub in _below(app[name])] or [f"whp {name}"]:
            assert f"`{full}" in table, full


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        named = re.findall(r"`make ([a-z-]+)", document.read_text(encoding="utf-8"))
        assert set(named) <= targets, relative(document)


def test_every_decision_is_listed_and_numbered_once() -> None:
    folder = ROOT / "docs/adr"
    files = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    assert links((folder / "README.md").read_text(encoding="utf-8")) == files
    for name in files:
        text = (folder / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {int(name[:4])}. ")
        for heading in ("Context", "Decision", "Consequences", "Rejected"):
            assert section(text, heading).strip(), f"{name} lacks {heading}"


def test_the_picture_shows_every_topic() -> None:
    picture = (
        section((ROOT / "README.md").read_text(encoding="utf-8"), "One picture")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
    )
    for topic in {entry.topic for entry in ENTRIES}:
        assert topic in picture, topic


def test_the_map_lists_every_folder() -> None:
    map_ = section((ROOT / "README.md").read_text(encoding="utf-8"), "The folders")
    folders = {path.relative_to(ROOT).parts[0] for path in committed() if len(path.relative_to(ROOT).parts) > 1}
    for folder in sorted(name for name in folders if not name.startswith(".")):
        assert re.search(rf"^\| [`\[]{re.escape(folder)}/", map_, re.MULTILINE), folder


def test_the_glossary_knows_every_verdict_every_readiness_and_every_scope() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    readiness = get_args(ReadinessAssessed.model_fields["readiness"].annotation)
    for word in (WORK_STATUS, *PROGRAM_SCOPES, *get_args(Verdict), *readiness):
        assert f"`{word}`" in glossary, word


def test_no_file_names_a_package_registry_or_a_place_on_a_machine() -> None:
    found: list[str] = []
    for path in committed():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{relative(path)}: {host}" for host in _REGISTRIES if host in text]
        found += [f"{relative(path)}: {place}" for place in _MACHINE.findall(text)]
    assert found == []


def test_such_a_place_would_be_noticed() -> None:
    for place in ("cd /" + "work/main", '"/' + 'tmp/x"', "=/" + "root/.cache"):
        assert _MACHINE.search(place), place
    for harmless in ("`/v1/events`", "http://127.0.0.1:9099/work-status", ".local/work/x", "socket and/or home/x"):
        assert not _MACHINE.search(harmless), harmless
