"""Written answers between markers in a text cell: students never get them.

<!-- BEGIN SOLUTION -->              or  ### START YOUR ANSWER ###
A step goes along the slope at one point ...
<!-- STUB: *Your words here.* -->    optional: the text for students
<!-- END SOLUTION -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from grader.errors import AssignmentError

PLACEHOLDER = "*Write your answer here.*"
_MARKER = re.compile(
    r"^ {0,3}(?:<!--|#{1,6}|\*\*)[#*_\s]*(?P<kind>START|BEGIN|END|STOP)(?:\s+(?:OF|THE|YOUR|MY))*"
    r"\s+(?:SOLUTION|ANSWER|TEXT|CODE)S?(?:\s+HERE)?[\s#*_:]*(?:-->)?\s*$",
    re.IGNORECASE,
)
_STUB = re.compile(r"^\s*(?:<!--|#)\s*STUB: ?(?P<text>.*?)\s*(?:-->)?\s*$")


def text_marker(line: str) -> Literal["start", "end"] | None:
    """Return the kind of marker that a line of a text cell is; None for any other line.

    A line that is indented as code only quotes a marker.
    """
    match = _MARKER.match(line) if len(line) < 300 else None
    if match is None:
        return None
    return "start" if match["kind"].upper() in ("START", "BEGIN") else "end"


def has_answer(source: str) -> bool:
    """Return whether a text cell has an answer between markers."""
    return any(kind for _, kind in _lines(source))


def without_answers(source: str, where: str) -> str:
    """Return a text cell with the text between its markers replaced.

    where : the beginning of a message
    Raises AssignmentError for a marker without its partner.
    """
    kept: list[str] = []
    stub: list[str] = []
    opened = 0
    for number, (line, kind) in enumerate(_lines(source), start=1):
        if kind == "start" and not opened:
            opened = number
            kept.append(line)
        elif kind == "end" and opened:
            # Without blank lines, the text would be a part of the HTML comment's block.
            kept += ["", *(stub or [PLACEHOLDER]), "", line]
            opened, stub = 0, []
        elif kind is not None:
            partner = "START" if kind == "end" else "END before it"
            raise AssignmentError(
                f"{where}, line {number}: the {kind.upper()} marker has no {partner}"
            )
        elif not opened:
            kept.append(line)
        elif match := _STUB.match(line):
            stub.append(match["text"])
    if opened:
        raise AssignmentError(f"{where}, line {opened}: the START marker has no END")
    return "\n".join(kept)


def _lines(source: str) -> Iterator[tuple[str, Literal["start", "end"] | None]]:
    """Yield each line and its kind of marker; lines inside a fence are no markers."""
    fence = ""
    for line in source.split("\n"):
        mark = line.strip()[:3]
        if mark in ("```", "~~~") and fence in ("", mark):
            fence = "" if fence else mark
        yield line, None if fence else text_marker(line)
