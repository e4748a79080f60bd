"""How to reach Kafka, from one address, as a database has one: where it is, as whom, and whose certificates to trust.

`host:port[,host:port...]` is an open broker, on one machine. On any other it is
`sasl+ssl://user:password@host:port[,host:port...]?ca_file=/path/to/ca.pem`: SCRAM-SHA-512 inside TLS. Without `ca_file`
the authorities that the machine trusts are trusted. What is not a letter, digit or one of `-._~` in a user or password
is percent-encoded.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

MECHANISM = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Login:
    """Who one is to the broker, and by whose certificate one knows the broker."""

    user: str
    password: str = field(repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where Kafka is, and how one logs in; an open one has no login."""

    servers: str
    login: Login | None = None

    def client_options(self) -> dict[str, Any]:
        """What a client of aiokafka (producer, consumer or admin) is made with to reach it.

        Raises OSError and ssl.SSLError for a `ca_file` that holds no certificates.
        """
        if self.login is None:
            return {"bootstrap_servers": self.servers}
        return {
            "bootstrap_servers": self.servers,
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=self.login.ca_file),
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.login.user,
            "sasl_plain_password": self.login.password,
        }


def read_address(address: str) -> Broker:
    """The parts of an address. Raises ValueError, which never holds the password."""
    if "://" not in address:
        return Broker(address)
    parts = urlsplit(address)
    named, _, servers = parts.netloc.rpartition("@")
    user, _, password = named.partition(":")
    if parts.scheme != "sasl+ssl" or not (user and password and servers) or parts.path not in ("", "/"):
        raise ValueError("an address of Kafka is host:port, or sasl+ssl://user:password@host:port?ca_file=/path/ca.pem")
    asked = parse_qs(parts.query, keep_blank_values=True)
    if not asked.keys() <= {"ca_file"}:
        raise ValueError("of an address of Kafka only ca_file may follow the question mark")
    trusted = asked.get("ca_file")
    return Broker(servers, Login(unquote(user), unquote(password), Path(trusted[-1]) if trusted else None))


def write_address(broker: Broker) -> str:
    """The address with these parts."""
    if broker.login is None:
        return broker.servers
    user, password = (quote(text, safe="") for text in (broker.login.user, broker.login.password))
    trusted = "" if broker.login.ca_file is None else "?" + urlencode({"ca_file": broker.login.ca_file}, safe="/")
    return f"sasl+ssl://{user}:{password}@{broker.servers}{trusted}"


def client_options(address: str) -> dict[str, Any]:
    """What a client of aiokafka is made with to reach the broker at this address. Raises ValueError and OSError."""
    return read_address(address).client_options()
