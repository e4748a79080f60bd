"""`whp`: the command line of the Work Hardening Program."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module

import asyncpg
from aiokafka.errors import KafkaError
from cyclopts import CycloptsError
from pydantic import ValidationError

from deploy.local.layout import StackError
from ops.app import app, say
from ops.target import CannotLook, CommandError
from runtime.migrate import MigrationError

COMMANDS: Mapping[str, frozenset[str]] = {
    "running": frozenset({"up", "down", "demo", "migrate", "topics"}),
    "looking": frozenset({"case", "parked", "dead-letters", "outbox"}),
    "reconciling": frozenset({"reconcile"}),
    "partners": frozenset({"publish", "employers", "clinics"}),
    "endpoints": frozenset({"employers"}),
    "subscriptions": frozenset({"clinics"}),
    "keys": frozenset({"keys"}),
    "erasing": frozenset({"erase"}),
    "auditing": frozenset({"audit"}),
    "library": frozenset({"lifting-index", "contracts"}),
    "demands": frozenset({"demands"}),
    "tracing": frozenset({"trace"}),
    "status": frozenset({"status"}),
    "tailing": frozenset({"tail"}),
    "importing": frozenset({"import"}),
    "outcomes": frozenset({"outcomes"}),
}
"""The modules of commands, each with the first words of those that it registers when it is imported."""


def load(word: str) -> None:
    """Register the commands that begin with a word; all of them where there is none, for the help and for a slip.

    All of them take four times as long to import as the command line itself.
    """
    for name in [module for module, words in COMMANDS.items() if word in words] or COMMANDS:
        import_module(f"ops.{name}")


def main() -> None:
    """Run the command. An error is one sentence with the mend, and an exit code that is not 0."""
    load(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        result = app(sys.argv[1:], result_action="return_value", exit_on_error=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except CycloptsError:
        code = 2  # it has said what is wrong with the command line
    except KeyboardInterrupt:
        say("stopped")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        say(sentence)
        code = 2 if isinstance(error, CannotLook) else 1
    sys.exit(code)


def _sentence(error: Exception) -> str | None:
    """What to say of an error; None for a defect of ours, which shows its traceback."""
    if isinstance(error, CommandError | StackError | MigrationError):
        return str(error)
    if isinstance(error, KafkaError):
        return f"Kafka does not answer ({type(error).__name__}): is the stack up?"
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return f"PostgreSQL refused ({type(error).__name__}): run `whp migrate`, or look at .local/logs/postgres.log"
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    if isinstance(error, UnicodeDecodeError):
        return "the file is not UTF-8 text"
    if isinstance(error, OSError):
        if error.filename is None:
            return f"the system does not answer ({type(error).__name__}): is the stack up?"
        return f"{error.filename}: {error.strerror or type(error).__name__}"
    return None


if __name__ == "__main__":
    main()
