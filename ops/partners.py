"""Commands about partners: publishing as a clinic, employers' endpoints, mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

from deploy.local.prepare import partner_topic
from ops.app import Json, answer, app, clinics, employers
from ops.keys import issue
from ops.publish import publish_all, read_events
from ops.target import ROOT, CommandError, as_json, connected, target
from services.notify.address import Refused
from services.notify.clinics import set_mailbox
from services.notify.employers import EndpointRefused, add_endpoint, list_endpoints
from workhardening_contracts.registry import CLINIC_OWN_TOPIC


@app.command
def publish(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)], *, clinic: str | None = None, json: Json = False
) -> int:
    """Send events through the front door, as a clinic's system would.

    Parameters
    ----------
    file
        A structured CloudEvent as JSON, or one per line; `-` reads standard input.
    clinic
        Whose key to use; by default the clinic that the event's source names. WHP_API_KEY goes before both.
    """
    answers = asyncio.run(publish_all(target(), read_events(file), clinic))
    if json:
        answer(as_json([asdict(given) for given in answers]))
    else:
        for given in answers:
            answer(given.line())
    return 0 if all(given.status == 202 for given in answers) else 1


@employers.command(name="add")
def employers_add(employer: str, *, url: str | None = None, kafka: bool = False, json: Json = False) -> None:
    """Add an employer's endpoint: a webhook, or a Kafka topic of its own. Keys are shown once.

    Parameters
    ----------
    url
        Where to post updates; https, and on the local stack also http on this machine.
    kafka
        Publish to `employer.<id>.readiness.v1` instead.
    """

    async def add() -> dict[str, Any]:
        to = target()
        async with connected(to.database, "notify") as connection:
            try:
                endpoint = await add_endpoint(connection, employer, url, kafka, local=to.local)
            except (EndpointRefused, Refused) as refused:
                raise CommandError(str(refused)) from None
        login = None
        if kafka:
            login = await partner_topic(ROOT, to.kafka, "employer", employer, anew=True)
        key = await issue(to.database, "employer", employer)
        return {**asdict(endpoint), "api_key": key, "kafka_login": login}

    added = asyncio.run(add())
    if json:
        answer(as_json(added))
        return
    for name, value in added.items():
        if value is not None:
            answer(f"{name:12} {value}")
    if not added["enabled"]:
        answer(f"give the employer its keys; once its endpoint listens: `whp employers enable {employer}`")


@employers.command(name="list")
def employers_list(*, json: Json = False) -> None:
    """Employers' endpoints, without their secrets."""

    async def read() -> list[dict[str, Any]]:
        async with connected(target().database, "notify") as connection:
            return [asdict(entry) for entry in await list_endpoints(connection)]

    found = asyncio.run(read())
    if json:
        answer(as_json(found))
        return
    for entry in found:
        state = _state(entry)
        answer(f"{entry['employer']:20} {entry['kind']:8} {entry['target']}  {state}, {entry['pending']} pending")
    if not found:
        answer("no employer has an endpoint: add one with `whp employers add`")


def _state(entry: Mapping[str, Any]) -> str:
    if not entry["enabled"]:
        return f"disabled ({entry['disabled_reason']})"
    if entry["open"]:
        return f"failing since {entry['failing_since']:%Y-%m-%d %H:%M}, only probed"
    return f"enabled, failed {entry['failures']} times in a row" if entry["failures"] else "enabled"


@clinics.command(name="topic")
def clinics_topic(clinic: str, *, new_password: bool = False, json: Json = False) -> None:
    """Have a Kafka topic of its own for a clinic, `clinic.<id>.events.v1`, for what it would send to the front door.

    Where one logs in to Kafka, its login is made too, and shown once: it may write to that topic and nothing else.

    Parameters
    ----------
    new_password
        Give it another password; the old one ends at once.
    """
    login = asyncio.run(partner_topic(ROOT, target().kafka, "clinic", clinic, anew=new_password))
    made = {"topic": CLINIC_OWN_TOPIC.replace("<id>", clinic), "kafka_login": login}
    if json:
        answer(as_json(made))
        return
    answer(f"{clinic} sends to {made['topic']}")
    if login is not None:
        answer(f"it logs in by {login}")


@clinics.command(name="mailbox")
def clinics_mailbox(clinic: str, mailbox: str) -> None:
    """Where messages for a clinic's workers and clinicians go; the clinic passes workers' on."""

    async def register() -> None:
        async with connected(target().database, "notify") as connection:
            try:
                await set_mailbox(connection, clinic, mailbox)
            except ValueError as error:
                raise CommandError(str(error)) from None

    asyncio.run(register())
    answer(f"messages of {clinic} go to its mailbox")
