"""Receive work-status updates: WHP_KEYS="whpk_..." uvicorn fastapi_receiver:app. Two keys while they are rotated."""

import json
import os
from typing import Any

from fastapi import FastAPI, Request, Response

from workhardening_contracts.webhook import PING_TYPE, SeenIds, challenge_answer, verify_v1a

app, seen, keys = FastAPI(), SeenIds(), os.environ["WHP_KEYS"].split()
latest: dict[str, dict[str, Any]] = {}  # by case; your HR system's table in its place


@app.post("/work-status")
async def receive(request: Request) -> Response:
    body = await request.body()
    if not any(verify_v1a(body, request.headers, key) for key in keys):
        return Response(status_code=401)  # not from the program, or not fresh
    if (answer := challenge_answer(body)) is not None:
        return Response(answer, media_type="application/json")  # yes, this endpoint is ours
    event = json.loads(body)
    if event["type"] != PING_TYPE and event["id"] not in seen:
        held = latest.get(event["subject"], {"sequence": 0})
        if event["data"]["sequence"] > held["sequence"]:  # a replay is not newer
            latest[event["subject"]] = event["data"]
        seen.add(event["id"])  # after it was stored: until then the repetition is wanted
    return Response(status_code=204)
