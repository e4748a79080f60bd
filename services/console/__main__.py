"""The console: `python -m services.console`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from runtime.fold import Handlers
from runtime.policy import Policies
from runtime.service import Service, run
from runtime.settings import Settings
from services.console.effects import WRITERS
from services.console.fhir.door import router as fhir
from services.console.handlers import Policy, handlers
from services.console.live import Hub
from services.console.pages import add_pages
from services.console.settings import console_settings
from workhardening_contracts.registry import (
    CLINIC_TOPIC,
    INTAKE_TOPIC,
    PLANNING_TOPIC,
    PROGRESS_TOPIC,
    REJECTIONS_TOPIC,
)

HUB = Hub()


def _handlers(_: Settings) -> Handlers[Any, Any]:
    return handlers(Policies(Policy()))


def _add_hub(app: FastAPI) -> None:
    app.state.hub = HUB


SERVICE = Service(
    name="console",
    handlers=_handlers,
    topics=(CLINIC_TOPIC, INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC),
    writers=WRITERS,
    routers=(fhir,),
    workers=(HUB.listen,),
    adds=(_add_hub, add_pages),
)

if __name__ == "__main__":
    console_settings()  # a process that nobody could sign in at does not start
    run(SERVICE)
