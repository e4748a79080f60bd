"""The job demand library through its doors: HTTP, with a real PostgreSQL behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response

from runtime.db import open_pool
from runtime.http import clinic_caller, make_app
from services.intake.demand_sheet import POLICY
from services.intake.demands_door import router
from services.intake.screening import MAX_BODY
from services.intake.templates import SURVEY, import_templates
from tests.conftest import Database

pytestmark = pytest.mark.stack

TASK: dict[str, Any] = {
    "name": "inspection", "unit_system": "us", "load": 26, "horizontal": 10, "vertical": 22, "travel": 37,
    "lifts_per_minute": 3, "duration_hours": 1, "coupling": "fair",
}  # fmt: skip


@pytest.fixture
async def door(database: Database) -> AsyncIterator[AsyncClient]:
    """The doors with the whole survey behind them. Whose key: tests/services/test_every_door_is_locked.py."""
    pool = await open_pool(database.dsn("intake"), "intake-test", size=4)
    async with pool.acquire() as connection:
        assert (await import_templates(connection, SURVEY.read_text(encoding="utf-8"))).stored == 390
    app = make_app("intake")
    app.include_router(router)
    app.dependency_overrides[clinic_caller] = lambda: "north"
    app.state.running = SimpleNamespace(pool=pool)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://door") as client:
        yield client
    await pool.close()


def problem(answer: Response) -> tuple[int, str, str]:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, body["code"], body.get("field", "")


async def test_all_occupations_are_listed_those_without_a_draft_too(door: AsyncClient) -> None:
    listed = (await door.get("/v1/demands")).json()["occupations"]
    assert len(listed) == 390
    assert {occupation["standing"] for occupation in listed} == {"draft"}
    assert sum(occupation["demands"] == 0 for occupation in listed) == 14
    assert [occupation["title"] for occupation in listed if occupation["soc_code"] == "31101400"] == [
        "Nursing Assistants"
    ]


async def test_an_occupation_is_shown_with_standard_errors_and_what_was_not_published(door: AsyncClient) -> None:
    shown = (await door.get("/v1/demands/53706200")).json()
    assert (shown["standing"], shown["profile"]["basis"]) == ("draft", "template")
    (seldom,) = (draft["figure"] for draft in shown["drafts"] if draft["demand"] == "lift/-/seldom")
    assert (seldom["percent"], seldom["standard_error"]) == (52.6, 3.2)
    assert any(element["not_published"] for element in shown["elements"])


async def test_two_occupations_are_compared(door: AsyncClient) -> None:
    answer = await door.get("/v1/demands/compare", params={"first": "53706200", "second": "31101400"})
    assert answer.json()["second"]["title"] == "Nursing Assistants"
    assert answer.json()["figures"]


async def test_a_sheet_is_html_that_nothing_can_run_in(door: AsyncClient) -> None:
    answer = await door.get("/v1/demands/53706200/sheet")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "Laborers and Freight" in answer.text


@pytest.mark.parametrize("path", ["1", "1/sheet", "compare?first=53706200&second=1"])
async def test_an_unknown_occupation_is_not_found(door: AsyncClient, path: str) -> None:
    assert problem(await door.get(f"/v1/demands/{path}")) == (404, "occupation_unknown", "")


@pytest.mark.parametrize("path", ["CANARY", "CANARY/sheet", "compare?first=1&second=CANARY", "compare?first=1"])
async def test_what_is_no_code_is_refused_and_not_repeated(door: AsyncClient, path: str) -> None:
    answer = await door.get(f"/v1/demands/{path}")
    assert answer.status_code == 422
    assert "CANARY" not in answer.text


async def test_lifting_tasks_are_graded(door: AsyncClient) -> None:
    graded = (await door.post("/v1/demands/grade", json={"tasks": [TASK, {**TASK, "name": "return"}]})).json()
    assert [task["name"] for task in graded["tasks"]] == ["inspection", "return"]
    assert round(graded["tasks"][0]["strwl"], 1) == 34.8
    assert graded["composite_index"] > graded["tasks"][0]["stli"]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"CANARY", (422, "task.invalid", "")),
        (b'{"tasks": []}', (422, "task.invalid", "/tasks")),
        (b'{"tasks": [{"name": "CANARY"}]}', (422, "task.invalid", "/tasks/0/unit_system")),
        (b" " * (MAX_BODY + 1), (413, "too_large", "")),
    ],
)
async def test_tasks_that_cannot_be_read_are_refused_by_field(
    door: AsyncClient, body: bytes, refusal: tuple[int, str, str]
) -> None:
    answer = await door.post("/v1/demands/grade", content=body)
    assert problem(answer) == refusal
    assert "CANARY" not in answer.text


async def test_a_task_the_equation_was_not_made_for_is_refused_by_name(door: AsyncClient) -> None:
    answer = await door.post("/v1/demands/grade", json={"tasks": [{**TASK, "hands": 1}]})
    assert problem(answer) == (422, "not_applicable.one_handed", "")
