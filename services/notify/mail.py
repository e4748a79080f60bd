"""The worker that sends the clinics' mail by SMTP. Without a mail server messages stay pending in their table."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import structlog

from runtime.db import queries
from runtime.running import Running

log = structlog.get_logger("mail")
SQL = queries("services.notify")

BATCH = 20
TIMEOUT_S = 20.0
CLAIM_S = 600.0
"""How long a claimed message is left to its sender: above a batch in which every message times out."""
MAX_ATTEMPTS = 10
POLL_S = 1.0

Sent = Literal["sent", "later", "failed"]


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server, from `smtp://user:password@host:port?from=address` or `smtps://...`."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    sender: str


def server_of(url: str) -> Server:
    """Raises ValueError, without the URL, for one that cannot be read: it holds a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the SMTP URL cannot be read") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("the SMTP URL begins with smtp:// or smtps:// and names a host")
    tls = parts.scheme == "smtps"
    return Server(
        host=parts.hostname,
        port=port or (465 if tls else 587),
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sender=parse_qs(parts.query).get("from", [f"no-reply@{parts.hostname}"])[0],
    )


async def mail(running: Running) -> None:
    """Send pending messages until cancelled. Raises database errors."""
    if running.settings.smtp_url is None:
        log.info("no mail server is configured; messages stay pending")
        await asyncio.Event().wait()
        return
    server = server_of(running.settings.smtp_url.get_secret_value())
    while True:
        rows = await running.pool.fetch(SQL["claim_messages"], BATCH, CLAIM_S)
        if not rows:
            await asyncio.sleep(POLL_S)
            continue
        results = await asyncio.to_thread(send_all, server, [dict(row) for row in rows])
        for row, result in zip(rows, results, strict=True):
            if result == "sent":
                await running.pool.execute(SQL["mark_sent"], row["id"])
            elif result == "failed" or row["attempts"] >= MAX_ATTEMPTS:
                log.error("message was not sent", kind=row["kind"], cause=row["event_id"], attempts=row["attempts"])
                await running.pool.execute(SQL["mark_mail_failed"], row["id"])
            else:
                # A minute, doubled each time, at most six hours: about two days in all.
                await running.pool.execute(
                    SQL["mark_mail_later"], row["id"], min(60.0 * 2 ** row["attempts"], 21_600.0)
                )


def send_all(server: Server, rows: Sequence[Mapping[str, Any]]) -> list[Sent]:
    """Send messages over one connection. Blocks; never raises: each answer stands for the row at its place."""
    results: list[Sent] = []
    try:
        with _connected(server) as connection:
            for row in rows:
                results.append(_send(connection, server, row))
    except (smtplib.SMTPException, OSError) as error:
        log.warning("mail server is not available", error=type(error).__name__)
    while len(results) < len(rows):
        results.append("later")
    return results


@contextmanager
def _connected(server: Server) -> Generator[smtplib.SMTP]:
    context = ssl.create_default_context()
    if server.tls:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    with connection:
        connection.ehlo_or_helo_if_needed()
        if not server.tls and connection.has_extn("starttls"):
            connection.starttls(context=context)
        if server.user is not None:
            connection.login(server.user, server.password or "")
        yield connection


def _send(connection: smtplib.SMTP, server: Server, row: Mapping[str, Any]) -> Sent:
    message = EmailMessage(policy=SMTP)
    message["From"] = server.sender
    message["To"] = row["mailbox"]
    message["Subject"] = row["subject"]
    # The same over all attempts, so that a mailbox can tell a repeated message.
    message["Message-ID"] = f"<{row['event_id']}.{row['kind']}@work-hardening>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(row["body"])
    try:
        connection.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        codes = [code for code, _ in refused.recipients.values()]
        return "failed" if codes and all(code >= 500 for code in codes) else "later"
    except smtplib.SMTPResponseException as refused:
        return "failed" if refused.smtp_code >= 500 else "later"
    return "sent"
