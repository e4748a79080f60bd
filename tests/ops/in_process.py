"""`whp` from its first word to its exit code, without the start of a process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from io import StringIO
from subprocess import CompletedProcess

import pytest

from ops.__main__ import main

Command = Callable[..., CompletedProcess[str]]
"""Takes the words of a command line, and as `given` what stands on standard input."""


def whp_in_process(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """`whp` in this environment, until the end of the test."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object, given: str = "") -> CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["whp", *words])
        monkeypatch.setattr(sys, "stdin", StringIO(given))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return CompletedProcess(words, ended.value.code, said.out, said.err)

    return run


def assert_one_sentence(ran: CompletedProcess[str], mend: str) -> None:
    """An error is one sentence that says what to do, on standard error; the code is not 0."""
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert ran.stdout == ""
    assert mend in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
