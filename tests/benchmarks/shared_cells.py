"""Print what it saves to run a template's first cells once, or that it changes no verdict.

    python tests/benchmarks/shared_cells.py [STUDENTS]                made-up data of MNIST's size
    python tests/benchmarks/shared_cells.py verdicts [ASSIGNMENT]     every sample, graded twice

What it saves: the notebook loads 70,000 images, makes them float and centres them; the student
fills in two small functions. The floor is a process that has imported everything and read the file:
it forks and runs the cells. The rows of `grade` hold its start and its end. Processor time is that
of a control group, where this user may make one.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path

import numpy as np
from sandbox import METER, ROOT, print_differences, verdicts

TOML = """
id = "images"
title = "Images"
[data]
datasets = ["mnist"]
[limits]
memory_mib = 4096
[[notebooks]]
file = "images.ipynb"
[[exercises]]
id = "score"
title = "Scores"
points = 2
notebook = "images.ipynb"
functions = ["score", "accuracy"]
"""
CHECKS = '''
import numpy as np
import pytest

from grader.checks import assert_close


@pytest.mark.exercise("score", points=1)
def test_scores(student, rng):
    """X w + b."""
    x, w = rng.normal(size=(5, 3)), rng.normal(size=3)
    assert_close(student.score(x, w, 0.5), x @ w + 0.5, called="score(x, w, b)")


@pytest.mark.exercise("score", points=1)
def test_accuracy(student):
    """The share of the labels that are right."""
    got = student.accuracy(np.array([1, 2, 3]), np.array([1, 2, 4]))
    assert_close(got, 2 / 3, called="accuracy(y, t)")
'''
CELLS = [
    "import numpy as np\nfrom sklearn.datasets import fetch_openml",
    'mnist = fetch_openml("mnist_784", as_frame=False)\n'
    "x = mnist.data / 255.0\ny = mnist.target.astype(int)\ndel mnist",
    "mean = x[:60000].mean(axis=0)\nx -= mean\nx_train, x_test = x[:60000], x[60000:]\n"
    "y_train, y_test = y[:60000], y[60000:]",
    "def score(x, w, b):\n    ### START YOUR CODE ###\n    # STUB: return None\n"
    "    return x @ w + b\n    ### END YOUR CODE ###",
    "def accuracy(y, t):\n    ### START YOUR CODE ###\n    # STUB: return None\n"
    "    return float(np.mean(y == t))\n    ### END YOUR CODE ###",
    "print(accuracy(y_test, (score(x_test, np.ones(784), 0.0) > 0).astype(int)))",
]


def notebook(cells: list[str]) -> str:
    made = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
         "outputs": [], "source": source}
        for n, source in enumerate(cells)
    ]  # fmt: skip
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def grade(folder: Path, students: list[Path], *options: str) -> tuple[float, dict[str, object]]:
    """Return the processor seconds of the whole command, and its report."""
    command = [sys.executable, "-P", "-m", "grader", *map(str, students), "--assignments",
               str(folder / "reference"), "--jobs", "2", "--json", "-", *options]  # fmt: skip
    environment = {"GRADE_RESULTS": "none", "GRADE_DATA": str(folder / "data")}
    before_s = METER.used_s()
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        preexec_fn=METER.join,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return METER.used_s() - before_s, json.loads(done.stdout)


def floor_s(folder: Path, runs: int) -> float:
    """Return the processor seconds of a warm fork and the cells."""
    program = f"""
        import os, resource, sys
        sys.path.insert(0, {str(ROOT)!r})
        import numpy as np
        import sklearn.datasets
        from grader.in_kernel import offline_data
        offline_data.install({str(folder / "data")!r})
        offline_data.keep({str(folder / "data")!r}, ["mnist"])
        cells = {CELLS!r}
        for _ in range({runs}):
            pid = os.fork()
            if pid == 0:
                names = {{}}
                for cell in cells:
                    exec(cell, names)
                os._exit(0)
            os.waitpid(pid, 0)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print((used.ru_utime + used.ru_stime) / {runs}, file=sys.stderr)
    """
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(program)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stderr.split()[-1])


def main(students: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        course = folder / "reference" / "images"
        course.mkdir(parents=True)
        (course / "assignment.toml").write_text(TOML)
        (course / "test_images.py").write_text(CHECKS)
        (course / "images.ipynb").write_text(notebook(CELLS))
        (folder / "data").mkdir()
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, size=(70_000, 784), dtype=np.uint8)
        np.savez(folder / "data" / "mnist.npz", x=x, y=rng.integers(0, 10, 70_000, dtype=np.uint8))
        paths = []
        for n in range(students):
            paths.append(folder / f"student-{n}.zip")
            with zipfile.ZipFile(paths[-1], "w") as archive:
                own = [*CELLS[:-1], f"{CELLS[-1]}  # {n}"]
                archive.writestr("images.ipynb", notebook(own))
        least_s = floor_s(folder, 4)
        reports = {}
        print(f"| {students} notebooks that load 70,000 images | processor seconds each |")
        print("|---|---:|")
        for name, option in (("each by itself", "--no-share-cells"), ("shared", "--share-cells")):
            all_s, reports[name] = grade(folder, paths, option)
            print(f"| {name} | {all_s / len(paths):.2f} |")
        print(f"| the floor: a warm fork and the cells | {least_s:.2f} |")
        same = verdicts(reports["each by itself"]) == verdicts(reports["shared"])
        print(f"\nThe verdicts are {'the same' if same else 'NOT the same'}.")


if __name__ == "__main__":
    with contextlib.closing(METER):
        if sys.argv[1:2] == ["verdicts"]:
            named = sys.argv[2] if len(sys.argv) > 2 else "pw02"
            with tempfile.TemporaryDirectory() as place:
                options = {"by itself": ["--no-share-cells"], "shared": ["--share-cells"]}
                sys.exit(print_differences(named, Path(place), options) > 0)
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
