"""The choice of ports."""

import socket

from deploy.local.ports import DEFAULTS, HOST, choose, is_free


def listening() -> socket.socket:
    server = socket.socket()
    server.bind((HOST, 0))
    server.listen()
    return server


def test_a_used_port_is_replaced_and_said() -> None:
    said: list[str] = []
    with listening() as server:
        used = server.getsockname()[1]
        port = choose("kafka", used, set(), said.append)
    assert port != used
    assert is_free(port)
    assert said == [f"port {used} (kafka) is in use; {port} is taken instead"]


def test_a_free_port_is_taken_without_a_word() -> None:
    said: list[str] = []
    with listening() as server:
        free = server.getsockname()[1]
    assert choose("kafka", free, set(), said.append) == free
    assert said == []


def test_a_port_promised_to_one_part_is_not_given_to_another() -> None:
    said: list[str] = []
    with listening() as server:
        free = server.getsockname()[1]
    assert choose("zipkin", free, {free}, said.append) != free
    assert len(said) == 1


def test_the_default_ports_differ() -> None:
    assert len(set(DEFAULTS.values())) == len(DEFAULTS)
