"""Clinics' mailboxes: where messages for their workers and clinicians go."""

from __future__ import annotations

import re

from runtime.db import Connection, queries

SQL = queries("services.notify")

# No more than needed to keep a header from being forged; the mail server knows better which mailboxes exist.
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")


async def set_mailbox(connection: Connection, clinic: str, mailbox: str) -> None:
    """Register a clinic's mailbox; messages that were held for want of one are due now. Raises ValueError."""
    if not _MAILBOX.fullmatch(mailbox):
        raise ValueError("a mailbox is one address such as rehab@clinic.example")
    async with connection.transaction():
        await connection.execute(SQL["set_mailbox"], clinic, mailbox)
        await connection.execute(SQL["release_messages"], clinic)
