"""What stands between the infrastructure and the services: tables, topics, and the demo's keys."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from runtime.migrate import apply_access, apply_service

from .keys import issue_missing
from .layout import StackError, layout_of
from .provision import ACCESS, SERVICES
from .state import Stack, change, load
from .topics import provision_topics


def prepare(root: Path, *, say: Callable[[str], None]) -> None:
    """Migrate every schema, make the topics, and issue the demo's keys; what was done before is not done again.

    Raises StackError when no stack runs, and the errors of the migrations and of Kafka.
    """
    layout = layout_of(root)
    stack = load(layout)
    if stack is None:
        raise StackError("There is no stack to prepare; start one with `make up`.")
    for done in asyncio.run(tables_and_topics(root, stack)):
        say(done)
    keys = asyncio.run(issue_missing(stack.database, stack.keys))

    def amend(written: Stack) -> None:
        written.keys = keys

    change(layout, amend)


async def tables_and_topics(root: Path, stack: Stack) -> list[str]:
    """Migrate every schema and make the topics; gives what was done, one sentence for each change.

    Raises the errors of the migrations and of Kafka.
    """
    done: list[str] = []
    for service in SERVICES:
        files = await apply_service(stack.database, service, service)
        done += [f"{service}: ran {file}" for file in files]
    done += [f"{ACCESS}: ran {file}" for file in await apply_access(stack.database)]
    return done + await provision_topics(stack.kafka, root / "contracts" / "topics")
