"""A class in a file of results, made by hand: no kernel runs.

klass(n)                 a run of n students, in a file of its own
klass.store, klass.run   the open file; its run, as it is listed
klass.answer(n, id)      what a mark of student n at that exercise belongs to
klass.judged(n)          student n's result, with what people said
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grader.batch.serialization import pack
from grader.batch.store import Store, open_store
from grader.records import (
    Assignment,
    Cell,
    Evidence,
    Exercise,
    ExerciseScore,
    Notebook,
    Origin,
    Outcome,
    Region,
    Result,
)
from grader.review.answers import Answer, answers_of, index_run
from grader.review.merged import judged_results

PROMPT = "# Review\n\n*Write your answer here.*"
NAMES = ("Anna Meier", "Luca Rossi", "Zoé Ng", "Karim Haddad", "Petra Novak", "Åsa Lind")


def cells(*texts: str) -> tuple[Cell, ...]:
    return tuple(Cell(n, "markdown", text) for n, text in enumerate(texts, start=5))


def assignment_of(folder: Path) -> Assignment:
    stub = Notebook("toy.ipynb", cells(PROMPT))
    return Assignment(
        "toy",
        "Toy",
        folder,
        (
            Exercise("1-code", "Code", 4.0, "toy.ipynb", ("double",)),
            Exercise("2-words", "Words", 5.0, "toy.ipynb", manual=True, answer_cells=("Review",)),
        ),
        ("toy.ipynb",),
        (),
        notebooks={"toy.ipynb": Notebook("toy.ipynb", cells("# Review\n\nThe solution."))},
        stubs={"toy.ipynb": stub},
    )


def result_of(
    number: int,
    text: str | None = None,
    *,
    passed: bool = True,
    name: str | None = None,
    path: str | None = None,
    code: str | None = None,
    trace: str = "",
    message: str = "double(3) is 9, expected 6",
    origin: Origin | None = None,
) -> Result:
    """A student's result: a check of 4 points, and 5 points that a person gives."""
    if name is None:
        name = NAMES[number] if number < len(NAMES) else f"Student {number:03}"
    text = f"# Review\n\nAnswer {number} of **mine**: $x^2$." if text is None else text
    check = Outcome("1-code", "doubles", "passed" if passed else "failed", float(passed), 4.0,
                    message="" if passed else message, trace=trace)  # fmt: skip
    exercises = (
        ExerciseScore("1-code", "Code", check.points, 4.0, "passed" if passed else "failed",
                      (check,)),
        ExerciseScore("2-words", "Words", 0.0, 5.0, "manual"),
    )  # fmt: skip
    code = f"return 2 * x  # {number}" if code is None else code
    return Result(
        path or f"handed-in/{name.replace(' ', '_')}.zip",
        (name,),
        "graded",
        score=check.points,
        max_score=4.0,
        manual_points=5.0,
        exercises=exercises,
        evidence=Evidence(
            notebooks={
                "toy.ipynb": Notebook(
                    "toy.ipynb", (Cell(0, "code", f"def double(x):\n    {code}"), *cells(text))
                )
            },
            regions={"1-code": (Region("double", 0, code, "filled"),)},
            answers={"2-words": cells(text)},
        ),
        origin=origin or Origin(),
    )


@dataclass
class Klass:
    file: Path
    store: Store
    assignment: Assignment
    runs: list[int] = field(default_factory=list)

    def grade(self, *results: Result, end: bool = True) -> int:
        run = self.store.begin(assignment="toy", title="Toy", submissions=len(results),
                               settings={"seed": 0}, key="now")  # fmt: skip
        for number, result in enumerate(results):
            run.add(number, result, pack(result), input_hash="", kept=False)
        if end:
            run.end("")
        self.runs.append(run.id)
        index_run(self.store, run.id, self.assignment)
        return run.id

    @property
    def run(self):
        return next(run for run in self.store.runs() if run.id == self.runs[-1])

    def answer(self, number: int, exercise: str = "2-words", round_: int = 1) -> Answer:
        row = answers_of(self.store, self.runs[-1])[number, exercise]
        return Answer("toy", row.subject, exercise, row.answer, round_)

    def judged(self, number: int = 0) -> Result:
        return judged_results(self.store, self.run, self.assignment)[number]

    def exercise(self, number: int = 0, exercise: str = "2-words") -> ExerciseScore:
        return next(e for e in self.judged(number).exercises if e.id == exercise)


@pytest.fixture
def empty(tmp_path):
    """A class of whom nobody has handed in."""
    file = tmp_path / "state" / "results.sqlite"
    with open_store(file) as store:
        yield Klass(file, store, assignment_of(tmp_path))


@pytest.fixture
def klass(empty):
    """klass(n) -> a class of n students who all answered."""

    def made(count: int = 3, **options) -> Klass:
        empty.grade(*(result_of(number, **options) for number in range(count)))
        return empty

    return made
