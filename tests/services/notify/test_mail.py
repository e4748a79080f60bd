"""Mail over a real SMTP conversation."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from services.notify.mail import Server, send_all, server_of


class Mailbox:
    """Keeps what it is sent; refuses the mailbox `gone@` for good and `full@` for now."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("gone@"):
            return "550 no such mailbox"
        if address.startswith("full@"):
            return "452 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.messages.append(message_from_bytes(envelope.content))
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Server]]:
    box = Mailbox()
    # The controller cannot say which port the system chose, so it is chosen here.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, Server("127.0.0.1", port, False, None, None, "program@clinic.example")
    controller.stop()


def row(mailbox: str = "rehab@clinic.example", **more: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "event_id": "e1",
        "kind": "ready",
        "subject": "Your return to work (worker-7)",
        "body": "Pace the day – speak up early.\n",
        "mailbox": mailbox,
        "attempts": 1,
        **more,
    }


def test_a_message_arrives_with_a_stable_id(mailbox: tuple[Mailbox, Server]) -> None:
    box, server = mailbox
    assert send_all(server, [row()]) == ["sent"]
    message = box.messages[0]
    assert message["To"] == "rehab@clinic.example"
    assert message["Message-ID"] == "<e1.ready@work-hardening>"
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode().replace("\r\n", "\n") == "Pace the day – speak up early.\n"


def test_one_refused_mailbox_does_not_stop_the_others(mailbox: tuple[Mailbox, Server]) -> None:
    box, server = mailbox
    results = send_all(server, [row("gone@clinic.example"), row("full@clinic.example"), row(event_id="e2")])
    assert results == ["failed", "later", "sent"]
    assert [message["Message-ID"] for message in box.messages] == ["<e2.ready@work-hardening>"]


def test_without_a_server_everything_is_for_later() -> None:
    server = Server("127.0.0.1", 1, False, None, None, "program@clinic.example")
    assert send_all(server, [row(), row()]) == ["later", "later"]


def test_the_url_names_server_user_and_sender() -> None:
    assert server_of("smtps://us%40er:pa%3Ass@mail.example?from=program@clinic.example") == Server(
        "mail.example", 465, True, "us@er", "pa:ss", "program@clinic.example"
    )


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "smtp://user:secret@mail.example:port"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP URL") as refused:
        server_of(url)
    assert "secret" not in str(refused.value)
