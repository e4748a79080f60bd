"""A started service, as its doors and workers see it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from runtime.consume import Consumer
from runtime.db import Pool
from runtime.relay import Publish, Relay
from runtime.settings import Settings
from runtime.telemetry import Telemetry

# A relay looks at the outbox 20 times a second, but waits out a broker that hangs: 39 s without a turn were measured
# there, and killing the process would mend nothing. This long without a look is a hang of its own.
RELAY_STALE_S = 120.0


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the process gets on with its work, and whether it may be sent any."""

    live: bool
    ready: bool
    why: str


@dataclass
class Running:
    """What a door or worker may use."""

    service: str
    settings: Settings
    pool: Pool
    publish: Publish
    telemetry: Telemetry
    consumer: Consumer[Any, Any]
    relay: Relay
    partitions: int

    def health(self) -> Health:
        """Liveness by progress: that the relay takes its turns and nothing has halted; never a ping of the broker."""
        if self.consumer.halted.done():
            return Health(False, False, "halted")
        if time.monotonic() - self.relay.last_turn > RELAY_STALE_S:
            return Health(False, False, "the relay takes no turns")
        if stopped := self.consumer.stopped_partitions:
            # The doors and the other partitions go on: taking them away too would make it worse.
            return Health(True, True, f"partitions {stopped} are stopped: case after case failed; mend and restart")
        # A member without partitions is idle, not unready: another replica has them.
        return Health(True, True, "ok")
