"""A consumer as a member of its group: partitions that come and go, and another process under the same name.

With WHP_INSTANCE the membership is static: a process that starts again under its name takes its partitions back at
once. Kafka cannot tell that from a second process with the name, and gives the membership to whoever joined last.
aiokafka tells the broker its name only when it joins, so the other one hears that it is unknown, joins again, and takes
the membership back: the two would fence each other for ever. So whoever has lost it asks who bears the name now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from runtime.settings import Settings
from runtime.within import within
from workhardening_contracts.kafka import client_options

log = structlog.get_logger("membership")

# A rebalance waits this long for the transaction under way; the partition lock makes a longer one safe all the same.
REVOKE_S = 5.0
ASK_S = 10.0
# The broker names a static member <its name>-<UUID>.
_UUID = 37


class Membership(ConsumerRebalanceListener):  # its callbacks may be coroutines, which its annotations do not say
    """What happens to the partitions of one consumer; `halt` ends the process, with the reason."""

    def __init__(
        self,
        group: str,
        settings: Settings,
        consumer: Callable[[], Any],
        idle: asyncio.Event,
        done: dict[TopicPartition, int],
        halt: Callable[[str], None],
    ) -> None:
        self.group = group
        self.name = f"{group}.{settings.instance}" if settings.instance else None
        """The static name of this member."""
        self.stopped: set[int] = set()
        """Partition numbers that stay stopped, whoever they come from and go to, until this process ends."""
        self._settings = settings
        self._consumer = consumer
        self._idle = idle
        self._done = done
        self._halt = halt
        self._member = ""
        """The id under which the broker last knew this process."""

    async def on_partitions_revoked(self, revoked: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Let the transaction under way finish before its partitions go to another member. It only saves work."""
        try:
            await within(REVOKE_S, self._idle.wait())
        except TimeoutError:
            log.warning("a rebalance did not wait for the batch under way")
        if self._id() != self._member and await self.superseded():
            # Ends aiokafka's coordination: going on, it would join, and fence the other one in its turn.
            raise asyncio.CancelledError

    async def on_partitions_assigned(self, assigned: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Forget what was done of them here before, since others went on; keep stopped what was stopped."""
        self._member = self._id()
        for place in assigned:
            self._done.pop(place, None)
        self._consumer().pause(*(place for place in assigned if place.partition in self.stopped))
        log.info("partitions assigned", partitions=len(assigned))

    def stop(self, partition: int) -> None:
        """Take nothing more of a partition number."""
        self.stopped.add(partition)
        self._consumer().pause(*(place for place in self._consumer().assignment() if place.partition == partition))

    async def superseded(self) -> bool:
        """Whether another process is in the group under this one's name; then this one halts.

        A broker that does not answer is no proof: the membership is taken up again, and asked about when it is lost
        again.
        """
        if self.name is None or not self._member:
            return False
        try:
            members = await within(ASK_S, _members(self._settings.kafka_bootstrap.get_secret_value(), self.group))
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("the group's members are not known", error=type(error).__name__)
            return False
        if not any(member != self._member and member[:-_UUID] == self.name for member in members):
            return False
        self._halt(
            f"another process is in the group {self.group} with WHP_INSTANCE={self._settings.instance}:"
            " give each process a name of its own, or none"
        )
        return True

    def _id(self) -> str:
        return self._consumer()._coordinator.member_id


async def _members(bootstrap: str, group: str) -> list[str]:
    """The member ids of a group."""
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap))
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
        return [member["member_id"] for described in answer.to_object()["groups"] for member in described["members"]]
    finally:
        await admin.close()
