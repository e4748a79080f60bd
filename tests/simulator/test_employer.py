"""An employer's receiver: verifies, refuses, de-duplicates and keeps order."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from uuid import UUID

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulator.employer import HOST, Employer, EmployerConfig
from workhardening_contracts.envelope import event_of, service_source, write_structured
from workhardening_contracts.readiness import ReadinessUpdated

REF = UUID("01944000-0000-7000-8000-000000000001")
KEY = Ed25519PrivateKey.generate()
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
NOW = 1_760_000_000


def body(sequence: int, previous: int | None = None, **more: object) -> bytes:
    data = ReadinessUpdated(
        case_ref=str(REF),
        employee_key="e-1",
        status="unable",
        effective_from=date(2025, 1, 13),
        effective_through=date(2025, 3, 9),
        restrictions=(),
        outcome="in_program",
        certifier_role=None,
        sequence=sequence,
        previous_sequence=sequence - 1 if previous is None else previous,
        supersedes=None,
    )
    envelope = event_of(
        data,
        id=f"update-{sequence}",
        source=service_source("notify"),
        subject=REF,
        time=datetime(2025, 1, 9, tzinfo=UTC),
    )
    document = write_structured(envelope)
    return json.dumps({**document, "data": {**document["data"], **more}}).encode()


def signed(content: bytes, id_: str, key: Ed25519PrivateKey = KEY, at: float = NOW) -> dict[str, str]:
    signature = base64.b64encode(key.sign(f"{id_}.{int(at)}.".encode() + content)).decode()
    return {"webhook-id": id_, "webhook-timestamp": str(int(at)), "webhook-signature": f"v1a,{signature}"}


def employer(config: EmployerConfig | None = None) -> Employer:
    return Employer("acme", config or EmployerConfig(public_key=PUBLIC, trouble=0.0), "1")


def test_a_signed_update_is_kept() -> None:
    acme = employer()
    assert acme.take(body(1), signed(body(1), "update-1"), NOW) == 204
    assert [(u.sequence, u.status, u.valid, u.attempts) for u in acme.book.updates] == [(1, "unable", True, 1)]
    assert acme.book.of(str(REF)) == acme.book.updates


def test_a_repeated_delivery_counts_once() -> None:
    acme = employer()
    for _ in range(3):
        assert acme.take(body(1), signed(body(1), "update-1"), NOW) == 204
    assert [update.attempts for update in acme.book.updates] == [3]


def test_a_shared_secret_verifies_too() -> None:
    acme = employer(EmployerConfig(secret=base64.b64encode(b"0" * 32).decode()))
    digest = hmac.new(b"0" * 32, f"update-1.{NOW}.".encode() + body(1), hashlib.sha256).digest()
    headers = {
        "webhook-id": "update-1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    assert acme.take(body(1), headers, NOW) == 204


@pytest.mark.parametrize(
    ("content", "headers", "now"),
    [
        (body(1), signed(body(1), "update-1", Ed25519PrivateKey.generate()), NOW),
        (body(2), signed(body(1), "update-2"), NOW),
        (body(1), signed(body(1), "update-1"), NOW + 301),
        (body(1), signed(body(1), "update-9"), NOW),
        (body(1), {}, NOW),
        (b"{", signed(b"{", "update-1"), NOW),
        (body(1, diagnosis="lumbago"), signed(body(1, diagnosis="lumbago"), "update-1"), NOW),
    ],
    ids=["another key", "changed body", "too old", "swapped id", "unsigned", "no event", "a field too many"],
)
def test_what_is_not_trusted_is_refused_and_not_kept(content: bytes, headers: Mapping[str, str], now: float) -> None:
    acme = employer()
    assert acme.take(content, headers, now) == 401
    assert acme.book.updates == []
    assert [update.valid for update in acme.book.refused] == [False]


@pytest.mark.parametrize(
    ("said", "out_of_order", "gaps"),
    [
        ([(1, 0), (2, 1), (3, 2)], 0, 0),
        ([(1, 0), (4, 1), (5, 4)], 0, 0),
        ([(1, 0), (3, 2)], 0, 1),
        ([(1, 0), (2, 1), (3, 1)], 0, 0),
        ([(2, 0), (1, 0), (3, 2)], 1, 0),
    ],
    ids=["in order", "some never sent", "one missed", "one taken that the sender does not know of", "inverted"],
)
def test_gaps_and_inversions_are_told_apart(said: list[tuple[int, int]], out_of_order: int, gaps: int) -> None:
    acme = employer()
    for sequence, previous in said:
        content = body(sequence, previous)
        assert acme.take(content, signed(content, f"update-{sequence}"), NOW) == 204
    assert (acme.book.out_of_order, acme.book.gaps) == (out_of_order, gaps)


def test_a_receiver_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a public key or a secret"):
        EmployerConfig()


async def deliver(port: int, sequence: int) -> int:
    content = body(sequence)
    return await post(port, content, signed(content, f"update-{sequence}", at=time.time()))


async def post(port: int, content: bytes, headers: Mapping[str, str]) -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"http://{HOST}:{port}/hr", data=content, headers=headers) as answer,
    ):
        return answer.status


async def test_it_listens_where_it_says_and_answers_strangers_401() -> None:
    async with employer() as acme:
        assert await deliver(acme.port, 1) == 204
        assert await post(acme.port, b"hello", {}) == 401
    assert acme.book.attempts == 2


async def test_trouble_is_over_at_the_second_attempt_and_no_update_is_lost() -> None:
    answers: list[int] = []
    unknown = False
    async with employer(EmployerConfig(public_key=PUBLIC, trouble=1.0)) as acme:
        for sequence in range(1, 13):
            answers.append(await deliver(acme.port, sequence))
            unknown |= any(not update.acknowledged for update in acme.book.updates)
            if answers[-1] != 204:
                assert await deliver(acme.port, sequence) == 204
    assert {429, 500} <= set(answers)
    assert unknown
    assert all(update.acknowledged for update in acme.book.updates)
    assert [update.sequence for update in acme.book.updates] == list(range(1, 13))
    assert acme.book.out_of_order == 0
