"""The pure fold: ids, sequences, waiting, refusals, erasure."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.fold import (
    MAX_WAITING,
    Case,
    Defect,
    Handlers,
    Outcome,
    Position,
    Received,
    event_id,
    fold,
    give_up,
    validate,
    waiting_from_json,
    waiting_to_json,
)
from tests.runtime.toy import Opened, Policy, Sum, added, enveloped, toy_handlers

CASE = uuid.UUID("018f3c5e-0000-7000-8000-000000000001")
HANDLERS = toy_handlers("in", "out", needs_opening=True)


def received(envelope: Any, offset: int = 0) -> Received:
    return Received(validate(envelope, HANDLERS.by_type[envelope.type]), Position("in", 0, offset))


def opening(offset: int = 0) -> Received:
    return received(enveloped(CASE, f"open-{offset}", Opened()), offset)


def adding(id: str, amount: int, source: str = "/clinics/a") -> Received:
    return received(added(CASE, id, amount, source), 1)


def fold_all(events: list[Received], handlers: Handlers[Sum, Policy] = HANDLERS) -> tuple[Case[Sum], list[Any]]:
    case: Case[Sum] = Case(CASE, 0)
    emitted: list[Any] = []
    for event in events:
        folded = fold(case, event, handlers)
        case = folded.case
        emitted += folded.emitted
    return case, emitted


def test_emitted_events_count_up_per_case_and_name_their_cause() -> None:
    _, emitted = fold_all([opening(), adding("1", 1), adding("2", 2)])
    assert [entry.envelope.sequence for entry in emitted] == [1, 2]
    assert [entry.envelope.causationid for entry in emitted] == ["/clinics/a#1", "/clinics/a#2"]
    assert {entry.envelope.policyversion for entry in emitted} == {"toy-1"}


def test_the_id_of_an_emitted_event_is_known_before_it_is_emitted() -> None:
    event = adding("1", 1)
    _, emitted = fold_all([opening(), event])
    assert emitted[0].envelope.id == event_id("toy", event.event, 0)


def test_an_event_that_waited_is_named_as_the_cause_of_what_it_leads_to() -> None:
    case, emitted = fold_all([adding("1", 1), opening()])
    assert case.waiting == ()
    assert [entry.envelope.causationid for entry in emitted] == ["/clinics/a#1"]


@settings(derandomize=True, deadline=None)
@given(st.permutations(range(6)))
def test_the_premise_may_come_at_any_place_in_the_order(order: list[int]) -> None:
    events = [opening(), *(adding(str(number), number) for number in range(1, 6))]
    case, _ = fold_all([events[index] for index in order])
    assert case.state == Sum(owner="/clinics/a", total=15)
    assert case.version == 6


def test_a_full_waiting_list_refuses_a_partners_event() -> None:
    case, emitted = fold_all([adding(str(nth), 1) for nth in range(MAX_WAITING + 1)])
    assert len(case.waiting) == MAX_WAITING
    assert emitted[0].envelope.data == b'{"code":"waiting_full"}'


def test_a_full_waiting_list_parks_the_case_of_an_event_of_ours() -> None:
    ours = toy_handlers("in", "out", needs_opening=True, partner=False)
    with pytest.raises(Defect, match="waiting_full"):
        fold_all([adding(str(nth), 1) for nth in range(MAX_WAITING + 1)], ours)


def test_another_partners_event_for_the_case_is_refused_and_changes_nothing() -> None:
    case, emitted = fold_all([opening(), adding("1", 1, source="/clinics/b")])
    assert case.state == Sum(owner="/clinics/a", total=0)
    assert emitted[0].envelope.data == b'{"code":"foreign_source"}'


def test_a_foreign_event_that_came_first_is_refused_when_the_owner_is_known() -> None:
    case, emitted = fold_all([adding("1", 1, source="/clinics/b"), opening()])
    assert case.waiting == ()
    assert emitted[0].envelope.data == b'{"code":"foreign_source"}'


def test_a_refusal_of_a_service_that_is_no_judge_says_nothing() -> None:
    def never(type_: str) -> bool:
        return False

    quiet = replace(HANDLERS, judges=never)
    case, emitted = fold_all([opening(), adding("1", 7)], quiet)
    assert (case.version, emitted) == (2, [])


def test_a_refused_event_of_ours_is_a_defect() -> None:
    ours = toy_handlers("in", "out", needs_opening=True, partner=False)
    with pytest.raises(Defect, match=r"refused_internal\.unlucky"):
        fold_all([opening(), adding("1", 7)], ours)


def test_an_erased_case_keeps_nothing_and_refuses_everything() -> None:
    def on_erase(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        return Outcome(state, erase=True)

    erasing = replace(HANDLERS, on={**HANDLERS.on, Opened: on_erase})
    first = fold(Case(CASE, 0), adding("1", 1), erasing)
    erased = fold(first.case, opening(), erasing)
    assert (erased.case.state, erased.case.waiting, erased.erase) == (None, (), True)
    later = fold(erased.case, adding("2", 2), erasing)
    assert later.emitted[0].envelope.data == b'{"code":"case_erased"}'


def test_what_waited_too_long_is_rejected_and_the_rest_waits_on() -> None:
    case, _ = fold_all([adding("1", 1), adding("2", 2)])
    folded = give_up(case, {("/clinics/a", "1")}, HANDLERS)
    assert [waiting.event.id for waiting in folded.case.waiting] == ["2"]
    assert [entry.envelope.data for entry in folded.emitted] == [b'{"code":"wait_expired"}']


def test_the_waiting_list_comes_back_from_storage_as_it_was() -> None:
    case, _ = fold_all([adding("1", 1), adding("2", 2)])
    assert waiting_from_json(waiting_to_json(case.waiting), HANDLERS) == case.waiting


def test_a_stored_event_that_no_contract_reads_any_more_is_a_defect() -> None:
    stored = waiting_to_json([adding("1", 1)]).replace("added", "unknown")
    with pytest.raises(Defect, match="waiting_unreadable"):
        waiting_from_json(stored, HANDLERS)


def test_events_carry_the_trace_of_their_cause() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    event = received(replace(added(CASE, "1", 1), traceparent=trace))
    _, emitted = fold_all([opening(), event])
    assert emitted[0].envelope.traceparent == trace
