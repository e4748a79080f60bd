"""Where a webhook may go: public HTTPS, checked when it is registered and again on the address of each connection.

A name that an employer controls can point anywhere, also into our own network, and can be changed after it was checked
(server-side request forgery, DNS rebinding). So the check sits in the resolver that the connection itself uses.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

# Not public, by the IANA special-purpose registries (RFC 6890 and successors). Our own list: what `is_global` answers
# has changed between Python versions.
_REFUSED_4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Of IPv6 only global unicast is public; mapped addresses and NAT64 lie outside it. Inside it, Teredo and 6to4 wrap an
# IPv4 address that nobody checked, and the rest is for documentation and benchmarks.
_GLOBAL_6 = IPv6Network("2000::/3")
_REFUSED_6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

# What a URL may be written with, and a host: a name of at least two labels as DNS has them (an international one in its
# ASCII form, `xn--`), or an address. Two parsers read every URL, this module's and the connection's; what is written
# plainly they cannot read differently.
_WRITTEN = re.compile(r"[\x21-\x5b\x5d-\x7e]{1,2000}")
_NAME = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Refused(ValueError):
    """This is no place to send a webhook to; the sentence says why. It never names what a name resolved to."""


class NotPublic(OSError):
    """A name resolved to an address that nothing is sent to."""


def is_public(text: str) -> bool:
    """Whether an IP address may be connected to; False for anything that is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    return address.scope_id is None and address in _GLOBAL_6 and not any(address in net for net in _REFUSED_6)


def is_loopback(text: str) -> bool:
    """Whether an IP address is this machine; False for anything that is no address."""
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def check_url(url: str, *, local: bool) -> str:
    """The URL, if a webhook may go there; in `local` mode also plain HTTP to this machine. Raises Refused.

    Names are checked when they are resolved, see `CheckedResolver`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Refused("this is not a URL") from None
    if not host or not _WRITTEN.fullmatch(url) or ("[" in parts.netloc) != (":" in host):
        raise Refused("this is not a URL")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused("a webhook URL has no user, password or fragment")
    if local and (host == "localhost" or is_loopback(host)) and parts.scheme in ("http", "https"):
        return url
    if parts.scheme != "https":
        raise Refused("a webhook URL begins with https://")
    if port not in (None, 443):
        raise Refused("a webhook goes to port 443")
    if _stands_for_address(host):
        if not is_public(host):
            raise Refused("this address is not public")
    elif not _NAME.fullmatch(host) or len(host) > 254:
        raise Refused("a webhook's host is a public name such as hr.employer.example")
    return url


def is_here(url: str, *, local: bool) -> bool:
    """Whether a URL that passed `check_url` leads to this machine; never outside `local` mode."""
    host = urlsplit(url).hostname
    return local and host is not None and (host == "localhost" or is_loopback(host))


class CheckedResolver(AbstractResolver):
    """Resolves names for the connections themselves, and refuses a name with any address that is not public."""

    def __init__(self, *, local: bool) -> None:
        self._resolver = ThreadedResolver()
        self._local = local

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        local = self._local and host == "localhost"
        if not found or not all(is_public(entry["host"]) or (local and is_loopback(entry["host"])) for entry in found):
            raise NotPublic("the name has an address that is not public")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _stands_for_address(host: str) -> bool:
    """Whether a host is no name. One that ends in a number is an address to resolvers, in whatever notation
    (`2130706433`, `127.1`, `0x7f.0.0.1`, `0177.0.0.1`); no top-level domain is a number (WHATWG URL, 3.5)."""
    return ":" in host or _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None
