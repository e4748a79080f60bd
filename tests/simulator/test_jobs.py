"""Jobs follow the survey they are drawn from."""

from collections import Counter
from random import Random

import pytest

from simulator import jobs

LIFTED = {
    "Laborers and Freight, Stock, and Material Movers, Hand": "Lifting/carrying Seldom",
    "Nursing Assistants": "Lifting/carrying Seldom",
}


def test_the_extract_names_only_levels_that_the_model_knows() -> None:
    for elements in jobs.occupations().values():
        for element, levels in elements.items():
            known = (
                jobs.LOADS if element in jobs.LIFTING else jobs.FREQUENCIES if element in jobs.POSTURES else {"MEAN"}
            )
            assert set(levels) <= set(known), element


def test_every_occupation_is_physically_demanding_and_says_how_long_it_stands() -> None:
    assert len(jobs.occupations()) >= 15
    for occupation, elements in jobs.occupations().items():
        assert elements["Standing/walking"]["MEAN"] > 20, occupation
        assert any(jobs.LOADS[level] for level in elements["Lifting/carrying Seldom"]), occupation


@pytest.mark.parametrize(("occupation", "element"), LIFTED.items())
def test_loads_are_drawn_in_the_shares_of_the_file(occupation: str, element: str) -> None:
    published = jobs.occupations()[occupation][element]
    drawn = Counter[str]()
    for seed in range(2000):
        job = jobs.draw(Random(seed), occupation)
        load = next((d.amount.amount for d in job.demands if d.kind == "lift" and d.frequency == "seldom"), None)
        drawn[next(level for level in published if load in jobs.LOADS[level])] += 1
    for level, percent in published.items():
        assert drawn[level] / 20 == pytest.approx(100 * percent / sum(published.values()), abs=4)


def test_a_posture_is_demanded_as_often_as_the_file_says() -> None:
    levels = jobs.occupations()["Nursing Assistants"]["Pushing/pulling: Hands/arms"]
    drawn = Counter(
        next((d.frequency for d in jobs.draw(Random(seed), "Nursing Assistants").demands if d.kind == "push"), None)
        for seed in range(2000)
    )
    for level, percent in levels.items():
        assert drawn[jobs.FREQUENCIES[level]] / 20 == pytest.approx(percent, abs=4)


def test_the_same_seed_draws_the_same_job() -> None:
    assert jobs.draw(Random(7)) == jobs.draw(Random(7))
    assert jobs.draw(Random(7)) != jobs.draw(Random(8))


def test_what_is_lifted_often_is_never_heavier_than_what_is_lifted_now_and_then() -> None:
    for seed in range(300):
        loads = [d.amount.amount for d in jobs.draw(Random(seed)).demands if d.kind == "lift"]
        assert loads == sorted(loads, reverse=True)


def test_demands_of_one_job_can_be_told_apart_and_some_are_critical() -> None:
    for seed in range(300):
        demands = jobs.draw(Random(seed)).demands
        assert len({demand.key for demand in demands}) == len(demands)
        assert any(demand.critical and demand.kind != "confidence" for demand in demands)


def test_no_mental_demand_can_become_a_restriction() -> None:
    for seed in range(100):
        assert all(d.critical for d in jobs.draw(Random(seed)).demands if d.kind == "confidence")


def test_too_little_published_is_not_drawn_from() -> None:
    assert jobs.level_at({"OCCASIONALLY": 39.9}, 0.5) is None
    assert jobs.level_at({}, 0.5) is None
    assert jobs.level_at({"NOT PRESENT": 30.0, "SELDOM": 20.0}, 0.59) == "NOT PRESENT"
    assert jobs.level_at({"NOT PRESENT": 30.0, "SELDOM": 20.0}, 0.61) == "SELDOM"
