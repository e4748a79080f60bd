"""Which system a command speaks to, from the environment or from files, and whose schema it reads."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.target import given, in_schema, target


def test_addresses_are_read_from_the_secrets_folder_and_the_environment_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whp_kafka_bootstrap").write_text("kafka:9093\n", encoding="utf-8")
    (tmp_path / "whp_admin_database_url").write_text("postgresql://postgres:x@db/whp\n", encoding="utf-8")
    monkeypatch.delenv("WHP_KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.delenv("WHP_ADMIN_DATABASE_URL", raising=False)
    monkeypatch.setenv("WHP_SECRETS_DIR", str(tmp_path))
    found = target()
    assert (found.kafka, found.database, found.local) == ("kafka:9093", "postgresql://postgres:x@db/whp", False)
    monkeypatch.setenv("WHP_KAFKA_BOOTSTRAP", "another:9093")
    assert target().kafka == "another:9093"
    assert given("WHP_DIGEST_KEY_THAT_NOBODY_WROTE") is None


def test_a_schema_is_added_to_what_a_url_asks_for_and_takes_nothing_from_it() -> None:
    url = in_schema("postgresql://postgres:x@db:5432/whp?sslmode=verify-full&sslrootcert=/run/whp/ca.crt", "notify")
    assert parse_qs(urlsplit(url).query) == {
        "sslmode": ["verify-full"],
        "sslrootcert": ["/run/whp/ca.crt"],
        "search_path": ["notify"],
    }
