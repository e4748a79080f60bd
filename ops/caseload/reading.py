"""A file as lines: CSV with a header, or one JSON object per line. Whatever the bytes, it gives lines or faults.

Only one line is held at a time, so a file may be larger than the memory.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from ops.caseload.columns import COLUMNS, REQUIRED
from ops.caseload.fault import Fault, Unusable
from workhardening_contracts.envelope import Unreadable, strict_json

# The longest row, with every list full, has about a third of it. A file without line breaks comes in such pieces.
MAX_LINE = 128 * 1024
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One row, or one whole event, or what makes it neither."""

    number: int
    raw: str
    """As it stands in the file; bytes that are no UTF-8 are kept as surrogates (`errors="surrogateescape"`)."""
    cells: Mapping[str, str] = field(default_factory=dict[str, str])
    """By column, without empty ones."""
    event: Mapping[str, Any] | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A file whose first line was understood."""

    head: str
    """What to put before lines that are taken out of it: the header of a CSV."""
    lines: Iterator[Line]


def read(file: BinaryIO) -> Reading:
    """The lines of a file that was opened for reading bytes. Raises Unusable when its first line tells nothing."""
    texts = _Texts(file)
    first = next((text for text in texts if text.strip()), None)
    if first is None:
        raise Unusable([Fault(1, "", "file.empty", "the file holds nothing")])
    if first.lstrip().startswith("{"):
        return Reading("", _json_lines(texts, first))
    # The names of our columns hold none of these.
    delimiter = max(",;\t", key=first.count)
    try:
        header = _header(texts.number, next(csv.reader([first], delimiter=delimiter)))
    except csv.Error:
        raise Unusable([Fault(texts.number, "", "csv.quoting", "begin with one line of column names")]) from None
    return Reading(first if first.endswith("\n") else f"{first}\n", _csv_lines(texts, header, delimiter))


class _Texts:
    """Decoded lines with their ends, and the number of the last one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._whole = True
        self.number = 0
        self.taken: list[str] = []
        """All since it was emptied: the rows of a CSV may have several lines."""

    def __iter__(self) -> Iterator[str]:
        while raw := self._file.readline(MAX_LINE):
            self.number += self._whole  # a piece of a monster is not another line
            self._whole = raw.endswith(b"\n")
            if self.number == 1:
                raw = raw.removeprefix(BOM)
            text = raw.decode("utf-8", "surrogateescape")
            self.taken.append(text)
            yield text


def _json_lines(texts: _Texts, first: str) -> Iterator[Line]:
    yield _json_line(texts.number, first)
    for text in texts:
        texts.taken.clear()
        if text.strip():
            yield _json_line(texts.number, text)


def _json_line(number: int, raw: str) -> Line:
    try:
        document = strict_json(raw.encode("utf-8", "surrogateescape"))
    except Unreadable as error:
        return Line(number, raw, faults=(Fault(number, "", error.code, error.detail),))
    if not isinstance(document, dict):
        return Line(number, raw, faults=(Fault(number, "", "json.object", "write one JSON object per line"),))
    fields = cast("dict[str, Any]", document)
    if "specversion" in fields:
        return Line(number, raw, event=fields)
    faults = [_unknown(number, "", name) for name in fields if name not in COLUMNS]
    cells: dict[str, str] = {}
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            shown = name if name in COLUMNS else ""
            faults.append(Fault(number, shown, "json.value", "write text or a number, as in a cell of the table"))
        elif value is not None:
            cells[name] = str(value).strip()
    faults += _undecoded(number, cells)
    return Line(number, raw, {name: cell for name, cell in cells.items() if cell}, faults=tuple(faults))


def _csv_lines(texts: _Texts, header: list[str], delimiter: str) -> Iterator[Line]:
    texts.taken.clear()
    number = texts.number + 1
    rows = csv.reader(iter(texts), delimiter=delimiter, strict=True)
    while True:
        faults: tuple[Fault, ...] = ()
        row: list[str] = []
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            faults = (
                Fault(number, "", "csv.quoting", 'put text with ", line breaks or delimiters in "", and double a "'),
            )
        raw = "".join(texts.taken)
        texts.taken.clear()
        cells = [cell.strip() for cell in row]
        if any(cells) or faults:
            yield _row(number, raw, header, cells, faults)
        number = texts.number + 1


def _row(number: int, raw: str, header: list[str], cells: list[str], faults: tuple[Fault, ...]) -> Line:
    if faults:
        return Line(number, raw, faults=faults)
    if len(cells) != len(header):
        mend = f"the header has {len(header)} columns and this row {len(cells)}: is a delimiter inside a cell?"
        return Line(number, raw, faults=(Fault(number, "", "csv.cells", mend),))
    named = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    return Line(number, raw, named, faults=tuple(_undecoded(number, named)))


def _undecoded(number: int, cells: Mapping[str, str]) -> list[Fault]:
    return [
        Fault(number, name, "text.encoding", "save the file as UTF-8")
        for name, cell in cells.items()
        if any("\ud800" <= letter <= "\udfff" for letter in cell)
    ]


def _header(number: int, names: list[str]) -> list[str]:
    """The columns of a file. Raises Unusable with everything that is wrong with them."""
    header = [name.strip().lower() for name in names]
    faults = [_unknown(number, f"column {at}", name) for at, name in enumerate(header, 1) if name not in COLUMNS]
    faults += [
        Fault(number, name, "header.twice", f"this is column {header.index(name) + 1} and {at}: take one out")
        for at, name in enumerate(header, 1)
        if name in COLUMNS and header.index(name) + 1 < at
    ]
    faults += [
        Fault(number, name, "header.missing", "every file has this column") for name in REQUIRED if name not in header
    ]
    if faults:
        raise Unusable(faults)
    return header


def _unknown(number: int, column: str, name: str) -> Fault:
    """A column that is none of ours. Its name is not repeated: in a file without a header that is a patient's."""
    near = difflib.get_close_matches(name.lower()[:64], COLUMNS, n=1)
    mend = f"call it {near[0]}, if that is what it holds" if near else "take it out, or see the table of columns"
    return Fault(number, column, "header.unknown", mend)
