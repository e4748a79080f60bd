"""The sender's side of a webhook: keys and headers of Standard Webhooks (ed25519 `v1a`, and HMAC `v1` beside it)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workhardening_contracts.webhook import PUBLIC_KEY_PREFIX, SECRET_PREFIX


@dataclass(frozen=True, slots=True)
class Keys:
    """What one endpoint's requests are signed with."""

    seed: bytes
    """The ed25519 private key, 32 bytes."""
    secret: bytes | None
    """The secret that is shared for HMAC; None for none."""


def new_seed() -> bytes:
    """A new ed25519 private key, 32 bytes."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def new_secret() -> bytes:
    """A new shared secret: 32 bytes, of the 24 to 64 that Standard Webhooks asks for."""
    return secrets.token_bytes(32)


def public_key(seed: bytes) -> str:
    """What the employer verifies `v1a` with. Raises ValueError for a seed that is not 32 bytes."""
    return PUBLIC_KEY_PREFIX + _text(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def shared_secret(secret: bytes) -> str:
    """What the employer verifies `v1` with."""
    return SECRET_PREFIX + _text(secret)


def signed_headers(identity: str, body: bytes, at: int, *keys: Keys) -> Mapping[str, str]:
    """The three headers of one attempt made `at` (seconds since 1970), signed with each of `keys`: while keys are
    rotated a receiver verifies by either. Raises ValueError for a bad seed."""
    content = f"{identity}.{at}.".encode() + body
    signatures: list[str] = []
    for key in keys:
        signatures.append(f"v1a,{_text(Ed25519PrivateKey.from_private_bytes(key.seed).sign(content))}")
        if key.secret is not None:
            signatures.append(f"v1,{_text(hmac.digest(key.secret, content, hashlib.sha256))}")
    return {"webhook-id": identity, "webhook-timestamp": str(at), "webhook-signature": " ".join(signatures)}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
