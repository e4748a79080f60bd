"""The topics as `contracts/topics/*.yaml` declare them: who writes, who reads, how long, what class of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workhardening_contracts import registry

Party = Literal["intake", "planning", "progress", "notify", "console", "clinic", "employer"]


class Topic(BaseModel):
    """One topic's file, or a template with one topic for each clinic or employer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z]+(\.(<id>|[a-z]+))*\.v[1-9][0-9]*$")]
    owner: registry.Service
    writers: Annotated[tuple[Party, ...], Field(min_length=1)]
    consumers: Annotated[tuple[Party, ...], Field(min_length=1)]
    key: Literal["case_ref"]
    """Kafka key of every record: the case reference."""
    partitions: Annotated[int, Field(ge=1)]
    retention_days: Annotated[int, Field(ge=1, le=30)]
    """At most 30: erasure promises that what is left of a case in a topic is gone by then."""
    data_class: Literal["phi", "status", "metadata"]
    """Patient data, an employer's work status, or codes and paths without a value."""
    per: Literal["clinic", "employer"] | None = None
    why: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _an_id_in_the_name_says_whose(self) -> Topic:
        if ("<id>" in self.name) != (self.per is not None):
            raise ValueError("`per` goes with <id> in the name, and only with it")
        return self


def load_topics(directory: Path) -> dict[str, Topic]:
    """File name -> topic, in the order of the names. Raises ValueError naming a file that declares none."""
    found: dict[str, Topic] = {}
    for path in sorted(directory.glob("*.yaml")):
        try:
            found[path.name] = Topic.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, ValidationError) as error:
            raise ValueError(f"contracts/topics/{path.name} does not declare a topic: {_first(error)}") from error
    return found


def topic_findings(topics: Mapping[str, Topic]) -> list[str]:
    """What is wrong between the files and the registry."""
    registered = {entry.topic for entry in registry.ENTRIES} | {registry.CLINIC_OWN_TOPIC}
    declared = {topic.name for topic in topics.values()}
    findings = [
        f"contracts/topics: {name} is in the registry and has no file; declare it"
        for name in sorted(registered - declared)
    ]
    for file, topic in topics.items():
        if topic.name not in registered:
            findings.append(f"contracts/topics/{file}: {topic.name} is no topic of the registry; delete or register it")
        if file != (expected := topic.name.replace("<id>", "id") + ".yaml"):
            findings.append(f"contracts/topics/{file}: declares {topic.name}; name the file {expected}")
    return findings


def _first(error: Any) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"/{'/'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return "it is not YAML"
