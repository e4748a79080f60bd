"""Which lives come to the same in whichever order the services read their topics relative to one another.

Kafka keeps an order within a partition only. What must come of a life can be held against a chain of services as far as
it does not depend on the rest: that is tried here before anything is measured, and a life that does depend is left out.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from os import cpu_count
from pathlib import Path
from random import Random

from bench.load import sources
from bench.program import Hop, topics_of
from bench.stories import SERVICES, TABLES, Story, followed, stories_of
from bench.telling import Life, Telling, Told, signatures_of
from runtime.fold import Position
from services.notify.state import Known
from workhardening_contracts.envelope import Envelope, read_kafka
from workhardening_contracts.progress import ReadinessAssessed
from workhardening_contracts.registry import CLINIC_TOPIC

ORDERS = 4
"""In which each life is tried."""
RECIPE = 1
"""Changes with whatever here changes which lives are left out, and what is known of the others."""
PACES = (0.02, 0.2, 1.0)
"""How often a service comes to read one of its topics: one may be far behind the other."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What a life came to, as far as it must be the same in every order.

    How many updates an employer is sent on the way depends on the order: what was read together changes once.
    """

    outputs: Counter[tuple[str, str, str]]
    """Topic, type and sequence of each event that was published."""
    rows: Counter[str]
    """Service -> events that it took; `feed` and `messages` -> rows that notify holds."""
    told: frozenset[Told]
    unsaid: int = 0
    """Steps that were never reached, since an answer did not come."""


def lives_of(cases: int, seed: int, folder: Path) -> tuple[list[Life], int]:
    """Those of so many lives that can be held to their ending, and how many cannot; what was tried is kept."""
    stories = stories_of(cases, seed, folder)
    path = folder / f"orders-{RECIPE}-{cases}-{seed}-{sources(SERVICES)}.json"
    if not path.exists():
        with ProcessPoolExecutor(cpu_count()) as pool:
            found = list(pool.map(partial(tried, seed=seed), stories))
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(found), encoding="utf-8")
        draft.rename(path)
    lives = [
        Life(story, {int(nth): name for nth, name in entry["signs"].items()}, _pairs(entry["told"]))
        for story, entry in zip(stories, json.loads(path.read_text(encoding="utf-8")), strict=True)
        if entry is not None
    ]
    return lives, len(stories) - len(lives)


def tried(story: Story, seed: int) -> Mapping[str, object] | None:
    """What `Life` holds beside the story; None where the order counts."""
    signs = signatures_of(story, assessments_of(story))
    endings = [ending_of(story, signs, Random(f"{seed}/{story.ref}/{nth}")) for nth in range(ORDERS)]
    first = endings[0]
    as_told = first.outputs == Counter(story.outputs) and first.rows == same_in_any_order(story.rows)
    if first.unsaid or not as_told or any(other != first for other in endings):
        return None
    return {"signs": signs, "told": sorted(first.told)}


def assessments_of(story: Story) -> dict[str, str]:
    """The ids of its assessments, when each event is followed to its end before the next -> their sequences."""
    hops, offsets = {name: Hop(name) for name in SERVICES}, count()
    records = [record for step in story.steps for record in step.records]
    return {
        event.id: str(event.sequence)
        for record in records
        for _, event in followed(hops, read_kafka(record.key, record.headers, record.value), offsets)
        if event.type == ReadinessAssessed.TYPE
    }


def ending_of(story: Story, signs: Mapping[int, str], draw: Random) -> Ending:
    """Tell a story, while chance decides which service reads the next event of which of its topics."""
    telling, hops = Telling(story, signs), {name: Hop(name) for name in SERVICES}
    topics: dict[str, list[Envelope]] = defaultdict(list)
    read: Counter[tuple[str, str]] = Counter()
    pace = {(name, topic): draw.choice(PACES) for name in SERVICES for topic in topics_of(name)}
    outputs: Counter[tuple[str, str, str]] = Counter()
    while True:
        topics[CLINIC_TOPIC] += [read_kafka(said.key, said.headers, said.value) for said in telling.say()]
        unread = [place for place in pace if read[place] < len(topics[place[1]])]
        if not unread:
            break
        place = draw.choices(unread, [pace[each] for each in unread])[0]
        name, topic = place
        for entry in hops[name].take(topics[topic][read[place]], Position(topic, 0, read[place])):
            event, sequence = entry.envelope, str(entry.envelope.sequence or "")
            topics[entry.topic].append(event)
            outputs[entry.topic, event.type, sequence] += 1
            telling.hear(event.type, sequence, event.id)
        read[place] += 1
    rows = Counter({name: len(hop.taken) for name, hop in hops.items()})
    rows.update(TABLES[type(effect)] for effect in hops["notify"].effects if type(effect) in TABLES)
    states = [case.state for case in hops["notify"].cases.values()]
    told = frozenset(
        (each.employer, each.digest) for state in states if isinstance(state, Known) for each in state.told
    )
    return Ending(outputs, same_in_any_order(rows), told, len(telling.steps))


def same_in_any_order(rows: Mapping[str, int]) -> Counter[str]:
    """Of a story's rows those that do not depend on the order."""
    return Counter({name: number for name, number in rows.items() if name != "deliveries"})


def _pairs(told: Sequence[Sequence[str]]) -> frozenset[Told]:
    return frozenset((employer, digest) for employer, digest in told)
