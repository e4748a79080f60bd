"""Commands about clinics' webhooks: where a clinic has its feed sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cyclopts import App

from ops.app import Json, answer, clinics
from ops.endpoints import on_notify, tell_ping
from ops.target import as_json
from services.notify import subscriptions

webhook = App(name="webhook", help="Clinics' feeds by webhook.")
clinics.command(webhook)


@webhook.command(name="add")
def webhook_add(clinic: str, *, url: str, from_start: bool = False, json: Json = False) -> None:
    """Have a clinic's feed sent to its webhook, from now on. Keys are shown once.

    Parameters
    ----------
    url
        Where to post events; https, and on the local stack also http on this machine.
    from_start
        All that is in the feed, from its first event on.
    """
    added = asdict(
        on_notify(
            lambda connection, local: subscriptions.add_subscription(
                connection, clinic, url, from_start=from_start, local=local
            )
        )
    )
    if json:
        answer(as_json(added))
        return
    for name, value in added.items():
        answer(f"{name:12} {value}")
    if not added["enabled"]:
        answer(f"give the clinic its keys; once its webhook listens: `whp clinics webhook enable {clinic}`")


@webhook.command(name="list")
def webhook_list(*, json: Json = False) -> None:
    """Clinics' webhooks, how they are, and what waits for them; no secrets."""
    found = [asdict(each) for each in on_notify(lambda connection, _: subscriptions.list_subscriptions(connection))]
    if json:
        answer(as_json(found))
        return
    for each in found:
        answer(f"{each['clinic']:20} {each['url']}  {_state(each)}, {each['pending']} pending after {each['position']}")
    if not found:
        answer("no clinic has a webhook: add one with `whp clinics webhook add`")


def _state(each: Mapping[str, Any]) -> str:
    came = each["last_error"] or f"status {each['last_status']}"
    if not each["enabled"]:
        return f"disabled ({each['disabled_reason']})"
    if each["failures"]:
        return f"takes nothing since {each['failing_since']:%Y-%m-%d %H:%M} ({came}, {each['failures']} times in a row)"
    return "enabled"


@webhook.command(name="enable")
def webhook_enable(clinic: str) -> None:
    """Enable a webhook once it has answered a signed challenge; it goes on where it was."""
    on_notify(lambda connection, local: subscriptions.enable_subscription(connection, clinic, local=local))
    answer(f"the webhook of {clinic} is enabled")


@webhook.command(name="ping")
def webhook_ping(clinic: str) -> int:
    """Send a signed test request, which tells of nobody. Exits with 1 unless it is answered with a 2xx."""
    return tell_ping(
        on_notify(lambda connection, local: subscriptions.ping_subscription(connection, clinic, local=local))
    )


@webhook.command(name="remove")
def webhook_remove(clinic: str) -> None:
    """Send a clinic nothing more, and forget its keys and its place. The feed stays, and can be pulled."""
    on_notify(lambda connection, _: subscriptions.remove_subscription(connection, clinic))
    answer(f"the webhook of {clinic} is removed")
