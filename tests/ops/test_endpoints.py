"""`whp employers` as two operators use it, and `whp clinics webhook`, with an endpoint that listens on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from deploy.local import stack as local
from tests.ops.in_process import Command, assert_one_sentence, whp_in_process
from workhardening_contracts.webhook import challenge_answer, verify_v1a

pytestmark = pytest.mark.stack


class Receiver(ThreadingHTTPServer):
    """Answers what it can verify by its key."""

    key = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        known = verify_v1a(body, dict(self.headers), self.server.key)
        answer = challenge_answer(body) or b""
        self.send_response((200 if answer else 204) if known else 401)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def whp(infrastructure: local.Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return whp_in_process({"COLUMNS": "200"}, monkeypatch, capsys)


@pytest.fixture
def employer(whp: Command, receiver: Receiver) -> str:
    name = f"e-{uuid4().hex[:8]}"
    receiver.key = json.loads(whp("employers", "add", name, "--url", receiver.url, "--json").stdout)["public_key"]
    return name


def listed(whp: Command, employer: str) -> str:
    (line,) = [line for line in whp("employers", "list").stdout.splitlines() if line.startswith(employer)]
    return line


def test_an_endpoint_is_tested_disabled_and_enabled_again(whp: Command, receiver: Receiver, employer: str) -> None:
    pinged = whp("employers", "ping", employer)
    assert (pinged.returncode, pinged.stdout) == (0, "status 204\n")
    assert whp("employers", "disable", employer).returncode == 0
    assert "disabled (by_operator)" in listed(whp, employer)
    receiver.key, key = "whpk_AAAA", receiver.key
    assert_one_sentence(whp("employers", "enable", employer), "did not answer the challenge (status 401)")
    assert whp("employers", "ping", employer).returncode == 1
    receiver.key = key
    assert whp("employers", "enable", employer).returncode == 0
    assert listed(whp, employer).endswith("enabled, 0 pending")
    log = json.loads(whp("employers", "attempts", employer, "--json").stdout)
    assert [each["status"] for each in log] == [200, 401, 401, 204]
    one = whp("employers", "attempts", employer, "--id", log[0]["event_id"], "--limit", 5).stdout
    assert one.splitlines()[0].endswith("delivered  status 200")


def test_one_operator_proposes_another_approves_and_new_keys_are_shown_once(
    whp: Command, receiver: Receiver, employer: str
) -> None:
    moved = whp("employers", "change-url", employer, receiver.url + "/moved", "--by", "ada")
    number = moved.stdout.split()[1].rstrip(":")
    waiting = whp("employers", "changes").stdout
    assert f"{employer}  url to {receiver.url}/moved  by ada" in waiting
    assert_one_sentence(whp("employers", "approve", number, "--by", "Ada"), "another operator")
    assert whp("employers", "approve", number, "--by", "grace").returncode == 0
    assert f"{receiver.url}/moved" in listed(whp, employer)

    keys = json.loads(whp("employers", "rotate-key", employer, "--by", "grace", "--json").stdout)
    assert keys["hmac_secret"].startswith("whsec_")
    assert keys["hmac_secret"] not in whp("employers", "changes", "--json").stdout
    assert whp("employers", "approve", keys["change"], "--by", "ada").returncode == 0
    assert whp("employers", "ping", employer).returncode == 0, "the old keys sign for three days more"
    receiver.key = keys["public_key"]
    assert whp("employers", "ping", employer).returncode == 0
    assert_one_sentence(whp("employers", "approve", keys["change"], "--by", "ada"), "no such proposal")


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (("enable", "nobody"), "add one first"),
        (("disable", "nobody"), "add one first"),
        (("ping", "nobody"), "add one first"),
        (("replay", "nobody", "--id", "x"), "add one first"),
        (("change-url", "nobody", "https://employer.example/", "--by", "ada"), "add one first"),
        (("rotate-key", "nobody", "--by", "ada"), "add one first"),
        (("rotate-key", "nobody", "--by", "a b"), "an operator's name"),
        (("change-url", "nobody", "https://10.0.0.1/", "--by", "ada"), "not public"),
        (("approve", "0", "--by", "ada"), "no such proposal"),
        (("attempts", "nobody", "--limit", "0"), "1 to 10000"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(whp: Command, words: tuple[str, ...], mend: str) -> None:
    assert_one_sentence(whp("employers", *words), mend)


def test_a_replay_says_how_much_and_asks_what(whp: Command, employer: str) -> None:
    assert_one_sentence(whp("employers", "replay", employer), "say what")
    ran = whp("employers", "replay", employer, "--since", "2026-03-02", "--until", "2026-03-03T12:00:00")
    assert ran.stdout == "0 updates of 0 cases are told again\n"


def test_a_clinics_webhook_is_added_pinged_enabled_and_removed(whp: Command, receiver: Receiver) -> None:
    clinic = f"c-{uuid4().hex[:8]}"
    added = json.loads(whp("clinics", "webhook", "add", clinic, "--url", receiver.url, "--json").stdout)
    receiver.key = added["public_key"]
    assert added["hmac_secret"].startswith("whsec_")
    pinged = whp("clinics", "webhook", "ping", clinic)
    assert (pinged.returncode, pinged.stdout) == (0, "status 204\n")
    (line,) = [line for line in whp("clinics", "webhook", "list").stdout.splitlines() if line.startswith(clinic)]
    assert f"{receiver.url}  enabled, 0 pending after " in line
    assert added["hmac_secret"] not in whp("clinics", "webhook", "list", "--json").stdout
    receiver.key = "whpk_AAAA"
    assert_one_sentence(whp("clinics", "webhook", "enable", clinic), "did not answer the challenge (status 401)")
    assert whp("clinics", "webhook", "ping", clinic).returncode == 1
    receiver.key = added["public_key"]
    assert whp("clinics", "webhook", "enable", clinic).returncode == 0
    assert whp("clinics", "webhook", "remove", clinic).returncode == 0
    assert clinic not in whp("clinics", "webhook", "list").stdout


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (("enable", "nobody"), "add one first"),
        (("ping", "nobody"), "add one first"),
        (("remove", "nobody"), "add one first"),
        (("add", "nobody", "--url", "https://10.0.0.1/"), "not public"),
        (("add", "no body", "--url", "https://clinic.example/"), "a clinic's id"),
    ],
)
def test_what_cannot_be_done_with_a_webhook_is_said_in_one_sentence(
    whp: Command, words: tuple[str, ...], mend: str
) -> None:
    assert_one_sentence(whp("clinics", "webhook", *words), mend)
