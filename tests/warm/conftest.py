"""A student's folder, and a warm process that holds its checks, found in a folder of the test's.

desk.grade(...)     the command, in a process of its own
desk.start()        a warm process, ready; desk.pids() those that live
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grader.warm.place import Place, key

ROOT = Path(__file__).resolve().parents[2]
CELLS = [
    "import numpy as np",
    "def sigmoid(z):\n    return 0.5 * (1 + np.tanh(np.asarray(z, dtype=float) / 2))",
    "def sigmoid_prime(z):\n    return sigmoid(z) * ({factor} - sigmoid(z))",
]
MARK = "grade.test.mark"


@dataclass
class Desk:
    folder: Path
    runtime: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, *cells, name="sigmoid.ipynb"):
        import nbformat

        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nbformat.write(made, self.folder / name)

    def command(self, *arguments):
        return [sys.executable, "-P", "-m", "grader", "sigmoid.ipynb", *arguments]

    def grade(self, *arguments):
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def key(self):
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(self.environment)
            return key(self.folder, os.environ)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def place(self):
        return Place(make=True)

    def start(self, *, stays_s=60.0):
        """Return a warm process that listens."""
        program = f"import grader.warm.process as p; p.STAYS_S = {stays_s}; p.main()"
        told = {
            "key": self.key(),
            "graded": str(self.folder),
            "folder": str(self.folder / "checks"),
            "sandbox": "auto",
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            env=self.environment,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        with process.stdin as pipe:
            pipe.write(json.dumps(told).encode())
        return process

    @property
    def listens(self):
        return (self.runtime / "grade-warm" / f"{self.key()}.sock").exists()

    def pids(self):
        """Every process of this test's, whatever has become of its parent."""
        mark = f"{MARK}={self.runtime}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (place / "environ").read_bytes():
                    found.append(int(place.name))
            except OSError:
                continue
        return found


@pytest.fixture
def desk(tmp_path, monkeypatch, until):
    folder, runtime = tmp_path / "work", tmp_path / "run"
    shutil.copytree(ROOT / "student_templates" / "pw02", folder)
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv(MARK, str(runtime))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # as the command has it
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    desk = Desk(folder, runtime, dict(os.environ))
    desk.write(*(cell.format(factor=1) for cell in CELLS))
    yield desk
    from grader.warm.client import end_all

    end_all()
    until(lambda: not desk.pids())


@pytest.fixture
def warm(desk, until):
    process = desk.start()
    until(lambda: desk.listens or process.poll() is not None)
    assert process.poll() is None
    yield process
    if process.poll() is None:
        process.terminate()
    process.wait(60)
