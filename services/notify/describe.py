"""The employers' doors as an OpenAPI document.

`python -m services.notify.describe > contracts/openapi/employers.v1.json` writes it. It is committed and not served, so
that a change of a door is a change that somebody reads.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from fastapi import FastAPI

from services.notify.door import employers
from workhardening_contracts.envelope import STRUCTURED
from workhardening_contracts.readiness import ReadinessUpdated

_AT = "#/components/schemas/"


def describe() -> dict[str, Any]:
    """The document, with the event that both doors tell spelt out as its contract has it."""
    app = FastAPI(
        title="Work Hardening Program: work status for employers",
        version="1",
        description="Webhooks are a hint and this is the truth: what may be told today, to repair gaps.",
    )
    app.include_router(employers)
    document = app.openapi()
    schemas: dict[str, Any] = document["components"]["schemas"]
    data = ReadinessUpdated.model_json_schema(ref_template=_AT + "{model}")
    schemas.update(data.pop("$defs", {}))
    schemas["ReadinessUpdated"] = data
    schemas["WorkStatusEvent"] = {
        "description": "A CloudEvent in structured mode: the same bytes that a webhook bears.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "Also the webhook-id, over all retries and replays."},
            "source": {"type": "string"},
            "type": {"const": ReadinessUpdated.TYPE},
            "subject": {"type": "string", "format": "uuid", "description": "The case reference."},
            "time": {"type": "string", "format": "date-time"},
            "data": {"$ref": _AT + "ReadinessUpdated"},
        },
    }
    event = {"$ref": _AT + "WorkStatusEvent"}
    schemas["Placed"]["properties"]["event"] = event
    status = document["paths"]["/v1/cases/{ref}/status"]["get"]["responses"]["200"]
    status["content"] = {STRUCTURED: {"schema": event}}
    return document


if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe(), indent=2, sort_keys=True) + "\n")
