"""`whp` as an operator uses it: employers' endpoints, mailboxes, topics, tables, job demands."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from services.intake import demand_library
from tests.e2e.place import Place
from tests.ops.in_process import Command, assert_one_sentence

pytestmark = pytest.mark.stack

SAMPLE = Path(demand_library.__file__).parent / "data" / "ors_2018_sample.csv"


def test_a_second_start_uses_what_runs(place: Place) -> None:
    before = place.stack()
    ran = place.whp("up")
    assert ran.returncode == 0, ran.stderr
    assert before.front_door in ran.stdout
    assert place.stack().pids == before.pids
    assert [service.pid for service in place.stack().services.values()] == [
        service.pid for service in before.services.values()
    ]


def test_tables_and_topics_that_are_as_they_should_be_are_left_alone(place: Place, command: Command) -> None:
    for words in (("migrate",), ("topics", "apply")):
        ran = place.whp(*words)
        assert (ran.returncode, ran.stdout) == (0, "nothing to do\n"), ran.stderr
        assert command(*words).stdout == "nothing to do\n"


def test_an_employers_webhook_is_added_and_listed_without_its_secret(place: Place, command: Command) -> None:
    employer = f"forge-{uuid4().hex[:8]}"
    added = place.whp("employers", "add", employer, "--url", "http://127.0.0.1:9/updates", "--json")
    assert added.returncode == 0, added.stderr
    given = json.loads(added.stdout)
    assert given["kind"] == "webhook"
    assert given["public_key"].startswith("whpk_")
    assert given["hmac_secret"].startswith("whsec_")

    listed = place.whp("employers", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    (mine,) = [entry for entry in json.loads(listed.stdout) if entry["employer"] == employer]
    assert (mine["target"], mine["enabled"], mine["pending"]) == ("http://127.0.0.1:9/updates", True, 0)
    for secret in (given["hmac_secret"], given["api_key"]):
        assert secret not in listed.stdout
    assert employer in command("employers", "list").stdout

    again = command("employers", "add", employer, "--url", "http://127.0.0.1:9/updates")
    assert_one_sentence(again, "has an endpoint already")


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (("--url", "https://10.0.0.7/updates"), "not public"),
        (("--url", "https://169.254.169.254/latest"), "not public"),
        (("--url", "http://employer.example/updates"), "begins with https://"),
        (("--url", "https://user:canary@employer.example/"), "no user, password"),
        (("--url", "https://employer.example:8443/"), "port 443"),
        (("--url", "canary nonsense"), "not a URL"),
        ((), "either a webhook URL or a Kafka topic"),
        (("--url", "https://employer.example/", "--kafka"), "either a webhook URL or a Kafka topic"),
    ],
)
def test_an_endpoint_that_may_not_be_is_refused(command: Command, arguments: tuple[str, ...], mend: str) -> None:
    employer = f"refused-{uuid4().hex[:8]}"
    ran = command("employers", "add", employer, *arguments)
    assert_one_sentence(ran, mend)
    assert "canary" not in ran.stderr
    assert employer not in command("employers", "list").stdout


def test_in_production_a_webhook_to_this_machine_is_refused(place: Place) -> None:
    """Production is what is named by its addresses instead of found in a checkout."""
    stack = place.stack()
    ran = place.whp(
        "employers", "add", f"inside-{uuid4().hex[:8]}", "--url", "http://127.0.0.1:9/updates",
        WHP_KAFKA_BOOTSTRAP=stack.kafka, WHP_ADMIN_DATABASE_URL=stack.database,
    )  # fmt: skip
    assert_one_sentence(ran, "begins with https://")


def test_an_employers_id_that_is_none_is_refused(command: Command) -> None:
    assert_one_sentence(command("employers", "add", "two words", "--kafka"), "an employer's id")
    assert_one_sentence(command("employers", "add", "with:colon", "--kafka"), "cannot be part of a topic's name")


def test_a_clinics_mailbox_is_set_or_refused(command: Command) -> None:
    assert command("clinics", "mailbox", "harbour", "rehab@harbour.example").returncode == 0
    assert_one_sentence(command("clinics", "mailbox", "harbour", "no mailbox"), "a mailbox is one address")


def test_occupations_are_imported_and_found(place: Place, command: Command) -> None:
    imported = place.whp("demands", "import", SAMPLE, "--json")
    assert imported.returncode == 0, imported.stderr
    report = json.loads(imported.stdout)
    assert report["stored"] > 1
    assert report["figures"] > report["stored"]
    assert json.loads(command("demands", "import", SAMPLE, "--json").stdout) == report, "a second import replaces"

    shown = place.whp("demands", "show", "truck drivers")
    assert shown.returncode == 0, shown.stderr
    assert "Heavy and Tractor-Trailer Truck Drivers" in shown.stdout
    (template,) = json.loads(command("demands", "show", "5330", "--json").stdout)
    assert template["soc_code"].replace("-", "").startswith("5330")
    assert template["profile"]["demands"]


def test_without_a_file_the_whole_survey_is_imported_listed_compared_and_written_as_a_sheet(command: Command) -> None:
    report = json.loads(command("demands", "import", "--json").stdout)
    assert (report["stored"], report["figures"], len(report["without_demand"])) == (390, 5974, 14)
    assert len(json.loads(command("demands", "list", "--json").stdout)) == 390
    assert "31101400 Nursing Assistants" in command("demands", "list").stdout
    assert "52.6 % ± 3.2" in command("demands", "show", "53706200").stdout
    compared = json.loads(command("demands", "compare", "53706200", "31101400", "--json").stdout)
    assert {pair["differs"] for pair in compared["figures"]} == {True, False}
    assert "more than sampling explains" in command("demands", "compare", "53706200", "31101400").stdout
    assert "Nursing Assistants" in command("demands", "sheet", "31101400").stdout
    assert_one_sentence(command("demands", "sheet", "1"), "no occupation has the code 1")


def test_a_file_that_is_no_survey_and_an_occupation_that_is_not_there_are_refused(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "survey.csv").write_text("canary,of,columns\n1,2,3\n")
    ran = command("demands", "import", tmp_path / "survey.csv")
    assert_one_sentence(ran, "survey.csv")
    assert_one_sentence(command("demands", "import", tmp_path / "missing.csv"), "No such file")
    assert_one_sentence(command("demands", "show", "astronaut"), "no occupation matches")


def test_a_lifting_task_is_graded_by_the_installed_script(place: Place, tmp_path: Path) -> None:
    task = tmp_path / "task.json"
    task.write_text(
        '{"unit_system": "us", "load": 26, "horizontal": 10, "vertical": 22, "travel": 37, "asymmetry": 0,'
        ' "lifts_per_minute": 3, "duration_hours": 1, "coupling": "fair"}'
    )
    ran = place.whp("lifting-index", task)
    assert ran.returncode == 0, ran.stderr
    assert round(json.loads(ran.stdout)["rwl"], 1) == 34.8, "NIOSH 94-110, example 4"


def test_the_contracts_are_checked_by_the_installed_script(place: Place) -> None:
    ran = place.whp("contracts", "check")
    assert (ran.returncode, ran.stdout) == (0, "contracts: all agree\n"), ran.stderr
