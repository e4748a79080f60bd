"""A webhook goes to a public HTTPS address and nowhere else, however it is written."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.resolver import ThreadedResolver
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from services.notify.address import CheckedResolver, NotPublic, Refused, check_url, is_public
from services.notify.signing import new_seed
from services.notify.wire import open_session, post

HOSTILE = {
    "another scheme": ["http://employer.example/hook", "ftp://employer.example/", "file:///etc/passwd", "gopher://x.example/",
                       "javascript:alert(1)", "//employer.example/", "https:employer.example", "HTTP://EMPLOYER.EXAMPLE/"],
    "another port": ["https://employer.example:8443/hook", "https://employer.example:22/", "https://employer.example:0/",
                     "https://employer.example:99999/", "https://employer.example:443:80/", "https://employer.example:+443/",
                     "https://employer.example:x/", "https://93.184.216.34:5432/"],
    "user, password, fragment": ["https://user:word@employer.example/", "https://user@employer.example/", "https://@employer.example/",
                                 "https://employer.example@10.0.0.1/", "https://10.0.0.1@employer.example/",
                                 "https://employer.example:443@10.0.0.1/", "https://10.0.0.1%2f@employer.example/",
                                 "https://employer.example/hook#part", "https://employer.example#@10.0.0.1/"],
    "IPv4 that is not public": ["https://0.0.0.0/", "https://10.0.0.1/", "https://100.64.0.1/", "https://127.0.0.1/",
                                "https://169.254.169.254/latest/meta-data", "https://172.16.3.4/", "https://172.31.255.255/",
                                "https://192.0.0.1/", "https://192.0.2.1/", "https://192.88.99.1/", "https://192.168.1.1/",
                                "https://198.18.0.1/", "https://198.51.100.1/", "https://203.0.113.1/", "https://224.0.0.1/",
                                "https://240.0.0.1/", "https://255.255.255.255/"],
    "IPv4 in other notations": ["https://2130706433/", "https://0x7f000001/", "https://0x7F.0.0.1/", "https://0177.0.0.1/",
                                "https://127.1/", "https://127.0.1/", "https://0/", "https://0x/", "https://3232235777/",
                                "https://017700000001/", "https://1.1.1.1.1/", "https://256.1.1.1/", "https://01.02.03.04/"],
    "trailing dots": ["https://10.0.0.1./", "https://127.0.0.1../", "https://2130706433./", "https://employer.example../",
                      "https://./", "https://../", "https://.employer.example/", "https://employer..example/"],
    "IPv6 that is not public": ["https://[::]/", "https://[::1]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
                                "https://[fe80::1%eth0]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fec0::1]/",
                                "https://[ff02::1]/", "https://[100::1]/", "https://[2001:db8::1]/", "https://[2001:2::1]/",
                                "https://[3fff::1]/", "https://[5f00::1]/"],
    "IPv4 inside IPv6": ["https://[::ffff:10.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::ffff:93.184.216.34]/",
                         "https://[::10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://[64:ff9b:1::a00:1]/",
                         "https://[64:ff9b::169.254.169.254]/", "https://[2002:a00:1::1]/", "https://[2002:7f00:1::]/",
                         "https://[2001:0:a00:1::1]/", "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/"],
    "names that are no public names": ["https://localhost/", "https://intranet/", "https://metadata/", "https://employer_.example_/",
                                       "https://-employer.example/", "https://employer-.example/", "https://employer.-example/",
                                       f"https://{'a' * 64}.example/", f"https://{'a.' * 127}example/"],
    "international names that are not in ASCII": ["https://ëmployer.example/", "https://127。0。0。1/", "https://①②⑦.0.0.1/",
                                                  "https://１２７.0.0.1/", "https://employer.example\u200b/",
                                                  "https://еmployer.example/"],
    "not written plainly": ["https://%31%32%37.0.0.1/", "https://10.0.0.1%00.employer.example/", "https://employer%2eexample/",
                            "https://10.0.0.1\\.employer.example/", "https://employer.example\\@10.0.0.1/",
                            "https://employer.example;10.0.0.1/", "https://employer.example,10.0.0.1/", "https://employer.example$/",
                            "\x00https://employer.example/", "https://employer.example/a b", " https://employer.example/",
                            "https://employer.example/\r\nhost: x", "https://employer\t.example/", "https://employer.example/\x7f",
                            "https://[::1", "https://[::1]]/", "https://[employer.example]/", "https://[v1.x]/", "https://",
                            "https:///hook", "https:/10.0.0.1/", "", "/hook", "https://employer.example/" + "a" * 2000],
}  # fmt: skip


@pytest.mark.parametrize("url", [url for urls in HOSTILE.values() for url in urls], ids=ascii)
def test_a_hostile_url_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        check_url(url, local=False)
    assert "10.0.0.1" not in str(refused.value), "it is told what is wrong and not what was sent"


@settings(derandomize=True, deadline=None, max_examples=300)
@given(url=st.one_of(st.text(max_size=60), st.text(max_size=40).map("https://{}/".format)))
def test_what_passes_the_connection_reads_as_the_check_did(url: str) -> None:
    try:
        checked = check_url(url, local=False)
    except Refused:
        return
    read = URL(checked)
    assert (read.scheme, read.port, read.user, read.password) == ("https", 443, None, None)
    assert read.raw_host == urlsplit(checked).hostname


@pytest.mark.parametrize(
    "url",
    [
        "https://employer.example/hook?x=1",
        "https://employer.example:443/",
        "https://employer.example./hook",
        "https://EMPLOYER.example/hook?at=10.0.0.1&to=//127.0.0.1/",
        "https://93.184.216.34/",
        "https://[2606:4700::1]/",
        "https://4u.example/",
        "https://hr_1.employer.example/",
        "https://xn--mployer-jya.example/",
    ],
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


ANSWERS = {
    "private": ["10.0.0.1"],
    "this machine": ["127.0.0.1"],
    "link-local metadata": ["169.254.169.254"],
    "shared": ["100.64.0.1"],
    "zero": ["0.0.0.0"],
    "multicast": ["224.0.0.1"],
    "IPv6 loopback": ["::1"],
    "unique local": ["fd00:ec2::254"],
    "link-local with its zone": ["fe80::1%2"],
    "mapped private": ["::ffff:10.0.0.1"],
    "mapped public": ["::ffff:93.184.216.34"],
    "NAT64": ["64:ff9b::a00:1"],
    "6to4": ["2002:a00:1::1"],
    "Teredo": ["2001:0:a00:1::1"],
    "a public one first": ["93.184.216.34", "10.0.0.1"],
    "a public one last": ["10.0.0.1", "93.184.216.34"],
    "a private IPv6 beside a public IPv4": ["93.184.216.34", "fd00::1"],
    "one of many": [*(f"93.184.216.{last}" for last in range(50)), "192.168.0.1"],
    "no address": ["employer.example"],
    "nothing": [],
}


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A name service that gives these answers, one after the other; the names that it was asked for."""
    asked: list[str] = []

    async def resolve(_: object, host: str, port: int = 0, *__: object) -> list[dict[str, Any]]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [{"hostname": host, "host": at, "port": port, "family": 2, "proto": 6, "flags": 0} for at in found]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    return asked


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_name_with_an_address_that_is_not_public_is_refused(
    monkeypatch: pytest.MonkeyPatch, answer: list[str], local: bool
) -> None:
    answering(monkeypatch, answer)
    with pytest.raises(NotPublic) as refused:
        await CheckedResolver(local=local).resolve("employer.example", 443)
    assert not any(address in str(refused.value) for address in answer)


async def test_a_name_with_public_addresses_only_is_connected_to_at_just_these(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, ["93.184.216.34", "2606:4700::1"])
    found = await CheckedResolver(local=False).resolve("employer.example", 443)
    assert [entry["host"] for entry in found] == ["93.184.216.34", "2606:4700::1"]


ROW = {
    "url": "https://employer.example/hook",
    "event_id": "u1",
    "body": b"{}",
    "ed25519_seed": new_seed(),
    "hmac_secret": None,
}


async def test_a_name_is_asked_again_at_each_attempt_and_one_that_moved_inside_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What counts is where a connection was tried; none is made.
    asked = answering(monkeypatch, ["93.184.216.34"], ["10.0.0.1"], ["::ffff:127.0.0.1"])
    tried: list[str] = []

    async def connect(addr_infos: Sequence[Any], **_: object) -> Any:
        tried.extend(str(info[4][0]) for info in addr_infos)
        raise ConnectionRefusedError

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    async with open_session(local=False) as session:
        results = [await post(session, ROW, local=False) for _ in range(3)]
    assert asked == ["employer.example"] * 3
    assert tried == ["93.184.216.34"]
    assert [result.error == "address_refused" for result in results] == [False, True, True]
    assert {result.outcome for result in results} == {"retry"}
