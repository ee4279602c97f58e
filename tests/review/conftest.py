"""A class in a file of results, made by hand: no kernel runs.

klass(n)                 a run of n students, in a file of its own
klass.store, klass.run   the open file; its run, as it is listed
klass.answer(n, id)      what a mark of student n at that exercise belongs to
klass.judged(n)          student n's result, with what people said
visit(klass, grader)     asks a real server as a browser does
"""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

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
from grader.review.rights import Grader
from grader.review.server import Review

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
    credit: float | None = None,
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
    check = Outcome("1-code", "doubles", "passed" if passed else "failed",
                    float(passed) if credit is None else credit, 4.0,
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


# --- the pages, served ------------------------------------------------------------------------


class Visitor:
    """What asks the server as a browser does, but for scripts.

    cookie : what it has of it
    """

    def __init__(self, review: Review, grader: Grader | None = None) -> None:
        self.review = review
        self.cookie = ""
        if grader is not None:
            self.enter(review.address(grader))

    def enter(self, address: str) -> int:
        path = address.split(str(self.review.port), 1)[1]
        status, headers, _ = self.ask(path, prefix="")
        self.cookie = headers.get("set-cookie", "").partition(";")[0]
        return status

    def ask(self, path, form=None, *, method=None, prefix=None, **headers):
        """The status, the headers and the body of an answer. headers : Host="...", None for none"""
        prefix = self.review.keys.prefix if prefix is None else prefix
        own = f"127.0.0.1:{self.review.port}"
        sent = {"Host": own, "Cookie": self.cookie or None}
        body = None
        if form is not None:
            body = urlencode(form, doseq=True)
            sent |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{own}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.review.port, timeout=60)
        try:
            connection.putrequest(
                method or ("GET" if form is None else "POST"),
                prefix + path,
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body.encode() if body is not None else None)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read().decode()
        finally:
            connection.close()

    def page(self, path: str) -> str:
        """The body of a page that is there."""
        status, _, body = self.ask(path)
        assert status == 200, body
        return body

    def do(self, path: str, **form) -> tuple[int, str]:
        """Send a form as the page has it, versions and all; the status and where it leads to."""
        if form.get("do") not in (None, "mark", "name") and "version" not in form:
            page = self.page(path)
            form["version"] = re.search(r'name="version" value="(\d+)"', page)[1]
            form["round"] = re.search(r'name="round" value="(\d+)"', page)[1]
        status, headers, body = self.ask(path, form)
        return status, headers.get("location") or body


@pytest.fixture
def serve():
    """serve(klass, *graders) -> a Review that is being served."""
    with ExitStack() as stack:

        def start(klass, *graders, **options):
            graders = graders or (Grader("ann"),)
            options.setdefault("assignment", klass.assignment)
            review = stack.enter_context(
                Review(klass.file, klass.run.id, graders=graders, **options)
            )
            started = threading.Event()
            thread = threading.Thread(target=review.serve, kwargs={"started": started.set})
            thread.start()
            stack.callback(thread.join)
            stack.callback(review.stop)
            assert started.wait(60)
            return review

        yield start


@pytest.fixture
def visit(serve):
    """visit(klass, grader) -> a Visitor that has come in."""

    def come(klass, grader=None, **options):
        grader = grader or Grader("ann")
        return Visitor(serve(klass, grader, **options), grader)

    return come
