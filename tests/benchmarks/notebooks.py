"""What peers.py and threats.py hand out: questions as nbgrader and otter-grader have them."""

from __future__ import annotations

import json
from pathlib import Path

Cell = dict[str, object]


def code(source: str, **metadata: object) -> Cell:
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": [],
            "execution_count": None}  # fmt: skip


def raw(source: str) -> Cell:
    return {"cell_type": "raw", "source": source, "metadata": {}}


def write_notebook(path: Path, cells: list[Cell]) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [cell | {"id": f"c{n}"} for n, cell in enumerate(cells)]
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4,
                "nbformat_minor": 5}  # fmt: skip
    path.write_text(json.dumps(document))


def nbgrader_question(name: str, solution: str, test: str, points: int) -> list[Cell]:
    """Return the cell to fill in and its hidden test."""
    common = {"schema_version": 3, "task": False}
    grading = common | {"grade_id": name, "locked": False, "solution": True, "grade": False}
    testing = common | {"grade_id": f"t-{name}", "locked": True, "solution": False, "grade": True,
                        "points": points}  # fmt: skip
    return [
        code(f"### BEGIN SOLUTION\n{solution}\n### END SOLUTION", nbgrader=grading),
        code(f"### BEGIN HIDDEN TESTS\n{test}\n### END HIDDEN TESTS", nbgrader=testing),
    ]


def otter_head() -> Cell:
    """Return the cell that a notebook for `otter assign` begins with."""
    options = "init_cell: false\nexport_cell: false\ngenerate: true\ncheck_all_cell: false"
    return raw(f"# ASSIGNMENT CONFIG\n{options}")


def otter_question(name: str, solution: str, test: str, points: int) -> list[Cell]:
    """Return the cells of a question with a hidden test."""
    return [
        raw(f"# BEGIN QUESTION\nname: {name}\npoints: {points}"),
        raw("# BEGIN SOLUTION"),
        code(f"# BEGIN SOLUTION\n{solution}\n# END SOLUTION"),
        raw("# END SOLUTION"),
        raw("# BEGIN TESTS"),
        code(f"# HIDDEN\n{test}"),
        raw("# END TESTS"),
        raw("# END QUESTION"),
    ]
