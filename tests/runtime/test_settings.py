"""Where a service's settings come from: variables, and files for what should not stand in an environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.settings import read_settings

URL = "postgresql://intake:canary-password@db/whp"


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WHP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WHP_KAFKA_BOOTSTRAP", "kafka:9092")


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a cluster mounts one."""
    (tmp_path / "whp_database_url").write_text(URL + "\n")
    (tmp_path / "whp_digest_key").write_text("ab" * 32 + "\n")
    monkeypatch.setenv("WHP_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_secrets_are_read_from_files_without_the_line_end_and_are_not_printed(secrets: Path) -> None:
    settings = read_settings()
    assert settings.database_url.get_secret_value() == URL
    assert settings.digest_key.get_secret_value() == "ab" * 32
    assert settings.kafka_bootstrap.get_secret_value() == "kafka:9092"
    assert "canary-password" not in repr(settings) + settings.model_dump_json()


def test_a_variable_goes_before_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHP_DIGEST_KEY", "cd" * 32)
    assert read_settings().digest_key.get_secret_value() == "cd" * 32


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHP_SECRETS_DIR", str(tmp_path / "missing"))
    with pytest.raises(NotADirectoryError, match="WHP_SECRETS_DIR"):
        read_settings()


def test_a_secret_that_is_missing_or_wrong_is_named_and_not_repeated(secrets: Path) -> None:
    (secrets / "whp_digest_key").write_text("canary")
    with pytest.raises(ValidationError, match="digest_key") as refused:
        read_settings()
    assert "canary" not in str(refused.value)
    (secrets / "whp_digest_key").unlink()
    with pytest.raises(ValidationError, match="digest_key"):
        read_settings()
