"""Any order of delivery of the same facts ends in the same state and the same net truth.

Some of the 10,000 cases that `python -m tests.services.any_order` tries; docs/any-order.md says what is promised.
"""

from __future__ import annotations

from collections import Counter

from simulator.cohort import CohortConfig, make_cases
from tests.services.any_order import Random, again, live, net, shuffled, tried
from workhardening_contracts.clinic import DayClosed, SessionRecorded


def test_any_order_of_delivery_of_the_same_facts_ends_in_the_same_state_and_the_same_net_truth() -> None:
    found = list(tried(seed=2, first=0, count=150))
    assert {each.number: each.differs for each in found if each.differs} == {}
    types = sum((each.types for each in found), Counter[str]())
    for corrected in ("SessionCorrected", "ReferralCorrected", "ConsentRevoked", "CaseWithdrawn", "ReadinessSigned"):
        assert types[corrected] > 5, corrected


def test_a_case_that_lost_a_fact_ends_otherwise_so_that_the_comparison_can_fail() -> None:
    random = Random(5)
    (case,) = make_cases(CohortConfig(cases=1, seed=5, hostile_rate=0.0), ["north"])
    place, facts = live(case, random)
    closings = [fact for fact in facts if isinstance(fact.data, DayClosed)]
    assert closings
    assert net(again(case.ref, [fact for fact in facts if fact is not closings[-1]], random)) != net(place)


def test_another_order_really_is_another_and_keeps_reports_before_the_day_that_closes_them() -> None:
    (case,) = make_cases(CohortConfig(cases=1, seed=5, hostile_rate=0.0), ["north"])
    _, facts = live(case, Random(5))
    retold = shuffled(facts, Random(6))
    assert retold != facts
    assert sorted(fact.envelope.id for fact in retold) == sorted(fact.envelope.id for fact in facts)
    for place, fact in enumerate(facts):
        if isinstance(fact.data, DayClosed):
            before = {each.envelope.id for each in facts[:place] if isinstance(each.data, SessionRecorded)}
            now = retold.index(fact)
            assert {each.envelope.id for each in retold[:now] if isinstance(each.data, SessionRecorded)} == before
