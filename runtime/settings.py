"""A service's settings, from `WHP_*` environment variables and files. The same names point at a local stack or a real
cluster.

A secret need not stand in the environment, which child processes inherit and crash reports copy: WHP_SECRETS_DIR names
a folder with a file for each, named like the variable in small letters (`whp_database_url`), as clusters mount them. A
variable goes before a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.limits import FAILED_KEYS, KEYS
from workhardening_contracts.kafka import read_address

Place = Literal[
    "claimed",
    "before_commit",
    "after_commit",
    "offsets_committed",
    "relay_published",
    "relay_deleted",
    "produced",
    "disclosed",
    "answered",
]
"""Where a drill may kill the process; each name says what has just been done."""


class Settings(BaseSettings):
    """What one process of a service needs to know of its surroundings."""

    model_config = SettingsConfigDict(env_prefix="WHP_", frozen=True, hide_input_in_errors=True)

    mode: Literal["local", "production"] = "production"
    """`local` allows loopback webhooks over plain HTTP; nothing else differs."""
    kafka_bootstrap: SecretStr
    """host:port[,host:port...], or sasl+ssl://user:password@host:port[,...]?ca_file=/path/to/ca.pem"""
    database_url: SecretStr
    """The service's own role; its search_path is its own schema."""
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    digest_key: SecretStr = Field(min_length=32)
    """Keys the digests of event bodies, which hold patient data: a plain hash of a short body can be guessed."""
    policy_file: Path | None = None
    smtp_url: SecretStr | None = None
    """smtp://user:password@host:port; without it messages stay in their outbox table."""
    instance: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,40}$")
    """Static group membership: a restarted process with the same name takes its partitions back at once."""
    batch_records: int = Field(default=500, ge=1, le=5000)
    """The knee of CPU per event lies at 100 to 500 records a transaction."""
    session_timeout_ms: int = Field(default=6000, ge=6000)
    """6 s is the least a broker allows: how long a killed consumer's partitions wait for a new owner."""
    watchdog_s: float = Field(default=90, gt=0)
    """A consumer that has records but commits none for this long exits, to be started afresh."""
    trace_ratio: float = Field(default=0.05, ge=0, le=1)
    """The share of cases that are traced, whole; what it costs stands in ADR 10."""
    key_requests_per_s: float = Field(default=KEYS.per_s, gt=0)
    key_burst: int = Field(default=KEYS.burst, ge=1)
    """What one API key may ask of one process. Why these defaults: runtime/limits.py."""
    failed_keys_per_minute: int = Field(default=FAILED_KEYS.burst, ge=1)
    """What one address may ask of one process without a valid key."""
    retry_scale: float = Field(default=1.0, gt=0, le=1)
    """Scales the waits of webhook retries, for demonstrations and drills."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drill: str | None = Field(default=None, pattern=rf"^({'|'.join(get_args(Place))}):[1-9][0-9]{{0,5}}$")
    """PLACE:N, for drills only: the process kills itself when it passes that place for the Nth time."""

    @property
    def wait_scale(self) -> float:
        """`retry_scale` where it counts: in local mode only."""
        return self.retry_scale if self.mode == "local" else 1.0

    @field_validator("kafka_bootstrap")
    @classmethod
    def _is_an_address(cls, address: SecretStr) -> SecretStr:
        read_address(address.get_secret_value())
        return address

    @model_validator(mode="after")
    def _no_drill_in_production(self) -> Self:
        if self.mode == "production" and self.drill is not None:
            raise ValueError("WHP_DRILL is refused in production mode: unset it")
        return self


def read_settings() -> Settings:
    """This process's settings. Raises ValidationError, and NotADirectoryError for a secrets folder that is none."""
    folder = os.environ.get("WHP_SECRETS_DIR")
    if folder is not None and not Path(folder).is_dir():
        raise NotADirectoryError(f"WHP_SECRETS_DIR names no folder: {folder}")
    return Settings(_secrets_dir=folder)  # pyright: ignore[reportCallIssue] - its values come from the environment
