"""What we sign verifies with the employer's means: our receiver, and the `standardwebhooks` package."""

from __future__ import annotations

import time

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

from services.notify.signing import Keys, new_secret, new_seed, public_key, shared_secret, signed_headers
from workhardening_contracts.webhook import verify_v1, verify_v1a

BODY = b'{"id":"u1","data":{"sequence":1}}'
SEED, SECRET = new_seed(), new_secret()


def receiver(key: str) -> FastAPI:
    """An employer's system: 401 for what is not ours, and each update taken once."""
    app, seen = FastAPI(), set[str]()

    async def receive(request: Request) -> Response:
        body = await request.body()
        if not verify_v1a(body, request.headers, key):
            return Response(status_code=401)
        first = request.headers["webhook-id"] not in seen
        seen.add(request.headers["webhook-id"])
        return Response(status_code=201 if first else 200)

    app.add_api_route("/hook", receive, methods=["POST"])
    return app


async def test_a_receiver_takes_what_we_signed_once_and_refuses_what_was_changed() -> None:
    transport = httpx.ASGITransport(receiver(public_key(SEED)))
    headers = signed_headers("u1", BODY, int(time.time()), Keys(SEED, None))
    async with httpx.AsyncClient(transport=transport, base_url="http://employer.example") as client:
        first = await client.post("/hook", content=BODY, headers=headers)
        again = await client.post("/hook", content=BODY, headers=headers)
        changed = await client.post("/hook", content=BODY.replace(b"1", b"2"), headers=headers)
        unsigned = await client.post("/hook", content=BODY)
    assert [answer.status_code for answer in (first, again, changed, unsigned)] == [201, 200, 401, 401]


def test_the_standardwebhooks_package_verifies_our_v1_beside_v1a() -> None:
    headers = dict(signed_headers("u1", BODY, int(time.time()), Keys(SEED, SECRET)))
    assert Webhook(shared_secret(SECRET)).verify(BODY, headers) == {"id": "u1", "data": {"sequence": 1}}
    with pytest.raises(WebhookVerificationError):
        Webhook(shared_secret(new_secret())).verify(BODY, headers)


def test_while_keys_are_rotated_a_receiver_verifies_by_either_also_with_the_standardwebhooks_package() -> None:
    new, old = Keys(new_seed(), new_secret()), Keys(SEED, SECRET)
    headers = dict(signed_headers("u1", BODY, int(time.time()), new, old))
    assert len(headers["webhook-signature"].split(" ")) == 4
    for keys in (new, old):
        assert keys.secret is not None
        assert verify_v1a(BODY, headers, public_key(keys.seed))
        assert verify_v1(BODY, headers, shared_secret(keys.secret))
        assert Webhook(shared_secret(keys.secret)).verify(BODY, headers)


def test_both_signatures_verify_with_their_own_key_only() -> None:
    headers = signed_headers("u1", BODY, 1_772_452_800, Keys(SEED, SECRET))
    assert verify_v1(BODY, headers, shared_secret(SECRET), now=1_772_452_800)
    assert verify_v1a(BODY, headers, public_key(SEED), now=1_772_452_800)
    assert not verify_v1(BODY, headers, shared_secret(new_secret()), now=1_772_452_800)
    assert not verify_v1a(BODY, headers, public_key(new_seed()), now=1_772_452_800)


def test_an_endpoint_without_a_secret_gets_no_v1_signature() -> None:
    headers = signed_headers("u1", BODY, 1_772_452_800, Keys(SEED, None))
    assert headers["webhook-signature"].startswith("v1a,")
    assert " " not in headers["webhook-signature"]
