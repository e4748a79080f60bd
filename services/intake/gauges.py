"""What intake tells /metrics of its clinics. A clinic's id names no person."""

from __future__ import annotations

from runtime.db import queries
from runtime.metrics import Gauge

GAUGES = (
    Gauge(
        "whp_clinic_silence_seconds",
        "Since a clinic with open cases was last heard, to the minute; of the 200 silent longest.",
        queries("services.intake")["clinic_silence"],
        label="clinic",
    ),
)
