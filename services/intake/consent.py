"""Consent as it stands: at most one grant for each employer and scope, the last one said."""

from __future__ import annotations

from collections.abc import Iterable

from workhardening_contracts.clinic import ConsentRecorded, ConsentRevoked
from workhardening_contracts.intake import ConsentGrant

Grants = tuple[ConsentGrant, ...]

MAX_GRANTS = 100
"""More than one case can need (a handful of employers in five scopes); the state is rewritten with every event."""


def recorded(grants: Grants, consent: ConsentRecorded) -> Grants:
    """The grants after consent was recorded: it replaces an earlier grant of the same employer and scope.

    An end before the beginning grants nothing at any date, and is kept as it was said.
    """
    given = (
        ConsentGrant(
            employer=consent.employer,
            scope=scope,
            basis=consent.basis,
            valid_from=consent.valid_from,
            valid_through=consent.valid_through,
        )
        for scope in dict.fromkeys(consent.scopes)
    )
    return _in_order((*_without(grants, consent.employer, consent.scopes), *given))


def revoked(grants: Grants, consent: ConsentRevoked) -> Grants:
    """The grants after consent was revoked: this employer's grants in these scopes are gone, whatever their dates."""
    return _in_order(_without(grants, consent.employer, consent.scopes))


def _without(grants: Grants, employer: str, scopes: Iterable[str]) -> Grants:
    ended = frozenset(scopes)
    return tuple(grant for grant in grants if grant.employer != employer or grant.scope not in ended)


def _in_order(grants: Grants) -> Grants:
    return tuple(sorted(grants, key=lambda grant: (grant.employer, grant.scope)))
