"""The services as operations see them: their handlers, writers and topics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ops.target import SERVICES, CommandError
from runtime.fold import Handlers
from runtime.policy import BadPolicy
from runtime.settings import Settings

if TYPE_CHECKING:
    # It brings the web server and the Kafka client along: a second that a command which only looks need not wait.
    from runtime.service import Service


@cache
def service_of(name: str) -> Service:
    """A service's composition."""
    service: Service = import_module(f"services.{name}.__main__").SERVICE
    return service


def handlers_of(name: str) -> Handlers[Any, Any]:
    """A service's decisions with the default policy, or with the policy file that WHP_POLICY_FILE names.

    Raises CommandError for a policy file that cannot be used.
    """
    unused = "0" * 32
    settings = Settings(kafka_bootstrap=SecretStr(""), database_url=SecretStr(""), digest_key=SecretStr(unused))
    try:
        return service_of(name).handlers(settings)
    except BadPolicy as bad:
        raise CommandError(str(bad)) from None


def handled_types() -> Mapping[str, frozenset[str]]:
    """Service -> the event types that it folds."""
    return {name: frozenset(handlers_of(name).by_type) for name in SERVICES}
