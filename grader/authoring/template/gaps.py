"""Find the places for markers in a notebook without markers, or with too few."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from grader.authoring.importers.imported import END, START
from grader.errors import AssignmentError
from grader.notebook import assembled, parseable, what_breaks
from grader.notebook.definitions import first_line
from grader.records import Cell, Notebook

_TODO = re.compile(r"(#|\"\"\"|'''|^)\s*TODO\b")
# A placeholder in a students' copy that is not Python: <YOUR CODE>, <FILL IN>.
_PLACEHOLDER = re.compile(
    r"<[^<>\n]{0,30}\b(YOUR|MY|your|FILL[ _-]?IN)\b[^<>\n]{0,60}>|<\s*(TODO|todo)\s*>"
)


@dataclass(frozen=True)
class Place:
    """A function's body. START goes below line `after`, END below line `until`; from 1.

    after : the last line of the head or the docstring; 0 if all is on one line
    todo : whether the body has a TODO
    """

    name: str
    cell: int
    after: int
    until: int
    indent: int
    todo: bool = False

    def text(self) -> str:
        """Return where the two markers go, in words."""
        if not self.after:
            return f"cell {self.cell}, `{self.name}`: give the body lines of its own first"
        return (
            f"cell {self.cell}, `{self.name}`: START below line {self.after}, "
            f"END below line {self.until}"
        )


class UnmarkedNotebook(AssignmentError):
    """The notebook has no gaps. places : functions that could get markers"""

    def __init__(self, message: str, places: Sequence[Place]) -> None:
        self.places = tuple(places)
        super().__init__(message)


def find_places(notebook: Notebook) -> list[Place]:
    """Return the body of every function and method; of several with one name, the last."""
    found: dict[str, Place] = {}
    for cell in notebook.cells:
        if cell.kind == "code":
            for place in _places(cell):
                found.pop(place.name, None)
                found[place.name] = place
    return list(found.values())


def refuse_broken(notebook: Notebook) -> None:
    """Raise AssignmentError, which names the line, for a cell that does not parse."""
    if not (broken := what_breaks(notebook)):
        return
    holding = [
        f"cell {cell.index} ({match.group()})"
        for cell in notebook.cells
        if cell.kind == "code" and (match := _PLACEHOLDER.search(cell.source))
    ]
    if holding:
        raise AssignmentError(
            f"{broken}. It seems to be the students' copy: {len(holding)} cells hold a "
            f"placeholder, the first is {holding[0]}. Start from the solved notebook"
        )
    raise AssignmentError(f"{broken}: correct it first")


def _places(cell: Cell) -> Iterator[Place]:
    text = parseable(cell.source)
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    lines = text.split("\n")
    todo: list[tuple[str, ast.stmt]] = [("", node) for node in tree.body]
    while todo:
        prefix, node = todo.pop(0)
        if isinstance(node, ast.ClassDef):
            todo = [(f"{prefix}{node.name}.", inner) for inner in node.body] + todo
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _place(f"{prefix}{node.name}", node, lines, cell.index)


def _place(
    name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str], cell: int
) -> Place:
    body = node.body
    if ast.get_docstring(node, clean=False) is not None and len(body) > 1:
        head, body = body[0].end_lineno or body[0].lineno, body[1:]
    else:
        # The head may take several lines; comments below it belong to the solution.
        head = first_line(body[0]) - 1
        while head > node.lineno and _is_blank(lines[head - 1]):
            head -= 1
    until, indent = node.end_lineno or node.lineno, body[0].col_offset
    if first_line(body[0]) <= head or head < node.lineno:
        return Place(name, cell, 0, 0, indent)
    while until < len(lines) and _is_comment_of(lines[until], indent):
        until += 1
    todo = any(_TODO.search(line) for line in lines[node.lineno - 1 : until])
    return Place(name, cell, head, until, indent, todo)


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _is_comment_of(line: str, indent: int) -> bool:
    return line.lstrip().startswith("#") and len(line) - len(line.lstrip()) >= indent


def marked(notebook: Notebook, gaps: Sequence[str]) -> Notebook:
    """Return the notebook with markers in these functions. Raises as mark() does."""
    sources = mark({cell.index: cell.source for cell in notebook.cells}, notebook, gaps)
    cells = [
        Cell(cell.index, cell.kind, sources[cell.index], metadata=cell.metadata)
        for cell in notebook.cells
    ]
    return assembled(cells, name=notebook.name, metadata=notebook.metadata)


def marked_where_tested(
    notebook: Notebook, words: Collection[str]
) -> tuple[Notebook, list[tuple[str, bool]]]:
    """Return the notebook with markers in the functions that tests use, and lines on that.

    words : the names in the tests; of a class that they use, all methods are gaps
    A line comes with whether it leaves something to do.
    """
    places = find_places(notebook)
    used = [place for place in places if place.name.partition(".")[0] in words]
    gaps = [place.name for place in used if place.after]
    if not gaps:
        return notebook, []
    why = "is a gap, since a test uses it and no marker is there"
    lines = [(f"the body of `{name}` {why}", False) for name in gaps]
    lines += [(place.text(), True) for place in used if not place.after]
    if others := [place.name for place in places if place not in used]:
        named = ", ".join(f"`{name}`" for name in others)
        options = " ".join(f"--gap {name}" for name in (*gaps, *others))
        it = "it" if len(others) == 1 else "them"
        text = f"students get {named} as your file has {it}, since no test uses {it}; for more gaps"
        lines.append((f"{text} name them all: {options}", True))
    return marked(notebook, gaps), lines


def mark(sources: dict[int, str], notebook: Notebook, names: Iterable[str]) -> dict[int, str]:
    """Return the cells' sources, by index, with markers around the bodies of these functions.

    Raises AssignmentError for a function that isn't there, or whose body has no lines of its own.
    """
    places = {place.name: place for place in find_places(notebook)}
    chosen = []
    for name in dict.fromkeys(names):
        if name not in places:
            refuse_broken(notebook)
            listed = ", ".join(places) or "none"
            raise AssignmentError(f"{notebook.name} has no function {name!r}; it has: {listed}")
        if name in notebook.regions:
            raise AssignmentError(f"{notebook.name}: {name!r} has its markers already")
        if not places[name].after:
            raise AssignmentError(f"{notebook.name}, {places[name].text()}")
        chosen.append(places[name])
    marked = dict(sources)
    # From the bottom up, so that the lines above keep their numbers.
    for place in sorted(chosen, key=lambda place: -place.after):
        lines = marked[place.cell].split("\n")
        indent = " " * place.indent
        lines.insert(place.until, indent + END)
        lines.insert(place.after, indent + START)
        marked[place.cell] = "\n".join(lines)
    return marked
