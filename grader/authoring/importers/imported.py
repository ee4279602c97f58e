"""The draft of a course's notebook: cells in grade's form, checks, exercises, a report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from grader.authoring.importers.earlier_tests import EarlierTests
from grader.authoring.stubs import SOLUTION_TAG, tags_of
from grader.authoring.text_gaps import PLACEHOLDER
from grader.records import Cell, Notebook

START = "### START YOUR CODE ###"
END = "### END YOUR CODE ###"


@dataclass(frozen=True)
class Check:
    """A test of the course, whose source runs unchanged.

    exercise : id of its item
    at : how many cells of the new notebook come before it
    output : the text that the cell has to print; None if only its asserts count
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

    heading : heading of the Markdown cell with the answer, for a manual exercise
    functions : the functions that the student fills in; () to find them from the checks
    cell_gap : name of its gap if that is outside of any function, as "cell 5"
    needs : gaps of other exercises that its tests call themselves
    builds_on : gaps whose mistakes fail its tests as well, those of `needs` included
    follows : the exercises of these gaps
    """

    id: str
    title: str
    points: float
    manual: bool = False
    heading: str = ""
    functions: tuple[str, ...] = ()
    cell_gap: str = ""
    needs: tuple[str, ...] = ()
    builds_on: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()

    def followed(self, items: Sequence[Item]) -> tuple[str, ...]:
        """Return the ids of the other items with gaps that this one builds on."""
        gaps = {*self.builds_on}
        return tuple(o.id for o in items if o.id != self.id and gaps.intersection(o.functions))


@dataclass(frozen=True)
class Line:
    """A line of the report. todo : whether the instructor has to do something"""

    cell: int
    text: str
    todo: bool = False


@dataclass
class Draft:
    """A new notebook that grows cell by cell.

    files : names of files that the source says it needs, with the cell that says so
    helpers : functions that tests have defined so far, which later tests may call
    earlier, earlier_shown : the tests so far, whole and as students see them
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
        """Copy a cell into the new notebook. source : replaces the cell's own"""
        text = cell.source if source is None else source
        self.cells.append(
            replace(cell, index=len(self.cells), source=text, metadata=tags_of(cell), outputs=())
        )
        for heading in _headings(text) if cell.kind == "markdown" else ():
            self.heading = heading

    def answer(self, item: Item, solution: Sequence[Cell], *, question: str = "") -> None:
        """Add a manual exercise: the cell for the student's answer, and the solution's cells."""
        text = f"{question}\n\n#### {item.heading}\n\n{PLACEHOLDER}".strip()
        above = next(reversed(_headings(question)), self.heading)
        self.keep(Cell(0, "markdown", text))
        self.heading = above  # the answer's own heading is no title of what follows
        for cell in solution:
            self.cells.append(
                Cell(len(self.cells), cell.kind, cell.source, metadata={"tags": [SOLUTION_TAG]})
            )
        self.items.append(item)

    def say(self, cell: Cell, text: str, *, todo: bool = False) -> None:
        """Add a line to the report."""
        self.lines.append(Line(cell.index, text, todo))

    def item_named(self, wanted: str, cell: Cell) -> str:
        """Return the id, or a similar one if an exercise has it already."""
        found = free_name(wanted, {item.id for item in self.items})
        if found != wanted:
            self.say(cell, f"the id {wanted!r} comes twice: {found!r} here", todo=True)
        return found

    def with_indices(self) -> list[Cell]:
        """Return the cells, numbered."""
        return [replace(cell, index=number) for number, cell in enumerate(self.cells)]


def _headings(text: str) -> list[str]:
    return [line.lstrip("# ").strip() for line in text.split("\n") if line.startswith("#")]


def free_name(wanted: str, taken: set[str]) -> str:
    """Return the name, or "name-2", "name-3", ... if it is taken; add it to `taken`."""
    found, number = wanted, 1
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    taken.add(found)
    return found


def slug(name: str) -> str:
    """Return an exercise's id for a function: "Descent.fit" is "descent-fit"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "gap"


def heading_above(notebook: Notebook, cell: int) -> str:
    """Return the heading above a cell, short enough for a title; "" for none."""
    heading = ""
    for other in notebook.cells[:cell]:
        if other.kind == "markdown":
            for line in other.source.split("\n"):
                heading = line.strip("# ").strip() if line.startswith("#") else heading
    return heading if len(heading) <= 60 else ""


def gap(body: Sequence[str], stub: Sequence[str]) -> list[str]:
    """Return the lines of a gap: markers, the stub's lines as `# STUB:` comments, the solution.

    stub : dedented; [] for `pass`
    """
    first = next((line for line in body if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    shown = [f"{indent}# STUB: {line}".rstrip() for line in stub]
    return [indent + START, *shown, *body, indent + END]
