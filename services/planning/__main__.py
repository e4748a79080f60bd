"""Planning: `python -m services.planning`."""

from __future__ import annotations

from typing import Any

from runtime.fold import Handlers
from runtime.policy import load
from runtime.service import Service, run
from runtime.settings import Settings
from services.planning.handlers import handlers
from services.planning.policy import Policy
from workhardening_contracts import registry


def _handlers(settings: Settings) -> Handlers[Any, Any]:
    return handlers(load(Policy, settings.policy_file))


SERVICE = Service(
    name="planning",
    handlers=_handlers,
    topics=(registry.INTAKE_TOPIC, registry.PROGRESS_TOPIC, registry.CLINIC_TOPIC),
)

if __name__ == "__main__":
    run(SERVICE)
