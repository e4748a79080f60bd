"""What is wrong with a line, for the person who mends it."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One thing to mend. It never repeats what the line holds: the report may be mailed, the file may not."""

    line: int
    """From 1, as an editor counts them; a row with line breaks in it has that of its beginning."""
    column: str
    """Our name of the column, `column 7` where it has none of ours, a field's path in an event; empty for all of it."""
    code: str
    """Stable: what programs go by."""
    mend: str


class Unusable(Exception):
    """A file of which no line can be read, since its first line does not say what the others hold."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults[0].code)
        self.faults = faults
