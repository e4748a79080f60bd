"""A caseload's file: what its lines come to, and that nothing in it goes unnoticed or is repeated."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.caseload.checking import check, copy_faulty
from ops.caseload.columns import COLUMNS, REQUIRED
from ops.caseload.events import case_of, said
from ops.caseload.fault import Fault, Unusable
from ops.caseload.reading import MAX_LINE, Line, read
from ops.caseload.sending import batches
from services.intake.screening import MAX_BATCH, MAX_BATCH_BODY, screen
from tests.e2e.events import lines as ndjson
from tests.e2e.events import opening, session
from tests.ops.caseloads import row, table
from workhardening_contracts.envelope import read_structured

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
TYPES = ["referral.received", "consent.recorded", "assessment.recorded"]
quickly = settings(derandomize=True, deadline=None)


def lines_of(content: bytes) -> list[Line]:
    return list(read(io.BytesIO(content)).lines)


def documents_of(content: bytes) -> list[list[Mapping[str, Any]]]:
    """The events of each line, which must all be good."""
    told = [said(line, "north", NOW) for line in lines_of(content)]
    assert [each.faults for each in told] == [()] * len(told)
    return [list(each.documents) for each in told]


def faults_of(content: bytes, file: Path) -> list[Fault]:
    found: list[Fault] = []
    file.write_bytes(content)
    check(file, "north", NOW, found.append)
    return found


def codes_of(content: bytes, file: Path) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.column, fault.code) for fault in faults_of(content, file)]


# What a row says


def test_a_row_says_what_the_clinic_would_have_published_and_the_front_door_lets_it_in() -> None:
    (documents,) = documents_of(table([row()]))
    events = [screen(read_structured(json.dumps(each).encode()), "north", NOW) for each in documents]
    assert [event.type.removeprefix("org.workhardening.clinic.").removesuffix(".v1") for event in events] == TYPES
    assert {event.case for event in events} == {case_of("north", "C-1")}
    referral: Any = events[0].data
    assert referral.referral.injury.body_part == "lower back"
    assert referral.referral.criteria.reinjury_risk == "unknown", "what is not asked is unknown, not no"
    assert [demand.key for demand in referral.referral.job.demands] == [
        "lift/floor_waist/occasional",
        "stand/-/constant",
    ]
    assert [demand.critical for demand in referral.referral.job.demands] == [True, False]
    assessment: Any = events[2].data
    assert (assessment.history_flags, assessment.posture) == ((), ()), "`none` says that it was asked and is nothing"
    assert str(assessment.functional_tests[0].measured_on) == "2026-03-03"
    assert [event.time.isoformat()[:13] for event in events] == ["2026-03-02T12", "2026-03-02T12", "2026-03-03T12"]


def test_a_row_without_assessment_and_consent_is_a_referral_alone() -> None:
    bare = {name: row()[name] for name in REQUIRED}
    (documents,) = documents_of(table([bare]))
    assert [each["type"] for each in documents] == ["org.workhardening.clinic.referral.received.v1"]


def test_the_same_row_says_the_same_events_again_and_its_ids_tell_nothing_of_it() -> None:
    assert documents_of(table([row()])) == documents_of(table([row()], delimiter=";", end="\n", bom=True))
    ids = [each["id"] for each in documents_of(table([row()]))[0]]
    changed = [each["id"] for each in documents_of(table([row(baseline_pain="7", body_part="knee")]))[0]]
    assert ids == changed
    assert len(set(ids)) == 3
    assert case_of("north", "C-1") != case_of("south", "C-1")


def test_the_case_reference_is_derived_as_the_document_says() -> None:
    text = (Path(__file__).parents[2] / "docs/import.md").read_text(encoding="utf-8")
    namespace, reference = re.findall(r"`([0-9a-f]{8}-[0-9a-f-]{27})`", text)
    assert str(uuid5(UUID(namespace), "north/K-2041")) == reference == str(case_of("north", "K-2041"))


# Ways in which a file may be written


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("bom", [True, False])
def test_a_table_is_read_as_spreadsheets_write_it(delimiter: str, end: str, bom: bool) -> None:
    story = f'said "ouch"{delimiter.strip()} twice'
    (documents,) = documents_of(table([row(injury_story=story)], delimiter, end, bom))
    assert documents[0]["data"]["referral"]["injury"]["story"] == story


def test_the_order_of_columns_their_case_and_empty_lines_do_not_matter() -> None:
    names = sorted(row(), reverse=True)
    text = f"{';'.join(names).upper()}\n\n{';'.join(row()[name] for name in names)}\n;;\n{';' * (len(names) - 1)}\n"
    text = text.replace("\n;;\n", "\n")
    assert documents_of(text.encode()) == documents_of(table([row()]))


def test_a_row_as_json_says_the_same_as_in_a_table() -> None:
    as_json = {**row(), "tolerance_hours_per_day": 2.5, "tolerance_days_per_week": 4, "phq9_item9": None}
    assert documents_of(json.dumps(as_json).encode()) == documents_of(table([row()]))


def test_a_line_may_be_a_whole_event_which_goes_as_it_stands() -> None:
    case = case_of("north", "C-1")
    events = [*opening(case, "acme-logistics"), session(case)]
    assert [each for (each,) in documents_of(ndjson(events).encode())] == events


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf", "Zs"]), min_size=1)


@given(st.lists(values, min_size=1, max_size=4), st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]))
@quickly
def test_what_a_csv_writer_wrote_is_read_back(texts: list[str], delimiter: str, end: str) -> None:
    rows = [{**row(number), "injury_story": text, "body_part": text[::-1]} for number, text in enumerate(texts)]
    read_back = [dict(line.cells) for line in lines_of(table(rows, delimiter, end))]
    assert read_back == [{name: cell for name, cell in each.items() if cell} for each in rows]


HEADER = table([]).decode()


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda tail: table([row()]) + tail),
        st.text(max_size=300).map(lambda text: HEADER + text).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=300).map(lambda tail: b"{" + tail),
        st.dictionaries(
            st.one_of(st.sampled_from(list(COLUMNS)), st.text(max_size=9)),
            st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=3),
        ).map(lambda fields: json.dumps(fields).encode()),
        st.dictionaries(st.sampled_from(list(COLUMNS)), st.text(max_size=20)).map(
            lambda cells: table([row(**{name: cell.replace("\ud800", "") for name, cell in cells.items()})])
        ),
    )
)
@settings(quickly, max_examples=400)
def test_any_bytes_give_events_or_faults_and_nothing_else(content: bytes) -> None:
    try:
        told = [said(line, "north", NOW) for line in lines_of(content)]
    except Unusable:
        told = []
    for each in told:
        assert bool(each.documents) != bool(each.faults)
        for document in each.documents:
            assert screen(read_structured(json.dumps(document).encode()), "north", NOW)


def test_a_file_without_an_end_of_line_is_read_in_pieces() -> None:
    monster = HEADER.encode() + b"x" * (5 * MAX_LINE)
    assert max(len(line.raw) for line in lines_of(monster)) <= MAX_LINE
    open_quote = HEADER.encode() + b'"' + b"x\n" * (3 * MAX_LINE)
    assert max(len(line.raw) for line in lines_of(open_quote)) <= 2 * MAX_LINE


# What is wrong with a line


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"worker_ref": ""}, [("worker_ref", "cell.required")]),
        ({"worker_ref": "Anna Smith"}, [("worker_ref", "contract.string_pattern_mismatch")]),
        ({"case_number": "Anna Smith"}, [("case_number", "cell.reference")]),
        ({"referred_on": "02.03.2026"}, [("referred_on", "cell.date")]),
        ({"injury_date": "2025-02-30"}, [("injury_date", "cell.date")]),
        ({"injury_date": "2026-04-01"}, [("injury_date", "date.order")]),
        ({"referred_on": "2027-01-01"}, [("referred_on", "date.range")]),
        ({"referred_on": "9999-12-31"}, [("referred_on", "date.range")]),
        ({"consent_from": "1999-12-31"}, [("consent_from", "date.range")]),
        ({"medical_clearance": "maybe"}, [("medical_clearance", "cell.answer")]),
        ({"authorised_weeks": "8"}, [("authorisation_required", "cell.required")]),
        ({"authorisation_required": "unknown"}, [("authorisation_required", "cell.answer")]),
        ({"tolerance_hours_per_day": "2,5"}, [("tolerance_hours_per_day", "cell.number")]),
        ({"tolerance_days_per_week": "8"}, [("tolerance_days_per_week", "contract.less_than_equal")]),
        ({"tolerance_days_per_week": "3.5"}, [("tolerance_days_per_week", "cell.number")]),
        ({"job_demands": "lift 20 kg"}, [("job_demands", "cell.list")]),
        ({"job_demands": "lift/-/seldom 20 stone"}, [("job_demands", "contract.literal_error")]),
        ({"job_demands": "lift/-/seldom 2 kg|lift/-/seldom 3 kg"}, [("job_demands", "contract.value_error")]),
        ({"functional_tests": "lift/-/seldom 2 kg critical"}, [("functional_tests", "cell.list")]),
        ({"mobility": "lumbar 40"}, [("mobility", "cell.list")]),
        ({"examination": "Back Pain"}, [("examination", "contract.string_pattern_mismatch")]),
        ({"baseline_pain": "11"}, [("baseline_pain", "contract.less_than_equal")]),
        ({"assessed_on": ""}, [("assessed_on", "cell.required")]),
        ({"consent_basis": "", "consent_scopes": "none"},
         [("consent_scopes", "contract.too_short"), ("consent_basis", "cell.required")]),
        ({"employer": ""}, [("employer", "cell.required")]),
        ({"worker_ref": "", "phq9_item9": "much"}, [("worker_ref", "cell.required"), ("phq9_item9", "cell.number")]),
    ],
)  # fmt: skip
def test_each_fault_names_its_line_and_its_column(
    changes: dict[str, str], faults: list[tuple[str, str]], tmp_path: Path
) -> None:
    content = table([row(1), row(2, **changes), row(3)])
    assert codes_of(content, tmp_path / "a.csv") == [(3, column, code) for column, code in faults]


def test_a_case_number_that_comes_twice_is_a_fault_of_both_lines(tmp_path: Path) -> None:
    found = faults_of(table([row(1), row(2), row(1)]), tmp_path / "a.csv")
    assert [(fault.line, fault.code) for fault in found] == [(2, "row.twice"), (4, "row.twice")]
    assert "line 4" in found[0].mend
    assert "line 2" in found[1].mend


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        (b"{", "", "json.invalid"),
        (b'{"a": 1, "a": 1}', "", "json.duplicate_key"),
        (b"[]", "", "json.object"),
        (b'{"body_part": ["knee"]}', "body_part", "json.value"),
        (b'{"body_part": "\\ud800"}', "body_part", "text.encoding"),
        (b'{"specversion": "1.0"}', "/data", "envelope.no_data"),
        (b"\xff", "", "json.invalid"),
    ],
)
def test_a_line_that_is_no_row_and_no_event_is_a_fault(line: bytes, column: str, code: str, tmp_path: Path) -> None:
    content = json.dumps(row()).encode() + b"\n" + line + b"\n"
    assert codes_of(content, tmp_path / "a.ndjson")[0] == (2, column, code)


def test_an_event_of_another_clinic_of_all_cases_or_of_an_id_that_came_before_is_a_fault(tmp_path: Path) -> None:
    case = case_of("north", "C-1")
    mine = session(case)
    closed = {**mine, "type": "org.workhardening.clinic.day.closed.v1", "data": {"through": "2026-03-02"}}
    foreign = {**session(case), "source": "/clinics/south"}
    events = [mine, foreign, {**closed, "subject": str(UUID(int=0)), "id": "d1"}, mine]
    assert codes_of(ndjson(events).encode(), tmp_path / "a.ndjson") == [
        (2, "/source", "foreign_source"),
        (3, "/subject", "nil_subject"),
        (1, "/id", "event.twice"),
        (4, "/id", "event.twice"),
    ]


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"", [("", "file.empty")]),
        (b"\xef\xbb\xbf\r\n \n", [("", "file.empty")]),
        (HEADER.replace("injury_date", "injury_dat").encode(),
         [("column 6", "header.unknown"), ("injury_date", "header.missing")]),
        (HEADER.replace("employee_key", "employer").encode(), [("employer", "header.twice")]),
        (HEADER.encode("utf-16"), None),
        (b'case_number\r,"referred_on', None),
    ],
)  # fmt: skip
def test_a_file_whose_first_line_tells_nothing_is_unusable(
    content: bytes, faults: list[tuple[str, str]] | None, tmp_path: Path
) -> None:
    with pytest.raises(Unusable) as refused:
        faults_of(content, tmp_path / "a.csv")
    if faults is not None:
        assert [(fault.column, fault.code) for fault in refused.value.faults] == faults


def test_an_unknown_column_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(Unusable) as refused:
        faults_of(HEADER.replace("injury_date", "Injury_dat").encode(), tmp_path / "a.csv")
    assert "injury_date" in refused.value.faults[0].mend


def test_rows_that_break_out_of_the_table_are_faults_of_their_own_lines(tmp_path: Path) -> None:
    good = table([row(1), row(2)]).splitlines(keepends=True)
    content = (
        good[0] + b'C-9,"broken" quote\r\n' + good[1] + b"one,cell\r\n" + good[2] + b"C-8\xff" + b"," * 40 + b"\r\n"
    )
    found = codes_of(content.replace(b"," * 40, b"," * (len(COLUMNS) - 1)), tmp_path / "a.csv")
    assert found == [(2, "", "csv.quoting"), (4, "", "csv.cells"), (6, "case_number", "text.encoding")]


def test_no_fault_repeats_what_a_line_holds(tmp_path: Path) -> None:
    canary = "canary-7731 Smith"
    broken = [row(number, **{name: canary}) for number, name in enumerate(COLUMNS)]
    found = faults_of(table(broken) + canary.encode() + b"\r\n", tmp_path / "a.csv")
    found += faults_of(json.dumps({canary: canary, "case_number": [canary]}).encode(), tmp_path / "a.ndjson")
    with pytest.raises(Unusable) as refused:
        faults_of(f"{canary},case_number\n{canary}".encode(), tmp_path / "b.csv")
    assert len(found) > len(COLUMNS) - 5
    assert not [fault for fault in [*found, *refused.value.faults] if "canary" in str(fault) or "Smith" in str(fault)]


# Lines taken out, and lines sent


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_faulty_lines_are_copied_as_they_stand_and_once_mended_are_a_file_of_their_own(
    delimiter: str, tmp_path: Path
) -> None:
    rows = [
        row(1),
        row(2, baseline_pain="77", injury_story="fell from a ladder"),
        row(3),
        row(4, job_demands="lift 20 kg"),
    ]
    file, faulty = tmp_path / "a.csv", tmp_path / "faulty.csv"
    content = table(rows, delimiter).replace(b"fell from a ladder", "fell from ä ladder".encode("latin-1"))
    file.write_bytes(content)
    checked = check(file, "north", NOW, lambda fault: None)
    copy_faulty(file, checked.faulty, faulty)
    whole = content.splitlines(keepends=True)
    assert faulty.read_bytes() == b"".join(whole[index] for index in (0, 2, 4))
    assert faulty.stat().st_mode & 0o077 == 0
    mended = (
        faulty.read_bytes().replace(b"\xe4", b"a").replace(b"77", b"7").replace(b"lift 20 kg", b"lift/-/seldom 2 kg")
    )
    assert [len(documents) for documents in documents_of(mended)] == [3, 3]


def test_a_row_with_line_breaks_is_copied_whole(tmp_path: Path) -> None:
    file, faulty = tmp_path / "a.csv", tmp_path / "faulty.csv"
    file.write_bytes(table([row(1), row(2, injury_story='a\r\n"b"'), row(3)]))
    copy_faulty(file, check(file, "north", NOW, lambda fault: None).faulty, faulty)
    (copied,) = csv.DictReader(io.StringIO(faulty.read_bytes().decode(), newline=""))
    assert copied == {name: row(2, injury_story='a\r\n"b"').get(name, "") for name in COLUMNS}


def test_batches_hold_whole_lines_within_the_doors_bounds_and_leave_out_what_was_sent_or_is_faulty(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(table(row(number) for number in range(100)))
    sent = list(batches(file, "north", NOW, leave_out={5, 50}, after=3))
    assert [number for batch in sent for number in batch.lines] == [
        number for number in range(4, 102) if number not in (5, 50) for _ in TYPES
    ]
    for batch in sent:
        assert len(json.loads(batch.body)) == len(batch.lines) <= MAX_BATCH
        assert len(batch.body) <= MAX_BATCH_BODY
    assert sent[0].through == sent[1].lines[0] - 1


def test_events_so_large_that_a_hundred_are_too_much_go_in_smaller_batches(tmp_path: Path) -> None:
    case = case_of("north", "C-1")
    big = [session(case) for _ in range(MAX_BATCH)]
    flags = ["f" * 60 + f"_{number:02}" for number in range(20)]
    for event in big:
        done = {"kind": "k" * 64, "zone": "z" * 64, "frequency": "seldom", "amount": {"amount": 1.0, "unit": "kg"}}
        event["data"]["session"] |= {"red_flags": flags, "performed": [done] * 60}
    file = tmp_path / "a.ndjson"
    file.write_text(ndjson(big))
    sent = list(batches(file, "north", NOW, set(), 0))
    assert len(sent) > 1
    assert all(len(batch.body) <= MAX_BATCH_BODY for batch in sent)
    assert [each for batch in sent for each in json.loads(batch.body)] == big


def test_the_document_lists_every_column() -> None:
    text = (Path(__file__).parents[2] / "docs/import.md").read_text(encoding="utf-8").partition("## Codes")[0]
    assert re.findall(r"^\| `([a-z0-9_]+)` \|", text, re.MULTILINE) == list(COLUMNS)


def test_the_example_of_the_document_is_one() -> None:
    example = (Path(__file__).parents[2] / "docs/examples/caseload.csv").read_bytes()
    assert [len(documents) for documents in documents_of(example)] == [3, 1]
