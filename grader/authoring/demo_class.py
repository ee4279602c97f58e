"""The twelve made-up submissions of `grade demo`.

They answer the assignment that `grade new` writes, and show what a real class hands in: several
right solutions, typical mistakes, a notebook that breaks, one that never ends, an unchanged
template, a file that is not a notebook, and one that attacks the grader.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from grader.authoring.template import example
from grader.files import write_whole

# Time limit of a check in seconds: short, since somebody waits for the endless loop to end.
CHECK_S = 3

_COST = "return np.mean((X @ w - y) ** 2) / 2"
_GRADIENT = "return X.T @ (X @ w - y) / len(y)"
_NO_ANSWER = "*Write your answer here.*"
_ANSWER = (
    "The step is $-\\alpha \\nabla J(w)$. Where $\\alpha$ is **too large**, it jumps over the "
    "minimum:\n\n"
    "1. the cost on the other side is higher,\n"
    "2. the slope there is steeper, and the next step is longer still."
)
_DESCENT = """\
import matplotlib.pyplot as plt

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 3))
y = X @ np.array([1.0, -2.0, 0.5])
w, costs = np.zeros(3), []
for _ in range(40):
    costs.append(cost(w, X, y))
    w = w - 0.1 * gradient(w, X, y)
plt.plot(costs)
plt.xlabel("step")
plt.ylabel("cost")
plt.title("Gradient descent")
plt.show()"""
# These attacks work against graders that run their tests in the student's process.
_ATTACK = """\
# The tests are run here, aren't they?
import builtins, os, socket, sys
np.allclose = np.array_equal = lambda *a, **k: True
builtins.abs = lambda x: 0
try:
    import pytest
    pytest.fail = pytest.raises = lambda *a, **k: None
except ImportError:
    pass
for folder in ("/", os.path.expanduser("~"), "..", "../../reference"):
    try:
        print(os.listdir(folder)[:3])
    except OSError as error:
        print("refused:", error)
try:
    socket.create_connection(("127.0.0.1", 80), timeout=1)
except OSError as error:
    print("refused:", error)
print("\\x1b]0;10 points\\x07<script>document.title = '10 points'</script>")"""


@dataclass(frozen=True)
class Member:
    """A member of the class and the submission.

    file : the file's name, as a learning platform writes it
    what : a description for the user
    content : the file's bytes
    """

    file: str
    what: str
    content: bytes


def write_class(folder: Path, notebook: str) -> list[Member]:
    """Write the twelve submissions into the folder; return them.

    notebook : file name of the assignment's notebook
    Raises OSError.
    """
    members = _members(notebook)
    for member in members:
        write_whole(folder / member.file, member.content)
    return members


def _members(notebook: str) -> list[Member]:
    def zipped(file: str, what: str, text: str) -> Member:
        return Member(file, what, _zip({notebook: text}))

    return [
        zipped(
            "Rossi_Luca.zip",
            "right, with a figure",
            _work(answer=_ANSWER, after=[_DESCENT]),
        ),
        zipped(
            "Mueller_Anna- Ng_Zoe.zip",
            "a team of two: right, by loops in place of products",
            _work(
                cost="total = 0.0\nfor x_i, y_i in zip(X, y):\n    total += (x_i @ w - y_i) ** 2\n"
                "return total / (2 * len(y))",
                gradient="total = np.zeros_like(w)\nfor x_i, y_i in zip(X, y):\n"
                "    total += (x_i @ w - y_i) * x_i\nreturn total / len(y)",
                answer="It steps over the valley.",
            ),
        ),
        Member(
            "Haddad_Karim.ipynb",
            "right, its markers deleted",
            _work(answer=_ANSWER, markers=False).encode(),
        ),
        zipped(
            "Novak_Petra.zip",
            "a gradient without 1/m",
            _work(gradient="return X.T @ (X @ w - y)", answer="The steps get longer and longer."),
        ),
        zipped(
            "Silva_Joao.zip",
            "a gradient with the wrong sign",
            _work(gradient="return X.T @ (y - X @ w) / len(y)"),
        ),
        zipped(
            "Lindqvist_Åsa.zip",
            "a cost without 1/2",
            _work(cost="return np.mean((X @ w - y) ** 2)", answer=_ANSWER),
        ),
        zipped(
            "Okafor_Chidi.zip",
            "a gradient of another shape",
            _work(gradient="r = (X @ w - y)[:, None]\nreturn X.T @ r / len(y)"),
        ),
        zipped(
            "Tanaka_Yuki.zip",
            "a cell that breaks, and a function without its name",
            _work(gradient="return X.T @ (X @ weights - y) / len(y)", before=["prnt(np.pi)"]),
        ),
        zipped(
            "Petrov_Ivan.zip",
            "a loop that never ends",
            _work(gradient="while True:\n    w = w + 0.0\nreturn w"),
        ),
        zipped("Dubois_Chloe.zip", "the template, untouched", _template()),
        Member("Keller_Max.zip", "a file that is not a zip", b"The dog ate my notebook.\n"),
        zipped(
            "Void_Eve.zip",
            "a wrong gradient that attacks the grader",
            _work(gradient="return np.ones_like(w)", before=[_ATTACK], answer="<b>All</b> of it."),
        ),
    ]


def _work(
    *,
    cost: str = _COST,
    gradient: str = _GRADIENT,
    answer: str = _NO_ANSWER,
    before: list[str] | None = None,
    after: list[str] | None = None,
    markers: bool = True,
) -> str:
    """Return a notebook with these bodies in the gaps, and cells before and after them."""
    cells: list[tuple[str, str]] = []
    for kind, text in example.CELLS:
        if kind == "solution":
            continue
        if kind == "code" and "def cost" in text:
            cells += [("code", source) for source in before or ()]
            text = _filled(text, [cost, gradient], markers=markers)
            cells.append((kind, text))
            cells += [("code", source) for source in after or ()]
        else:
            cells.append((kind, text.replace(_NO_ANSWER, answer)))
    return _notebook(cells)


def _template() -> str:
    """Return the unchanged template."""
    return _work(cost="return 0.0", gradient="return np.zeros_like(w)")


def _filled(source: str, bodies: list[str], *, markers: bool) -> str:
    """Return the cell with each gap's content replaced, in order."""
    lines, inside, remaining = [], False, iter(bodies)
    for line in source.splitlines():
        marker = "YOUR CODE ###" in line
        if marker and not inside:
            indent = line[: len(line) - len(line.lstrip())]
            lines += [line] * markers + [indent + body for body in next(remaining).splitlines()]
        elif (marker and markers) or (not marker and not inside):
            lines.append(line)
        inside = inside != marker
    return "\n".join(lines)


def _notebook(cells: list[tuple[str, str]]) -> str:
    code: dict[str, object] = {"execution_count": None, "outputs": []}
    document = {
        "cells": [
            {"cell_type": kind, "metadata": {}, "source": text.replace("{title}", "Regression")}
            | (code if kind == "code" else {})
            for kind, text in cells
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    return json.dumps(document, indent=1)


def _zip(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()
