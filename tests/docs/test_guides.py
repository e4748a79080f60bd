"""The guides for those who use the program: each command in them is run, and prints what the page says."""

from __future__ import annotations

import re

import pytest

from tests.docs.pasting import Block, is_shown, paste, typed
from tests.docs.reading import ROOT
from tests.e2e.place import Place

GUIDES = ("quickstart-clinic.md", "quickstart-employer.md", "quickstart-operations.md")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.stack
@pytest.mark.parametrize("name", GUIDES)
def test_every_command_of_a_guide_does_what_the_page_shows(stack: Place, name: str) -> None:
    blocks = typed(page(name))
    for block, printed in zip(blocks, paste(blocks, stack.environment()), strict=True):
        assert block.shown is None or is_shown(block.shown, printed), f"{block.typed}printed\n{printed}"


@pytest.mark.parametrize("name", GUIDES)
def test_no_block_of_a_guide_is_left_out(name: str) -> None:
    languages = re.findall(r"^```(\w*)\n(?:.*\n)*?```$", page(name), re.MULTILINE)
    assert set(languages) <= {"bash", "text", "json", "python"}, "a shell's block is called bash, or it is not run"
    blocks = typed(page(name))
    assert len(blocks) == languages.count("bash") > 3
    assert sum(block.shown is not None for block in blocks) == languages.count("text") > 0


def test_the_readme_leads_to_every_guide() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in GUIDES:
        assert f"](docs/{name})" in readme, name


def test_a_failing_command_and_another_output_are_noticed() -> None:
    with pytest.raises(AssertionError, match="block 2 of 3 ends with 3"):
        paste([Block("A=1\n", None), Block("(exit 3)\n", None), Block("echo never\n", None)], {})
    assert paste([Block("A=1; sleep 100 &\n", None), Block("echo $A; echo two >&2\n", None)], {}) == ["", "1\ntwo\n"]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("one\n", "one\n", True),
        ("one\n", "one  \n", True),
        ("one\n", "one\ntwo\n", False),
        ("one\n", "two\n", False),
        ("a...c\n", "abbc\n", True),
        ("a...c\n", "ab\nbc\n", False),
        ("a.c\n", "abc\n", False),
        ("...\nlast\n", "one\ntwo\nlast\n", True),
        ("...\nlast\n", "last\n", True),
        ("...\nlast\n", "one\nlast but one\n", False),
    ],
)
def test_what_is_shown_is_compared_line_by_line(shown: str, printed: str, same: bool) -> None:
    assert is_shown(shown, printed) is same
