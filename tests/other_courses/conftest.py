"""Courses made up in the conventions of others, and the commands that an instructor would type."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest


def code(source, outputs=(), **metadata):
    shown = [
        {"output_type": "execute_result", "data": {"text/plain": text}, "metadata": {},
         "execution_count": 1}
        for text in outputs
    ]  # fmt: skip
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": shown,
            "execution_count": None}  # fmt: skip


def text(source, **metadata):
    return {"cell_type": "markdown", "source": source, "metadata": metadata}


def raw(source):
    return {"cell_type": "raw", "source": source, "metadata": {}}


def graded(kind, name, points=0, *, source, **more):
    """A cell with nbgrader's metadata: a solution, tests, or an answer that a person grades."""
    said = {
        "solution": {"solution": True, "grade": False, "locked": False},
        "tests": {"solution": False, "grade": True, "locked": True, "points": points},
        "answer": {"solution": True, "grade": True, "locked": False, "points": points},
        "given": {"solution": False, "grade": False, "locked": True},
    }[kind]
    said |= {"grade_id": name, "schema_version": 3, "task": False}
    return (text if more.get("words") else code)(source, nbgrader=said)


@dataclass
class Course:
    """A folder in which an instructor works, and what its notebooks are made of."""

    folder: Path
    code = staticmethod(code)
    text = staticmethod(text)
    raw = staticmethod(raw)
    graded = staticmethod(graded)

    def write(self, name, *cells):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        path.write_text(json.dumps(document))
        return path

    def grade(self, *arguments, code=0):
        """Run the command; return what it printed, both streams."""
        began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "grader", *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=400,
        )
        if times := os.environ.get("GRADE_TIMES"):  # tests/benchmarks/other_courses.py
            now = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
            row = [os.environ["PYTEST_CURRENT_TEST"], str(arguments[0]), cpu]
            with Path(times).open("a") as file:
                file.write(json.dumps([*row, time.perf_counter() - began]) + "\n")
        told = done.stdout + done.stderr
        assert done.returncode == code, told
        return told

    def edit(self, name, old, new):
        """One edit of an instructor's."""
        path = self.folder / name
        before = path.read_text()
        assert old in before, before
        path.write_text(before.replace(old, new))

    def points(self, path):
        """Return what each exercise of a submission earned, by id."""
        self.grade(path, "--json", self.folder / "report.json")
        (submission,) = json.loads((self.folder / "report.json").read_text())["submissions"]
        return {e["id"]: e["points"] for e in submission["exercises"] if e["status"] != "manual"}

    def solved(self, assignment, notebook, **replaced):
        """Hand in the solved notebook, some texts of it replaced; return its path."""
        folder = self.folder / "handed in"
        folder.mkdir(exist_ok=True)
        source = (self.folder / "reference" / assignment / notebook).read_text()
        for old, new in replaced.values():
            assert old in source, old
            source = source.replace(old, new)
        path = folder / notebook
        path.write_text(source)
        return path

    def stub(self, assignment, notebook):
        """Return all that students are given: the notebook's text, and every file's, by name."""
        folder = self.folder / "student_templates" / assignment
        cells = json.loads((folder / notebook).read_text())["cells"]
        shown = "\n".join("".join(cell["source"]) for cell in cells)
        files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.*")}
        return shown, files


@pytest.fixture
def course(tmp_path, monkeypatch):
    for name in ("GRADE_ASSIGNMENTS", "GRADE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRADE_RESULTS", "none")
    return Course(tmp_path)
