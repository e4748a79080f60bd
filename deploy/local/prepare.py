"""What stands between the infrastructure and the services: tables, topics, and the demo's keys."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from runtime.migrate import apply_access, apply_service

from .access import admit_partner, grant_services, set_passwords
from .keys import issue_missing
from .layout import StackError, layout_of
from .provision import ACCESS, SERVICES
from .state import Stack, change, load
from .topics import provision_one, provision_topics, read_specs


def prepare(root: Path, *, say: Callable[[str], None]) -> None:
    """Migrate every schema, make the topics, and issue the demo's keys; what was done before is not done again.

    Raises StackError when no stack runs, and the errors of the migrations and of Kafka.
    """
    from . import kafka  # it starts a broker, with what is not installed where `whp` is deployed

    layout = layout_of(root)
    stack = load(layout)
    if stack is None:
        raise StackError("There is no stack to prepare; start one with `make up`.")
    for done in asyncio.run(tables_and_topics(root, stack)):
        say(done)
    if kafka.is_secured(layout):
        asyncio.run(set_passwords(stack.kafka, {service: kafka.password(layout, service) for service in SERVICES}))
    keys = asyncio.run(issue_missing(stack.database, stack.keys))

    def amend(written: Stack) -> None:
        written.keys = keys

    change(layout, amend)


async def give_topic(root: Path, stack: Stack, clinic: str) -> None:
    """Have a topic for a clinic of the demo that sends by Kafka; how it logs in is kept in `stack` and stack.json.

    Raises StackError and the errors of Kafka.
    """
    user = f"clinic.{clinic}"
    login = await partner_topic(root, stack.kafka, "clinic", clinic, anew=user not in stack.keys.kafka)
    if login is not None:

        def amend(written: Stack) -> None:
            written.keys.kafka[user] = login

        change(layout_of(root), amend)
        amend(stack)


async def partner_topic(
    root: Path, address: str, per: Literal["clinic", "employer"], id: str, *, anew: bool = False
) -> str | None:
    """Have the own topic of a clinic or an employer, and its login; gives its address of Kafka where the login is new.

    Raises StackError and the errors of Kafka.
    """
    spec = next(spec for spec in read_specs(root / "contracts" / "topics") if spec.per == per)
    await provision_one(address, spec, id)
    return await admit_partner(address, spec, id, SERVICES, anew=anew)


async def tables_and_topics(root: Path, stack: Stack) -> list[str]:
    """Migrate every schema, make the topics and give rights to them; gives what was done, one sentence for each change.

    Raises the errors of the migrations and of Kafka.
    """
    done: list[str] = []
    for service in SERVICES:
        files = await apply_service(stack.database, service, service)
        done += [f"{service}: ran {file}" for file in files]
    done += [f"{ACCESS}: ran {file}" for file in await apply_access(stack.database)]
    return done + await topics_and_rights(root, stack.kafka)


async def topics_and_rights(root: Path, address: str) -> list[str]:
    """Bring the topics that are one for all, and the services' rights to them, to what is declared.

    Gives what was done, one sentence for each change. Raises StackError and the errors of Kafka.
    """
    folder = root / "contracts" / "topics"
    done = await provision_topics(address, folder)
    return done + await grant_services(address, read_specs(folder), SERVICES)
