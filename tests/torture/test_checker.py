"""A checker that cannot fail proves nothing: clean evidence has no finding, and each invariant's violation has one."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from simulator.canaries import CANARIES
from tests.torture.checker_world import cohort, sealed
from torture.checker import check
from torture.checks import account
from torture.evidence import Evidence, Record, Sample, Tables
from workhardening_contracts.registry import CLINIC_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC

Row = dict[str, Any]
Spoil = Callable[[Evidence], None]
LEAKED = CANARIES["session.note"]


@cache
def _small() -> Evidence:
    return cohort(seed=3, cases=4, hostile=0.2).evidence()


def spoilt(spoil: Spoil) -> set[tuple[str, str]]:
    """What the checker says after `spoil`: (invariant, text)."""
    whole = _small()
    evidence = replace(
        whole,
        records=list(whole.records),
        services={name: Tables(**copy.deepcopy(_fields(tables))) for name, tables in whole.services.items()},
        deliveries=copy.deepcopy(whole.deliveries),
        disclosures=copy.deepcopy(whole.disclosures),
        seals=copy.deepcopy(whole.seals),
        feed=copy.deepcopy(whole.feed),
        ledger=copy.deepcopy(whole.ledger),
        books=copy.deepcopy(whole.books),
        samples=list(whole.samples),
        behind=dict(whole.behind),
        sessions=copy.deepcopy(whole.sessions),
        texts={},
    )
    spoil(evidence)
    return {(found.invariant, found.text) for found in check(evidence)}


def _fields(tables: Tables) -> dict[str, list[Any]]:
    return {name: getattr(tables, name) for name in ("cases", "log", "outbox", "parked", "dead")}


def logged(evidence: Evidence, service: str, type_: str, result: str = "folded") -> Row:
    """A log row of a living case."""
    rows: list[Any] = evidence.services[service].log
    return next(
        row
        for row in rows
        if type_ in row["type"] and row["result"] == result and not evidence.erased(service, row["case_ref"])
    )


def row_of(evidence: Evidence, service: str, case: str) -> Row:
    rows: list[Any] = evidence.services[service].cases
    return next(row for row in rows if row["case_ref"] == case)


def in_program(evidence: Evidence, service: str, holds: Callable[[Row], bool]) -> Row:
    rows: list[Any] = evidence.services[service].cases
    return next(row for row in rows if row["state"] is not None and holds(row["state"]))


def records_of(evidence: Evidence, topic: str, least: int = 3) -> list[Record]:
    """The first occurrences of one living case on a topic, in order."""
    cases = [row["case_ref"] for row in evidence.services["notify"].cases if not row["erased"]]
    for case in cases:
        found = [r for (t, key), r in evidence.first.items() if t == topic and key[0] == case]
        if len(found) >= least:
            _refresh(evidence)
            return found
    raise AssertionError(topic)


def _refresh(evidence: Evidence) -> None:
    """Forget what was computed, since the evidence is about to change."""
    for name in ("on_topic", "first", "said", "case_of", "feed_of"):
        evidence.__dict__.pop(name, None)


def without(evidence: Evidence, *events: Any) -> None:
    """Take every copy of these events from the topics."""
    evidence.records = [record for record in evidence.records if record.event not in events]


def test_clean_evidence_has_no_finding() -> None:
    assert check(_small()) == []


def test_what_is_nested_too_deeply_to_be_read_is_a_finding_and_no_failure() -> None:
    def nest(evidence: Evidence) -> None:
        record = records_of(evidence, PROGRESS_TOPIC)[-1]
        deep = b'{"note":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        headers = tuple((name, b"forged" if name == "ce_id" else value) for name, value in record.headers)
        evidence.records.append(replace(record, offset=10**6, headers=headers, value=deep))

    assert {invariant for invariant, _ in spoilt(nest)} >= {"I1"}


def test_the_tally_of_each_service_adds_up() -> None:
    for tally in account.tally(_small()).values():
        assert tally["accepted"] == sum(tally.values()) - tally["accepted"] > 0
        assert tally["lost"] == 0


def lose_a_log_row(evidence: Evidence) -> None:
    row = logged(evidence, "progress", "session.recorded")
    evidence.services["progress"].log.remove(row)


def lose_a_dead_letter(evidence: Evidence) -> None:
    evidence.services["intake"].dead.clear()


def answer_no_rejection(evidence: Evidence) -> None:
    evidence.records = [record for record in evidence.records if record.topic != REJECTIONS_TOPIC]


def lose_what_was_accepted(evidence: Evidence) -> None:
    assert evidence.ledger is not None
    line = next(each for each in evidence.ledger if each["answer"] == 202)
    without(evidence, (line["case"], line["source"], line["id"]))


def let_in_what_was_refused(evidence: Evidence) -> None:
    assert evidence.ledger is not None
    first = next(each for each in evidence.records if each.topic == CLINIC_TOPIC and each.event)
    line: Any = next(each for each in evidence.ledger if (each["case"], each["source"], each["id"]) == first.event)
    evidence.ledger = [each for each in evidence.ledger if each["id"] != line["id"]] + [{**line, "answer": 403}]


def wait_for_ever(evidence: Evidence) -> None:
    assert evidence.ledger is not None
    for line in evidence.ledger:
        if line["expected"] == "wait":
            line["expected"] = "accept"  # type: ignore[index]


def lose_the_last_promise(evidence: Evidence) -> None:
    without(evidence, records_of(evidence, PROGRESS_TOPIC)[-1].event)


def park_without_a_queue(evidence: Evidence) -> None:
    logged(evidence, "notify", "plan.issued")["result"] = "parked"


def discard_without_a_person(evidence: Evidence) -> None:
    logged(evidence, "notify", "plan.issued")["result"] = "discarded"


def say_that_what_was_folded_waits(evidence: Evidence) -> None:
    logged(evidence, "notify", "plan.issued")["result"] = "waiting"


def wait_and_not_say_so(evidence: Evidence) -> None:
    rows: list[Any] = evidence.services["progress"].cases
    held = next(row for row in rows if row["waiting"])
    kept = held["waiting"][0]["event"]
    logged(evidence, "progress", kept["type"], "waiting")["result"] = "folded"


def discard_and_own_no_version(evidence: Evidence) -> None:
    """A person gives up a parked event, which raises the version, and the log does not bear it."""
    row = logged(evidence, "notify", "plan.issued")
    park_an_innocent_case(evidence)
    parked: Any = evidence.services["notify"].parked[0]
    parked |= {"resolution": "discarded", "resolved_at": row["received_at"], "reason": "handler.KeyError"}
    row["result"] = "discarded"
    row_of(evidence, "notify", row["case_ref"])["version"] += 1


def make_a_version_twice(evidence: Evidence) -> None:
    row = logged(evidence, "progress", "session.recorded")
    row["case_version"] += 1


def skip_a_version(evidence: Evidence) -> None:
    row_of(evidence, "planning", logged(evidence, "planning", "assessment")["case_ref"])["version"] += 1


def count_fewer_than_published(evidence: Evidence) -> None:
    case = logged(evidence, "planning", "assessment")["case_ref"]
    row_of(evidence, "planning", case)["sequences"][PLANNING_TOPIC] -= 1


def log_an_event_twice(evidence: Evidence) -> None:
    row = logged(evidence, "progress", "session.recorded")
    evidence.services["progress"].log.append({**row})


def publish_one_id_with_two_meanings(evidence: Evidence) -> None:
    record = records_of(evidence, PROGRESS_TOPIC)[0]
    headers = tuple((name, b"99" if name == "ce_sequence" else value) for name, value in record.headers)
    evidence.records.append(replace(record, offset=10**6, headers=headers))


def publish_an_effect_twice(evidence: Evidence) -> None:
    record = records_of(evidence, PROGRESS_TOPIC)[-1]
    headers = tuple(
        (name, (value or b"") + b"0" if name == "ce_id" else value) for name, value in record.headers
    )  # the same effect under a new id and number
    numbered = tuple(
        (name, b"%d" % (int(value or b"0") + 1) if name == "ce_sequence" else value) for name, value in headers
    )
    evidence.records.append(replace(record, offset=10**6, headers=numbered))


def use_a_sequence_twice(evidence: Evidence) -> None:
    record = records_of(evidence, PROGRESS_TOPIC)[-1]
    headers = tuple((name, (value or b"") + b"0" if name == "ce_id" else value) for name, value in record.headers)
    evidence.records.append(replace(record, offset=10**6, headers=headers))


def write_a_feed_row_twice(evidence: Evidence) -> None:
    evidence.feed.append({**evidence.feed[0]})


def lose_a_feed_row(evidence: Evidence) -> None:
    evidence.feed.pop()


def invert_a_topic(evidence: Evidence) -> None:
    first, second = records_of(evidence, PROGRESS_TOPIC)[:2]
    copies = [r for r in evidence.records if r.event in (first.event, second.event)]
    evidence.records = [r for r in evidence.records if r not in copies]
    evidence.records += [replace(first, offset=second.offset), replace(second, offset=first.offset)]


def leave_a_gap(evidence: Evidence) -> None:
    without(evidence, records_of(evidence, PROGRESS_TOPIC)[1].event)


def spread_a_case_over_partitions(evidence: Evidence) -> None:
    record = records_of(evidence, PROGRESS_TOPIC)[-1]
    evidence.records.append(replace(record, partition=record.partition + 1, offset=10**6))


def take_out_of_order(evidence: Evidence) -> None:
    rows: list[Any] = evidence.services["progress"].log_of[logged(evidence, "progress", "session.recorded")["case_ref"]]
    first, second = [row for row in rows if "session.recorded" in row["type"] and row["result"] == "folded"][:2]
    first["case_version"], second["case_version"] = second["case_version"], first["case_version"]
    evidence.services["progress"].__dict__.pop("log_of")


def take_a_later_copy(evidence: Evidence) -> None:
    row = logged(evidence, "progress", "session.recorded")
    row["offset"] += 10**6


def commit_before_it_is_done(evidence: Evidence) -> None:
    row = logged(evidence, "notify", "case.opened")
    at = row["received_at"].timestamp() - 0.5
    evidence.samples.append(Sample(at, "notify", row["topic"], row["partition"], row["offset"] + 1))


def tell_what_was_not_decided(evidence: Evidence) -> None:
    row: Any = evidence.deliveries[-1]
    body = json.loads(row["body"])
    body["data"]["effective_from"] = "2031-01-01"
    row["body"] = json.dumps(body).encode()


def forget_an_update(evidence: Evidence) -> None:
    row = evidence.deliveries.pop()
    evidence.disclosures = [each for each in evidence.disclosures if each["event_id"] != row["event_id"]]


def deliver_and_not_arrive(evidence: Evidence) -> None:
    assert evidence.books is not None
    next(iter(evidence.books.values()))["updates"].pop()


def arrive_out_of_order(evidence: Evidence) -> None:
    assert evidence.books is not None
    for book in evidence.books.values():
        book["updates"].reverse()


def arrive_twice(evidence: Evidence) -> None:
    assert evidence.books is not None
    updates = next(iter(evidence.books.values()))["updates"]
    updates.append(updates[-1])


def send_unsigned(evidence: Evidence) -> None:
    assert evidence.books is not None
    book = next(iter(evidence.books.values()))
    book["refused"].append(book["updates"][0])


def leave_out_for_no_reason(evidence: Evidence) -> None:
    row: Any = evidence.deliveries[0]
    row |= {"status": "withheld", "reason": None}


def _replaced(evidence: Evidence) -> Row:
    """An update that gave way to one that was delivered, as it would have, had its employer been away."""
    rows: list[Any] = evidence.deliveries
    delivered = {
        (row["case_ref"], row["employer"], row["sequence"]): row for row in rows if row["status"] == "delivered"
    }
    for (case, employer, sequence), row in delivered.items():
        taker = delivered.get((case, employer, sequence + 1))
        data = json.loads(row["body"])["data"]
        if taker is None or data["outcome"] != "in_program" or not set(taker["scopes"]) <= set(row["scopes"]):
            continue
        row |= {"status": "coalesced", "superseded_by": taker["event_id"], "attempts": 0}
        evidence.disclosures = [each for each in evidence.disclosures if each["event_id"] != row["event_id"]]
        evidence.seals = sealed(evidence.disclosures)
        assert evidence.books is not None
        updates: list[Any] = evidence.books[employer]["updates"]
        updates[:] = [each for each in updates if each["event_id"] != row["event_id"]]
        return row
    raise AssertionError("no update of a running program that another follows")


def replace_as_may_be(evidence: Evidence) -> None:
    _replaced(evidence)


def leave_out_a_revocation(evidence: Evidence) -> None:
    row = _replaced(evidence)
    body = json.loads(row["body"])
    body["data"]["outcome"] = "revoked"
    row["body"] = json.dumps(body).encode()


def leave_out_a_correction(evidence: Evidence) -> None:
    row = _replaced(evidence)
    body = json.loads(row["body"])
    body["data"]["supersedes"] = "an-earlier-one"
    row["body"] = json.dumps(body).encode()


def leave_out_what_was_tried(evidence: Evidence) -> None:
    _replaced(evidence)["attempts"] = 1


def leave_out_for_nothing(evidence: Evidence) -> None:
    _replaced(evidence)["superseded_by"] = "nothing"


def leave_out_for_an_older_one(evidence: Evidence) -> None:
    row = _replaced(evidence)
    row["superseded_by"] = row["event_id"]


def leave_out_for_one_that_needs_more_consent(evidence: Evidence) -> None:
    _replaced(evidence)["scopes"] = []


def leave_out_for_one_that_is_never_sent(evidence: Evidence) -> None:
    taker = _replaced(evidence)["superseded_by"]
    row: Any = next(row for row in evidence.deliveries if row["event_id"] == taker)
    row["status"] = "pending"


def leak_into_a_log(evidence: Evidence) -> None:
    evidence.texts["progress.log"] = f"ValueError: input was {LEAKED}"


def leak_a_story_into_a_span(evidence: Evidence) -> None:
    record = next(r for r in evidence.records if r.topic == CLINIC_TOPIC and b'"story"' in (r.value or b""))
    story = json.loads(record.value or b"")["referral"]["injury"]["story"]
    evidence.canaries = {}
    evidence.texts["spans"] = f"db.error: {story}"


def leak_into_a_header(evidence: Evidence) -> None:
    record = evidence.records[0]
    evidence.records[0] = replace(record, headers=(*record.headers, ("x-note", LEAKED.encode())))


def leak_into_a_reason(evidence: Evidence) -> None:
    row: Any = evidence.services["intake"].dead[0]
    row["reason"] = f"could not read {LEAKED}"


def leak_into_a_delivery(evidence: Evidence) -> None:
    row: Any = evidence.deliveries[0]
    row["body"] = row["body"].replace(b"{", b'{"note":"%b",' % LEAKED.encode(), 1)


def show_another_clinic(evidence: Evidence) -> None:
    row: Any = evidence.feed[0]
    row["clinic"] = "elsewhere"


def tell_a_stranger(evidence: Evidence) -> None:
    row: Any = evidence.deliveries[0]
    row["employer"] = "stranger"


def keep_a_body_of_the_erased(evidence: Evidence) -> None:
    tables = evidence.services["intake"]
    erased = next(row["case_ref"] for row in tables.cases if row["erased"])
    row: Any = next(row for row in tables.log if row["case_ref"] == erased and row["body"] is None)
    row["body"] = b"{}"


def keep_the_state_of_the_erased(evidence: Evidence) -> None:
    row: Any = next(row for row in evidence.services["intake"].cases if row["erased"])
    row["state"] = {"phase": "closed", "clinic": "north", "grants": []}


def log_no_disclosure(evidence: Evidence) -> None:
    evidence.disclosures.pop()
    evidence.seals = sealed(evidence.disclosures)


def log_a_disclosure_twice(evidence: Evidence) -> None:
    evidence.disclosures.append({**evidence.disclosures[0], "id": 10**6})
    evidence.seals = sealed(evidence.disclosures)


def disclose_another_body(evidence: Evidence) -> None:
    row: Any = evidence.disclosures[-1]
    row["body_sha256"] = b"\0" * 32
    evidence.seals = sealed(evidence.disclosures)


def change_what_is_sealed(evidence: Evidence) -> None:
    row: Any = evidence.disclosures[1]
    row["bases"] = ["employer_pays"]


def remove_what_is_sealed(evidence: Evidence) -> None:
    del evidence.disclosures[1]


def break_a_link(evidence: Evidence) -> None:
    row: Any = evidence.seals[0]
    row["hash"] = b"\0" * 32


def seal_nothing(evidence: Evidence) -> None:
    evidence.seals.clear()


def never_come_to_rest(evidence: Evidence) -> None:
    evidence.drained_s = 61.0


def leave_the_outbox(evidence: Evidence) -> None:
    case = logged(evidence, "planning", "assessment")["case_ref"]
    headers = {"ce_id": "x", "ce_type": "y"}
    evidence.services["planning"].outbox.append(
        {
            "id": 1,
            "topic": PLANNING_TOPIC,
            "case_ref": case,
            "headers": json.dumps(headers),
            "value": b"{}",
            "held": None,
        }
    )


def fall_behind(evidence: Evidence) -> None:
    evidence.behind["notify", PROGRESS_TOPIC] = 4


def sit_in_a_transaction(evidence: Evidence) -> None:
    row: Any = evidence.sessions[0]
    row |= {"state": "idle in transaction", "seconds": 30.0}


def keep_others_from_a_lock(evidence: Evidence) -> None:
    row: Any = evidence.sessions[0]
    row |= {"blocking": 2, "seconds": 30.0}


def leave_an_update_due(evidence: Evidence) -> None:
    row: Any = evidence.deliveries[0]
    row |= {"status": "pending", "attempts": 0}


def park_an_innocent_case(evidence: Evidence) -> None:
    row = logged(evidence, "notify", "plan.issued")
    place = {name: row[name] for name in ("case_ref", "topic", "partition", "offset", "source")}
    state = {"resolved_at": None, "resolution": None, "resolution_reason": None}
    evidence.services["notify"].parked.append(
        {"id": 1, "event_id": row["id"], "headers": "[]", "reason": "behind_parked", **place, **state}
    )


def count_parked_wrongly(evidence: Evidence) -> None:
    row_of(evidence, "notify", logged(evidence, "notify", "plan.issued")["case_ref"])["parked"] = 1


def let_an_event_pass_a_parked_one(evidence: Evidence) -> None:
    park_an_innocent_case(evidence)
    row: Any = evidence.services["notify"].parked[0]
    row["reason"] = "handler.KeyError"
    count_parked_wrongly(evidence)


def publish_without_a_cause(evidence: Evidence) -> None:
    _reheaded(evidence, lambda name, value: None if name == "ce_causationid" else value)


def publish_for_an_unknown_cause(evidence: Evidence) -> None:
    _reheaded(evidence, lambda name, value: b"/clinics/north#never" if name == "ce_causationid" else value)


def cause_itself(evidence: Evidence) -> None:
    """A case that was opened by what followed from it."""
    record = records_of(evidence, PROGRESS_TOPIC)[-1]
    assert record.envelope is not None
    assert record.event is not None
    own = record.envelope.reference.encode()
    evidence.services["progress"].log.append(
        {
            **logged(evidence, "progress", "session.recorded"),
            "source": record.event[1],
            "id": record.event[2],
            "case_ref": record.event[0],
        }
    )
    headers = tuple((name, own if name == "ce_causationid" else value) for name, value in record.headers)
    without(evidence, record.event)
    evidence.records.append(replace(record, headers=headers))


def change_the_trace(evidence: Evidence) -> None:
    child = records_of(evidence, PROGRESS_TOPIC)[-1]
    assert child.envelope is not None
    cause = child.envelope.causationid
    parent = next(r for r in evidence.records if r.envelope and r.envelope.reference == cause)
    for record, trace in ((child, b"1"), (parent, b"2")):
        header = ("ce_traceparent", b"00-" + trace * 32 + b"-" + b"1" * 16 + b"-01")
        evidence.records = [r for r in evidence.records if r.event != record.event]
        evidence.records.append(replace(record, headers=(*record.headers, header)))


def _reheaded(evidence: Evidence, change: Callable[[str, bytes | None], bytes | None]) -> None:
    record = records_of(evidence, PROGRESS_TOPIC)[-1]
    changed = [(name, change(name, value)) for name, value in record.headers]
    headers = tuple((name, value) for name, value in changed if value is not None)
    without(evidence, record.event)
    evidence.records.append(replace(record, headers=headers))


def feed_what_was_never_taken(evidence: Evidence) -> None:
    row: Any = evidence.feed[0]
    row["event_id"] = "invented"


def judge_otherwise(evidence: Evidence) -> None:
    record = next(
        r for r in evidence.records if r.envelope and "week.advanced" in r.envelope.type and _lives(evidence, r)
    )
    data = json.loads(record.value or b"")
    data["attendance"] = 0.1
    _refresh(evidence)
    copies = [r for r in evidence.records if r.event == record.event]
    evidence.records = [r for r in evidence.records if r not in copies]
    evidence.records += [replace(r, value=json.dumps(data).encode()) for r in copies]


def _lives(evidence: Evidence, record: Record) -> bool:
    return record.event is not None and not evidence.erased("progress", record.event[0])


def spoil_intake(evidence: Evidence) -> None:
    in_program(evidence, "intake", lambda state: "completions" in state)["state"]["completions"] += 1


def spoil_planning(evidence: Evidence) -> None:
    in_program(evidence, "planning", lambda state: True)["state"]["phase"] = "planned" * 2


def spoil_progress(evidence: Evidence) -> None:
    in_program(evidence, "progress", lambda state: state["phase"] == "closed")["state"]["outcome"] = "no"


def spoil_notify(evidence: Evidence) -> None:
    in_program(evidence, "notify", lambda state: bool(state["grants"]))["state"]["grants"].pop()


def count_sequences_otherwise(evidence: Evidence) -> None:
    in_program(evidence, "progress", lambda state: True)["sequences"]["elsewhere.v1"] = 4


def forget_the_senders_offset(evidence: Evidence) -> None:
    """The log's day is another one than the sender's."""
    rows: list[Any] = evidence.services["intake"].log
    for row in rows:
        row["utc_offset"] = 23 * 3600


def fold_what_must_be_refused(evidence: Evidence) -> None:
    logged(evidence, "intake", "assessment.recorded")["result"] = "rejected"


SEEDED: dict[str, tuple[Spoil, ...]] = {
    "I1": (
        lose_a_log_row, lose_a_dead_letter, answer_no_rejection, lose_what_was_accepted, let_in_what_was_refused,
        wait_for_ever, lose_the_last_promise, park_without_a_queue, discard_without_a_person,
        say_that_what_was_folded_waits, wait_and_not_say_so,
    ),
    "I2": (make_a_version_twice, skip_a_version, discard_and_own_no_version, count_fewer_than_published),
    "I3": (
        log_an_event_twice, publish_one_id_with_two_meanings, publish_an_effect_twice, use_a_sequence_twice,
        write_a_feed_row_twice, lose_a_feed_row,
    ),
    "I4": (
        invert_a_topic, leave_a_gap, spread_a_case_over_partitions, take_out_of_order, take_a_later_copy,
    ),
    "I5": (commit_before_it_is_done,),
    "I6": (
        tell_what_was_not_decided, forget_an_update, deliver_and_not_arrive, arrive_out_of_order, arrive_twice,
        send_unsigned, leave_out_for_no_reason,
    ),
    "I7": (
        leak_into_a_log, leak_a_story_into_a_span, leak_into_a_header, leak_into_a_reason, leak_into_a_delivery,
        show_another_clinic, tell_a_stranger, keep_a_body_of_the_erased, keep_the_state_of_the_erased,
    ),
    "I8": (
        log_no_disclosure, log_a_disclosure_twice, disclose_another_body, change_what_is_sealed, remove_what_is_sealed,
        break_a_link, seal_nothing,
    ),
    "I9": (
        never_come_to_rest, leave_the_outbox, fall_behind, sit_in_a_transaction, keep_others_from_a_lock,
        leave_an_update_due,
    ),
    "I10": (park_an_innocent_case, count_parked_wrongly, let_an_event_pass_a_parked_one),
    "I11": (
        publish_without_a_cause, publish_for_an_unknown_cause, cause_itself, change_the_trace,
        feed_what_was_never_taken,
    ),
    "I12": (
        judge_otherwise, spoil_intake, spoil_planning, spoil_progress, spoil_notify, count_sequences_otherwise,
        fold_what_must_be_refused, forget_the_senders_offset,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("invariant", "spoil"),
    [
        pytest.param(invariant, spoil, id=f"{invariant}-{spoil.__name__}")
        for invariant, spoils in SEEDED.items()
        for spoil in spoils
    ],
)
def test_a_violation_that_is_seeded_on_purpose_is_reported(invariant: str, spoil: Spoil) -> None:
    assert invariant in {found for found, _ in spoilt(spoil)}


def test_an_update_that_gave_way_to_a_newer_one_is_no_finding() -> None:
    assert spoilt(replace_as_may_be) == set()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (leave_out_a_revocation, "that takes something back was left out"),
        (leave_out_a_correction, "that takes something back was left out"),
        (leave_out_what_was_tried, "was tried and left out"),
        (leave_out_for_nothing, "was left out for none that takes its place"),
        (leave_out_for_an_older_one, "was left out for none that takes its place"),
        (leave_out_for_one_that_needs_more_consent, "was left out for none that takes its place"),
        (leave_out_for_one_that_is_never_sent, "was left out for one that was not sent"),
    ],
)
def test_an_update_that_gave_way_wrongly_is_reported(spoil: Spoil, text: str) -> None:
    assert any(invariant == "I6" and text in found for invariant, found in spoilt(spoil))


def test_every_invariant_has_a_seeded_violation() -> None:
    assert list(SEEDED) == [f"I{number}" for number in range(1, 13)]


def test_a_finding_names_the_case_the_records_and_the_offsets() -> None:
    whole = _small()
    evidence = replace(whole, services={name: Tables(**_fields(t)) for name, t in whole.services.items()})
    row = logged(evidence, "progress", "session.recorded")
    evidence.services["progress"].log = [each for each in evidence.services["progress"].log if each is not row]
    lost = next(found for found in check(evidence) if found.invariant == "I1")
    assert lost.case == row["case_ref"]
    assert lost.records == (f"{row['source']}#{row['id']}",)
    assert lost.offsets[0].startswith(f"{row['topic']}/{row['partition']}/")
