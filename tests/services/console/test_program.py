"""What is made of a plan: sheets in the plan's minutes, nothing above a target or a restriction, nothing left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.console.program.education import education
from services.console.program.home import home_program
from services.console.program.library import BLOCKS, DEMANDS, Library, library
from services.console.program.sheets import STEP, Item, Sheets, in_turn, shared, sheets
from services.console.program.week import restrictions_in, under, week_in_force
from services.console.views import PlanShown, Signature
from services.planning.blocks import TOPICS
from tests.services.planning.cases import Planning, assessment, capacity, demand
from workhardening_contracts import demand as contract
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.demand import Demand, DemandProfile, Frequency
from workhardening_contracts.planning import PlannedWeek
from workhardening_contracts.quantity import Quantity, Unit, comparable

MONDAY = date(2026, 3, 9)
UNITS: dict[str, tuple[Unit, ...]] = {
    **dict.fromkeys(("lift", "carry", "juggle"), ("kg", "lb")),
    **dict.fromkeys(("push", "pull"), ("kg", "N")),
    "grip": ("kg", "N", "repetitions"),
    **dict.fromkeys(("climb", "stoop", "kneel", "crouch", "crawl", "reach"), ("min", "repetitions")),
    **dict.fromkeys(("stand", "walk", "sit", "balance"), ("min", "h")),
    "shift": ("h",),
    **dict.fromkeys(("concentration", "pace", "stress_tolerance", "confidence"), ("score",)),
}
"""The units in which a demand of each kind comes; `juggle` stands for what nobody has heard of."""
MOST: dict[Unit, float] = {"kg": 60, "lb": 120, "N": 600, "min": 480, "h": 8, "repetitions": 200, "score": 10}
FREQUENCIES: tuple[Frequency, ...] = ("seldom", "occasional", "frequent", "constant")
ZONES = {"lift": (None, "floor_waist", "waist_shoulder", "overhead"), "reach": (None, "overhead", "forward")}


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    kind = draw(st.sampled_from(sorted(UNITS)))
    unit = draw(st.sampled_from(UNITS[kind]))
    amount = draw(st.sampled_from([0.0, 0.4]) | st.floats(1, MOST[unit]))
    zone = draw(st.sampled_from(ZONES.get(kind, (None, "elsewhere"))))
    return demand(kind, amount, unit, draw(st.sampled_from(FREQUENCIES)), zone, draw(st.booleans()))


@st.composite
def limits(draw: st.DrawFn) -> Restriction:
    kind = draw(st.sampled_from([*sorted(UNITS), "work_hours"]))
    unit = draw(st.sampled_from(UNITS.get(kind, ("h", "min"))))
    amount = draw(st.none() | st.floats(0, MOST[unit]))
    return Restriction(
        activity=kind,
        zone=draw(st.sampled_from([None, *ZONES.get(kind, ())])),
        frequency=draw(st.none() | st.sampled_from(FREQUENCIES)),
        limit=None if amount is None else Quantity(amount=amount, unit=unit),
    )


@st.composite
def planned(draw: st.DrawFn) -> tuple[PlannedWeek, ...]:
    """The weeks of a plan as planning makes one."""
    each = tuple(draw(st.lists(demands(), min_size=1, max_size=8, unique_by=lambda one: one.key)))
    job = DemandProfile(title="Job", basis="template", demands=each, shift_hours=draw(st.floats(2, 10)))
    share = draw(st.floats(0.1, 1.1))
    baseline = [capacity(one, one.amount.amount * share) for one in each]
    days, hours = draw(st.integers(1, 7)), draw(st.floats(0.5, 8))
    [plan] = Planning().when(assessment(job, baseline, tolerance=hours).model_copy(
        update={"tolerance_days_per_week": days}))  # fmt: skip
    return plan.weeks


def items(made: Sheets) -> list[Item]:
    return [item for day in made.sessions for part in day.parts for item in part.items]


ASKED = settings(derandomize=True, deadline=None, max_examples=40)


@ASKED
@given(planned(), st.lists(limits(), max_size=4))
def test_the_minutes_add_up_to_the_plans_or_to_what_a_restriction_of_hours_leaves(
    weeks: tuple[PlannedWeek, ...], restrictions: list[Restriction]
) -> None:
    for week in weeks:
        for limited, made in ((False, sheets(week)), (True, sheets(week, restrictions))):
            assert limited or len(made.sessions) == week.days
            for day in made.sessions:
                assert sum(part.minutes for part in day.parts) == day.minutes
                assert day.minutes <= week.hours_per_day * 60 + 1e-6
                assert made.shortened_by or day.minutes == int(week.hours_per_day * 60 + 1e-6)
                assert week.starts_on <= day.on <= week.ends_on
                for part in day.parts:
                    taken = [item.minutes for item in part.items if item.minutes is not None]
                    assert sum(taken) == (0 if part.block == "education" else part.minutes)
                    assert all(taken), "an exercise of no minute is none"
            assert len({day.on for day in made.sessions}) == len(made.sessions)


@ASKED
@given(planned(), st.lists(limits(), max_size=4))
def test_nothing_is_above_the_weeks_target_or_a_restriction(
    weeks: tuple[PlannedWeek, ...], restrictions: list[Restriction]
) -> None:
    for week in weeks:
        targets = {f"{each.kind}/{each.zone or '-'}/{each.frequency}": each for each in week.targets}
        for item in items(sheets(week, restrictions)):
            for key in item.demands:
                bounds = [targets[key].amount, *limiting(key, restrictions)]
                for bound in bounds:
                    if item.amount is not None and comparable(item.amount, bound):
                        assert item.amount.amount_in(bound.unit) <= bound.amount * (1 + 1e-9)
                    if bound.unit in ("min", "h") and item.minutes and item.exercise.block == "endurance":
                        assert item.minutes <= bound.amount_in("min") + 1e-6
                    if bound.unit == "repetitions" and item.repetitions:
                        assert item.repetitions * (item.exercise.sets or 1) <= bound.amount


def limiting(key: str, restrictions: Sequence[Restriction]) -> list[Quantity]:
    """Told anew, in the words of a signature: limits of this kind and zone at this frequency or a lower one."""
    kind, zone, frequency = key.split("/")
    found: list[Quantity] = []
    for each in restrictions:
        if each.activity == kind and (zone == "-" or each.zone in (None, zone)):
            at = FREQUENCIES.index(each.frequency) if each.frequency else 0
            if at <= FREQUENCIES.index(frequency):  # pyright: ignore[reportArgumentType] - it is a frequency
                assert each.limit is not None, "what is not allowed at all is on no sheet"
                assert each.limit.amount > 0
                found.append(each.limit)
    return found


@ASKED
@given(planned(), st.lists(limits(), max_size=3))
def test_every_target_is_trained_in_the_week_and_what_is_withheld_says_by_which_restriction(
    weeks: tuple[PlannedWeek, ...], restrictions: list[Restriction]
) -> None:
    for week in weeks:
        made = sheets(week, restrictions)
        trained = {key for item in items(made) for key in item.demands}
        for each in made.asked:
            assert (each.by is None) == (each.allowed == each.target.amount)
            if made.sessions:
                assert (each.key in trained) == (each.allowed is not None)
        assert restrictions or all(each.by is None for each in made.asked)


@ASKED
@given(planned())
def test_every_block_that_the_plan_asks_for_is_on_every_sheet(weeks: tuple[PlannedWeek, ...]) -> None:
    for week in weeks:
        for day in sheets(week).sessions:
            there = {part.block: part.minutes for part in day.parts}
            asked = {block for block, minutes in week.minutes if minutes >= 1}
            assert asked <= set(there)
            opening = there.get("warm_up", 0) + there.get("cool_down", 0)
            assert abs(there["mobility"] + opening - week.minutes.mobility) <= 1
            assert "education" in there


@ASKED
@given(planned(), st.lists(limits(), max_size=3))
def test_the_home_program_is_short_and_needs_nothing(
    weeks: tuple[PlannedWeek, ...], restrictions: list[Restriction]
) -> None:
    for week in weeks:
        made = home_program(week, restrictions)
        assert made.items
        assert made.minutes == sum(each.minutes for each in made.items) <= 30
        assert all(not each.exercise.equipment and each.exercise.share is None for each in made.items)
        loads = [each.amount for each in week.targets if each.kind in ("lift", "carry") and each.amount.unit != "N"]
        assert (made.heaviest is None) == (loads == [])
        if made.heaviest is not None:
            assert made.heaviest.amount_in("kg") <= min(each.amount_in("kg") for each in loads) * (1 + 1e-9)


def a_week(*each: Demand, **changed: object) -> PlannedWeek:
    job = DemandProfile(title="Job", basis="template", demands=each, shift_hours=8.0)
    [plan] = Planning().when(assessment(job, [capacity(one, one.amount.amount) for one in each], tolerance=4.0))
    return plan.weeks[0].model_copy(update=changed)


LIFT = demand("lift", 20.0, "kg", zone="floor_waist")
LOW = demand("stoop", 30.0, "min")


def test_days_alternate_and_the_same_week_gives_the_same_sheets() -> None:
    week = a_week(LIFT, demand("carry", 15.0, "kg"), LOW, days=5)
    made = sheets(week)
    simulated = [
        next(item.exercise.id for part in day.parts for item in part.items if item.demands == (LIFT.key,)
             and part.block == "job_simulation")
        for day in made.sessions
    ]  # fmt: skip
    assert simulated == ["floor_to_bench", "pallet_to_trolley"] * 2 + ["floor_to_bench"]
    assert sheets(week) == made


def test_sets_are_below_the_target_and_the_simulation_has_it() -> None:
    made = sheets(a_week(LIFT))
    loads = {item.exercise.id: item.amount for item in items(made)}
    assert loads["floor_to_bench"] == Quantity(amount=20.0, unit="kg")
    assert loads["squat_to_box"] == Quantity(amount=12.0, unit="kg")


def test_a_restriction_lowers_the_load_and_another_one_bars_the_way_it_is_lifted() -> None:
    week = a_week(LIFT, LOW)
    at_most = Restriction(activity="lift", frequency="seldom", limit=Quantity(amount=10.0, unit="kg"))
    no_stooping = Restriction(activity="stoop")
    made = sheets(week, (at_most, no_stooping))
    assert [(each.key, each.allowed and each.allowed.amount, each.by) for each in made.asked] == [
        (LIFT.key, 10.0, at_most),
        (LOW.key, None, no_stooping),
    ]
    used = {item.exercise.id for item in items(made)}
    assert used.isdisjoint({"hinge_with_weight", "hip_hinge_stick", "low_shelf", "low_work_spells"})
    assert "squat_to_box" in used


def test_a_limit_at_a_higher_frequency_leaves_what_is_done_less_often_alone() -> None:
    [target] = a_week(LIFT).targets
    frequent = Restriction(activity="lift", frequency="frequent", limit=Quantity(amount=5.0, unit="kg"))
    assert under(target, (frequent,)).allowed == target.amount


def test_a_limit_that_cannot_be_compared_with_the_target_allows_nothing_of_it() -> None:
    [target] = a_week(LIFT).targets
    counted = Restriction(activity="lift", limit=Quantity(amount=20.0, unit="repetitions"))
    assert under(target, (counted,)).allowed is None


def test_a_restriction_of_working_hours_shortens_the_session() -> None:
    week = a_week(LIFT)
    for limit, minutes in ((Quantity(amount=2.0, unit="h"), 120), (Quantity(amount=6.0, unit="h"), 240)):
        made = sheets(week, (Restriction(activity="work_hours", limit=limit),))
        assert [day.minutes for day in made.sessions] == [minutes] * week.days
    assert sheets(week, (Restriction(activity="work_hours"),)).sessions == ()


def test_stations_that_do_not_fit_into_a_day_take_turns() -> None:
    many = [demand("lift", 10.0, "kg", frequency, zone) for frequency in FREQUENCIES for zone in ZONES["lift"]]
    week = a_week(*many, days=3)
    for day in sheets(week).sessions:
        [part] = [part for part in day.parts if part.block == "job_simulation"]
        assert len(part.items) < len(many)


def test_shares_are_whole_and_lose_nothing() -> None:
    assert shared(10, (1, 1, 1)) == (4, 3, 3)
    assert shared(3, (0, 0)) == (2, 1)
    assert shared(0, (5, 1)) == (0, 0)
    assert [in_turn("abc", day, 2) for day in range(3)] == [["a", "b"], ["c", "a"], ["b", "c"]]
    assert in_turn("", 1, 2) == []


def plan(version: int, current: int, numbers: Sequence[int], *, frozen: bool = False) -> PlanShown:
    week = a_week(LIFT)
    weeks = tuple(week.model_copy(update={"number": number}) for number in numbers)
    return PlanShown(f"p{version}", version, MONDAY, current, 8, None, frozen, weeks, (), ())


def test_a_week_follows_the_version_in_force() -> None:
    plans = (plan(1, 1, range(1, 9)), plan(2, 2, range(2, 9)), plan(3, 3, (), frozen=True))
    found = [week_in_force(plans, number) for number in (1, 2, 3)]
    assert [each and each.plan.version for each in found] == [1, 2, None], "a frozen plan takes its weeks away"
    resumed = (*plans, plan(4, 5, range(5, 9)))
    assert [bool(week_in_force(resumed, number)) for number in (3, 4, 5, 9)] == [False, False, True, False]


def test_only_what_was_signed_for_the_week_restricts_it() -> None:
    week = a_week(LIFT)
    limit = (Restriction(activity="stoop"),)
    signed = Signature("ready_with_restrictions", limit, week.ends_on, None, "physician", False, None)
    assert restrictions_in(signed, week) == limit
    assert restrictions_in(replace(signed, effective_from=week.ends_on + timedelta(days=1)), week) == ()
    ended = replace(signed, effective_from=MONDAY - timedelta(30), effective_through=week.starts_on - timedelta(1))
    assert restrictions_in(ended, week) == ()
    assert restrictions_in(None, week) == ()


def test_every_topic_of_education_is_taught_within_eight_weeks_and_has_its_page() -> None:
    [issued] = Planning().when(assessment())
    assert {each for week in issued.weeks for each in week.education} == set(TOPICS) == set(library().modules)
    assert all(taught.module is not None for week in issued.weeks for taught in education(week))
    assert [week.number for week in issued.weeks if education(week)[0].topic == "pacing"] == [2, 6]
    own = issued.weeks[0].model_copy(update={"education": ("first_aid",)})
    assert [(each.topic, each.module) for each in education(own)] == [("first_aid", None)]


def test_a_module_is_one_plain_page() -> None:
    for module in library().modules.values():
        told = [module.summary, module.try_this]
        told += [text for part in module.section for text in (part.text, *part.points) if text]
        sentences = re.split(r"[.:?;]\s", " ".join(told))
        words = re.findall(r"[A-Za-z']+", " ".join(told))
        assert 150 <= len(words) <= 420, module.topic
        assert len(words) / len(sentences) < 14, module.topic
        assert sum(map(len, words)) / len(words) < 4.9, module.topic


def test_the_library_has_an_exercise_and_a_simulation_for_each_demand_that_the_contract_names() -> None:
    named = set(re.findall(r"`(\w+)`", str(contract.__doc__)))
    assert {part for each in DEMANDS for part in each.split("/")} == named
    for each in DEMANDS:
        kind, _, zone = each.partition("/")
        assert library().suited("job_simulation", kind, zone or None)
        assert any(library().suited(block, kind, zone or None) for block in ("strengthening", "endurance"))


def test_what_the_library_loads_in_is_dosed_and_told_why() -> None:
    assert {each.block for each in library().exercises} == set(BLOCKS)
    for each in library().exercises:
        assert each.why
        assert each.how
        assert each.block != "strengthening" or each.sets


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 1.0},
        {"block": "home", "share": None, "equipment": ("band",)},
        {"block": "mobility"},
        {"general": True},
        {"trains": ()},
        {"sources": ("nobody",)},
        {"id": "row_to_waist"},
    ],
)
def test_what_does_not_fit_its_block_is_refused_when_it_is_read(wrong: dict[str, object]) -> None:
    there = library()
    pressed = next(each for each in there.exercises if each.id == "press_away")
    with pytest.raises(ValidationError):
        Library.model_validate(
            {
                **dict(there),
                "exercises": [*(dict(each) for each in there.exercises), {**dict(pressed), "id": "new", **wrong}],
            }
        )


def test_a_demand_without_its_simulation_is_refused() -> None:
    there = library()
    left = tuple(each for each in there.exercises if each.id != "under_the_bench")
    with pytest.raises(ValidationError, match="no job simulation for crouch"):
        Library(exercises=left, modules=there.modules, sources=there.sources)


def test_loads_can_be_put_together() -> None:
    for item in items(sheets(a_week(demand("lift", 13.37, "kg"), demand("pull", 111.0, "N")))):
        if item.amount is not None and item.exercise.share not in (None, 1.0):
            assert item.amount.amount % STEP[item.amount.unit] == 0
