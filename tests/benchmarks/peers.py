"""One small notebook, a class of submissions: nbgrader, otter-grader and grade in one run.

    python tests/benchmarks/peers.py setup DIR          two venvs and three courses, some minutes
    python tests/benchmarks/peers.py run DIR [N]        the table, for N submissions (40), Markdown

A logistic regression on two digits of scikit-learn's, trained and plotted, with the same three
checks for each grader. The floor is what no grader gets below: a fork of a process that has
imported everything, and the cells.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from datetime import date
from pathlib import Path

from notebooks import code, nbgrader_question, otter_head, otter_question, write_notebook

IMPORTS = """%matplotlib inline
import numpy as np
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split"""
SIGMOID = "def sigmoid(z):\n    return 1 / (1 + np.exp(-z))"
DATA = """digits = load_digits()
two = (digits.target == 3) | (digits.target == 8)
labels = (digits.target[two] == 8).astype(float)
x_train, x_test, y_train, y_test = train_test_split(
    digits.data[two], labels, test_size=0.3, random_state=1)"""
MODEL = """class LogisticRegression:
    def __init__(self, rate=0.5):
        self.rate = rate

    def cost(self, x, y):
        p = sigmoid(x @ self.w + self.b)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def gradient(self, x, y):
        error = sigmoid(x @ self.w + self.b) - y
        return x.T @ error / len(y), np.mean(error)

    def fit(self, x, y, steps=200):
        self.w, self.b, self.costs = np.zeros(x.shape[1]), 0.0, []
        for _ in range(steps):
            dw, db = self.gradient(x, y)
            self.w -= self.rate * dw
            self.b -= self.rate * db
            self.costs.append(self.cost(x, y))
        return self

    def predict(self, x):
        return (sigmoid(x @ self.w + self.b) > 0.5).astype(float)"""
TRAINING = """largest = x_train.max()
model = LogisticRegression().fit(x_train / largest, y_train)
error_rate = np.mean(model.predict(x_test / largest) != y_test)
print(error_rate)"""
PLOT = "plt.plot(model.costs)\nplt.show()"
CELLS = [IMPORTS, SIGMOID, DATA, MODEL, TRAINING, PLOT]
SOLVED = {1: "sigmoid", 3: "model", 4: "training"}
POINTS = {"sigmoid": 2, "model": 3, "training": 3}
TESTS = {
    "sigmoid": (
        "assert np.allclose(sigmoid(np.zeros((3, 4))), 0.5)\n"
        "assert sigmoid(np.zeros((3, 4))).shape == (3, 4)"
    ),
    "model": """m = LogisticRegression()
r = np.random.default_rng(0)
m.w, m.b = r.normal(size=5), 0.1
A, t = r.normal(size=(20, 5)), (r.random(20) > 0.5) * 1.0
dw, db = m.gradient(A, t)
w, slopes = m.w, np.zeros(5)
for i in range(5):
    h = np.zeros(5); h[i] = 1e-6
    m.w = w + h; above = m.cost(A, t)
    m.w = w - h; slopes[i] = (above - m.cost(A, t)) / 2e-6
assert np.allclose(dw, slopes, atol=1e-6)""",
    "training": "assert error_rate < 0.1",
}
CHECKS = """import numpy as np
import pytest

from grader.checks import assert_close, assert_gradient, assert_shape


@pytest.mark.exercise("sigmoid", points=2, shares=True)
def test_sigmoid_is_one_half_at_zero(student):
    value = student.sigmoid(np.zeros((3, 4)))
    assert_shape(value, (3, 4))
    assert_close(value, np.full((3, 4), 0.5))


@pytest.mark.exercise("model", points=3, shares=True)
def test_the_gradient_is_the_costs(student, rng):
    model = student.LogisticRegression()
    x, y = rng.normal(size=(20, 5)), (rng.random(20) > 0.5) * 1.0
    model.b = 0.1

    def cost(w):
        model.w = w
        return model.cost(x, y)

    def gradient(w):
        model.w = w
        return model.gradient(x, y)[0]

    assert_gradient(cost, gradient, at=rng.normal(size=5), rng=rng)


@pytest.mark.exercise("training", points=3, shares=True)
def test_the_error_rate_is_low(student):
    assert student.value("error_rate") < 0.1
"""
ASSIGNMENT = """id = "digits"
title = "Two digits"
[[notebooks]]
file = "digits.ipynb"
[[exercises]]
id = "sigmoid"
title = "Sigmoid"
points = 2
notebook = "digits.ipynb"
functions = ["sigmoid"]
[[exercises]]
id = "model"
title = "Logistic regression"
points = 3
notebook = "digits.ipynb"
functions = ["LogisticRegression.cost", "LogisticRegression.gradient"]
[[exercises]]
id = "training"
title = "Training"
points = 3
notebook = "digits.ipynb"
needs = ["LogisticRegression.gradient"]
"""


# --- notebooks ------------------------------------------------------------------------------


def marked(source: str, function: str) -> str:
    """Return the source with the body of a function between markers."""
    lines = source.splitlines()
    first = next(n for n, line in enumerate(lines) if line.lstrip().startswith(f"def {function}("))
    indent = len(lines[first]) - len(lines[first].lstrip()) + 4
    last = first + 1
    while last < len(lines) and lines[last].startswith(" " * indent):
        last += 1
    pad = " " * indent
    body = [
        f"{pad}### START YOUR CODE ###",
        *lines[first + 1 : last],
        f"{pad}### END YOUR CODE ###",
    ]
    return "\n".join([*lines[: first + 1], *body, *lines[last:]])


def cells_of(number: int) -> list[str]:
    """Return the cells of submission `number`: no two are the same."""
    return [*CELLS[:-1], f"{CELLS[-1]}\n# handed in as number {number}"]


# --- the courses ----------------------------------------------------------------------------


def setup(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    libraries = ("numpy", "scikit-learn", "matplotlib")
    for name, packages in (
        ("v-nbgrader", ["nbgrader"]),
        ("v-otter", ["otter-grader", "ipykernel"]),
    ):
        venv.create(root / name, with_pip=True)
        python = root / name / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", *packages, *libraries], check=True)
    set_up_nbgrader(root)
    set_up_otter(root)
    set_up_grade(root / "grade")


def set_up_nbgrader(root: Path) -> None:
    cells = []
    for n, source in enumerate(CELLS):
        if n not in SOLVED:
            cells.append(code(source))
            continue
        name = SOLVED[n]
        cells += nbgrader_question(name, source, TESTS[name], POINTS[name])
    course = root / "nbgrader"
    write_notebook(course / "source" / "ps1" / "digits.ipynb", cells)
    (course / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'c'\nc.ExecutePreprocessor.timeout = 60\n"
    )
    run([root / "v-nbgrader/bin/nbgrader", "generate_assignment", "ps1"], course)


def set_up_otter(root: Path) -> None:
    cells = [otter_head()]
    for n, source in enumerate(CELLS):
        if n not in SOLVED:
            cells.append(code(source))
            continue
        name = SOLVED[n]
        cells += otter_question(name, source, TESTS[name], POINTS[name])
    course = root / "otter"
    write_notebook(course / "digits.ipynb", cells)
    run([root / "v-otter/bin/otter", "assign", "--no-run-tests", "--no-pdfs", "digits.ipynb",
         "dist"], course)  # fmt: skip


def set_up_grade(root: Path) -> None:
    folder = root / "reference" / "digits"
    model = marked(marked(MODEL, "cost"), "gradient")
    sources = [IMPORTS, marked(SIGMOID, "sigmoid"), DATA, model, TRAINING, PLOT]
    write_notebook(folder / "digits.ipynb", [*map(code, sources)])
    (folder / "test_digits.py").write_text(CHECKS)
    (folder / "assignment.toml").write_text(ASSIGNMENT)


def hand_in(root: Path, count: int) -> None:
    """Write the same submissions for each grader."""
    for old in ("nbgrader/submitted", "nbgrader/autograded", "grade/submitted"):
        shutil.rmtree(root / old, ignore_errors=True)
    (root / "nbgrader" / "gradebook.db").unlink(missing_ok=True)
    course = root / "nbgrader"  # a fresh database: it would else know the students of the last run
    run([root / "v-nbgrader/bin/nbgrader", "generate_assignment", "ps1", "--force"], course)
    release = root / "nbgrader" / "release" / "ps1" / "digits.ipynb"
    given = root / "otter" / "dist" / "student" / "digits.ipynb"
    for number in range(count):
        name, sources = f"s{number:04}", cells_of(number)
        hand_in_to_nbgrader(root, release, name, sources)
        hand_in_to_otter(root, given, name, sources)
        write_notebook(root / "grade" / "submitted" / name / "digits.ipynb", [*map(code, sources)])


def hand_in_to_nbgrader(root: Path, release: Path, name: str, sources: list[str]) -> None:
    if release.exists():
        document = json.loads(release.read_text())
        solutions = iter([sources[n] for n in SOLVED])
        for cell in document["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("solution"):
                cell["source"] = next(solutions)
        path = root / "nbgrader" / "submitted" / name / "ps1" / "digits.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(document))


def hand_in_to_otter(root: Path, given: Path, name: str, sources: list[str]) -> None:
    if given.exists():
        cells = [c for c in json.loads(given.read_text())["cells"] if "otter" in str(c["source"])]
        write_notebook(root / "otter" / f"{name}.ipynb", [*cells[:1], *map(code, sources)])


# --- measuring ------------------------------------------------------------------------------


def run(command: list[object], cwd: Path) -> tuple[float, float, str]:
    """Run a command; return its wall seconds, its processor's, and what it printed."""
    # nbgrader looks for alembic on PATH, otter for jupyter.
    path = f"{Path(str(command[0])).parent}:{os.environ['PATH']}"
    with CpuMeter() as meter:
        words = [*meter.within, *map(str, command)]
        environment = os.environ | {"PATH": path, "OPENBLAS_NUM_THREADS": "1"}
        started = time.perf_counter()
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, env=environment)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return seconds, meter.cpu_s(), done.stdout


class CpuMeter:
    """The processor time of a command and of all that it starts, whoever waits for it.

    By a control group, where this user may make one; else by rusage, which misses processes that
    nobody waited for. within : what to put before the command
    """

    def __init__(self) -> None:
        self.group: Path | None = None
        self.within: list[str] = []
        self.before = rusage_s()

    def __enter__(self) -> CpuMeter:
        for root in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"):
            group = Path(root, f"grade-peers-{os.getpid()}")
            with contextlib.suppress(OSError):
                group.mkdir()
                self.group = group
                join = f'echo $$ > {group}/cgroup.procs && exec "$@"'
                self.within = ["sh", "-c", join, "sh"]
                break
        return self

    def cpu_s(self) -> float:
        if self.group is None:
            return rusage_s() - self.before
        for file, part in (("cpuacct.usage", r"^(\d+)$"), ("cpu.stat", r"^usage_usec (\d+)")):
            if (self.group / file).exists():
                (used,) = re.findall(part, (self.group / file).read_text(), re.MULTILINE)
                return int(used) / (1e9 if file == "cpuacct.usage" else 1e6)
        return rusage_s() - self.before

    def __exit__(self, *exc: object) -> None:
        for _ in range(100):  # what has ended takes a moment to leave
            with contextlib.suppress(OSError):
                if self.group is not None:
                    self.group.rmdir()
                return
            time.sleep(0.05)


def rusage_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


FLOOR = """
import os, resource, sys, time
import matplotlib
matplotlib.use("agg")
source = sys.stdin.read()
import numpy, matplotlib.pyplot, sklearn.datasets, sklearn.model_selection
import gc; gc.collect(); gc.freeze()
source += "\\nimport io; plt.gcf().savefig(io.BytesIO())"
def once():
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        exec(compile(source, "cells", "exec"), {})
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
once()
def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (0, -1))
cpu, wall = used(), time.perf_counter()
for _ in range(20):
    once()
print((time.perf_counter() - wall) / 20, (used() - cpu) / 20)
"""


def floor(root: Path) -> tuple[float, float]:
    """Return wall and processor seconds of a warm fork that runs the cells, each on one core."""
    python = sys.executable
    done = subprocess.run([python, "-c", FLOOR], input="\n".join(plain(CELLS)), text=True,
                          capture_output=True, check=True, cwd=root,
                          env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})  # fmt: skip
    wall, cpu = done.stdout.split()
    return float(wall), float(cpu)


def plain(cells: list[str]) -> list[str]:
    return [source.replace("%matplotlib inline\n", "") for source in cells]


def grade_command(root: Path, *words: object, jobs: int) -> list[object]:
    return [Path(sys.executable).with_name("grade"), *words, "--assignments",
            root / "grade" / "reference", "--jobs", jobs, "--regrade", "--json", "-"]  # fmt: skip


def batch(root: Path, count: int) -> list[tuple[str, float, float]]:
    """Return name, wall and processor seconds each, of every grader over the whole class."""
    cores = os.cpu_count() or 1
    hand_in(root, count)
    rows = []
    wall, cpu, _ = run([root / "v-nbgrader/bin/nbgrader", "autograde", "ps1"], root / "nbgrader")
    rows.append(("nbgrader autograde", wall / count, cpu / count))
    few = max(2, count // 10)
    archive = sorted((root / "otter/dist/autograder").glob("*autograder*.zip"))[-1]
    wall = cpu = 0.0
    for number in range(few):
        command = [root / "v-otter/bin/otter", "run", "-a", archive, f"s{number:04}.ipynb"]
        took = run(command, root / "otter")
        wall, cpu = wall + took[0], cpu + took[1]
    rows.append((f"otter run ({few} of them)", wall / few, cpu / few))
    for options in (["--html", root / "grade" / "pages"], []):
        words = [root / "grade/submitted", *options]
        wall, cpu, out = run(grade_command(root, *words, jobs=cores), root / "grade")
        scores = [submission["score"] for submission in json.loads(out)["submissions"]]
        assert scores == [8.0] * count, scores
        pages = ", with a page each" if options else ""
        rows.append((f"grade --jobs {cores}{pages}", wall / count, cpu / count))
    return rows


def cold(root: Path, runs: int = 5) -> tuple[float, float, float]:
    """Return wall seconds of grade on one zip and of python on the cells, and their ratio."""
    folder = root / "grade" / "submitted" / "s0000"
    zipped = shutil.make_archive(str(root / "grade" / "one"), "zip", folder)
    script = root / "bare.py"
    script.write_text('import matplotlib; matplotlib.use("agg")\n' + "\n".join(plain(CELLS)))
    pairs: list[tuple[float, float]] = []
    for n in range(runs + 1):
        graded = run(grade_command(root, zipped, jobs=1), root / "grade")[0]
        bare = run([sys.executable, script], root)[0]
        if n:  # the first fills the disk's cache
            pairs.append((graded, bare))
    median: Callable[[list[float]], float] = statistics.median
    return (median([a for a, _ in pairs]), median([b for _, b in pairs]),
            median([a / b for a, b in pairs]))  # fmt: skip


def table(root: Path, count: int) -> None:
    floor_wall, floor_cpu = floor(root)
    rows = batch(root, count)
    grade_wall = rows[-1][1]
    print(f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, "
          f"Python {platform.python_version()}, {date.today()}; {count} submissions\n")  # fmt: skip
    print("| a class | seconds each | processor seconds each | grade's rate to it |")
    print("|---|---:|---:|---:|")
    for name, wall, cpu in rows:
        print(f"| {name} | {wall:.3f} | {cpu:.3f} | {wall / grade_wall:.1f} |")
    print(f"| the floor: a warm fork and the cells | {floor_wall:.3f} | {floor_cpu:.3f} | - |")
    print(f"\ngrade takes {rows[-1][2] / floor_cpu:.1f} times the floor's processor seconds.\n")
    graded, bare, ratio = cold(root)
    print("| one zip, cold | seconds |\n|---|---:|")
    print(f"| grade one.zip | {graded:.2f} |\n| python, the same cells | {bare:.2f} |")
    print(f"| ratio | {ratio:.2f} |")


if __name__ == "__main__":
    verb, place, *more = sys.argv[1:]
    if verb == "setup":
        setup(Path(place).resolve())
    else:
        table(Path(place).resolve(), int(more[0]) if more else 40)
