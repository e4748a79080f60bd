"""Notify as a process: `python -m services.notify`."""

from __future__ import annotations

from runtime.fold import Handlers
from runtime.policy import load
from runtime.service import Service, run
from runtime.settings import Settings
from services.notify.console_door import console, operations
from services.notify.door import clinics, employers
from services.notify.effects import WRITERS
from services.notify.feed_sender import send_feeds
from services.notify.gauges import GAUGES
from services.notify.handlers import handlers
from services.notify.mail import mail
from services.notify.policy import Policy
from services.notify.sealer import seal
from services.notify.sender import deliver
from services.notify.state import Heard, Known
from services.notify.watch import watch
from workhardening_contracts.registry import (
    CLINIC_TOPIC,
    INTAKE_TOPIC,
    PLANNING_TOPIC,
    PROGRESS_TOPIC,
    REJECTIONS_TOPIC,
)


def from_settings(settings: Settings) -> Handlers[Heard | Known, Policy]:
    return handlers(load(Policy, settings.policy_file))


SERVICE = Service(
    name="notify",
    handlers=from_settings,
    topics=(CLINIC_TOPIC, INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC),
    writers=WRITERS,
    routers=(clinics, employers, console, operations),
    workers=(deliver, send_feeds, mail, watch, seal),
    gauges=GAUGES,
)

if __name__ == "__main__":
    run(SERVICE)
