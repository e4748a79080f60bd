"""The receiver's verifier: right signatures within five minutes, and False for everything else."""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts import fuzz_webhook
from workhardening_contracts.webhook import CHALLENGE_TYPE, SeenIds, challenge_answer, verify_v1, verify_v1a

NOW = 1_772_452_800
BODY = b'{"id":"u1"}'
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = "whpk_" + base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
RAW_SECRET = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(RAW_SECRET).decode()


def signed(identity: str = "u1", at: str = str(NOW), body: bytes = BODY) -> dict[str, str]:
    content = f"{identity}.{at}.".encode() + body
    ed25519 = base64.b64encode(KEY.sign(content)).decode()
    mac = base64.b64encode(hmac.digest(RAW_SECRET, content, hashlib.sha256)).decode()
    return {"webhook-id": identity, "webhook-timestamp": at, "webhook-signature": f"v1a,{ed25519} v1,{mac}"}


def verified(body: Any, headers: Any, *, key: Any = PUBLIC, secret: Any = SECRET, now: float = NOW) -> set[bool]:
    """What both verifiers answer; they must agree on all that is not about the key."""
    return {verify_v1(body, headers, secret, now=now), verify_v1a(body, headers, key, now=now)}


def test_a_fresh_signature_over_these_bytes_verifies() -> None:
    assert verified(BODY, signed()) == {True}


def test_header_names_have_no_case() -> None:
    assert verified(BODY, {name.title(): value for name, value in signed().items()}) == {True}


def test_keys_are_read_with_or_without_their_prefix_and_padding() -> None:
    assert verified(BODY, signed(), key=PUBLIC.removeprefix("whpk_").rstrip("="), secret=SECRET.rstrip("=")) == {True}


@pytest.mark.parametrize(("seconds", "fresh"), [(-300, True), (300, True), (-301, False), (301, False)])
def test_a_signature_is_good_for_five_minutes_either_way(seconds: int, fresh: bool) -> None:
    assert verified(BODY, signed(), now=NOW + seconds) == {fresh}


def test_one_good_signature_among_others_is_enough_while_keys_are_rotated() -> None:
    headers = signed()
    other = base64.b64encode(b"x" * 64).decode()
    headers["webhook-signature"] = f"v1a,{other} v2,zzz {headers['webhook-signature']}"
    assert verified(BODY, headers) == {True}


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_false(name: str) -> None:
    headers = signed()
    del headers[name]
    assert verified(BODY, headers) == {False}


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "u2"},
        {"webhook-id": "u.1"},
        {"webhook-id": ""},
        {"webhook-id": "ü1"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": f" {NOW}"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "١٢٣"},
        {"webhook-timestamp": "nan"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1a"},
        {"webhook-signature": "v1a,"},
        {"webhook-signature": "v1a,!!!! v1,????"},
        {"webhook-signature": "v1a,QQ== v1,QQ=="},
        {"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()},
        {"Webhook-Id": "u2"},
    ],
)
def test_a_changed_or_malformed_header_is_false(changed: Mapping[str, str]) -> None:
    assert verified(BODY, {**signed(), **changed}) == {False}


def test_a_signature_of_one_kind_is_none_of_the_other() -> None:
    headers = signed()
    swapped = headers["webhook-signature"].replace("v1a,", "v9,").replace("v1,", "v1a,").replace("v9,", "v1,")
    assert verified(BODY, {**headers, "webhook-signature": swapped}) == {False}


def test_a_changed_body_is_false() -> None:
    assert verified(BODY + b" ", signed()) == {False}


@pytest.mark.parametrize("body", [None, "text", 1, {}])
def test_a_body_that_is_no_bytes_is_false(body: Any) -> None:
    assert verified(body, signed()) == {False}


@pytest.mark.parametrize("headers", [None, [], 1, {1: 2}, {"webhook-id": None}])
def test_headers_that_are_none_are_false(headers: Any) -> None:
    assert verified(BODY, headers) == {False}


@pytest.mark.parametrize("key", ["", "whpk_", "whsec_", "not base64!", None, 7, "whpk_QQ==", "a" * 2000])
def test_a_key_that_cannot_be_read_verifies_nothing(key: Any) -> None:
    # One byte is a (foolish) secret but no public key; neither made this signature.
    assert verified(BODY, signed(), key=key, secret=key) == {False}


def test_an_empty_secret_verifies_nothing_even_what_it_signed() -> None:
    mac = base64.b64encode(hmac.digest(b"", f"u1.{NOW}.".encode() + BODY, hashlib.sha256)).decode()
    assert not verify_v1(BODY, {**signed(), "webhook-signature": f"v1,{mac}"}, "whsec_", now=NOW)


def test_a_secret_that_is_too_short_to_be_ours_verifies_nothing_even_what_it_signed() -> None:
    for size, long_enough in ((1, False), (23, False), (24, True), (64, True)):
        raw = b"k" * size
        mac = base64.b64encode(hmac.digest(raw, f"u1.{NOW}.".encode() + BODY, hashlib.sha256)).decode()
        headers = {**signed(), "webhook-signature": f"v1,{mac}"}
        assert verify_v1(BODY, headers, "whsec_" + base64.b64encode(raw).decode(), now=NOW) is long_enough


def test_a_public_key_is_no_secret_or_whoever_reads_it_could_sign() -> None:
    raw = base64.b64decode(PUBLIC.removeprefix("whpk_"))
    mac = base64.b64encode(hmac.digest(raw, f"u1.{NOW}.".encode() + BODY, hashlib.sha256)).decode()
    assert not verify_v1(BODY, {**signed(), "webhook-signature": f"v1,{mac}"}, PUBLIC, now=NOW)


def test_a_signature_header_that_is_larger_than_any_right_one_is_not_taken_apart() -> None:
    headers = signed()
    headers["webhook-signature"] += " " * 4096
    assert verified(BODY, headers) == {False}


def test_ids_that_were_taken_are_known_and_the_oldest_make_room() -> None:
    seen = SeenIds(capacity=2)
    for identity in ("a", "b", "a", "c"):
        seen.add(identity)
    assert ["a" in seen, "b" in seen, "c" in seen, "d" in seen] == [True, False, True, False]
    assert len(seen) == 2
    with pytest.raises(ValueError, match="at least one"):
        SeenIds(0)


@settings(derandomize=True, deadline=None)
@given(ids=st.lists(st.sampled_from("abcdef"), max_size=60), capacity=st.integers(1, 8))
def test_an_id_is_known_as_long_as_no_more_than_the_capacity_came_after_it(ids: list[str], capacity: int) -> None:
    seen = SeenIds(capacity)
    for identity in ids:
        seen.add(identity)
    latest = list(dict.fromkeys(reversed(ids)))
    assert [identity for identity in latest if identity in seen] == latest[:capacity]
    assert len(seen) <= capacity


def test_a_challenge_is_answered_with_its_text_and_nothing_else_is() -> None:
    asked = json.dumps({"type": CHALLENGE_TYPE, "data": {"challenge": "abc"}}).encode()
    assert challenge_answer(asked) == b'{"challenge": "abc"}'
    for other in (BODY, b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"1" * 5000, asked.replace(b'"abc"', b"7"),
                  asked.replace(b'{"challenge": "abc"}', b"[]")):  # fmt: skip
        assert challenge_answer(other) is None


@settings(derandomize=True, deadline=None, max_examples=500)
@given(
    body=st.one_of(
        st.binary(max_size=60), st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
    )
)
def test_no_body_of_a_stranger_breaks_the_answer_to_a_challenge(body: bytes) -> None:
    assert challenge_answer(body) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_small_fuzz_raises_nothing_and_mistakes_nothing(seed: int) -> None:
    answered = fuzz_webhook.run(2000, seed)
    assert answered.total() == 2000
    assert set(answered) == {change.__name__ for change in (*fuzz_webhook.BAD, fuzz_webhook.same_headers)}


TEXT = st.text(max_size=120)
FUZZED = st.fixed_dictionaries(
    {},
    optional={
        "webhook-id": st.one_of(st.just("u1"), TEXT),
        "webhook-timestamp": st.one_of(st.just(str(NOW)), TEXT),
        "webhook-signature": st.one_of(
            TEXT,
            st.binary(max_size=70).map(lambda raw: "v1a," + base64.b64encode(raw).decode()),
            TEXT.map("v1,".__add__),
        ),
    },
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(headers=FUZZED, body=st.binary(max_size=40), key=st.one_of(st.just(PUBLIC), TEXT), now=st.floats())
def test_nothing_that_a_stranger_sends_raises_or_verifies(
    headers: dict[str, str], body: bytes, key: str, now: float
) -> None:
    assert verified(body, headers, key=key, now=now) == {False}


def test_without_cryptography_v1_works_and_v1a_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    assert verify_v1(BODY, signed(), SECRET, now=NOW)
    with pytest.raises(ImportError, match="pip install cryptography"):
        verify_v1a(BODY, signed(), PUBLIC, now=NOW)
