"""Asks the other services by their HTTP doors, as anybody else would: the console reads nobody's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import structlog
from pydantic import SecretStr

from runtime.http import Problem
from services.console.settings import ConsoleSettings

log = structlog.get_logger("asking")

# A page waits for it; a service that takes longer is shown as one that does not answer.
PATIENCE_S = 5.0


async def ask(
    settings: ConsoleSettings,
    key: SecretStr | None,
    service: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    content_type: str = "application/json",
) -> Any:
    """What a service answers, as JSON. Raises its Problem, and Problem 503 when it does not answer or is not set up."""
    url = settings.url(service)
    if url is None or key is None:
        raise Problem(503, "not_set_up", f"the console is not told where {service} is, or has no key for it")
    headers = {"authorization": f"Bearer {key.get_secret_value()}", "content-type": content_type}
    data = None if body is None else aiohttp.JsonPayload(body, content_type=content_type)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S), trust_env=False) as session,
            session.request(method, f"{url}{path}", headers=headers, data=data, allow_redirects=False) as answer,
        ):
            status = answer.status
            document: Any = await answer.json(content_type=None) if status != 204 else None
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        log.warning("a service does not answer", service=service, error=type(error).__name__)
        raise Problem(503, "unavailable", f"{service} does not answer; try again") from None
    if status < 300:
        return document
    raise _refused(service, status, document)


def _refused(service: str, status: int, document: Any) -> Problem:
    """The service's own problem, but for those that are between it and us and not the visitor's."""
    told: dict[str, Any] = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    code = str(told.get("code", "http_error"))
    if status in (401, 403, 429) or status >= 500:
        log.warning("a service refuses the console", service=service, status=status, code=code)
        return Problem(503, "unavailable", f"{service} does not answer the console ({code}); tell operations")
    return Problem(status, code, str(told.get("detail", "")), field=told.get("field"))
