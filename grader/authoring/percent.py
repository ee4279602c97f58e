"""Write cells as a script with `# %%` lines between them, a format of editors and Jupytext."""

from __future__ import annotations

import json
from collections.abc import Sequence

from grader.records import Cell


def percent_script(cells: Sequence[Cell]) -> str:
    """Return the cells as the text of a .py file; a single code cell as plain code.

    A cell's `# %%` line holds its tags. Reading the text gives the same cells again.
    """
    if len(cells) == 1 and cells[0].kind == "code":
        return cells[0].source.strip("\n") + "\n"
    return "\n\n".join(_block(cell) for cell in cells) + "\n"


def _block(cell: Cell) -> str:
    tags = cell.metadata.get("tags")
    head = "# %%"
    if cell.kind != "code":
        head += f" [{cell.kind}]"
    if tags:
        head += f" tags={json.dumps(tags)}"
    source = cell.source.strip("\n")
    if cell.kind != "code":
        source = "\n".join(f"# {line}".rstrip() for line in source.split("\n"))
    return f"{head}\n{source}"
