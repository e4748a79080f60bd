"""Planning's load: the verdicts on a case's weeks, from its first plan to its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from bench.load import LIVED, kept, live
from bench.program import Hop, handlers_of
from bench.stories import followed
from runtime.fold import Case
from services.planning.state import Planned
from simulator.casework import Case as ClinicCase
from workhardening_contracts.envelope import Envelope
from workhardening_contracts.registry import PROGRESS_TOPIC

SERVICE = "planning"


def verdicts(case: ClinicCase, sampled: bool) -> Sequence[Any] | None:
    """Where a case stands in planning with its first plan, and what progress then says of it that planning takes.

    None for a case that is never planned, and for one of which planning hears by another topic, too: in which order two
    topics are read, nobody says.
    """
    hops, offsets = {name: Hop(name) for name in LIVED}, count()
    takes = handlers_of(SERVICE).by_type
    planned: Case[Any] | None = None
    heard: list[Envelope] = []
    for sent, news in live(case, hops):
        for envelope in sent:
            for topic, event in followed(hops, envelope, offsets):
                news += [event] if event is not envelope else []
                if planned is None or event.type not in takes:
                    continue
                if topic != PROGRESS_TOPIC:
                    return None
                heard.append(event)
            mine = hops[SERVICE].cases.get(case.ref)
            if planned is None and mine is not None and isinstance(mine.state, Planned):
                planned = mine
    return None if planned is None or not heard else kept(planned, heard, sampled)
