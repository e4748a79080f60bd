"""What the console needs to know beside a service's own settings, from `WHP_CONSOLE_*` and the secrets' folder."""

from __future__ import annotations

import os
from functools import cache
from typing import Annotated
from uuid import UUID

from pydantic import AnyHttpUrl, Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

Header = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,60}$")]


class ConsoleSettings(BaseSettings):
    """What one process of the console is told."""

    model_config = SettingsConfigDict(env_prefix="WHP_CONSOLE_", frozen=True, hide_input_in_errors=True)

    session_secret: SecretStr = Field(min_length=32)
    """Seals the browsers' sessions. All replicas have the same; a new one ends every session."""
    services: dict[str, AnyHttpUrl] = {}
    """Where each service's doors are, as JSON: {"intake": "http://...", ...}."""
    key: SecretStr | None = None
    """A key of the role `console`: it previews, signs and reads disclosures for whoever is signed in."""
    operations_key: SecretStr | None = None
    """A key of the role `operations`: it asks the services how they are, and mends parked cases."""
    traces_url: AnyHttpUrl | None = None
    """The trace viewer, as a browser reaches it."""
    signing_roles: tuple[str, ...] = (
        "physician",
        "occupational_therapist",
        "physical_therapist",
        "physician_assistant",
        "nurse_practitioner",
        "chiropractor",
    )
    """What a clinician may sign as; progress judges it by its own policy."""
    proxy_secret: SecretStr | None = Field(default=None, min_length=32)
    """What a proxy that signs people in (OIDC) bears in `proxy_secret_header`. Unset, nobody is let in by headers."""
    proxy_secret_header: Header = "x-whp-proxy-secret"  # noqa: S105 - a name
    user_header: Header = "x-forwarded-user"
    groups_header: Header = "x-forwarded-groups"
    """Groups, separated by commas: `whp:operations`, or `whp:clinician:<clinic>` for each clinic."""

    def trace_of(self, case: UUID) -> str | None:
        """Every event of a case hangs in one trace, whose id is the case reference without its hyphens."""
        viewer = self.traces_url
        return None if viewer is None else f"{str(viewer).rstrip('/')}/zipkin/traces/{case.hex}"

    def url(self, service: str) -> str | None:
        """Where a service's doors are, without a slash at the end."""
        found = self.services.get(service)
        return None if found is None else str(found).rstrip("/")


@cache
def console_settings() -> ConsoleSettings:
    """This process's settings. Raises ValidationError."""
    folder = os.environ.get("WHP_SECRETS_DIR")
    return ConsoleSettings(_secrets_dir=folder)  # pyright: ignore[reportCallIssue] - its values come from the environment
