"""Write docs/screenshots/: every page, from a simulated cohort in the real services, light, dark and on a phone.

`make screenshots`. The cohort is stopped halfway, where cases stand in every phase, and one case is deliberately stuck.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

from playwright.async_api import BrowserContext, Page, ViewportSize

from tests.browser.driving import PHONE, launched, signed_in
from tests.e2e.events import lines, opening
from tests.e2e.place import Place, await_that, running_place
from tests.e2e.test_whp_parking import folded, queued, send

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
    """Whether the clinic's cases stand everywhere: to be decided, to be signed, in the program and closed."""
    counts = place.query(
        "console",
        "SELECT count(*) FILTER (WHERE escalated), count(*) FILTER (WHERE awaits_signature),"
        " count(*) FILTER (WHERE phase = 'in_program' AND week >= 4 AND NOT escalated),"
        " count(*) FILTER (WHERE outcome = 'ready') FROM caseload WHERE clinic = $1",
        CLINIC,
    )[0]
    return all(counts)


def one(place: Place, which: str) -> uuid.UUID:
    """The clinic's case of which this holds, the furthest in the program."""
    found = place.query(
        "console", f"SELECT case_ref FROM caseload WHERE clinic = $1 AND {which} ORDER BY week DESC LIMIT 1", CLINIC
    )
    return uuid.UUID(str(found[0][0]))


def stick(place: Place) -> uuid.UUID:
    """A case that is parked: an event of ours about it cannot be read, which is what a defect of ours looks like."""
    ref = uuid.uuid4()
    assert place.whp("publish", "-", given=lines(opening(ref, "acme-logistics"))).returncode == 0
    await_that(lambda: folded(place, "progress", ref, "plan.issued"), "the plan")
    asyncio.run(send(place, ref, b"no event"))
    await_that(lambda: queued(place, "progress", ref), "the parked case")
    return ref


async def shoot(place: Place, stuck: uuid.UUID) -> None:
    """Every page in every look."""
    stack = place.stack()
    training = one(place, "phase = 'in_program' AND NOT escalated AND NOT awaits_signature")
    signable, closed = one(place, "awaits_signature"), one(place, "outcome = 'ready'")
    async with launched() as browser:
        for look, (size, dark) in LOOKS.items():
            clinician = await signed_in(browser, stack.console, stack.keys.clinicians[CLINIC], size=size, dark=dark)
            await picture(clinician, "/cases", f"caseload-{look}")
            await picture(clinician, f"/cases/{training}", f"case-{look}")
            await picture(clinician, f"/cases/{signable}/sign-off", f"sign-off-{look}")
            await picture(clinician, f"/cases/{closed}/employers", f"employers-{look}")
            await picture(await preview(clinician, signable), None, f"preview-{look}")
            operator = await signed_in(browser, stack.console, stack.keys.roles["operations"], size=size, dark=dark)
            await picture(operator, "/operations", f"operations-{look}")
            await picture(operator, f"/operations/parked/progress/{stuck}", f"parked-{look}")
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
        await page.goto(path)
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
        asyncio.run(shoot(place, stick(place)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
