"""A cohort's content follows from its seed; judged by the real decisions its rates come near the published ones."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from services.console.outcomes import by_name, table
from services.console.views import Share
from simulator.cohort import CohortConfig, first_of, make_cases, prologue, reference, spread
from simulator.doors import Refused
from simulator.employer import EmployerConfig
from simulator.ledger import RawRecord, Sending
from tests.simulator.program import Program, live

CLINICS = ["harbour", "kafka-valley", "north"]
EMPLOYER = EmployerConfig(secret="c2VjcmV0")
CONFIG = CohortConfig(cases=12, seed=5, employers={"acme": EMPLOYER, "city": EMPLOYER})


def story(config: CohortConfig) -> list[tuple[str, bytes, str | None]]:
    """Everything that the clinics of a cohort send."""
    program = Program()
    return [
        (sending.envelope.id, sending.envelope.data, sending.mischief)
        for case in make_cases(config, CLINICS)
        for sending in live(program, case)
    ]


def test_the_same_seed_sends_the_same_events() -> None:
    assert story(replace(CONFIG, cases=4)) == story(replace(CONFIG, cases=4))
    assert story(replace(CONFIG, cases=4)) != story(replace(CONFIG, cases=4, seed=6))


def test_another_run_changes_the_references_and_nothing_else() -> None:
    first, second = make_cases(CONFIG, CLINICS), make_cases(replace(CONFIG, run="again"), CLINICS)
    assert not {case.ref for case in first} & {case.ref for case in second}
    assert [case.worker for case in first] == [case.worker for case in second]
    assert [(case.clinic, case.employer, case.starts_on) for case in first] == [
        (case.clinic, case.employer, case.starts_on) for case in second
    ]


def test_cases_are_spread_over_clinics_employers_and_weeks() -> None:
    cases = make_cases(replace(CONFIG, cases=60), CLINICS)
    assert [sum(case.clinic == name for case in cases) for name in CLINICS] == [20, 20, 20]
    assert {case.employer for case in cases} == {"acme", "city"}
    assert {case.starts_on for case in cases} == {CONFIG.starts_on + timedelta(weeks=week) for week in range(4)}
    assert len({case.ref for case in cases}) == 60


def test_a_reference_is_a_uuid_of_version_7_that_says_when_and_not_who() -> None:
    ref = reference(1, "", 0, CONFIG.starts_on)
    assert (ref.version, ref.variant) == (7, "specified in RFC 4122")
    assert ref != reference(1, "", 1, CONFIG.starts_on)
    assert ref.int >> 80 == reference(2, "x", 9, CONFIG.starts_on).int >> 80


def test_fates_lie_evenly_over_a_cohort() -> None:
    for seed in range(20):
        fates = [spread(seed, index) for index in range(60)]
        assert 6 <= sum(fate.eligibility < 0.115 for fate in fates) <= 8
        assert 28 <= sum(fate.response < 0.5 for fate in fates) <= 32


def test_of_a_group_of_errors_the_first_one_speaks() -> None:
    inner = ExceptionGroup("a clinic", [Refused("no such key"), ValueError("later")])
    assert str(first_of(ExceptionGroup("clinics", [inner]))) == "no such key"


def test_the_prologue_has_one_of_each_kind_that_needs_no_case() -> None:
    by_http = prologue(CONFIG, "north", "harbour", by_kafka=False)
    by_kafka = prologue(CONFIG, "kafka-valley", "harbour", by_kafka=True)
    assert {sending.mischief for sending in by_http} == {"orphan", "violation", "foreign_source"}
    assert all(isinstance(sending, Sending) for sending in by_http)
    assert {"missing_id", "invalid_json", "nan", "duplicate_keys", "null_header"} <= {
        record.mischief for record in by_kafka if isinstance(record, RawRecord)
    }


def test_every_case_comes_to_an_end_and_nothing_regular_is_refused() -> None:
    program = Program()
    for case in make_cases(replace(CONFIG, cases=25, hostile_rate=0.15), CLINICS):
        sent = live(program, case)
        refused = {envelope.id for envelope in program.feed[case.ref] if envelope.type.endswith("event.rejected.v1")}
        expected = [s for s in sent if s.expected == "reject" and s.status == 202]
        assert case.ended, case.stage
        assert len(refused) == len(expected)


@pytest.fixture(scope="module")
def judged() -> dict[str, Share]:
    """150 cases, judged by the four services' own decisions under their default policies."""
    program = Program()
    cases = make_cases(replace(CONFIG, cases=150, seed=1, hostile_rate=0.0), CLINICS)
    for case in cases:
        live(program, case)
    assert all(case.ended for case in cases)
    return dict(by_name(table(Counter(case.outcome for case in cases))))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("not accepted", 8, 15),
        ("did not complete", 18, 32),
        ("ready: usual job", 40, 56),
        ("ready with restrictions: modified work", 23, 38),
        ("not ready", 14, 29),
    ],
)
def test_a_cohorts_rates_come_near_the_published_ones(
    judged: dict[str, Share], name: str, low: float, high: float
) -> None:
    row = judged[name]
    assert row.percent is not None
    assert low <= row.percent <= high
