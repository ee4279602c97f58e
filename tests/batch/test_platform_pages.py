"""The pages "From Moodle and back" and "From Canvas and back", followed step by step."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SUM, notebook
from .test_gradebook import PEOPLE, SHEET, export_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Toy (12345),Final Grade
    Points Possible,,,,,6,(read only)
"Meier, Anna",4001,S1,am,A,,B
"Rossi, Luca",4002,S2,lr,A,,C
"Rossi, Luca",4003,S3,lr2,A,,C
"""


def steps(page):
    """(command, what it prints) of each console block."""
    for block in (DOCS / page).read_text(encoding="utf-8").split("```console\n")[1:]:
        command, _, output = block.split("```")[0].removeprefix("$ ").partition("\n")
        yield command, output


def said(text):
    """The lines, in whatever order submissions were through.

    Not what the sandbox lacks here, nor what is said once on a machine.
    """
    once = ("sandbox", "run with your rights")
    lines = (line for line in text.splitlines() if not any(word in line for word in once))
    return sorted(re.sub(r"^\d+/(\d+) ", r"n/\1 ", line) for line in lines)


def follow(page, folder, environment):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = 0
    for command, output in steps(page):
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment | {"PATH": path, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert said(ran.stdout) == said(output), f"{command}\n{ran.stdout}"
        done += 1
    return done


@pytest.fixture
def environment(klass):
    made = dict(klass.environment)
    made.pop("GRADE_ASSIGNMENTS", None)
    return made


def test_from_moodle_and_back(klass, environment):
    same = notebook(more="same = 1")
    work = {1001: {"toy.ipynb": notebook(**SUM)}, 1002: {"toy.ipynb": same},
            1003: {"report.pdf": "%PDF"}, 1004: {"toy.ipynb": same}}  # fmt: skip
    files = {
        f"{PEOPLE[n]}_{n}_assignsubmission_file/{name}": content
        for n, handed in work.items()
        for name, content in handed.items()
    }
    (klass.root / "toy-101.zip").write_bytes(export_of(files))
    (klass.root / "Grades-toy.csv").write_bytes(SHEET.encode())
    assert follow("moodle.md", klass.root, environment) == 3


def test_from_canvas_and_back(klass, environment):
    files = {
        "meieranna_4001_90001_toy.ipynb": notebook(),
        "rossiluca_LATE_4002_90002_toy.ipynb": notebook(**SUM),
        "rossiluca_4003_90003_toy.ipynb": notebook(more="x = 3"),
    }
    (klass.root / "submissions.zip").write_bytes(export_of(files))
    (klass.root / "gradebook.csv").write_text(CANVAS)
    assert follow("canvas.md", klass.root, environment) == 2
