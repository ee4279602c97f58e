"""Read the form that otter assign took at first, and jassign: questions begin in Markdown cells.

A question's keys stand in a fenced block, or in an HTML comment, of the cell that asks it. Its
tests are the code cells below that begin with `# TEST` or `# HIDDEN TEST`.

is_earlier(notebook)      whether a notebook has this form
with_raw_cells(notebook)  the same notebook in the form of today: raw cells around each part
"""

from __future__ import annotations

import re
from dataclasses import replace

from grader.records import Cell, Notebook

_BLOCK = re.compile(
    r"^[ \t]*(?:(?P<fence>`{3,})\w*|<!--)\s*#?\s*BEGIN (?P<what>QUESTION|ASSIGNMENT)[ \t]*\n"
    r"(?P<keys>.*?)(?(fence)^[ \t]*(?P=fence)|-->)[ \t]*\n?",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"^\s*name\s*:", re.MULTILINE)
_TEST = re.compile(r"\s*#+[ \t]*(?P<hidden>HIDDEN[ \t]+)?TEST[ \t]*#*[ \t]*(\n|$)", re.IGNORECASE)
_CONFIG = re.compile(r"\s*(\"\"\"|''')\s*#\s*BEGIN TEST CONFIG\b", re.IGNORECASE)
_SOLUTION = re.compile(r"\s*[*_#\s]*solution\b", re.IGNORECASE)


def is_earlier(notebook: Notebook) -> bool:
    """Return whether a Markdown cell begins a question with a name, in a block of its own."""
    return any(
        block["what"].upper() == "QUESTION" and _NAME.search(block["keys"])
        for cell in notebook.cells
        if cell.kind == "markdown" and (block := _BLOCK.search(cell.source))
    )


def with_raw_cells(notebook: Notebook) -> Notebook:
    """Return the notebook with raw cells around its questions, solutions and tests.

    A raw cell has the index of the cell that it comes from.
    """
    return replace(notebook, cells=tuple(_Converter().converted(notebook)))


class _Converter:
    """The cells made so far. part : "", "QUESTION", "SOLUTION" (code below it) or "TESTS"."""

    def __init__(self) -> None:
        self._made: list[Cell] = []
        self._part = ""

    def converted(self, notebook: Notebook) -> list[Cell]:
        for cell in notebook.cells:
            block = _BLOCK.search(cell.source) if cell.kind == "markdown" else None
            if block is not None:
                self._block(cell, block)
            elif cell.kind == "code" and (_TEST.match(cell.source) or self._is_test(cell)):
                self._test(cell)
            else:
                self._other(cell)
        if notebook.cells:
            self._close(notebook.cells[-1])
        return self._made

    def _is_test(self, cell: Cell) -> bool:
        return bool(self._part and _CONFIG.match(cell.source))

    def _raw(self, cell: Cell, text: str) -> None:
        self._made.append(Cell(cell.index, "raw", text))

    def _block(self, cell: Cell, block: re.Match[str]) -> None:
        self._close(cell)
        if block["what"].upper() == "ASSIGNMENT":
            self._raw(cell, f"# ASSIGNMENT CONFIG\n{block['keys']}")
            return
        self._raw(cell, f"# BEGIN QUESTION\n{block['keys']}")
        self._part = "QUESTION"
        text = (cell.source[: block.start()].rstrip() + "\n\n" + cell.source[block.end() :]).strip()
        if text:
            self._made.append(replace(cell, source=text))

    def _test(self, cell: Cell) -> None:
        if self._part not in ("", "TESTS"):
            self._raw(cell, "# BEGIN TESTS")
            self._part = "TESTS"
        source = cell.source
        if mark := _TEST.match(source):
            source = source[mark.end() :]
            config = _CONFIG.match(source)
            # `# HIDDEN` is read below the configuration.
            if mark["hidden"]:
                at = source.upper().find("END TEST CONFIG") if config else -1
                end = source.find("\n", at) + 1 if at >= 0 else 0
                source = f"{source[:end]}# HIDDEN\n{source[end:]}"
        if not self._part:
            self._raw(cell, "# STRAY TEST")
            return
        self._made.append(replace(cell, source=source))

    def _other(self, cell: Cell) -> None:
        is_answer = cell.kind == "markdown" and _SOLUTION.match(cell.source)
        follows = self._part == "SOLUTION" and cell.kind == "markdown" and not is_answer
        if self._part == "TESTS" or follows:
            self._close(cell)
        if self._part and is_answer:
            self._raw(cell, "# BEGIN SOLUTION")
            self._made.append(cell)
            self._raw(cell, "# END SOLUTION")
            self._part = "SOLUTION"
            return
        if self._part and cell.kind == "code":
            self._part = "SOLUTION"
        self._made.append(cell)

    def _close(self, cell: Cell) -> None:
        if self._part == "TESTS":
            self._raw(cell, "# END TESTS")
        if self._part:
            self._raw(cell, "# END QUESTION")
        self._part = ""
