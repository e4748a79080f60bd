"""One address of Kafka says where it is, as whom, and whose certificates to trust."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workhardening_contracts.kafka import Broker, Login, client_options, read_address, write_address


def test_an_open_broker_is_reached_by_its_servers_alone() -> None:
    assert client_options("one:9092,two:9092") == {"bootstrap_servers": "one:9092,two:9092"}


def test_a_secured_broker_is_reached_by_scram_inside_tls() -> None:
    options = client_options("sasl+ssl://clinic.north:p%40ss%2F@one:9093,two:9093")
    context = options.pop("ssl_context")
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert options == {
        "bootstrap_servers": "one:9093,two:9093",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "clinic.north",
        "sasl_plain_password": "p@ss/",
    }


@pytest.mark.parametrize(
    "address",
    [
        "sasl+ssl://user@one:9093",
        "sasl+ssl://:canary-secret@one:9093",
        "sasl+ssl://user:canary-secret@",
        "sasl+ssl://user:canary-secret@one:9093/topic",
        "sasl+ssl://user:canary-secret@one:9093?verify=no",
        "sasl+plaintext://user:canary-secret@one:9093",
    ],
)
def test_an_address_that_would_be_less_safe_or_is_not_whole_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ValueError, match="address of Kafka") as refused:
        read_address(address)
    assert "canary" not in str(refused.value)


def test_a_file_of_authorities_that_is_missing_is_an_error_and_not_a_broker_that_is_trusted_blindly() -> None:
    with pytest.raises(FileNotFoundError):
        client_options("sasl+ssl://user:password@one:9093?ca_file=/nowhere/ca.pem")


def test_a_login_does_not_show_its_password() -> None:
    assert "canary" not in repr(read_address("sasl+ssl://user:canary-secret@one:9093"))


@given(
    st.builds(
        Broker,
        st.sampled_from(["one:9093", "one:9093,two:9093"]),
        st.none()
        | st.builds(
            Login,
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
            st.none() | st.just(Path("/etc/kafka certs/ca&1.pem")),
        ),
    )
)
@settings(derandomize=True, deadline=None)
def test_an_address_is_read_as_it_was_written(broker: Broker) -> None:
    assert read_address(write_address(broker)) == broker
