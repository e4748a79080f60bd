"""A clinic that waits for its answers, and signs the assessment that it heard."""

from __future__ import annotations

import json
from uuid import UUID

from bench.load import Record
from bench.stories import Step, Story
from bench.telling import Telling, signatures_of
from workhardening_contracts.clinic import DayClosed, ReadinessSigned
from workhardening_contracts.planning import PlanRevised
from workhardening_contracts.progress import ReadinessAssessed

REF = UUID(int=7)


def record(type_: str, **body: str) -> Record:
    return Record(b"7", (("ce_type", type_.encode()),), json.dumps(body).encode())


QUIET = Step((record("quiet"),), 0)
DAY = Step((record(DayClosed.TYPE), record(DayClosed.TYPE)), 2)
SIGNATURE = Step((record(ReadinessSigned.TYPE, readiness_event="as told", role="physician"),), 0)


def telling(*steps: Step, signs: dict[int, str] | None = None) -> Telling:
    return Telling(Story(REF, steps, (), {}), signs or {})


def test_a_clinic_says_all_that_nobody_answers_and_waits_where_it_will_be_answered() -> None:
    told = telling(QUIET, DAY, QUIET)
    assert told.say() == [*QUIET.records, *DAY.records]
    assert told.say() == []
    assert not told.ended


def test_it_goes_on_when_every_answer_was_heard_and_then_has_ended() -> None:
    told = telling(DAY, QUIET)
    told.say()
    told.hear(PlanRevised.TYPE, "1", "plan")
    assert told.say() == []
    told.hear(ReadinessAssessed.TYPE, "1", "assessment")
    assert told.say() == list(QUIET.records)
    assert told.ended


def test_a_signature_names_the_assessment_that_was_heard() -> None:
    told = telling(DAY, SIGNATURE, signs={2: "4"})
    told.say()
    told.hear(ReadinessAssessed.TYPE, "4", "as heard")
    told.hear(PlanRevised.TYPE, "4", "a plan")
    (signed,) = told.say()
    assert json.loads(signed.value) == {"readiness_event": "as heard", "role": "physician"}


def test_which_assessment_a_signature_answers_is_found_by_the_id_that_the_story_has() -> None:
    story = Story(REF, (DAY, SIGNATURE, QUIET), (), {})
    assert signatures_of(story, {"another": "3", "as told": "4"}) == {2: "4"}
