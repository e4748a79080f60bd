"""What is made of a plan for paper: session sheets, home program, education, the report to the referrer.

Each is drawn from what a case's page shows, by the same call: so whoever may not see the case sees none of it, and each
look is recorded as one at the case.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from runtime.http import Problem
from services.console.access import Console, console_of
from services.console.pages.drawing import draw
from services.console.pages.words import amount, quantity
from services.console.program.education import education
from services.console.program.home import home_program
from services.console.program.library import STOP_RULES, Exercise, library
from services.console.program.report import LEFT_OUT, weekly_report
from services.console.program.sheets import STEP, Item, sheets
from services.console.program.week import InForce, restrictions_in, week_in_force
from services.console.views import CasePage

pages = APIRouter(include_in_schema=False)

Asked = Annotated[Console, Depends(console_of)]
Week = Annotated[int, Path(ge=1, le=52)]


@pages.get("/cases/{ref}/weeks/{number}/sheets")
async def session_sheets(ref: UUID, number: Week, console: Asked) -> Response:
    """A sheet for each session of the week. Raises Problem 404 and 409."""
    page = await console.case(ref)
    there = in_force(page, number)
    restrictions = restrictions_in(page.signature, there.week)
    made = sheets(there.week, restrictions)
    used = {item.exercise.id: item.exercise for day in made.sessions for part in day.parts for item in part.items}
    return draw(
        "session_sheets.html",
        console.visitor,
        page=page,
        there=there,
        made=made,
        taught=education(there.week),
        used=[each for each in library().exercises if each.id in used],
        sources=library().sources,
        stop_rules=STOP_RULES,
        dose=dose,
    )


@pages.get("/cases/{ref}/weeks/{number}/home")
async def home(ref: UUID, number: Week, console: Asked) -> Response:
    """The week's home program, for the worker. Raises Problem 404 and 409."""
    page = await console.case(ref)
    there = in_force(page, number)
    made = home_program(there.week, restrictions_in(page.signature, there.week))
    return draw(
        "home_program.html",
        console.visitor,
        page=page,
        there=there,
        home=made,
        taught=education(there.week),
        stop_rules=STOP_RULES,
        counted=counted,
    )


@pages.get("/cases/{ref}/weeks/{number}/report")
async def report(ref: UUID, number: Week, console: Asked) -> Response:
    """The week's report to the referrer. Raises Problem 404 before the week is judged."""
    page = await console.case(ref)
    made = weekly_report(page, number)
    if made is None:
        raise Problem(404, "week_not_judged", "this week is not judged yet; its report comes with its verdict")
    return draw("referrer_report.html", console.visitor, page=page, report=made, left_out=LEFT_OUT)


@pages.get("/education/{topic}")
async def module(topic: str, console: Asked) -> Response:
    """One education module. It says nothing of a case, so no look is recorded. Raises Problem 404."""
    modules = library().modules
    if topic not in modules:
        raise Problem(404, "not_found", "there is no such module")
    shown = modules[topic]
    return draw("education.html", console.visitor, module=shown, modules=modules, sources=library().sources)


def in_force(page: CasePage, number: int) -> InForce:
    """The week by the version of the plan in force. Raises Problem 404, and 409 where nothing may be trained now."""
    judged = max((each.week for each in page.verdicts), default=0)
    if page.line.escalated and number > judged:
        raise Problem(409, "stands_still", "a clinician must decide first; until then nothing is trained")
    there = week_in_force(page.plans, number)
    if there is None:
        raise Problem(404, "week_not_planned", "the plan has no session in this week")
    return there


def counted(exercise: Exercise, repetitions: int | None) -> str:
    """Sets and repetitions, e.g. `3 × 10`, `2 × 20 s`; nothing where minutes alone are counted."""
    if exercise.hold_s is not None:
        return f"{exercise.sets or 1} × {exercise.hold_s} s"
    return "" if repetitions is None else f"{exercise.sets or 1} × {repetitions}"


def dose(item: Item) -> str:
    """How much of an exercise, e.g. `3 × 10, 8.5 kg`, `60 min that day`; nothing where minutes alone are counted."""
    parts = [counted(item.exercise, item.repetitions)]
    if item.amount is not None:
        match item.amount.unit:
            case "score":
                parts.append(f"score {amount(item.amount.amount, 'score')}")
            case "min" | "h":
                parts.append(f"{quantity(item.amount)} that day")
            case unit if unit in STEP and item.amount.amount == 0:
                parts.append("no load")
            case _:
                parts.append(quantity(item.amount))
    return ", ".join(part for part in parts if part)
