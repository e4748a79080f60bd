"""Intake: `python -m services.intake`."""

from __future__ import annotations

from typing import Any

from runtime.fold import Handlers
from runtime.policy import load
from runtime.service import Service, run
from runtime.settings import Settings
from services.intake.bridge import run_bridge
from services.intake.consultations.door import add_consultations
from services.intake.consultations.reminders import remind
from services.intake.demands_door import router as demands
from services.intake.door import router
from services.intake.effects import WRITERS
from services.intake.fhir.door import router as fhir
from services.intake.gauges import GAUGES
from services.intake.handlers import handlers
from services.intake.policy import Policy
from workhardening_contracts import registry


def _handlers(settings: Settings) -> Handlers[Any, Any]:
    return handlers(load(Policy, settings.policy_file))


SERVICE = Service(
    name="intake",
    handlers=_handlers,
    topics=(registry.CLINIC_TOPIC, registry.PROGRESS_TOPIC, registry.REJECTIONS_TOPIC),
    writers=WRITERS,
    routers=(router, demands, fhir),
    workers=(run_bridge, remind),
    adds=(add_consultations,),
    gauges=GAUGES,
)

if __name__ == "__main__":
    run(SERVICE)
