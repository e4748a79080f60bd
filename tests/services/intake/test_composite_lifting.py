"""The composite lifting index against the manual's worked example, by hand where it is silent, and its properties."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.intake.composite_lifting import CompositeIndex, JobTask, LiftingJob, composite_index
from services.intake.lifting import NotApplicable


def _task(name: str, **changes: Any) -> JobTask:
    """A lift at knuckle height close to the body, where the limit is the load constant times FM."""
    ideal: dict[str, Any] = {
        "unit_system": "us",
        "load": 20.0,
        "horizontal": 10.0,
        "vertical": 30.0,
        "travel": 10.0,
        "lifts_per_minute": 1.0,
        "duration_hours": 1.0,
        "coupling": "good",
    }
    return JobTask(name=name, **(ideal | changes))


def _grade(*tasks: JobTask) -> CompositeIndex:
    return composite_index(LiftingJob(tasks=tasks))


def _limited(name: str, firwl: float, **changes: Any) -> JobTask:
    """A task whose frequency-independent limit is this, lb: by its reach alone (51 lb × 10 in / H)."""
    return _task(name, horizontal=51 * 10 / firwl, **changes)


def test_the_manuals_three_task_example() -> None:
    """NIOSH 94-110, 2.4.5 (p. 28 of the 2021 revision): FIRWL 20, 20, 15 lb, loads 30, 20, 10 lb, 1, 2, 4 lifts
    a minute for up to an hour. It prints FILI 1.5, 1.0, .67, STLI 1.6, 1.1, .8 and CLI 1.60 + .07 + .20 = 1.9, and goes
    on with what it has rounded: hence a tolerance of half of its last place, and .01 for a product of rounded figures.
    No reach within 25 in has limits so low, so limits and loads are doubled here: an index does not see that.
    """
    graded = _grade(
        _limited("1", 40, load=60.0, lifts_per_minute=1),
        _limited("2", 40, load=40.0, lifts_per_minute=2),
        _limited("3", 30, load=20.0, lifts_per_minute=4),
    )
    assert [task.name for task in graded.tasks] == ["1", "2", "3"]
    assert [task.fili for task in graded.tasks] == pytest.approx([1.5, 1.0, 0.67], abs=0.005)
    assert [task.stli for task in graded.tasks] == pytest.approx([1.6, 1.1, 0.8], abs=0.05)
    assert [task.added for task in graded.tasks] == pytest.approx([1.60, 0.07, 0.20], abs=0.01)
    assert graded.composite_index == pytest.approx(1.9, abs=0.05)


def test_one_task_is_graded_as_the_equation_grades_it_alone() -> None:
    graded = _grade(_task("only", load=51.0, lifts_per_minute=3))
    assert graded.composite_index == graded.tasks[0].stli == pytest.approx(1 / 0.88)


def test_tasks_are_summed_in_the_order_of_stress_and_not_as_they_were_given() -> None:
    light, heavy = _task("light", load=5.0), _task("heavy", load=45.0)
    assert [task.name for task in _grade(light, heavy).tasks] == ["heavy", "light"]
    assert _grade(light, heavy) == _grade(heavy, light)


def test_of_two_tasks_with_one_index_the_more_frequent_comes_first() -> None:
    first, second = _grade(_task("seldom", lifts_per_minute=0.05), _task("often", lifts_per_minute=0.1)).tasks
    assert first.stli == second.stli
    assert (first.name, second.name) == ("often", "seldom")


def test_strength_is_asked_for_by_the_heaviest_load_and_the_task_alone_by_the_mean() -> None:
    (task,) = _grade(_task("cans", load=20.4, heaviest=51.0)).tasks
    assert (task.fili, task.stli) == (pytest.approx(1.0), pytest.approx(0.4 / 0.94))


def test_a_task_done_less_than_once_in_five_minutes_counts_as_done_so_often() -> None:
    seldom = _grade(_task("a", load=40.0), _task("b", lifts_per_minute=0.01))
    assert seldom.composite_index == _grade(_task("a", load=40.0), _task("b", lifts_per_minute=0.2)).composite_index


def test_each_increment_is_taken_from_the_column_of_the_task_that_is_added() -> None:
    first = _task("first", load=45.0, lifts_per_minute=9)
    high = _grade(first, _task("added", load=1.0, lifts_per_minute=4))
    low = _grade(first, _task("added", load=1.0, lifts_per_minute=4, vertical=29.0))
    assert high.tasks[1].added == pytest.approx(1 / 51 * (1 / 0.34 - 1 / 0.52))
    assert low.composite_index is None, "13 lifts a minute from below 30 in"


def test_a_job_with_a_task_outside_any_limit_has_no_index_and_says_which_task_it_is() -> None:
    graded = _grade(_task("fine"), _task("far", horizontal=26.0))
    assert graded.composite_index is None
    assert (graded.tasks[0].name, graded.tasks[0].stli) == ("far", None)


def test_tasks_that_are_too_frequent_only_together_have_no_index() -> None:
    graded = _grade(_task("a", lifts_per_minute=8), _task("b", lifts_per_minute=8))
    assert graded.composite_index is None
    assert all(task.stli is not None for task in graded.tasks)


def test_a_task_that_the_equation_was_not_made_for_is_refused_by_name() -> None:
    with pytest.raises(NotApplicable) as refused:
        _grade(_task("fine"), _task("cart", activity="push"))
    assert refused.value.code == "activity_push"


@pytest.mark.parametrize(
    "tasks",
    [
        (),
        (_task("a"), _task("a", load=1.0)),
        (_task("a"), _task("b", duration_hours=2.0)),
        (_task("a"), _task("b", unit_system="metric")),
    ],
)
def test_tasks_that_are_not_of_one_job_are_no_job(tasks: tuple[JobTask, ...]) -> None:
    with pytest.raises(ValidationError):
        LiftingJob(tasks=tasks)


def test_a_mean_above_the_heaviest_load_is_no_mean() -> None:
    with pytest.raises(ValidationError):
        _task("a", load=20.0, heaviest=19.0)


def test_a_task_that_comes_first_can_lower_the_manuals_sum_a_little() -> None:
    """Known of the procedure, and kept: whoever expects a sum that only grows finds here that it does not."""
    before = [_task("a", load=20.0, lifts_per_minute=0.2)]
    before += [_task(name, load=19.0, lifts_per_minute=0.3) for name in ("b", "c")]
    alone, joined = _grade(*before), _grade(*before, _task("new", load=18.85, lifts_per_minute=1.0))
    assert alone.composite_index is not None
    assert joined.composite_index is not None
    assert joined.tasks[0].name == "new"
    assert joined.composite_index < alone.composite_index


tasks = st.lists(
    st.builds(
        dict[str, Any],
        load=st.floats(1, 60),
        horizontal=st.floats(10, 24),
        vertical=st.floats(0, 69),
        travel=st.floats(10, 69),
        lifts_per_minute=st.floats(0, 3),
        coupling=st.sampled_from(["good", "fair", "poor"]),
    ),
    min_size=1,
    max_size=5,
)


@given(tasks, st.sampled_from([1.0, 2.0, 8.0]))
@settings(derandomize=True, deadline=None)
def test_the_composite_index_is_never_below_the_largest_single_one(found: list[dict[str, Any]], hours: float) -> None:
    graded = _grade(*(_task(str(number), duration_hours=hours, **each) for number, each in enumerate(found)))
    assume(graded.composite_index is not None)
    assert graded.composite_index is not None
    assert graded.composite_index >= max(task.stli or 0 for task in graded.tasks)
    assert all(task.added is not None and task.added >= 0 for task in graded.tasks)


@given(tasks, st.sampled_from([1.0, 2.0, 8.0]))
@settings(derandomize=True, deadline=None)
def test_each_task_that_is_added_behind_the_others_makes_the_index_grow(
    found: list[dict[str, Any]], hours: float
) -> None:
    given_tasks = {str(n): _task(str(n), duration_hours=hours, **each) for n, each in enumerate(found)}
    in_order = [given_tasks[task.name] for task in _grade(*given_tasks.values()).tasks]
    indices = [_grade(*in_order[: count + 1]).composite_index for count in range(len(in_order))]
    known = [index for index in indices if index is not None]
    assert known == sorted(known)
    assert indices[len(known) :] == [None] * (len(indices) - len(known)), "beyond the limit nothing comes back"
