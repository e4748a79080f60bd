"""`whp publish` and what follows from it: a case's story, an employer with a topic of its own, keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from tests.e2e.events import MONDAY, document, lines, opening, session
from tests.e2e.place import PATIENCE_S, Place, await_that
from tests.ops.in_process import Command, assert_one_sentence
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import read_kafka
from workhardening_contracts.kafka import client_options
from workhardening_contracts.readiness import ReadinessUpdated
from workhardening_contracts.registry import open_closed

pytestmark = pytest.mark.stack


def test_a_file_of_one_event_is_published_and_its_case_can_be_looked_at(place: Place, tmp_path: Path) -> None:
    case = uuid4()
    file = tmp_path / "referral.json"
    file.write_text(json.dumps(opening(case, "acme-logistics")[0]))
    published = place.whp("publish", file)
    assert published.returncode == 0, published.stderr
    assert published.stdout.startswith("202 org.workhardening.clinic.referral.received.v1 ")
    await_that(lambda: place.count("notify", f"event_log WHERE case_ref = '{case}'"), "CaseOpened at notify")

    told = place.whp("case", str(case))
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("intake ")
    assert "referral.received" in told.stdout
    assert "case.opened" in told.stdout

    story = json.loads(place.whp("case", str(case), "--json").stdout)
    assert story["case"] == str(case)
    assert [event["what"] for event in story["events"]] == ["referral.received", "case.opened"]
    assert {standing["service"] for standing in story["services"]} >= {"intake", "progress", "notify"}


def test_what_a_story_shows_holds_nothing_clinical(place: Place, command: Command) -> None:
    case = uuid4()
    events = opening(case, "acme-logistics")
    events[0]["data"]["referral"]["injury"]["story"] = "canary-of-the-story"
    assert command("publish", "-", given=lines(events)).returncode == 0
    await_that(lambda: place.count("progress", f"event_log WHERE case_ref = '{case}' AND type LIKE '%plan%'"), "a plan")
    told = command("case", str(case))
    assert "plan.issued" in told.stdout
    assert "canary-of-the-story" not in told.stdout + command("case", str(case), "--json").stdout


def test_lines_on_standard_input_reach_an_employer_that_has_a_topic_of_its_own(place: Place) -> None:
    employer, case = f"mill-{uuid4().hex[:8]}", uuid4()
    added = place.whp("employers", "add", employer, "--kafka", "--json")
    assert added.returncode == 0, added.stderr
    topic = json.loads(added.stdout)["target"]
    assert topic == f"employer.{employer}.readiness.v1"

    published = place.whp("publish", "-", "--json", given=lines(opening(case, employer)))
    assert published.returncode == 0, published.stderr
    assert [answer["status"] for answer in json.loads(published.stdout)] == [202, 202, 202]

    await_that(
        lambda: place.count("notify", f"deliveries WHERE case_ref = '{case}' AND status = 'delivered'"), "a delivery"
    )
    told = json.loads(place.whp("case", str(case), "--json").stdout)["employer"]
    assert [(update["employer"], update["sequence"], update["status"]) for update in told] == [
        (employer, 1, "delivered")
    ]
    key = json.loads(added.stdout)["api_key"]
    answer = httpx.get(
        f"{place.stack().employer_door}/v1/cases/{case}/status", headers={"authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200, "the employer's key opens its door at once"
    assert answer.json()["data"]["status"] == "unable"


async def test_the_topic_of_an_employer_holds_its_update_and_no_other(place: Place) -> None:
    employer, case, other = f"dock-{uuid4().hex[:8]}", uuid4(), uuid4()
    assert place.whp("employers", "add", employer, "--kafka").returncode == 0
    given = lines([*opening(case, employer), *opening(other, "acme-logistics")])
    assert place.whp("publish", "-", given=given).returncode == 0
    consumer: Any = AIOKafkaConsumer(
        f"employer.{employer}.readiness.v1", **client_options(place.stack().kafka), auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        records = await consumer.getmany(timeout_ms=int(PATIENCE_S * 1000))
    finally:
        await consumer.stop()
    ((record,),) = records.values()
    update = open_closed(read_kafka(record.key, record.headers, record.value))
    assert update.envelope.subject == case
    assert isinstance(update.data, ReadinessUpdated)
    assert (update.data.status, update.data.sequence) == ("unable", 1)


def test_an_event_that_the_door_refuses_is_told_with_code_and_field_but_not_its_value(place: Place) -> None:
    bad = session(uuid4())
    bad["data"]["session"]["hours"] = "canary-hours"
    ran = place.whp("publish", "-", given=lines([session(uuid4()), bad]))
    assert ran.returncode == 1
    good, refused = ran.stdout.splitlines()
    assert good.startswith("202 ")
    assert refused.startswith("422 ")
    assert "contract." in refused
    assert "hours" in refused
    assert "canary-hours" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("", "holds no event"),
        ("nonsense", "line 1 is not JSON"),
        ('{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ("[1, 2]", "holds no event"),
        ("[]", "holds no event"),
        ('{"source": "/clinics/nobody"}', "there is no key for clinic"),
        ('{"source": 7}', "there is no key for clinic"),
    ],
)
def test_nonsense_is_answered_with_one_sentence(command: Command, text: str, mend: str) -> None:
    assert_one_sentence(command("publish", "-", given=text), mend)


def test_nonsense_ends_the_process_with_a_code(place: Place) -> None:
    assert_one_sentence(place.whp("publish", "-", given="nonsense"), "line 1 is not JSON")


def test_a_file_that_is_not_there_or_is_no_text_is_answered_with_one_sentence(command: Command, tmp_path: Path) -> None:
    assert_one_sentence(command("publish", tmp_path / "missing.json"), "No such file")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert_one_sentence(command("publish", tmp_path / "binary"), "not UTF-8")


def test_a_case_that_nobody_knows_is_said_so(command: Command) -> None:
    assert_one_sentence(command("case", str(uuid4())), "no service knows case")
    ran = command("case", "not-a-reference")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr + ran.stdout


def test_a_key_that_was_just_issued_opens_the_front_door_for_its_clinic_only(place: Place) -> None:
    clinic = f"clinic-{uuid4().hex[:8]}"
    issued = place.whp("keys", "issue", "--clinic", clinic, "--json")
    assert issued.returncode == 0, issued.stderr
    key = json.loads(issued.stdout)["key"]
    day = DayClosed(through=MONDAY)
    own, foreign = document(day, uuid4(), clinic=clinic), document(day, uuid4(), clinic="north")
    ran = place.whp("publish", "-", given=lines([own, foreign]), WHP_API_KEY=key)
    assert [line[:3] for line in ran.stdout.splitlines()] == ["202", "403"]
    assert "foreign_source" in ran.stdout


def test_a_key_is_for_exactly_one(place: Place) -> None:
    assert_one_sentence(place.whp("keys", "issue"), "exactly one of")
    assert_one_sentence(place.whp("keys", "issue", "--clinic", "a", "--employer", "b"), "exactly one of")
