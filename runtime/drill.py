"""Places at which a drill may kill this process, as `kill -9` would, between two steps that nothing else can hit.

Off unless WHP_DRILL names a place; the settings refuse that in production mode.
"""

from __future__ import annotations

import os
import signal
from typing import Final, get_args

from runtime.settings import Place

PLACES: Final[tuple[Place, ...]] = get_args(Place)

_left: dict[Place, int] = {}


def arm(drill: str | None) -> None:
    """`PLACE:N`: die when the place is passed for the Nth time. None disarms."""
    _left.clear()
    if drill is not None:
        place, _, passes = drill.partition(":")
        _left.update({known: int(passes) for known in PLACES if known == place})


def point(place: Place) -> None:
    """Die here if it is this place's turn."""
    if place not in _left:
        return
    _left[place] -= 1
    if _left[place] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
