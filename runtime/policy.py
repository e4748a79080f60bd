"""Policy is versioned data: the model's defaults, a file that changes them, and clinics' own numbers within bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Policies(Generic[M]):
    """The default policy and the clinics' own."""

    default: M
    clinics: Mapping[str, M] = field(default_factory=dict[str, M])

    def of(self, clinic: str) -> M:
        """The policy in force for a clinic."""
        return self.clinics.get(clinic, self.default)


def load(model: type[M], path: Path | None) -> Policies[M]:
    """Read `{"version": "...", "default": {...}, "clinics": {"<id>": {...}}}`.

    A clinic's policy is the default with the clinic's numbers over it and `+<id>` behind its version. Raises OSError,
    ValueError for invalid JSON and pydantic.ValidationError for a number out of its bounds.
    """
    if path is None:
        return Policies(model())
    document = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    base = {**document.get("default", {}), "version": document["version"]}
    clinics = {
        clinic: model.model_validate({**base, **own, "version": f"{document['version']}+{clinic}"})
        for clinic, own in document.get("clinics", {}).items()
    }
    return Policies(model.model_validate(base), clinics)
