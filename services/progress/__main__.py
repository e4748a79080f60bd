"""Progress: `python -m services.progress`."""

from __future__ import annotations

from typing import Any

from runtime.fold import Handlers
from runtime.policy import load
from runtime.service import Service, run
from runtime.settings import Settings
from services.progress.handlers import handlers
from services.progress.policy import Policy
from workhardening_contracts import registry


def _handlers(settings: Settings) -> Handlers[Any, Any]:
    return handlers(load(Policy, settings.policy_file))


SERVICE = Service(
    name="progress",
    handlers=_handlers,
    topics=(registry.CLINIC_TOPIC, registry.INTAKE_TOPIC, registry.PLANNING_TOPIC),
)

if __name__ == "__main__":
    run(SERVICE)
