"""A notebook's code cells as they run, and the notes on cells that did not run to their end."""

from __future__ import annotations

from dataclasses import dataclass, field

from grader import records
from grader.notebook.definitions import syntax_error
from grader.notebook.plain import normalise, without_main_guard
from grader.session.extraction import Piece

# For one cell. Each piece is a message to the kernel; up to 200 calm pieces share one message.
MAX_PIECES = 500


@dataclass(frozen=True)
class CodeCell:
    """A code cell, ready to run.

    not_run : its shell commands and magics, which don't run
    """

    index: int
    source: str
    not_run: tuple[str, ...]


@dataclass
class Extracted:
    """What was extracted from a cell that did not run to its end.

    names, failed : the names that were defined, and those that could not be defined
    messages : how many went to the kernel
    left_from : the line from which on nothing ran, since there were too many; or 0
    """

    names: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    messages: int = 0
    left_from: int = 0


def code_cells(notebook: records.Notebook) -> list[CodeCell]:
    """Return the code cells as plain Python; a script without its `if __name__ == ...` block."""
    script = notebook.name.endswith(".py")
    cells = []
    for cell in notebook.cells:
        if cell.kind == "code":
            normal = normalise(cell.source)
            source = without_main_guard(normal.source) if script else normal.source
            cells.append(CodeCell(cell.index, source, normal.not_run))
    return cells


def notes_of(
    notebook: str,
    cell: CodeCell,
    run: records.CellRun,
    found: Extracted | None,
    how_it_killed: str,
) -> list[records.Note]:
    """Return the notes on a cell that did not run to its end, or contains shell commands.

    found : what was extracted from it
    how_it_killed : the words for a cell that ended the kernel
    """
    index, error = cell.index, run.error
    notes = {
        "error": [("cell_error", _why_it_stopped(cell, error))],
        "timeout": [("cell_timeout", f"cell {index} was stopped: {error}")],
        "crashed": [("cell_crash", f"{how_it_killed}: {error}")],
        "not_run": [("cell_not_run", f"cell {index} was not run: {error}")],
        "extracted": [("cell_not_run", f"cell {index} was not run: {error}")],
    }.get(run.status, [])
    # A cell with status "ok" ran to its end; its definitions were only needed again.
    if run.status != "ok" and found is not None and (found.names or found.failed):
        notes.append(("extracted", _extraction_line(index, found)))
    if cell.not_run:
        text = f"cell {index}: commands do not run: {'; '.join(cell.not_run)}"
        notes.append(("command", text))
    return [records.Note(kind, text, index, notebook) for kind, text in notes]


def worth_naming(piece: Piece) -> tuple[str, ...]:
    """Return the names of a piece that a note lists; imports are not listed."""
    return () if piece.kind == "import" else piece.names


def _extraction_line(cell: int, found: Extracted) -> str:
    names = list(dict.fromkeys(found.names))
    failed = [name for name in dict.fromkeys(found.failed) if name not in names]
    parts = []
    if names:
        parts.append(f"only its definitions ran: {_listed(names)}")
    if failed:
        parts.append(f"these could not be defined: {_listed(failed)}")
    if found.left_from:
        parts.append(
            f"nothing from line {found.left_from} on was tried: more than {MAX_PIECES:,} statements"
        )
    return f"of what was left of cell {cell}, {'; '.join(parts)}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _why_it_stopped(cell: CodeCell, error: str) -> str:
    why = syntax_error(cell.source)
    # Jupyter's own syntax (`?`, a top-level await) does not parse here but runs in a kernel.
    compiles = not why or not error.startswith(("SyntaxError", "IndentationError", "TabError"))
    return f"cell {cell.index} " + (
        f"stopped with {error}" if compiles else f"doesn't compile: {why}"
    )
