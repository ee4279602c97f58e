"""The draft of a course's notebook: cells in grade's form, checks, exercises, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from grader.authoring.importers.earlier_tests import EarlierTests
from grader.authoring.stubs import SOLUTION_TAG
from grader.records import Cell

START = "### START YOUR CODE ###"
END = "### END YOUR CODE ###"
YOUR_ANSWER = "*Write your answer here.*"


@dataclass(frozen=True)
class Check:
    """A test of the course that runs as it is.

    exercise : id of its item
    at : how many cells of the new notebook stand before it
    output : what the cell has to print, None where only its asserts count
    examples : True for the `>>>` examples of a docstring
    compared : its values are compared with the solution's
    """

    exercise: str
    name: str
    source: str
    points: float
    at: int = 0
    hidden: bool = False
    output: str | None = None
    examples: bool = False
    compared: bool = False


@dataclass(frozen=True)
class Item:
    """An exercise.

    heading : of the Markdown cell that holds the answer, for one that a person grades
    functions : what the student fills in; found from its checks where ()
    """

    id: str
    title: str
    points: float
    manual: bool = False
    heading: str = ""
    functions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of the report. todo : whether its author has something to do."""

    cell: int
    text: str
    todo: bool = False


@dataclass
class Draft:
    """A new notebook as it grows, cell by cell.

    files : names of what it says it needs beside it, with the cell that says so
    helpers : functions that its tests have defined so far, which later tests may call
    earlier, earlier_shown : its tests so far, whole and as students see them
    """

    kind: str = ""
    cells: list[Cell] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)
    earlier: EarlierTests = field(default_factory=EarlierTests)
    earlier_shown: EarlierTests = field(default_factory=EarlierTests)
    heading: str = ""

    def keep(self, cell: Cell, source: str | None = None) -> None:
        """Take a cell over, with another source where one is given."""
        text = cell.source if source is None else source
        self.cells.append(
            Cell(
                len(self.cells), cell.kind, text, metadata=_tags(cell), attachments=cell.attachments
            )
        )
        for line in text.split("\n") if cell.kind == "markdown" else ():
            if line.startswith("#"):
                self.heading = line.lstrip("# ").strip()

    def answer(self, item: Item, solution: Sequence[Cell], *, question: str = "") -> None:
        """Add the place for an answer in words, the answer itself beside it, and its exercise."""
        text = f"{question}\n\n#### {item.heading}\n\n{YOUR_ANSWER}".strip()
        self.keep(Cell(0, "markdown", text))
        for cell in solution:
            self.cells.append(
                Cell(len(self.cells), cell.kind, cell.source, metadata={"tags": [SOLUTION_TAG]})
            )
        self.items.append(item)

    def say(self, cell: Cell, text: str, *, todo: bool = False) -> None:
        """Add a line to the report."""
        self.lines.append(Line(cell.index, text, todo))

    def item_named(self, wanted: str, cell: Cell) -> str:
        """Return the id, or a free one like it; two exercises of one id can't be told apart."""
        taken = {item.id for item in self.items}
        found, number = wanted, 1
        while found in taken:
            number += 1
            found = f"{wanted}-{number}"
        if found != wanted:
            self.say(cell, f"the id {wanted!r} comes twice: {found!r} here", todo=True)
        return found

    def with_indices(self) -> list[Cell]:
        """Return the cells, numbered."""
        return [replace(cell, index=number) for number, cell in enumerate(self.cells)]


def _tags(cell: Cell) -> Mapping[str, object]:
    tags = cell.metadata.get("tags")
    tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return {"tags": tags} if tags else {}


def gap(body: Sequence[str], stub: Sequence[str]) -> list[str]:
    """Return the lines of a gap: markers, what the stub holds there, the solution.

    stub : dedented; [] for `pass`
    """
    first = next((line for line in body if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    shown = [f"{indent}# STUB: {line}".rstrip() for line in stub]
    return [indent + START, *shown, *body, indent + END]
