"""Extract the parts of a broken cell that parse, so that a broken function costs only itself.

Only this module does so: what is defined (notebook.definitions) and what is run
(session.extraction) must agree. The work is linear in the source's length for any content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from grader.notebook.plain import Scanner, normalise, parsed

_SPLIT_AT = re.compile(r"[^\s#)\]}]")
_CARRIES_ON = re.compile(r"(else|elif|except|finally|case)\b")
_MOST_BLOCKS = 40
"""Lines that one bracket or string may span: a table of numbers without indentation."""
_LOOK_AHEAD = 4
"""So often the source may be read again if brackets or strings stay open."""


@lru_cache(maxsize=32)
def salvaged(source: str) -> str:
    """Return a source of as many lines, in which every block that does not parse is a comment.

    A class that doesn't parse keeps its sound methods. A source that parses is returned unchanged.
    """
    if parsed(source) is not None:
        return source
    lines = source.split("\n")
    kept: list[str] = []
    for block, sound in _blocks(lines, indent=0):
        kept.extend(block if sound else _repaired(block))
    return "\n".join(kept)


def _blocks(lines: Sequence[str], *, indent: int) -> Iterator[tuple[list[str], bool]]:
    """Yield runs of lines, and whether they parse: one block, or as many as its brackets span.

    A block starts at a line of the given indentation that continues no statement. Brackets and
    strings may contain such lines: a block that leaves one open is tried with the next ones.
    """
    starts = _block_starts(lines, indent)
    bounds = [*starts, len(lines)]
    patience = _LOOK_AHEAD * sum(map(len, lines)) + 10_000
    if bounds[0] > 0:
        head = list(lines[: bounds[0]])
        yield head, _parses(head, indent)
    i = 0
    while i < len(starts):
        taken, sound = i + 1, _parses(lines[bounds[i] : bounds[i + 1]], indent)
        if not sound and patience > 0:
            closing, read = _where_it_closes(lines, bounds, i)
            patience -= read
            if closing > i + 1 and _parses(lines[bounds[i] : bounds[closing]], indent):
                taken, sound = closing, True
        yield list(lines[bounds[i] : bounds[taken]]), sound
        i = taken


def _where_it_closes(lines: Sequence[str], bounds: Sequence[int], first: int) -> tuple[int, int]:
    """Return the block before which nothing is open, or `first`; and the characters read."""
    scanner = Scanner()
    read = 0
    for block in range(first, min(first + _MOST_BLOCKS, len(bounds) - 1)):
        for line in lines[bounds[block] : bounds[block + 1]]:
            scanner.read(line)
            read += len(line) + 1
        if scanner.at_statement:
            return block + 1, read
    return first, read


def _block_starts(lines: Sequence[str], indent: int) -> list[int]:
    starts = []
    decorated = False
    quoted = _lines_in_long_strings(lines)
    for number, line in enumerate(lines):
        body = line[indent:]
        if (
            number in quoted
            or line[:indent].strip()
            or not _SPLIT_AT.match(body)
            or _CARRIES_ON.match(body)
        ):
            continue
        if not decorated:
            starts.append(number)
        decorated = body.startswith("@")
    return starts or [0]


_STRING_OR_COMMENT = re.compile(
    r"""#[^\n]*|\"{3}|'{3}|"(?:\\.|[^"\\\n])*+"?|'(?:\\.|[^'\\\n])*+'?"""
)


def _lines_in_long_strings(lines: Sequence[str]) -> frozenset[int]:
    """Return the lines (from 0) that start inside a triple-quoted string.

    None if the last string never closes: then its quote is the error.
    """
    text = "\n".join(lines)
    inside: set[int] = set()
    position = number = 0
    while opening := _STRING_OR_COMMENT.search(text, position):
        number += text.count("\n", position, opening.start())
        position = opening.end()
        quote = opening.group()
        if quote not in ('"""', "'''"):
            continue
        closing = text.find(quote, position)
        if closing < 0:
            return frozenset()
        long = text.count("\n", position, closing)
        inside.update(range(number + 1, number + long + 1))
        number += long
        position = closing + 3
    return frozenset(inside)


def _parses(lines: Sequence[str], indent: int) -> bool:
    text = "\n".join(lines)
    return parsed(f"class _:\n{text}" if indent else text) is not None


def _repaired(block: list[str]) -> list[str]:
    """Return a broken block as comments, except for the sound methods of a class."""
    text = normalise("\n".join(block)).source
    if parsed(text) is not None:
        # The block's own magics, which the cell's open brackets had hidden.
        return text.split("\n")
    head = next((i for i, line in enumerate(block) if line.startswith("class ")), None)
    if head is None:
        return _commented(block)
    body = block[head + 1 :]
    indent = next((len(li) - len(li.lstrip()) for li in body if li.strip()), 0)
    if not indent or parsed(block[head] + " pass") is None:
        return _commented(block)
    kept: list[str] = []
    for method, sound in _blocks(body, indent=indent):
        kept.extend(method if sound else _commented(method))
    repaired = [*block[:head], block[head] + " pass", *kept]
    if any(line.strip() and not line.lstrip().startswith("#") for line in kept):
        repaired[head] = block[head]
    return repaired if parsed("\n".join(repaired)) is not None else _commented(block)


def _commented(lines: Iterable[str]) -> list[str]:
    return [f"# {line}" if line.strip() else line for line in lines]
