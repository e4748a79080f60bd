"""Make the topics that `contracts/topics` declares; never delete one, never change its number of partitions."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code
from pydantic import BaseModel, ValidationError

from workhardening_contracts.kafka import client_options

from .layout import StackError

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# The source of a setting that somebody made on the topic itself, as opposed to the broker's default.
_SET_ON_TOPIC = 1
_DAY_MS = 24 * 60 * 60 * 1000


class TopicSpec(BaseModel):
    """What a topic's file says. `per` makes the name a template with one topic for each clinic or employer."""

    name: str
    partitions: int
    writers: list[str] = []
    consumers: list[str] = []
    retention_days: int | None = None
    max_message_bytes: int | None = None
    per: Literal["clinic", "employer"] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The topic settings that the broker is to have; no retention means that nothing is ever thrown away."""
        kept = -1 if self.retention_days is None or self.retention_days < 0 else self.retention_days * _DAY_MS
        size = {} if self.max_message_bytes is None else {"max.message.bytes": str(self.max_message_bytes)}
        # Kafka throws whole segments away, when the last record in one is old enough. By default one is filled for a
        # week, and what was promised to be gone after 30 days would be there after 37.
        rolled = {} if kept < 0 else {"segment.ms": str(_DAY_MS)}
        return {"retention.ms": str(kept)} | rolled | size

    def named(self, id: str) -> "TopicSpec":
        """The topic of one clinic or employer.

        Raises StackError when the topic is not of that kind or the id is unfit for a topic's name.
        """
        if self.per is None or "<id>" not in self.name:
            raise StackError(f"{self.name} is one topic for all; it takes no id.")
        if _ID.fullmatch(id) is None:
            raise StackError(
                "An id in a topic's name has 1 to 63 small letters, digits and hyphens; choose such a one."
            )
        return self.model_copy(update={"name": self.name.replace("<id>", id), "per": None})


def read_specs(directory: Path) -> list[TopicSpec]:
    """The declared topics, by file name.

    Raises StackError naming the file that cannot be read.
    """
    specs: list[TopicSpec] = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            specs.append(TopicSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise StackError(f"{path} does not declare a topic ({type(error).__name__}); mend it.") from error
    return specs


async def provision_topics(bootstrap: str, directory: Path) -> list[str]:
    """Bring every declared topic to its wanted state; gives what was done, one sentence for each change.

    Raises StackError when a topic exists with another number of partitions, and the errors of Kafka.
    """
    return await _provision(bootstrap, [spec for spec in read_specs(directory) if spec.per is None])


async def provision_one(bootstrap: str, spec: TopicSpec, id: str) -> list[str]:
    """Bring the topic of one clinic or employer to its wanted state; gives what was done.

    Raises StackError for an unfit id or another number of partitions, and the errors of Kafka.
    """
    return await _provision(bootstrap, [spec.named(id)])


async def _provision(bootstrap: str, specs: Sequence[TopicSpec]) -> list[str]:
    async with _admin(bootstrap) as admin:
        there = await _partitions(admin)
        for spec in specs:
            if there.get(spec.name, spec.partitions) != spec.partitions:
                raise StackError(
                    f"{spec.name} has {there[spec.name]} partitions and is declared with {spec.partitions}: "
                    "a case would change its partition, so declare the number it has, or start with new data."
                )
        missing = [spec for spec in specs if spec.name not in there]
        done = [f"created {spec.name} ({spec.partitions} partitions)" for spec in missing]
        if missing:
            await _create(admin, missing)
        return done + await _apply_settings(admin, [spec for spec in specs if spec not in missing])


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncGenerator[AIOKafkaAdminClient]:
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap), request_timeout_ms=15000)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    topics: list[Any] = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in topics}


async def _create(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    # -1: as many replicas as the cluster gives by default, one here, three on a real one.
    wanted = [NewTopic(spec.name, spec.partitions, -1, {}, spec.settings) for spec in specs]
    response: Any = await admin.create_topics(wanted)
    for name, code, *message in response.topic_errors:
        # Somebody who provisions at the same moment made it; the next look tells whether it is as declared.
        if code not in (0, TopicAlreadyExistsError.errno):
            raise StackError(f"{name} could not be created: {for_code(code).__name__} {message}")
    # The controller has them; a producer asks the broker, which learns of them a moment later.
    end = time.monotonic() + 15
    while not {spec.name for spec in specs} <= (await _partitions(admin)).keys():
        if time.monotonic() > end:
            raise StackError("Kafka made the topics but does not show them; look into its log.")
        await asyncio.sleep(0.05)


async def _apply_settings(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> list[str]:
    done: list[str] = []
    changed: list[ConfigResource] = []
    for spec, present in zip(specs, await _settings(admin, [spec.name for spec in specs]), strict=True):
        values = {name: value for name, (value, _) in present.items()}
        different = [name for name, value in spec.settings.items() if values.get(name) != value]
        if different:
            # This request replaces all of a topic's own settings, so those that others made are sent along.
            own = {name: value for name, (value, source) in present.items() if source == _SET_ON_TOPIC}
            changed.append(ConfigResource(ConfigResourceType.TOPIC, spec.name, own | spec.settings))
            done.append(f"changed {', '.join(different)} of {spec.name}")
    answers: list[Any] = await admin.alter_configs(changed) if changed else []
    for response in answers:
        for code, message, _, name in response.resources:
            if code:
                raise StackError(f"The settings of {name} could not be changed: {for_code(code).__name__} {message}")
    return done


async def _settings(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[dict[str, tuple[str, int]]]:
    if not names:
        return []
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for response in await admin.describe_configs(asked):
        for resource in response.to_object()["resources"]:
            entries: list[dict[str, Any]] = resource["config_entries"]
            found[resource["resource_name"]] = {
                entry["config_names"]: (entry["config_value"], entry["config_source"]) for entry in entries
            }
    return [found[name] for name in names]
