"""What notify owes employers and clinics, for /metrics. Employers and clinics are not named there."""

from __future__ import annotations

from runtime.db import queries
from runtime.metrics import Gauge

_SQL = queries("services.notify")

GAUGES = (
    Gauge(
        "whp_deliveries_oldest_seconds",
        "How long the oldest work-status update has waited that has an endpoint to go to.",
        _SQL["oldest_delivery"],
    ),
    Gauge("whp_deliveries_pending", "Work-status updates that are not delivered yet.", _SQL["count_deliveries"]),
    Gauge(
        "whp_deliveries_unaddressed",
        "Of these, those whose employer has no endpoint, or one that is disabled.",
        _SQL["count_unaddressed"],
    ),
    Gauge(
        "whp_deliveries_failed",
        "Cases whose newest work-status update failed for good and was not pulled, by the reason. Counted to 10,000.",
        _SQL["count_failed"],
        reasons=("refused", "retries_used_up", "defect", "backlog_expired", "other"),
    ),
    Gauge(
        "whp_endpoints_failing_seconds",
        "How long the enabled endpoint that has failed longest has taken nothing of what is due to it.",
        _SQL["longest_failing"],
    ),
    Gauge("whp_endpoints_open", "Endpoints that are left alone but for a probe.", _SQL["count_open"]),
    Gauge("whp_messages_oldest_seconds", "How long the oldest mail has waited to be sent.", _SQL["oldest_message"]),
    Gauge("whp_messages_held", "Mail of clinics that have no mailbox yet.", _SQL["count_held_messages"]),
    Gauge(
        "whp_disclosures_unsealed_oldest_seconds",
        "How long the oldest disclosure has waited for its seal, of the newest 10,000.",
        _SQL["oldest_unsealed"],
    ),
    Gauge(
        "whp_disclosure_chain_broken",
        "Places at which the disclosure log is not what was sealed.",
        _SQL["count_faults"],
    ),
)
