"""What a clinic writes about a worker before the program: the referral, the assessment, the consent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from simulator import workers
from simulator.workers import Fate, Worker
from workhardening_contracts.clinic import (
    AerobicTest,
    AssessmentRecorded,
    Authorisation,
    ConsentRecorded,
    Criteria,
    Finding,
    Injury,
    JointMobility,
    OutcomeTotal,
    Referral,
    Vitals,
)
from workhardening_contracts.demand import Capacity

# Near the 11.5 % of clients that 36 programmes did not accept (AJOT 1994;48(4):327).
NOT_ELIGIBLE = 0.115
# How often a referral arrives with something left open. No source: clinics know that it is often.
INCOMPLETE = 0.18

BODY_PARTS = ("lumbar_spine", "shoulder", "knee", "cervical_spine", "wrist", "ankle")


@dataclass(frozen=True, slots=True)
class Draft:
    """A referral as it is first sent, and as it is when everything is known."""

    first: Referral
    complete: Referral


def refer(worker: Worker, fate: Fate, name: str, employer: str | None, on: date, random: Random) -> Draft:
    """The referral of this worker, known as `name`, on this day."""
    referral = Referral(
        worker_ref=f"w-{name}",
        employer=employer,
        employee_key=f"e-{name}" if employer else None,
        injury=Injury(
            occurred_on=on - timedelta(days=random.randint(45, 400)),
            body_part=random.choice(BODY_PARTS),
            story="lifted, twisted and felt a sharp pain",
        ),
        criteria=Criteria(
            workplace_injury="yes",
            demanding_job="yes",
            difficulty_with_duties="yes" if random.random() < 0.8 else "no",
            reinjury_risk="yes" if random.random() < 0.6 else "no",
            gradual_exposure_needed="yes" if random.random() < 0.7 else "no",
        ),
        return_to_work_goal="yes",
        medical_clearance="yes",
        treatment_consent="yes",
        job=worker.job,
        tolerance_hours_per_day=worker.hours,
        tolerance_days_per_week=random.choice((3, 4, 5, 5)),
        authorisation=_authorisation(on, random),
    )
    if fate.eligibility < NOT_ELIGIBLE:
        referral = _not_eligible(referral, on, random)
    first = _incomplete(referral, random) if random.random() < INCOMPLETE else referral
    return Draft(first, referral)


def _authorisation(on: date, random: Random) -> Authorisation:
    if random.random() < 0.5:
        return Authorisation(required=False)
    return Authorisation(
        required=True,
        valid_from=on - timedelta(days=7),
        valid_through=on + timedelta(days=270),
        weeks=random.choice((10, 10, 12)),
        hours_per_day=8.0,
    )


def _not_eligible(referral: Referral, on: date, random: Random) -> Referral:
    injury = referral.injury
    match random.randrange(6):
        case 0:
            change = {"criteria": referral.criteria.model_copy(update={"workplace_injury": "no"})}
        case 1:
            change = {"medical_clearance": "no"}
        case 2:
            change = {
                "injury": injury.model_copy(update={"occurred_on": on - timedelta(days=random.randint(760, 1500))})
            }
        case 3:
            change = {"tolerance_hours_per_day": random.choice((0.5, 1.0, 1.5))}
        case 4:
            change = {"red_flags": (random.choice(("cauda_equina", "unstable_fracture")),)}
        case _:
            change = {"return_to_work_goal": "no"}
    return referral.model_copy(update=change)


def _incomplete(referral: Referral, random: Random) -> Referral:
    match random.randrange(4):
        case 0:
            change = {"medical_clearance": "unknown"}
        case 1:
            change = {"job": None}
        case 2:
            change = {"tolerance_hours_per_day": None, "tolerance_days_per_week": None}
        case _:
            change = {"treatment_consent": "unknown"}
    return referral.model_copy(update=change)


def assess(worker: Worker, on: date, random: Random) -> AssessmentRecorded:
    """The whole assessment on this day; every demand of the job is tested."""
    tests = tuple(
        Capacity(
            kind=demand.kind,
            zone=demand.zone,
            frequency=demand.frequency,
            amount=workers.capacity(worker, index),
            measured_on=on,
        )
        for index, demand in enumerate(worker.job.demands)
    )
    return AssessmentRecorded(
        assessed_on=on,
        history_flags=("previous_episode",) if random.random() < 0.3 else (),
        physical_examination=(Finding(code="lumbar_flexion_pain", side="both"),),
        posture=(Finding(code=random.choice(("forward_head", "increased_lordosis", "none"))),),
        mobility=(
            JointMobility(joint="lumbar", movement="flexion", degrees=float(random.randint(25, 60)), side="both"),
            JointMobility(joint="hip", movement="flexion", degrees=float(random.randint(80, 120)), side="left"),
        ),
        functional_tests=tests,
        aerobic=AerobicTest(six_minute_walk_m=float(random.randint(380, 620))),
        vitals=Vitals(
            heart_rate=random.randint(58, 88), systolic=random.randint(110, 142), diastolic=random.randint(68, 92)
        ),
        outcome_measures=(
            OutcomeTotal(measure="odi", total=float(random.randrange(14, 60, 2))),
            OutcomeTotal(measure="fabq_w", total=float(random.randint(8, 38))),
        ),
        baseline_pain=worker.pain,
        phq9_item9=0,
    )


def split(whole: AssessmentRecorded) -> tuple[AssessmentRecorded, AssessmentRecorded]:
    """The same assessment as two recordings: examination first, mobility and functional tests on another day."""
    examination = AssessmentRecorded(
        assessed_on=whole.assessed_on,
        history_flags=whole.history_flags,
        physical_examination=whole.physical_examination,
        posture=whole.posture,
        vitals=whole.vitals,
        outcome_measures=whole.outcome_measures,
        baseline_pain=whole.baseline_pain,
        phq9_item9=whole.phq9_item9,
    )
    tests = AssessmentRecorded(
        assessed_on=whole.assessed_on + timedelta(days=1),
        mobility=whole.mobility,
        functional_tests=whole.functional_tests,
        aerobic=whole.aerobic,
    )
    return examination, tests


def consent(employer: str, on: date, random: Random) -> ConsentRecorded:
    """Consent to tell the employer the work status, and for some workers more than that."""
    more = ("program_week", "attendance", "expected_date", "demands_met") if random.random() < 0.3 else ()
    return ConsentRecorded(
        employer=employer,
        scopes=("work_status", *more),
        basis="worker_consent" if random.random() < 0.9 else "workers_compensation_law",
        valid_from=on,
    )
