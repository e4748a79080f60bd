"""Partners of these tests' own: what is done to them is done to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.prepare import partner_topic
from ops.keys import issue
from tests.abuse.attack import CLINIC
from tests.e2e.place import Place

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def clinic_key(place: Place) -> str:
    """The key of the clinic from which everything here is sent. It has a topic of its own, too."""
    stack = place.stack()
    asyncio.run(partner_topic(ROOT, stack.kafka, "clinic", CLINIC))
    return asyncio.run(issue(stack.database, "clinic", CLINIC))


@pytest.fixture(scope="session")
def employer_key(place: Place) -> str:
    """The key of an employer of whom no case is."""
    return asyncio.run(issue(place.stack().database, "employer", "nobodys-employer"))


@pytest.fixture
def front(steady: Place, clinic_key: str) -> Iterator[httpx.Client]:
    """The clinics' door, with the clinic's key."""
    with httpx.Client(
        base_url=steady.stack().front_door,
        headers={"authorization": f"Bearer {clinic_key}", "content-type": "application/cloudevents+json"},
        timeout=60,
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def back(steady: Place) -> Iterator[httpx.Client]:
    """The employers' door, without a key."""
    with httpx.Client(base_url=steady.stack().employer_door, timeout=60, trust_env=False) as client:
        yield client
