"""Each service's writers of rows beside its cases: the naive chain writes the same rows as the product."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.db import Writer
from services.intake.effects import WRITERS as INTAKE
from services.notify.effects import WRITERS as NOTIFY

WRITERS: Mapping[str, Mapping[type, Writer]] = {"intake": INTAKE, "notify": NOTIFY}
