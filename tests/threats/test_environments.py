"""Requirements that a submission brings: nothing of them is ever installed or run."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from ..course_files.conftest import notebook, zipped
from ..course_files.test_environments import USES, _in_front, built, course, wheel

pytestmark = pytest.mark.any_user

__all__ = ["course"]  # a fixture


def test_nothing_that_a_submission_asks_for_is_ever_installed(course, tmp_path):
    """Not by its own requirements, its metadata, an assignment.toml or a wheel that it brings."""
    built(course())
    before = sorted(p.name for p in (tmp_path / "store").iterdir())
    mark = tmp_path / "was-run"
    evil = wheel(tmp_path, 9, name="evil", code=f"open({str(mark)!r}, 'w')\nVERSION = {{}}\n")
    asks = (
        "# /// script\n# dependencies = ['evil']\n# ///\n"
        "try:\n    import evil\nexcept ImportError:\n    evil = None\n"
    )
    hand_in = {
        "lab.ipynb": notebook(asks, USES),
        "requirements.txt": "evil\n",
        "pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = ["evil"]\n',
        "setup.py": f"open({str(mark)!r}, 'w')\n",
        "environment.yml": "dependencies: [evil]\n",
        "pylock.toml": 'lock-version = "1.0"\n',
        "checks/assignment.toml": _in_front('[environment]\nrequirements = ["evil"]\n'),
    }
    zipped(tmp_path / "a.zip", hand_in)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.write(evil, f"wheels/{evil.name}")
    done = subprocess.run(
        [sys.executable, "-m", "grader", "a.zip", "--json", "-", "--assignments",
         "course/reference"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env=os.environ | {"PIP_FIND_LINKS": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["submissions"][0]["score"] == 2.0
    assert not mark.exists()
    assert sorted(p.name for p in (tmp_path / "store").iterdir()) == before
