"""The composite lifting index (CLI) of a job of several lifting tasks (NIOSH 94-110, 2.4; Waters et al. 1993).

    CLI = STLI1 + sum of FILIi × (1/FM(F1 + .. + Fi) − 1/FM(F1 + .. + Fi−1)), tasks in order of falling STLI

FILI leaves the frequency out and asks for the strength of the heaviest load; STLI asks what a task would be were it
done alone. Where the manual is silent:

- Tasks may begin below and above 75 cm (30 in), where FM differs from 9 lifts a minute on: each increment is taken from
  the column of the task that is added.
- One person does all tasks in one stretch of work, so a job has one duration.
- A lift that must be controlled at its end is given at that end of it which has the lower limit.

The manual's sum never falls below the largest STLI, and a task that comes last in its order never lowers it. One that
comes before others can: at up to 1 hour, 1/FM climbs less steeply from 0.5 lifts a minute on than below, so what
follows adds a little less.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.intake.lifting import LEAST_FREQUENCY, LiftingIndex, LiftingTask, frequency_multiplier, lifting_index


class JobTask(LiftingTask):
    """One lifting task of a job. `load` is the mean load."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
    heaviest: Annotated[float, Field(gt=0)] | None = None
    """The heaviest load, kg or lb; null: all loads are alike."""

    @model_validator(mode="after")
    def _no_mean_is_above_the_heaviest(self) -> JobTask:
        if self.heaviest is not None and self.heaviest < self.load:
            raise ValueError("the heaviest load is below the mean load")
        return self


class LiftingJob(BaseModel):
    """The lifting tasks that one person does in turn in one stretch of work."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    tasks: Annotated[tuple[JobTask, ...], Field(min_length=1, max_length=30)]

    @model_validator(mode="after")
    def _tasks_are_of_one_job(self) -> LiftingJob:
        if len({task.name for task in self.tasks}) < len(self.tasks):
            raise ValueError("two tasks have one name")
        if len({(task.unit_system, task.duration_hours) for task in self.tasks}) > 1:
            raise ValueError("tasks of one job have one unit_system and one duration_hours")
        return self


class GradedTask(BaseModel):
    """One task of a graded job. Weights in kg or lb; null where no weight may be lifted."""

    model_config = ConfigDict(frozen=True)

    name: str
    firwl: float
    """Frequency-independent recommended weight limit: FM left out."""
    strwl: float
    """Single-task recommended weight limit."""
    fili: float | None
    """Heaviest load / FIRWL: above 1, the load asks for strength that not everyone has, however seldom it is lifted."""
    stli: float | None
    """Mean load / STRWL: the task's index were it the only one."""
    added: float | None
    """What this task adds to the composite index: its STLI for the first, an increment for each other."""
    single: LiftingIndex


class CompositeIndex(BaseModel):
    """What a job's lifting comes to."""

    model_config = ConfigDict(frozen=True)

    composite_index: float | None
    """CLI; null where a task, or all tasks together, lie outside any limit."""
    tasks: tuple[GradedTask, ...]
    """In the order of the sum: most stressful first."""


def composite_index(job: LiftingJob) -> CompositeIndex:
    """Grade a job. Raises NotApplicable, by name, when the equation was not made for one of its tasks."""
    graded = [(task, _alone(task)) for task in job.tasks]
    # The manual's order, ties by frequency; what has no limit at all is the most stressful.
    graded.sort(key=lambda pair: (_stress(pair[1].stli), pair[0].lifts_per_minute), reverse=True)
    in_order: list[GradedTask] = []
    before = 0.0
    for task, alone in graded:
        together = before + max(task.lifts_per_minute, LEAST_FREQUENCY)
        added = _increment(task, alone, before, together) if in_order else alone.stli
        in_order.append(alone.model_copy(update={"added": added}))
        before = together
    parts = [task.added for task in in_order]
    total = None if None in parts else sum(part for part in parts if part is not None)
    return CompositeIndex(composite_index=total, tasks=tuple(in_order))


def _alone(task: JobTask) -> GradedTask:
    single = lifting_index(task)
    firwl = single.lc * single.hm * single.vm * single.dm * single.am * single.cm
    return GradedTask(
        name=task.name,
        firwl=firwl,
        strwl=single.rwl,
        fili=(task.heaviest or task.load) / firwl if firwl > 0 else None,
        stli=single.lifting_index,
        added=None,
        single=single,
    )


def _stress(stli: float | None) -> float:
    return float("inf") if stli is None else stli


def _increment(task: JobTask, alone: GradedTask, before: float, together: float) -> float | None:
    """FILI × (1/FM(together) − 1/FM(before)), lifts a minute; None above the table's last frequency."""
    low = alone.single.low
    fm_before, fm = (frequency_multiplier(each, task.duration_hours, low=low) for each in (before, together))
    if alone.fili is None or fm == 0:
        return None
    return alone.fili * (1 / fm - 1 / fm_before)
