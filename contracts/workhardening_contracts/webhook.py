"""The receiver's side of a webhook: is this request really from us, and is it fresh?

Standard Webhooks: `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`, one or more
signatures separated by spaces, each over `id.timestamp.body`. `v1a` is ed25519 (we sign, you can only verify), `v1` is
HMAC-SHA256 with a shared secret. Verify the body's bytes as they arrived, before any parsing; then drop an id you have
seen already, since a delivery is repeated until it was answered.

Malformed input of any kind answers False; nothing raises, so a stranger's request is a 401 and never a 500.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections import OrderedDict
from collections.abc import Mapping

TOLERANCE_S = 300
"""How far a timestamp may lie from now, s, in either direction: five minutes, as Standard Webhooks advises. A captured
request is worthless afterwards."""

PING_TYPE = "org.workhardening.notify.endpoint.pinged.v1"
"""The `type` of a test request. It tells nothing of anybody: answer with any 2xx and forget it."""
CHALLENGE_TYPE = "org.workhardening.notify.endpoint.challenged.v1"
"""The `type` of the request that asks whether an endpoint is yours and holds our key; see `challenge_answer`."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - the name of the kind, not a secret
PUBLIC_KEY_PREFIX = "whpk_"

_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}")
"""No full stop: it separates the id from the timestamp in what is signed."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MAX_SIGNATURES = 10
_MAX_SIGNATURE_HEADER = 4096
"""Ten signatures and their separators are below 1000 characters; more than this is not taken apart."""
_MIN_SECRET_BYTES = 24
"""Standard Webhooks: a secret has 24 to 64 bytes. A shorter one is not ours, and could be guessed."""
_SIGNED_BYTES = {"v1": 32, "v1a": 64}


def verify_v1(
    body: bytes, headers: Mapping[str, str], secret: str, *, now: float | None = None, tolerance_s: float = TOLERANCE_S
) -> bool:
    """Whether one of the `v1` signatures is an HMAC-SHA256 with this secret (`whsec_` and base64), made within
    `tolerance_s` of `now` (seconds since 1970, default the clock)."""
    key = _decoded(secret, SECRET_PREFIX)
    given = _signatures(headers, "v1", time.time() if now is None else now, tolerance_s)
    content = _content(body)
    if key is None or len(key) < _MIN_SECRET_BYTES or given is None or content is None:
        return False
    signed, signatures = given
    expected = hmac.new(key, signed + content, hashlib.sha256).digest()
    return any(hmac.compare_digest(expected, signature) for signature in signatures)


def verify_v1a(
    body: bytes,
    headers: Mapping[str, str],
    public_key: str,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Whether one of the `v1a` signatures is ours: ed25519 with this public key (`whpk_` and base64), made within
    `tolerance_s` of `now` (seconds since 1970, default the clock).

    Raises ImportError where the package `cryptography` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise ImportError("verify_v1a needs ed25519: pip install cryptography (or use verify_v1)") from None
    key = _decoded(public_key, PUBLIC_KEY_PREFIX)
    given = _signatures(headers, "v1a", time.time() if now is None else now, tolerance_s)
    content = _content(body)
    if key is None or len(key) != 32 or given is None or content is None:
        return False
    signed, signatures = given
    try:
        verifier = Ed25519PublicKey.from_public_bytes(key)
    except ValueError:
        return False
    for signature in signatures:
        try:
            verifier.verify(signature, signed + content)
        except InvalidSignature:
            continue
        return True
    return False


class SeenIds:
    """The ids of the deliveries that were taken, the latest `capacity` of them, to drop those that come again.

    Add an id after its update was stored: of a delivery that failed half-way the repetition is wanted. This is the
    memory of one process. Where several receive, or a restart must not forget, give the id a unique key in a database.
    An id that was forgotten does no harm where the `sequence` of each case is kept: what comes again is not newer.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        if capacity < 1:
            raise ValueError("room for at least one id is needed")
        self._capacity = capacity
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, identity: object) -> bool:
        return identity in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, identity: str) -> None:
        """Remember it; the one that was added longest ago makes room."""
        self._ids[identity] = None
        self._ids.move_to_end(identity)
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)


def challenge_answer(body: bytes) -> bytes | None:
    """The JSON to answer a challenge with (200, after the signature was verified); None for a request that is none."""
    try:
        event = json.loads(body)
        if event["type"] != CHALLENGE_TYPE or not isinstance(event["data"]["challenge"], str):
            return None
        return json.dumps({"challenge": event["data"]["challenge"]}).encode()
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _signatures(
    headers: Mapping[str, str], version: str, now: float, tolerance_s: float
) -> tuple[bytes, list[bytes]] | None:
    """What is signed before the body, and the well-formed signatures of this version; None for anything malformed."""
    identity, timestamp, signature = (_header(headers, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if identity is None or timestamp is None or signature is None:
        return None
    if not _ID.fullmatch(identity) or not _TIMESTAMP.fullmatch(timestamp) or len(signature) > _MAX_SIGNATURE_HEADER:
        return None
    if not abs(int(timestamp) - now) <= tolerance_s:
        return None
    found: list[bytes] = []
    for part in signature.split(" ")[:_MAX_SIGNATURES]:
        name, _, text = part.partition(",")
        decoded = _decoded(text, "") if name == version else None
        if decoded is not None and len(decoded) == _SIGNED_BYTES[version]:
            found.append(decoded)
    return f"{identity}.{timestamp}.".encode(), found


def _header(headers: Mapping[str, str], name: str) -> str | None:
    """The header's value whatever its case; None where it is missing, no text, or given twice with two values."""
    try:
        values = {str(value) for key, value in headers.items() if str(key).lower() == name}
    except Exception:
        return None
    return values.pop() if len(values) == 1 else None


def _content(body: object) -> bytes | None:
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _decoded(text: object, prefix: str) -> bytes | None:
    if not isinstance(text, str) or len(text) > 1000:
        return None
    bare = text.removeprefix(prefix)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
