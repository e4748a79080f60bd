"""A webhook goes to a public HTTPS address and nowhere else, however it is written."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp.resolver import ThreadedResolver

from services.notify.address import CheckedResolver, NotPublic, Refused, check_url, is_public

HOSTILE = [
    "http://employer.example/hook",
    "https://employer.example:8443/hook",
    "https://user:word@employer.example/hook",
    "https://employer.example/hook#part",
    "https://127.0.0.1/",
    "https://10.0.0.1/",
    "https://172.16.3.4/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://0177.0.0.1/",
    "https://0x7F.0.0.1/",
    "https://10.0.0.1./",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[2002:a00:1::1]/",
    "https://[2001:0:a00:1::1]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "ftp://employer.example/",
    "file:///etc/passwd",
    "https://",
    "https:///hook",
    "https://employer.example/a b",
    "https://employer.example:99999/",
    "https://[::1",
    "https://ëmployer.example/",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, local=False)


@pytest.mark.parametrize(
    "url",
    ["https://employer.example/hook?x=1", "https://93.184.216.34/", "https://[2606:4700::1]/", "https://4u.example/"],
)
def test_a_public_https_url_is_allowed(url: str) -> None:
    assert check_url(url, local=False) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "http://localhost:9000/hook", "http://[::1]:9000/"])
def test_plain_http_to_this_machine_is_for_local_mode_only(url: str) -> None:
    assert check_url(url, local=True) == url
    with pytest.raises(Refused):
        check_url(url, local=False)


def test_local_mode_opens_this_machine_and_no_other_address() -> None:
    with pytest.raises(Refused):
        check_url("http://10.0.0.1/", local=True)


@pytest.mark.parametrize("text", ["2130706433", "0x7f.1", "fe80::1%eth0", "", "employer.example"])
def test_what_is_no_plain_address_is_not_public(text: str) -> None:
    assert not is_public(text)


@pytest.mark.parametrize("name", ["2130706433", "0x7f000001", "127.1", "localhost"])
async def test_a_name_that_resolves_to_this_machine_is_refused_when_it_is_connected(name: str) -> None:
    resolver = CheckedResolver(local=False)
    with pytest.raises(NotPublic):
        await resolver.resolve(name, 443, socket.AF_INET)


async def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    async def rebound(*_: Any) -> list[dict[str, str]]:
        return [{"host": "93.184.216.34"}, {"host": "10.0.0.1"}]

    monkeypatch.setattr(ThreadedResolver, "resolve", rebound)
    with pytest.raises(NotPublic):
        await CheckedResolver(local=True).resolve("employer.example", 443)
