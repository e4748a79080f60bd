"""Policy is versioned data: the model's defaults, a file that changes them, and clinics' own numbers within bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from workhardening_contracts.envelope import Violation, strict_json

M = TypeVar("M", bound=BaseModel)

# What the envelope allows as `policyversion`: another text would make events that nobody can read.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}")


class BadPolicy(ValueError):
    """The policy file cannot be used; the sentence names the place in it."""


@dataclass(frozen=True)
class Policies(Generic[M]):
    """The default policy and the clinics' own."""

    default: M
    clinics: Mapping[str, M] = field(default_factory=dict[str, M])

    def of(self, clinic: str) -> M:
        """The policy in force for a clinic."""
        return self.clinics.get(clinic, self.default)


def load(model: type[M], path: Path | None) -> Policies[M]:
    """Read a service's part of the one file for all services; without a file the model's defaults hold.

    `{"version": "...", "<service>": {"default": {...}, "clinics": {"<id>": {...}}}, ...}`. A clinic's policy is the
    default with the clinic's numbers over it and `+<id>` behind its version. The service is the package that `model`
    lives in, and the packages beside it are the other services, whose parts are theirs to check.

    A misspelt key would leave a default standing unnoticed, so none is passed over, and nothing is converted: "5" is
    no number. Raises OSError and BadPolicy.
    """
    if path is None:
        return Policies(model())
    package, service, _ = model.__module__.rsplit(".", 2)
    services = {each.name for each in iter_modules(import_module(package).__path__) if each.ispkg}
    try:
        document = _keys(strict_json(path.read_bytes()), "the file", {"version", *services})
    except Violation as error:
        raise BadPolicy(f"policy file: {error.detail}") from None
    version = document.get("version")
    if not isinstance(version, str):
        raise BadPolicy("policy file: version must be a text")
    parts = {name: _keys(document.get(name, {}), name, {"default", "clinics"}) for name in services}
    default = _object(parts[service].get("default", {}), f"{service}.default")
    clinics = _object(parts[service].get("clinics", {}), f"{service}.clinics")
    own = {clinic: _object(numbers, f"{service}.clinics.{clinic}") for clinic, numbers in clinics.items()}
    return Policies(
        _policy(model, default, version, f"{service}.default"),
        {
            clinic: _policy(model, {**default, **numbers}, f"{version}+{clinic}", f"{service}.clinics.{clinic}")
            for clinic, numbers in own.items()
        },
    )


def _policy(model: type[M], numbers: Mapping[str, Any], version: str, place: str) -> M:
    if "version" in numbers:
        raise BadPolicy(f"policy file: {place}.version: the version is that of the whole file")
    if not _VERSION.fullmatch(version):
        raise BadPolicy(f"policy file: the version of {place} must be 1 to 64 letters, digits and _.:+-")
    try:
        # As JSON, where a list may stand for a set or a tuple although nothing else is converted.
        return model.model_validate_json(json.dumps({**numbers, "version": version}), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in (place, *first["loc"]))
        raise BadPolicy(f"policy file: {where}: {first['msg']}") from None


def _keys(value: object, place: str, known: set[str]) -> dict[str, Any]:
    found = _object(value, place)
    for key in found:
        if key not in known:
            raise BadPolicy(f"policy file: {place} has no key {key!r}; it may have {', '.join(sorted(known))}")
    return found


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadPolicy(f"policy file: {place} must be an object")
    return cast("dict[str, Any]", value)
