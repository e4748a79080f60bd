"""Who writes and reads what, and the AsyncAPI document that says so to partners' tools."""

import json
from pathlib import Path

import yaml

from ops.contracts.topics import load_topics
from workhardening_contracts import registry

ROOT = Path(__file__).parents[2]
ALL_OF_CASES = {
    "clinic.events.v1",
    "intake.events.v1",
    "planning.events.v1",
    "progress.events.v1",
    "clinic.rejections.v1",
}
GOLDEN = "contracts/examples/org.workhardening.clinic.day.closed.v1/week_one.json"


def test_the_topics_say_who_reads_what() -> None:
    topics = {topic.name: topic for topic in load_topics(ROOT / "contracts/topics").values()}
    reads = {
        service: {topic.name for topic in topics.values() if service in topic.consumers}
        for service in ("intake", "planning", "progress", "notify", "console")
    }
    assert reads == {
        "intake": {"clinic.events.v1", "progress.events.v1", "clinic.rejections.v1", "clinic.<id>.events.v1"},
        "planning": {"clinic.events.v1", "intake.events.v1", "progress.events.v1"},
        "progress": {"clinic.events.v1", "intake.events.v1", "planning.events.v1"},
        "notify": ALL_OF_CASES,
        "console": ALL_OF_CASES,
    }


def test_topics_of_cases_are_partitioned_alike_so_that_one_member_owns_a_case() -> None:
    topics = load_topics(ROOT / "contracts/topics").values()
    assert {topic.partitions for topic in topics if topic.per is None} == {12}
    assert {topic.partitions for topic in topics if topic.per is not None} == {1}


def test_judges_write_to_the_rejections_and_services_write_to_their_own_topic() -> None:
    topics = {topic.name: topic for topic in load_topics(ROOT / "contracts/topics").values()}
    judges = {entry.judge for entry in registry.ENTRIES if entry.judge is not None}
    assert set(topics[registry.REJECTIONS_TOPIC].writers) == judges
    for service in ("intake", "planning", "progress"):
        assert topics[f"{service}.events.v1"].writers == (service,)


def test_the_asyncapi_document_has_all_that_the_standard_asks_for() -> None:
    text = (ROOT / "contracts/asyncapi.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    messages, schemas = document["components"]["messages"], document["components"]["schemas"]
    assert {message["name"] for message in messages.values()} == set(registry.BY_TYPE)
    assert len(document["channels"]) == 7
    for channel in document["channels"].values():
        assert channel["messages"]
        assert ("{id}" in channel["address"]) == ("parameters" in channel)
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert set(operation["channel"]) == {"$ref"}
    for message in messages.values():
        assert message["contentType"] == "application/json"
        assert message["examples"]
        assert message["payload"]["$ref"].rsplit("/", 1)[1] in schemas
    references = {line.split("$ref:", 1)[1].strip().strip("'") for line in text.splitlines() if "$ref:" in line}
    assert references
    for reference in references:
        target = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in target, reference
            target = target[step]
    assert "&id" not in text


def test_the_examples_of_the_asyncapi_document_are_the_golden_records() -> None:
    document = yaml.safe_load((ROOT / "contracts/asyncapi.yaml").read_text(encoding="utf-8"))
    shown = document["components"]["messages"]["DayClosed"]["examples"]
    golden = json.loads((ROOT / GOLDEN).read_text(encoding="utf-8"))
    found = next(example for example in shown if example["name"] == "week_one")
    assert found["payload"] == golden["data"]
    assert found["headers"]["ce_id"] == golden["id"]
