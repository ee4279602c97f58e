"""Reports made by hand: a whole one, and one that is full of what a hostile student writes."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable

import pytest

from grader.records import (
    Cell,
    CellRun,
    Evidence,
    ExerciseScore,
    Note,
    Notebook,
    Outcome,
    Region,
    Report,
    Result,
    Run,
)

NASTY = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> [bold red]markup[/] "
    "\x1b[31mred\x1b[0m "
    "\x1b]0;title\x07 \x00\x07\x08\x7f\x9b1m \u202eevil\u2066\u2069 \ud800 \ufffe ]]> & \"'"
)


def _png(width: int = 2, height: int = 1) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    pixels = zlib.compress((b"\0" + b"\x60" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.fixture
def png() -> Callable[..., bytes]:
    """png(width, height) -> bytes of a grey image that a browser shows."""
    return _png


@pytest.fixture
def nasty() -> str:
    return NASTY


@pytest.fixture
def result() -> Result:
    """One submission with every status that an exercise can have."""
    exercises = (
        ExerciseScore(
            "2a-sigmoid",
            "Sigmoid",
            4.0,
            4.0,
            "passed",
            (
                Outcome("2a-sigmoid", "values and shapes", "passed", 1.0, 3.0, seconds=0.012),
                Outcome("2a-sigmoid", "stable at 1000", "passed", 1.0, 1.0, hidden=True),
            ),
        ),
        ExerciseScore(
            "3b-cost",
            "Cost function: mean squared error and cross-entropy",
            3.5,
            6.0,
            "partial",
            (
                Outcome("3b-cost", "mean squared error", "passed", 1.0, 3.0, seconds=0.01),
                Outcome(
                    "3b-cost",
                    "cross entropy matches the definition",
                    "failed",
                    0.5 / 3,
                    3.0,
                    message=(
                        "cost_funct(p, y): the value has the wrong sign\n"
                        "expected 0.693147\ngot -0.693147\n"
                        "the mean of y log p is negative: is the minus sign missing?"
                    ),
                    seconds=0.5,
                ),
            ),
        ),
        ExerciseScore(
            "3c-gradient",
            "Gradients",
            0.0,
            10.0,
            "error",
            (
                Outcome(
                    "3c-gradient",
                    "gradient of the cross entropy",
                    "error",
                    0.0,
                    5.0,
                    hidden=True,
                    message="grad_cost() raised ValueError: shapes (784,1) and (12,) not aligned",
                ),
                Outcome(
                    "3c-gradient",
                    "gradient of the squares",
                    "timeout",
                    0.0,
                    5.0,
                    message="no answer within 20 s",
                ),
            ),
        ),
        ExerciseScore(
            "3d-update",
            "One step",
            0.0,
            4.0,
            "missing",
            (
                Outcome(
                    "3d-update",
                    "w moves",
                    "failed",
                    0.0,
                    2.0,
                    missing=True,
                    message="`GradientDescent.update` is still the template's",
                ),
                Outcome(
                    "3d-update",
                    "b moves",
                    "failed",
                    0.0,
                    2.0,
                    missing=True,
                    message="`GradientDescent.update` is still the template's",
                ),
            ),
        ),
        ExerciseScore(
            "3e-torch",
            "Feed-forward in torch",
            0.0,
            5.0,
            "not_gradable",
            (
                Outcome(
                    "3e-torch",
                    "shapes",
                    "skipped",
                    0.0,
                    5.0,
                    message="torch is not installed here: pip install 'grade[torch]'",
                ),
            ),
        ),
        ExerciseScore("4-review", "Review questions", 0.0, 10.0, "manual"),
    )
    code = "def sigmoid(z):\n    # logistic\n    return 1 / (1 + np.exp(-z))"
    figure = {
        "output_type": "display_data",
        "data": {"image/png": base64.b64encode(_png()).decode(), "text/plain": "<Figure>"},
    }
    evidence = Evidence(
        notebooks={"sigmoid.ipynb": Notebook("sigmoid.ipynb", ())},
        runs={
            "sigmoid.ipynb": Run(
                (
                    CellRun(1, "ok", 0.1, outputs=(figure,)),
                    CellRun(4, "error", 0.1, error="NameError: name 'x' is not defined"),
                )
            )
        },
        regions={"2a-sigmoid": (Region("sigmoid", 1, code, "filled"),)},
        answers={"4-review": (Cell(9, "markdown", "Momentum *averages* gradients."),)},
    )
    return Result(
        path="Dupont_Anne - Meier_Jean-Luc.zip",
        students=("Anne Dupont", "Jean-Luc Meier"),
        status="graded",
        score=7.5,
        max_score=24.0,
        manual_points=10.0,
        exercises=exercises,
        notes=(
            Note("cell_error", "NameError: name 'x' is not defined", 4, "sigmoid.ipynb"),
            Note(
                "changed_outside_region",
                "`calc_error` differs from the template",
                12,
                "MNIST_binary_classifier_stud.ipynb",
            ),
        ),
        evidence=evidence,
    )


@pytest.fixture
def refused() -> Result:
    return Result("broken.zip", (), "refused", "the zip is cut off: hand it in again")


@pytest.fixture
def report(result: Result) -> Report:
    return Report("pw02", "Practical work 02, Gradient descent", 0, (result,))


@pytest.fixture
def several(result: Result, refused: Result) -> Report:
    fault = Result("odd.ipynb", ("Zoé Ng",), "grader_fault", "the kernel did not start")
    return Report("pw02", "Gradient descent", 7, (result, refused, fault))


def _written_everywhere(nasty: str) -> Report:
    check = Outcome("1", "values", "failed", 0.0, 2.0, message=nasty)
    image = {"output_type": "display_data", "data": {"image/png": nasty, "image/svg+xml": nasty}}
    evidence = Evidence(
        notebooks={nasty: Notebook(nasty, ())},
        runs={nasty: Run((CellRun(1, "error", error=nasty, outputs=(image,)),))},
        regions={"1": (Region(nasty, 1, nasty, "filled"),)},
        answers={"2": (Cell(3, "markdown", nasty),)},
    )
    result = Result(
        path=f"in/{nasty}.zip",
        students=(nasty,),
        status="graded",
        message=nasty,
        score=0.0,
        max_score=2.0,
        manual_points=1.0,
        exercises=(
            ExerciseScore("1", "First", 0.0, 2.0, "failed", (check,)),
            ExerciseScore("2", "Second", 0.0, 1.0, "manual"),
        ),
        notes=(Note("cell_error", nasty, 1, nasty),),
        evidence=evidence,
    )
    return Report("pw02", "Gradient descent", 0, (result,))


@pytest.fixture
def written_everywhere() -> Callable[[str], Report]:
    """written_everywhere(text) -> a report on a student who wrote it wherever one can."""
    return _written_everywhere


@pytest.fixture
def hostile(nasty: str) -> Report:
    return _written_everywhere(nasty)
