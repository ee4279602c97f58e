"""Measure what a wrong answer costs beside a right one, for checks of thousands of small calls.

    python tests/benchmarks/many_calls.py [--calls 3000]

Two exercises, the second one builds on the first; each check calls the student's function thousands
of times. The wrong answer is wrong at the last calls. Printed are the processor's seconds of the
whole command, the grader's and the students' processes together.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

TOML = """\
id = "many"
[[notebooks]]
file = "many.ipynb"
[[exercises]]
id = "half"
title = "Half"
points = 1
notebook = "many.ipynb"
functions = ["half"]
[[exercises]]
id = "slope"
title = "Slope"
points = 2
notebook = "many.ipynb"
functions = ["slope"]
"""
SOURCE = """\
import numpy as np

class Layer:
    def __init__(self):
        self.params = {"W": np.ones((40, 40))}

def half(x):
    ### START YOUR CODE ###
    value = x / 2
    ### END YOUR CODE ###
    return value

def slope(x):
    ### START YOUR CODE ###
    value = half(x) * (1 - half(x))
    ### END YOUR CODE ###
    return value
"""
CHECKS = '''\
import pytest

from grader.checks import run_cell

@pytest.mark.exercise("half", points=1)
def test_half(student):
    run_cell(student, """
for i in range(CALLS):
    assert half(i) == i / 2
""")

@pytest.mark.exercise("slope", points=1)
def test_slope(student):
    run_cell(student, """
layer = Layer()
for i in range(CALLS // 4):
    layer.params["W"][i % 40, 0] += 1
    assert half(1) == 0.5
for i in range(CALLS - 20, CALLS):
    assert slope(i) == i / 2 * (1 - i / 2)
""")

@pytest.mark.exercise("slope", points=1)
def test_slope_often(student):
    for i in range(CALLS):
        assert student.slope(i) == i / 2 * (1 - i / 2)
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000, help="calls of each check")
    calls = parser.parse_args().calls
    wrong = SOURCE.replace("value = x / 2", f"value = x / 2 + (x > {calls - 10})")
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder, "reference", "many")
        course.mkdir(parents=True)
        (course / "assignment.toml").write_text(TOML)
        (course / "many.ipynb").write_text(notebook(SOURCE))
        (course / "test_many.py").write_text(CHECKS.replace("CALLS", str(calls)))
        for name, source in (("right", SOURCE), ("wrong", wrong)):
            handed_in = Path(folder, name)
            handed_in.mkdir()
            (handed_in / "many.ipynb").write_text(notebook(source))
            print(f"{name}: {processor_s(folder, name):.2f} s of a processor")


def notebook(source: str) -> str:
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
    cells = [cell | {"execution_count": None}]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def processor_s(folder: str, name: str) -> float:
    """Return the processor's seconds of one `grade` of a submission."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "grader", name, "--assignment", "many",
         "--assignments", "reference", "--regrade", "--jobs", "1", "--no-keep-warm"],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": folder},
        stdout=subprocess.DEVNULL,
        check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
