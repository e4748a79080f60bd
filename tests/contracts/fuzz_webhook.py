"""A fuzz of the verifiers: `python -m tests.contracts.fuzz_webhook --inputs 1000000 --seed 1`.

Each input is a good request that was changed. What was changed must answer False, what was only dressed
otherwise must answer True, and nothing may raise. The same seed asks the same.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workhardening_contracts.webhook import challenge_answer, verify_v1, verify_v1a

NOW = 1_772_452_800
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = bytes(range(32))
PUBLIC = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
SECRET = "whsec_" + base64.b64encode(RAW).decode()
NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
STRANGE: tuple[Any, ...] = (
    None, 0, -1, 1e308, float("nan"), b"", [], {}, (), object(), True, "", " ", "\x00", "\ud800", "v1a,", "9" * 400,
)  # fmt: skip


@dataclass(frozen=True)
class Input:
    """What a receiver hands to the verifiers; any of it may be anything."""

    body: Any
    headers: Any
    public_key: Any = PUBLIC
    secret: Any = SECRET


class Rude(dict[Any, Any]):
    """Headers that do not behave."""

    def items(self) -> Any:
        raise RuntimeError("no headers today")


def good(random: Random) -> Input:
    body = random.randbytes(random.randrange(200))
    identity = f"u{random.randrange(10**9)}"
    at = str(NOW + random.randint(-300, 300))
    content = f"{identity}.{at}.".encode() + body
    ed25519 = base64.b64encode(PRIVATE.sign(content)).decode()
    mac = base64.b64encode(hmac.digest(RAW, content, hashlib.sha256)).decode()
    return Input(body, dict(zip(NAMES, (identity, at, f"v1a,{ed25519} v1,{mac}"), strict=True)))


def anything(random: Random) -> Any:
    """A value that no header has."""
    return random.choice((*STRANGE, random.randbytes(9), text(random)))


def text(random: Random) -> str:
    size = random.choice((0, 1, 3, 30, 300, 3000))
    low, high = random.choice(((0x20, 0x7E), (0, 0xFF), (0x600, 0x6FF), (0, 0x10FFFF)))
    return "".join(map(chr, random.choices(range(low, high + 1), k=size)))


def other_body(random: Random, it: Input) -> Input:
    body = bytearray(it.body) or bytearray(b"x")
    match random.randrange(4):
        case 0:
            body[random.randrange(len(body))] ^= 1 << random.randrange(8)
        case 1:
            body += random.randbytes(1 + random.randrange(50))
        case 2:
            return replace(it, body=anything(random) if it.body else "x")
        case _:
            return replace(it, body=it.body + b"\x00")
    return replace(it, body=bytes(body) if bytes(body) != it.body else it.body + b"x")


def other_header(random: Random, it: Input) -> Input:
    name = random.choice(NAMES)
    value = it.headers[name]
    if random.random() < 0.5:
        place = random.randrange(len(value))
        if name == NAMES[2]:  # inside both signatures: one good one would be enough
            return with_header(it, name, " ".join(flip(random, part) for part in value.split(" ")))
        changed = value[:place] + chr(random.randrange(0x21, 0x7F)) + value[place + 1 :]
        return with_header(it, name, changed if changed != value else value + "1")
    given = anything(random)
    return with_header(it, name, given if str(given) != value else "")


def flip(random: Random, part: str) -> str:
    """Another signature of the same kind."""
    version, _, signature = part.partition(",")
    raw = bytearray(base64.b64decode(signature))
    raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    return f"{version},{base64.b64encode(raw).decode()}"


def with_header(it: Input, name: str, value: Any) -> Input:
    return replace(it, headers={**it.headers, name: value})


def fewer_headers(random: Random, it: Input) -> Input:
    gone = random.choice(NAMES)
    return replace(it, headers={name: value for name, value in it.headers.items() if name != gone})


def two_headers(random: Random, it: Input) -> Input:
    name = random.choice(NAMES)
    return with_header(it, name.upper(), it.headers[name] + "0")


def no_headers(random: Random, it: Input) -> Input:
    return replace(it, headers=random.choice((Rude(it.headers), anything(random))))


def swapped_kinds(_: Random, it: Input) -> Input:
    v1a, v1 = (part.partition(",")[2] for part in it.headers[NAMES[2]].split(" "))
    return with_header(it, NAMES[2], f"v1,{v1a} v1a,{v1}")


def stale(random: Random, it: Input) -> Input:
    """Signed well, too long ago or too far ahead."""
    at = str(NOW + random.choice((-1, 1)) * random.choice((301, 3600, 10**6, 10**9)))
    content = f"{it.headers[NAMES[0]]}.{at}.".encode() + it.body
    ed25519 = base64.b64encode(PRIVATE.sign(content)).decode()
    mac = base64.b64encode(hmac.digest(RAW, content, hashlib.sha256)).decode()
    signed = with_header(it, NAMES[2], f"v1a,{ed25519} v1,{mac}")
    return with_header(signed, NAMES[1], at)


def other_keys(random: Random, it: Input) -> Input:
    if random.random() < 0.5:
        return replace(it, public_key=anything(random), secret=anything(random))
    stranger = base64.b64encode(random.randbytes(32)).decode()
    return replace(it, public_key=stranger, secret=stranger)


def confused_keys(_: Random, it: Input) -> Input:
    """The public key as the secret: whoever reads it could sign."""
    raw = base64.b64decode(PUBLIC.removeprefix("whpk_"))
    content = f"{it.headers[NAMES[0]]}.{it.headers[NAMES[1]]}.".encode() + it.body
    forged = base64.b64encode(hmac.digest(raw, content, hashlib.sha256)).decode()
    return with_header(replace(it, secret=PUBLIC), NAMES[2], f"v1,{forged} v1a,{forged}")


def same_headers(random: Random, it: Input) -> Input:
    """Dressed otherwise: still ours."""
    written = (str.lower, str.title, str.upper)
    headers: Mapping[str, str] = {random.choice(written)(name): value for name, value in it.headers.items()}
    signature = next(name for name in headers if name.lower() == NAMES[2])
    noise = [f"v{random.randrange(2, 9)},{text(random)[:30].replace(' ', '')}" for _ in range(random.randrange(4))]
    return replace(it, headers={**headers, signature: " ".join([*noise, headers[signature]]), "x-other": text(random)})


BAD: tuple[Callable[[Random, Input], Input], ...] = (
    other_body, other_header, fewer_headers, two_headers, no_headers, swapped_kinds, stale, other_keys, confused_keys,
)  # fmt: skip


def run(inputs: int, seed: int) -> Counter[str]:
    """How many inputs of each kind were answered as they should be. Raises AssertionError on the first that was not."""
    random, answered = Random(seed), Counter[str]()
    base = [good(random) for _ in range(200)]
    for nth in range(inputs):
        it = random.choice(base)
        expected = nth % 50 == 0
        change = same_headers if expected else random.choice(BAD)
        it = change(random, it)
        given = (
            verify_v1a(it.body, it.headers, it.public_key, now=NOW),
            verify_v1(it.body, it.headers, it.secret, now=NOW),
        )
        assert given == (expected, expected), (seed, nth, change.__name__, it)
        assert challenge_answer(it.body) is None
        answered[change.__name__] += 1
    return answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = time.monotonic()
    answered = run(asked.inputs, asked.seed)
    took = time.monotonic() - began
    lines = [f"{name:15} {count:8}" for name, count in sorted(answered.items())]
    lines.append(f"{answered.total()} inputs, seed {asked.seed}, {took:.0f} s: none raised, none was mistaken")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
