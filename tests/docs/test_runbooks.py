"""Every alert has its page and every page its alert; what they name exists: metrics, commands, options."""

from __future__ import annotations

import re
import shlex
import urllib.request
from typing import Any
from uuid import uuid4

import pytest
import yaml
from cyclopts import CycloptsError

from ops.__main__ import load
from ops.app import app
from tests.docs.reading import ROOT, links, section
from tests.e2e.place import Place

FOLDER = ROOT / "docs/runbooks"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md") if path.name != "README.md"}
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts/workhardening.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PARTS = ("What it means", "How to look", "How to mend", "It is over when")

_CODE = re.compile(r"`whp ([^`]+)`")

load("")

COMMAND_WORDS = {name for group in app for name in (group, *app[group])}
MEANT = {"REF": str(uuid4()), "NUMBER": "7", "PARTITION": "3", "OFFSET": "1207", "TIME": "2026-03-02T12:00:00Z"}
"""What stands on the pages in the place of a value that has a form; other words in capitals may be anything."""
RUN = [
    line.split()
    for line in ("parked list", "dead-letters list", "outbox list", "outbox release", "employers list", "audit verify")
]
"""Commands that are run here, on a quiet system; the others are parsed."""


def named(rule: dict[str, Any]) -> str:
    """A test's name for a rule."""
    return str(rule["alert"])


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_every_alert_says_why_and_whom_it_calls_and_names_its_page(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    said = rule["annotations"]
    assert said.keys() == {"summary", "why", "runbook"}
    assert len(said["why"].split()) >= 20, "a threshold without a reason"
    folder, _, page = said["runbook"].rpartition("/")
    assert folder == "docs/runbooks"
    assert f"`{rule['alert']}`" in PAGES[page].split("## ")[0], "the page does not know its alert"


def test_no_two_alerts_have_one_name() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_an_alert_and_tells_what_how_and_when_it_is_over(page: str) -> None:
    mine = {rule["alert"] for rule in RULES if rule["annotations"]["runbook"].endswith(f"/{page}")}
    assert mine, "nobody is ever led here"
    assert set(re.findall(r"`(Whp\w+)`", PAGES[page].split("## ")[0])) == mine
    assert re.findall(r"^## (.*)$", PAGES[page], re.MULTILINE) == list(PARTS)
    for part in PARTS:
        assert section(PAGES[page], part).strip()
    means = section(PAGES[page], PARTS[0]).lower()
    assert all(word in means for word in ("patients", "clinic", "employers")), "for whom?"
    assert "`whp " in PAGES[page], "nothing to look or mend with"


def test_the_index_lists_every_alert_with_its_page() -> None:
    assert {link for link in links(INDEX) if "/" not in link} == set(PAGES)
    for rule in RULES:
        (line,) = [line for line in INDEX.splitlines() if f"`{rule['alert']}`" in line]
        assert links(line) == [rule["annotations"]["runbook"].rpartition("/")[2]]


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_every_command_of_a_page_is_understood_as_it_is_written(page: str) -> None:
    for written in _CODE.findall(PAGES.get(page, INDEX)):
        words = shlex.split(written)
        if all(word in COMMAND_WORDS for word in words) and words not in RUN:
            continue  # a command's mere name, where the text speaks of it; test_documents knows that it exists
        app.parse_args([MEANT.get(word, word) for word in words], exit_on_error=False, print_error=False)


def test_a_command_that_is_held_wrong_would_be_noticed() -> None:
    for wrong in ("parked discard REF", "case REF --sins", "outbox release --ref no-reference", "keys revoke"):
        with pytest.raises(CycloptsError):
            app.parse_args([MEANT.get(word, word) for word in wrong.split()], exit_on_error=False, print_error=False)


@pytest.mark.stack
def test_every_metric_that_a_rule_names_is_told_by_a_running_service(stack: Place) -> None:
    told: set[str] = set()
    for service in stack.stack().services.values():
        with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics", timeout=10) as answer:
            told |= set(re.findall(r"^# TYPE (\w+) ", answer.read().decode(), re.MULTILINE))
    for rule in RULES:
        wanted = set(re.findall(r"\bwhp_\w+", rule["expr"]))
        assert wanted
        assert wanted <= told, named(rule)
    for page, text in PAGES.items():
        assert set(re.findall(r"\bwhp_\w+", text)) <= told, page


@pytest.mark.stack
@pytest.mark.parametrize("words", RUN, ids=" ".join)
def test_what_a_page_has_one_look_at_first_works_on_a_quiet_system(stack: Place, words: list[str]) -> None:
    ran = stack.whp(*words)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout + ran.stderr
