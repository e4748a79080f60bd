"""The calls that give a page what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from services.console.views.case import CasePage, TimelinePage
from services.console.views.caseload import CaseloadFilter, CaseloadPage, Visitor
from services.console.views.operating import OperationsPage, Retried
from services.console.views.outcomes import OutcomesPage
from services.console.views.signing import EmployerPage, Preview, Sent, SignOffPage


@dataclass(frozen=True, slots=True)
class Tick:
    """Something of a case was folded. Says that, and nothing of what."""

    case: UUID
    clinic: str


class Console(Protocol):
    """What one visitor may ask for. Each call checks what the visitor may see, and records each look at a case."""

    @property
    def visitor(self) -> Visitor: ...

    async def caseload(self, wanted: CaseloadFilter) -> CaseloadPage:
        """Clinicians. Raises Problem 403, and 422 for an `after` that was never given."""
        ...

    async def case(self, ref: UUID) -> CasePage:
        """Clinicians; audited. Raises Problem 403 and 404."""
        ...

    async def timeline(self, ref: UUID, after: str) -> TimelinePage:
        """Older entries. Clinicians. Raises Problem 403, 404 and 422."""
        ...

    async def sign_off(self, ref: UUID) -> SignOffPage:
        """Clinicians; audited. Raises Problem 404, and 409 `nothing_to_sign` before there is an assessment."""
        ...

    async def preview(self, ref: UUID, form: Mapping[str, Sequence[str]]) -> Preview:
        """What would be told; nothing is sent. Clinicians; audited.

        `form` has the fields of the page's form, each with its values: `role`, `decision`, `effective_from`,
        `effective_through`, `reason_code` once each, an empty text for none, and for each restriction one value of
        `activity`, `zone`, `frequency`, `limit` and `unit`, in the same order (`limit` empty: not at all).
        Raises Problem 422 with `field` and a sentence, 409 `nothing_to_sign`, and 503 when notify does not answer.
        """
        ...

    async def sign(self, ref: UUID, form: Mapping[str, Sequence[str]], shown: str) -> Sent:
        """Send it as a clinic event through the front door. `shown` is the preview's.

        Raises Problem 409 `not_as_shown` when employers would be told something else by now, and as `preview`.
        """
        ...

    async def employer(self, ref: UUID) -> EmployerPage:
        """Clinicians; audited. Raises Problem 404, and 503 when notify does not answer."""
        ...

    async def outcomes(self) -> OutcomesPage:
        """Figures of the visitor's clinics, for operations of all; no look at a case."""
        ...

    async def operations(self) -> OperationsPage:
        """Operations. A service that does not answer is shown as that. Raises Problem 403."""
        ...

    async def retry(self, service: str, ref: UUID) -> Retried:
        """Fold a parked case's records. Operations. Raises Problem 403, 404, 409 and 503."""
        ...

    async def discard(self, service: str, ref: UUID, reason: str) -> None:
        """Give up the first of a case's parked records. Operations. Raises Problem 403, 404, 422 and 503."""
        ...

    def ticks(self, ref: UUID | None = None) -> AsyncIterator[Tick | None]:
        """What changes from now on, of one case or of all that the visitor may see; None now and then: still here.

        Ends when the session does.
        """
        ...
