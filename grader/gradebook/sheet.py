"""A CSV file whose cells can be filled while every other byte stays unchanged.

The encoding (UTF-8 with or without a byte order mark, UTF-16 with one), the delimiter, the quotes
and the line ends stay the file's own, so that a learning platform reads back what it wrote.
"""

from __future__ import annotations

import codecs
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

from grader.errors import SheetError

MAX_BYTES = 64 * 1024**2
DELIMITERS = ",;\t"
_ENDS = {delimiter: re.compile(f"[{delimiter}\r\n]") for delimiter in DELIMITERS}
_STRAY = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as surrogateescape keeps them."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. value : its text; start, end : its place in the file's text"""

    value: str
    start: int
    end: int
    quoted: bool


class Rows(Sequence[tuple[Cell, ...]]):
    """The cells of a table, parsed row by row on access: a large class has tens of thousands.

    Raises SheetError if the text is not a table.
    """

    def __init__(self, text: str, delimiter: str, name: str) -> None:
        self._text, self._delimiter, self._name = text, delimiter, name
        self._starts = array("L")
        self._last: tuple[int, tuple[Cell, ...]] = (-1, ())
        at = 0
        while at < len(text):
            self._starts.append(at)
            _, at = _cells(text, at, delimiter, name)

    @overload
    def __getitem__(self, index: int) -> tuple[Cell, ...]: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[Cell, ...], ...]: ...

    def __getitem__(self, index: int | slice) -> tuple[Cell, ...] | tuple[tuple[Cell, ...], ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        start = self._starts[index]
        if self._last[0] != start:
            self._last = start, _cells(self._text, start, self._delimiter, self._name)[0]
        return self._last[1]

    def __len__(self) -> int:
        return len(self._starts)


@dataclass(frozen=True)
class Sheet:
    """A table that was read.

    rows : the header first; rows may have fewer cells than it
    mark : the byte order mark at the file's beginning, or b""
    """

    name: str
    text: str
    rows: Rows
    delimiter: str
    mark: bytes
    encoding: str

    @cached_property
    def header(self) -> tuple[str, ...]:
        return tuple(_as_text(cell.value) for cell in self.rows[0]) if self.rows else ()

    def value(self, row: int, column: int) -> str:
        """Return a cell's text; "" if the row is shorter."""
        cells = self.rows[row]
        return _as_text(cells[column].value) if column < len(cells) else ""

    def filled(self, values: Mapping[tuple[int, int], str]) -> bytes:
        """Return the file with these cells changed. values : by (row, column)

        Raises SheetError for a cell that the row doesn't have.
        """
        pieces: list[str] = []
        end = 0
        for row, column in sorted(values):
            if column >= len(self.rows[row]):
                raise SheetError(f"{self.name}: line {row + 1} has no column {column + 1}")
            cell = self.rows[row][column]
            pieces += [self.text[end : cell.start], self._written(values[row, column], cell)]
            end = cell.end
        pieces.append(self.text[end:])
        return self.mark + "".join(pieces).encode(self.encoding, "surrogateescape")

    def _written(self, value: str, cell: Cell) -> str:
        if cell.quoted or any(char in value for char in (self.delimiter, '"', "\n", "\r")):
            return '"' + value.replace('"', '""') + '"'
        return value


def _as_text(value: str) -> str:
    """Return a cell as a person reads it: what is not UTF-8 was written by Excel on Windows."""
    if value.isascii() or not _STRAY.search(value):
        return value
    content = value.encode("utf-8", "surrogateescape")
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_sheet(path: Path) -> Sheet:
    """Return the table in a CSV or tab-separated file. Raises SheetError."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SheetError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SheetError(f"{path}: can't be read ({reason})") from error
    return parse_sheet(content, name=path.name)


def parse_sheet(content: bytes, *, name: str) -> Sheet:
    """Return the table in these bytes. Raises SheetError if they are not a CSV text."""
    mark, encoding = next(
        ((mark, encoding) for mark, encoding in _MARKS if content.startswith(mark)), (b"", "utf-8")
    )
    if content.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise SheetError(f"{name} is a spreadsheet: download it as CSV, or save it as CSV")
    try:
        # A byte that is not UTF-8 (an old export in Latin-1) is written back unchanged.
        text = content[len(mark) :].decode(encoding, "surrogateescape")
    except UnicodeDecodeError as error:
        raise SheetError(f"{name} can't be read as text: download it again") from error
    if "\0" in text:
        raise SheetError(f"{name} is not CSV text: download it again, as CSV")
    delimiter = _delimiter(text)
    rows = Rows(text, delimiter, name)
    if not rows:
        raise SheetError(f"{name} is empty")
    return Sheet(name, text, rows, delimiter, mark, encoding)


def _delimiter(text: str) -> str:
    """Return the delimiter that is most frequent in the first line, outside of quotes."""
    counts = dict.fromkeys(DELIMITERS, 0)
    quoted = False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "\r\n":
            break
        elif not quoted and char in counts:
            counts[char] += 1
    return max(DELIMITERS, key=lambda d: counts[d])


def _cells(text: str, at: int, delimiter: str, name: str) -> tuple[tuple[Cell, ...], int]:
    """Return the cells of the row that begins at `at`, and where the next row begins."""
    cells: list[Cell] = []
    size = len(text)
    while at < size:
        cell, at = _cell(text, at, delimiter, name)
        cells.append(cell)
        if at < size and text[at] == delimiter:
            at += 1
            if at == size:  # the file ends in an empty cell
                cells.append(Cell("", at, at, False))
            continue
        at += 2 if text.startswith("\r\n", at) else 1
        break
    return tuple(cells), at


def _cell(text: str, start: int, delimiter: str, name: str) -> tuple[Cell, int]:
    """Return the cell that begins at `start`, and where it ends."""
    if text.startswith('"', start):
        at = start + 1
        while True:
            at = text.find('"', at)
            if at < 0:
                line = text.count("\n", 0, start) + 1
                raise SheetError(f"{name}: the quote in line {line} has no end")
            if text.startswith('""', at):
                at += 2
                continue
            break
        end = at + 1
        # Text between the closing quote and the delimiter belongs to the cell, unchanged.
        stop = _end_of_bare(text, end, delimiter)
        value = text[start + 1 : at].replace('""', '"') + text[end:stop]
        return Cell(value, start, stop, True), stop
    stop = _end_of_bare(text, start, delimiter)
    return Cell(text[start:stop], start, stop, False), stop


def _end_of_bare(text: str, start: int, delimiter: str) -> int:
    found = _ENDS[delimiter].search(text, start)
    return found.start() if found else len(text)


def column_of(header: Sequence[str], *names: str) -> int | None:
    """Return the first column with one of these names, in any case; None if there is none."""
    folded = [text.strip().casefold() for text in header]
    for name in names:
        if name.casefold() in folded:
            return folded.index(name.casefold())
    return None
