"""The worker model: what it may and may not do."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random
from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import jobs, workers
from simulator.workers import Fate, Worker
from workhardening_contracts.clinic import BlockMinutes, Session
from workhardening_contracts.planning import PlannedWeek, Target

MONDAY = date(2025, 1, 6)


def met(seed: int) -> Worker:
    random = Random(seed)
    return workers.meet(jobs.draw(random), Fate(*(random.random() for _ in range(4))), random)


def week_of(worker: Worker, share: float = 1.0, *, days: int = 5, starts_on: date = MONDAY) -> PlannedWeek:
    """A week that asks for this share of each demand."""
    targets = tuple(
        Target(
            kind=demand.kind,
            zone=demand.zone,
            frequency=demand.frequency,
            amount=demand.amount.model_copy(update={"amount": demand.amount.amount * share}),
            critical=demand.critical,
        )
        for demand in worker.job.demands
    )
    return PlannedWeek(
        number=1,
        starts_on=starts_on,
        ends_on=starts_on + timedelta(days=6),
        days=days,
        hours_per_day=4.0,
        targets=targets,
        minutes=BlockMinutes(mobility=30),
        stations=(),
        education=("pacing",),
    )


def held(worker: Worker, seed: int, share: float = 1.0) -> Session:
    """A session of a worker who comes."""
    _, session = workers.day(replace(worker, attendance=1.0), week_of(worker, share), MONDAY, Random(seed))
    assert session is not None
    return session


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_a_day_is_the_same_for_the_same_seed(seed: int) -> None:
    worker = met(seed)
    first = workers.day(worker, week_of(worker), MONDAY, Random(seed))
    assert first == workers.day(worker, week_of(worker), MONDAY, Random(seed))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_training_never_takes_capacity_away_and_never_passes_the_ceiling(seed: int) -> None:
    worker = met(seed)
    for index, ceiling in enumerate(worker.ceiling):
        shares = [workers.share(replace(worker, trained=n), index) for n in range(0, 60, 5)]
        assert shares == sorted(shares)
        rounding = 1e-12
        assert worker.start[index] - rounding <= shares[0]
        assert shares[-1] <= ceiling + rounding


def test_lifting_of_a_full_responder_doubles_or_triples_in_seven_weeks() -> None:
    growth: list[float] = []
    for seed in range(300):
        worker = met(seed)
        trained = replace(worker, trained=7 * 5)
        growth += [
            workers.share(trained, index) / workers.share(worker, index)
            for index, demand in enumerate(worker.job.demands)
            if demand.kind == "lift" and worker.response == "full"
        ]
    assert 2.0 <= median(growth) <= 3.0
    assert sum(1.8 <= factor <= 3.4 for factor in growth) / len(growth) >= 0.75


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.1, 2.0))
def test_nobody_does_much_more_than_asked_or_anything_they_cannot(seed: int, share: float) -> None:
    worker = met(seed)
    session = held(worker, seed, share)
    if session.safety_stop:
        assert session.performed == ()
        return
    for index, (done, demand) in enumerate(zip(session.performed, worker.job.demands, strict=True)):
        able = workers.capacity(worker, index).amount
        assert done.amount.amount <= able * 1.03 + 0.01
        assert demand.amount.unit != "h" or done.amount.amount <= session.hours + 0.01
        if demand.kind != "confidence":
            assert done.amount.amount <= demand.amount.amount * share * 1.06 + 0.01


def test_a_flare_is_still_there_a_day_later_and_takes_strength_away() -> None:
    worker = replace(met(3), flare_hazard=1.0, stop_hazard=0.0, attendance=1.0)
    after, session = workers.day(worker, week_of(worker), MONDAY, Random(1))
    assert session is not None
    assert session.pain_next_day is not None
    assert session.pain_next_day >= worker.pain + 2
    assert after.sore_days > 0
    rested = held(replace(worker, flare_hazard=0.0), 5)
    sore = held(replace(worker, flare_hazard=0.0, sore_days=1), 5)
    assert sore.performed[0].amount.amount < rested.performed[0].amount.amount


def test_without_a_flare_pain_stays_below_one() -> None:
    for seed in range(300):
        worker = replace(met(seed), flare_hazard=0.0, stop_hazard=0.0)
        pain = held(worker, seed).pain_next_day
        assert pain is not None
        assert pain < worker.pain + 2


def test_who_does_not_come_is_reported_as_missing_or_not_at_all() -> None:
    worker = replace(met(1), attendance=0.0)
    found: set[str | None] = set()
    for seed in range(60):
        after, session = workers.day(worker, week_of(worker), MONDAY, Random(seed))
        assert after.trained == 0
        found.add(session.attendance if session else None)
    assert found == {None, "excused", "absent"}


def test_who_is_gone_never_comes_again() -> None:
    worker = replace(met(1), gone=True)
    assert workers.day(worker, week_of(worker), MONDAY, Random(1)) == (worker, None)


def test_training_days_lie_inside_the_week_with_rest_between_them() -> None:
    worker = met(1)
    for days in range(1, 8):
        planned = week_of(worker, days=days)
        dates = workers.training_days(planned)
        assert len(set(dates)) == days
        assert all(planned.starts_on <= on <= planned.ends_on for on in dates)
    assert [on.weekday() for on in workers.training_days(week_of(worker, days=3))] == [0, 2, 4]


def test_a_plateau_keeps_something_critical_below_the_job() -> None:
    for seed in range(200):
        worker = met(seed)
        below = {
            demand.critical for demand, ceiling in zip(worker.job.demands, worker.ceiling, strict=True) if ceiling < 1
        }
        assert below == {"full": set[bool](), "partial": {False}, "plateau": {True}}[worker.response] or (
            worker.response == "partial" and not below
        )


def test_safety_stops_are_rare_and_end_the_session() -> None:
    stops = 0
    for seed in range(4000):
        session = held(met(seed % 20), seed)
        stops += session.safety_stop
        assert not session.safety_stop or session.hours <= 1
    assert 0 < stops < 20
