"""Write docs/screenshots/: every page, from a simulated cohort in the real services, light, dark and on a phone.

`make screenshots`. The cohort is stopped halfway, where cases stand in every phase, and one case is deliberately stuck.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from playwright.async_api import BrowserContext, Page, ViewportSize

from deploy.local.state import Stack
from tests.browser.driving import PHONE, launched, signed_in
from tests.e2e.events import document, lines, opening
from tests.e2e.place import Place, await_that, running_place
from tests.e2e.test_whp_parking import folded, queued, send
from workhardening_contracts.clinic import DayClosed, Session, SessionRecorded

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
MOST_BYTES = 150_000
CASES = 60
CLINIC = "north"

# A little smaller than a laptop's, so that a picture stays small, too.
WINDOW = ViewportSize(width=1180, height=800)
LOOKS: dict[str, tuple[ViewportSize, bool]] = {
    "light": (WINDOW, False),
    "dark": (WINDOW, True),
    "phone": (PHONE, False),
}


def halfway(place: Place) -> bool:
    """Whether the clinic's cases stand everywhere at once: to be signed, signed, and in training still."""
    counts = place.query(
        "console",
        "SELECT count(*) FILTER (WHERE awaits_signature) > 1, count(*) FILTER (WHERE outcome = 'ready') > 0,"
        " count(*) FILTER (WHERE phase = 'in_program' AND week >= 5) > 3 FROM caseload WHERE clinic = $1",
        CLINIC,
    )[0]
    return all(counts)


def one(place: Place, which: str) -> uuid.UUID:
    """The clinic's case of which this holds: one that awaits a signature before others, then the furthest."""
    first = "ORDER BY awaits_signature DESC, week DESC LIMIT 1"
    found = place.query("console", f"SELECT case_ref FROM caseload WHERE clinic = $1 AND {which} {first}", CLINIC)
    return uuid.UUID(str(found[0][0]))


def escalate(place: Place) -> None:
    """A case that a clinician must decide: a red flag in its first session, and the day was closed."""
    ref = uuid.uuid4()
    assert place.whp("publish", "-", given=lines(opening(ref, "acme-logistics"))).returncode == 0
    await_that(lambda: folded(place, "progress", ref, "plan.issued"), "the plan")
    first = place.query(
        "console", "SELECT body FROM event_log WHERE case_ref = $1 AND type LIKE '%plan.issued.v1'", ref
    )
    begins = date.fromisoformat(json.loads(first[0][0])["weeks"][0]["starts_on"])
    session = Session(held_on=begins, attendance="attended", hours=2.0, red_flags=("chest_pain",), safety_stop=True)
    said = [
        document(SessionRecorded(session=session), ref, day=begins),
        document(DayClosed(through=begins), ref, day=begins),
    ]
    assert place.whp("publish", "-", given=lines(said)).returncode == 0
    await_that(lambda: place.count("console", f"caseload WHERE case_ref = '{ref}' AND escalated"), "the escalated case")


def stick(place: Place) -> uuid.UUID:
    """A case that is parked: an event of ours about it cannot be read, which is what a defect of ours looks like."""
    ref = uuid.uuid4()
    assert place.whp("publish", "-", given=lines(opening(ref, "acme-logistics"))).returncode == 0
    await_that(lambda: folded(place, "progress", ref, "plan.issued"), "the plan")
    asyncio.run(send(place, ref, b"no event"))
    await_that(lambda: queued(place, "progress", ref), "the parked case")
    return ref


@dataclass(frozen=True)
class Cases:
    """Whose pages are shown."""

    training: uuid.UUID
    signable: uuid.UUID
    closed: uuid.UUID
    stuck: uuid.UUID


def chosen(place: Place) -> Cases:
    """Of the clinic's cases, the ones to show."""
    return Cases(
        training=one(place, "phase = 'in_program' AND NOT escalated AND NOT awaits_signature"),
        signable=one(place, "phase = 'in_program' AND readiness IS NOT NULL"),
        closed=one(place, "outcome = 'ready'"),
        stuck=stick(place),
    )


async def shoot(stack: Stack, cases: Cases) -> None:
    """Every page in every look."""
    async with launched() as browser:
        for look, (size, dark) in LOOKS.items():
            clinician = await signed_in(browser, stack.console, stack.keys.clinicians[CLINIC], size=size, dark=dark)
            await picture(clinician, "/cases", f"caseload-{look}")
            await picture(clinician, f"/cases/{cases.training}", f"case-{look}")
            await picture(clinician, f"/cases/{cases.training}/weeks/1/sheets", f"sheets-{look}")
            await picture(clinician, "/outcomes", f"outcomes-{look}")
            await picture(clinician, f"/cases/{cases.signable}/sign-off", f"sign-off-{look}")
            await picture(clinician, f"/cases/{cases.closed}/employers", f"employers-{look}")
            await picture(await preview(clinician, cases.signable), None, f"preview-{look}")
            operator = await signed_in(browser, stack.console, stack.keys.roles["operations"], size=size, dark=dark)
            await picture(operator, "/operations", f"operations-{look}")
            await picture(operator, f"/operations/parked/progress/{cases.stuck}", f"parked-{look}")
            await clinician.close()
            await operator.close()


async def preview(clinician: BrowserContext, ref: uuid.UUID) -> Page:
    """The page before a signature is sent."""
    page = await clinician.new_page()
    await page.goto(f"/cases/{ref}/sign-off")
    await page.get_by_label("Holds until").fill("2026-12-31")
    await page.get_by_label("You sign as").select_option("Physician")
    await page.get_by_role("button", name="See what employers will be told").click()
    await page.get_by_role("heading", name="What employers will be told").wait_for()
    return page


async def picture(where: BrowserContext | Page, path: str | None, name: str) -> None:
    """One page as it is first seen, when its charts and its font are there. Raises ValueError for one too large."""
    page = await where.new_page() if isinstance(where, BrowserContext) else where
    if path is not None:
        answer = await page.goto(path)
        assert answer is not None
        assert answer.ok, f"{path} is answered {answer.status}"
    await page.evaluate("document.fonts.ready")
    for chart in await page.locator(".plot").all():
        await chart.locator("canvas").wait_for()
    taken = await page.screenshot()
    if len(taken) > MOST_BYTES:
        raise ValueError(f"{name}.png has {len(taken)} bytes; take a smaller window")
    (FOLDER / f"{name}.png").write_bytes(taken)
    await page.close()


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running_place() as place:
        with place.begin("demo", "--cases", str(CASES)):
            await_that(lambda: place.count("console", "caseload") and halfway(place), "a cohort that stands everywhere")
        escalate(place)
        asyncio.run(shoot(place.stack(), chosen(place)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
