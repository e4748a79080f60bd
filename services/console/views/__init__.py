"""What each page of the console shows, and the calls that give it: the seam between the pages and what is behind them.

A page asks for its data by one dependency and draws what it is given:

    from services.console.access import console_of
    from services.console.views import Console

    @pages.get("/cases/{ref}")
    async def case(request: Request, ref: UUID, console: Annotated[Console, Depends(console_of)]) -> Response:
        shown = {"visitor": console.visitor, "page": await console.case(ref)}
        return templates.TemplateResponse(request, "case.html", shown)

`console_of` is for a visitor who is signed in; anybody else is sent to /login (a `Problem` 303 with `location`, and
`hx-redirect` for HTMX). What a visitor may not see raises `Problem`: 403 for another role's page, 404 for a case that
is not theirs or not there (the same answer), 409 and 422 where a call says so, 503 when a service that is asked does
not answer. Tests of the pages override the dependency: `app.dependency_overrides[console_of] = lambda: a_fake`.

`services.console.pages.add_pages(app)` adds the pages' routes, static files and error pages; the service calls it.
A page that changes something is a POST, and takes `Depends(same_origin)` of `services.console.access` as well.
`access.sign_in(request, response, key)` sets the session's cookie, `access.sign_out(response)` takes it away.

Nothing here is written by the pages. All is frozen; numbers are in the units that stand beside them.
"""

from services.console.views.case import (
    CasePage,
    DemandChart,
    Grant,
    Missing,
    Moment,
    PlanShown,
    ReadinessShown,
    Seen,
    SessionPoint,
    Signature,
    TimelinePage,
    VerdictShown,
    WeekPoint,
)
from services.console.views.caseload import (
    PAGE,
    CaseLine,
    CaseloadFilter,
    CaseloadPage,
    Phase,
    Readiness,
    Risk,
    Role,
    Visitor,
)
from services.console.views.console import Console, Tick
from services.console.views.operating import DeadLetter, Endpoint, OperationsPage, ParkedCase, Retried, ServiceHealth
from services.console.views.outcomes import FollowUpDue, MonthAfter, Outcomes, OutcomesPage, Share
from services.console.views.signing import Disclosed, EmployerPage, EmployerPreview, Preview, Sent, SignOffPage

__all__ = [
    "PAGE",
    "CaseLine",
    "CasePage",
    "CaseloadFilter",
    "CaseloadPage",
    "Console",
    "DeadLetter",
    "DemandChart",
    "Disclosed",
    "EmployerPage",
    "EmployerPreview",
    "Endpoint",
    "FollowUpDue",
    "Grant",
    "Missing",
    "Moment",
    "MonthAfter",
    "OperationsPage",
    "Outcomes",
    "OutcomesPage",
    "ParkedCase",
    "Phase",
    "PlanShown",
    "Preview",
    "Readiness",
    "ReadinessShown",
    "Retried",
    "Risk",
    "Role",
    "Seen",
    "Sent",
    "ServiceHealth",
    "SessionPoint",
    "Share",
    "SignOffPage",
    "Signature",
    "Tick",
    "TimelinePage",
    "VerdictShown",
    "Visitor",
    "WeekPoint",
]
