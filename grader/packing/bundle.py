"""The files of an autograder for Gradescope, and of a bundle for Classroom 50."""

from __future__ import annotations

import io
import shlex
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

from grader.errors import AssignmentError
from grader.files import write_whole
from grader.packing.own_wheel import own_wheel
from grader.records import Assignment
from grader.report.gradescope import Visibility

PYTHON = "3.12"
"""The grader needs numpy below 2.4, which does not have wheels for every later Python."""
_LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", ".git"}


def pack(system: str, assignment: Assignment, target: Path, *, hidden: Visibility) -> Path:
    """Write the bundle of an assignment for a system; return its path.

    system : a key of SYSTEMS
    target : the zip file to write
    hidden : who sees the results of hidden checks, on Gradescope
    Raises AssignmentError for a student's copy, which has only the public checks; OSError.
    """
    if assignment.public_only:
        raise AssignmentError(
            f"{assignment.folder} is a student's copy, without hidden checks and solutions: pack "
            "the instructor's folder (--assignments)"
        )
    name, wheel = own_wheel()
    files = {f"wheels/{name}": wheel, **_assignment_files(assignment)}
    files |= SYSTEMS[system](assignment, f"wheels/{name}", hidden)
    write_whole(target, _zipped(files))
    return target


def _assignment_files(assignment: Assignment) -> dict[str, bytes]:
    folder = assignment.folder
    return {
        f"assignments/{assignment.id}/{name.as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _LEFT_OUT.isdisjoint((name := path.relative_to(folder)).parts)
    }


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            runs = data.startswith(b"#!")
            entry.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


# --- Gradescope -------------------------------------------------------------------------------


def _gradescope(assignment: Assignment, wheel: str, hidden: Visibility) -> dict[str, bytes]:
    quoted = shlex.quote(assignment.id)
    report = "gradescope" if hidden == "hidden" else "gradescope-after-published"
    build = f'"$venv/bin/grade" env build {quoted} --assignments "$source/assignments"'
    setup = f"""#!/usr/bin/env bash
# Runs once, when Gradescope builds the autograder.
set -euo pipefail
source=${{AUTOGRADER:-/autograder}}/source
venv=${{AUTOGRADER:-/autograder}}/venv
if ! command -v uv >/dev/null; then
    command -v curl >/dev/null || {{ apt-get -qq update; apt-get -qq install -y curl; }}
    curl -LsSf https://astral.sh/uv/install.sh | env UV_INSTALL_DIR=/usr/local/bin sh
fi
uv venv --python {PYTHON} "$venv"
uv pip install --python "$venv/bin/python" "$source/{wheel}"
{build if assignment.environment is not None else ""}
"$venv/bin/grade" doctor || true   # the log then shows which sandbox layers hold here
"""
    run = f"""#!/usr/bin/env bash
# Runs for each submission. In every case it writes results.json.
home=${{AUTOGRADER:-/autograder}}
mkdir -p "$home/results"
rm -f "$home/results/results.json"
cd "$home"
"$home/venv/bin/grade" --no-split --assignment {quoted} \\
    --assignments "$home/source/assignments" \\
    --report {report}="$home/results/results.json" \\
    "$home/submission" >"$home/results/grade.log" 2>&1
code=$?
cat "$home/results/grade.log"
if [ ! -s "$home/results/results.json" ]; then
    "$home/venv/bin/python" -P - "$code" "$home/results" <<'END'
import json, pathlib, sys
from grader.report.gradescope import failure
folder = pathlib.Path(sys.argv[2])
log = (folder / "grade.log").read_text(errors="replace")[-2000:]
last = [line for line in log.splitlines() if line.startswith("grade: ")][-1:]
message = last[0] if last else f"the autograder ended with exit code {{sys.argv[1]}}"
(folder / "results.json").write_text(json.dumps(failure(message)))
END
fi
if [ ! -s "$home/results/results.json" ]; then
    message="nothing was graded: the autograder's own set-up failed, see setup.sh in its build log"
    printf '{{"score": 0, "output": "%s"}}\n' "$message" >"$home/results/results.json"
fi
exit 0
"""
    return {"setup.sh": setup.encode(), "run_autograder": run.encode()}


# --- Classroom 50 -----------------------------------------------------------------------------


def _classroom50(assignment: Assignment, wheel: str, hidden: Visibility) -> dict[str, bytes]:
    script = f'''"""Grades the checkout in the current folder: writes result.json, exits with 0."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMAND = [
    *(sys.executable, "-P", "-m", "grader", "--no-split", "--assignment", {assignment.id!r}),
    *("--assignments", str(HERE / "assignments"), "--report", "classroom50=result.json", "."),
]


def main():
    # -P and unlink: a file of the checkout must not be imported, nor be used as a result.
    for name in ("result.json", "release-body.md"):
        Path(name).unlink(missing_ok=True)
    installed = [sys.executable, "-P", "-c", "import grader"]
    if subprocess.run(installed, capture_output=True).returncode:
        pip = [sys.executable, "-P", "-m", "pip", "install", "--quiet", str(HERE / {wheel!r})]
        subprocess.run(pip, check=False)
    done = subprocess.run(COMMAND, capture_output=True, text=True)
    Path("release-body.md").write_text(f"```text\\n{{done.stdout}}\\n```\\n", encoding="utf-8")
    if not Path("result.json").is_file():
        message = (done.stderr.strip().splitlines() or ["the autograder failed"])[-1]
        program = "import sys; from grader.report.classroom50 import failure_text as text; "
        command = [sys.executable, "-P", "-c", program + "print(text(sys.argv[1]))", message]
        Path("result.json").write_bytes(subprocess.run(command, capture_output=True).stdout)


if __name__ == "__main__":
    main()
'''
    runtime = f'{{"runtime": {{"python": "{PYTHON}"}}}}\n'
    return {"autograder.py": script.encode(), "environment.json": runtime.encode()}


SYSTEMS: dict[str, Callable[[Assignment, str, Visibility], dict[str, bytes]]] = {
    "gradescope": _gradescope,
    "classroom50": _classroom50,
}
