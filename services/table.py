"""How every service's table of handlers is wired to the registry: in one place, since none of it is a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from runtime.fold import Handler, Handlers, Policy, Rejected
from runtime.policy import Policies
from workhardening_contracts import registry
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Event
from workhardening_contracts.readiness import EventRejected

S = TypeVar("S")
P = TypeVar("P", bound=Policy)


def table(
    service: registry.Service,
    state: Any,
    on: Mapping[type[EventData], Handler[S, P]],
    policies: Policies[Any],
    *,
    owner: Callable[[S], str],
    heard_when_erased: frozenset[type[EventData]] = frozenset(),
) -> Handlers[S, P]:
    """A service's handlers, each with the policy of the event's clinic.

    Intake keeps what nobody can read in the clinics' topic; the other services leave it alone.
    """
    clinics = frozenset({registry.CLINIC_TOPIC})
    return Handlers(
        service=service,
        state=state,
        on=on,
        policy=lambda event: policies.of(registry.clinic_of(event)),
        sender=_sender,
        owner=owner,
        topic_of=registry.topic_of,
        judges=registry.judges(service).__contains__,
        from_partner=registry.from_clinic,
        rejection=rejection,
        known_type=registry.BY_TYPE.__contains__,
        partner_topics=clinics,
        keeps_unreadable=clinics if service == "intake" else frozenset(),
        erasures=frozenset({CaseErased}),
        heard_when_erased=heard_when_erased,
    )


def _sender(event: Event[Any]) -> str | None:
    """A rejection lays no claim to its case: it speaks of whoever sent the refused event, maybe a stranger."""
    return None if isinstance(event.data, EventRejected) else registry.clinic_of(event)


def rejection(rejected: Rejected) -> EventRejected:
    """A refusal as it is published."""
    return EventRejected(
        judge=rejected.judge,
        rejected_type=rejected.envelope.type,
        rejected_source=rejected.envelope.source,
        rejected_id=rejected.envelope.id,
        topic=rejected.position.topic,
        partition=rejected.position.partition,
        offset=rejected.position.offset,
        code=rejected.refusal.code,
        field=rejected.refusal.field,
        detail=rejected.refusal.detail,
        mend=rejected.refusal.mend,
    )
