"""Write the students' folder: the stubs, the public checks, the public part of assignment.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import tomli_w

from grader.assignment import find_assignments, folder_of, load_assignment
from grader.assignment.check_files import COPIES
from grader.authoring.first_cell import first_cell, readme
from grader.authoring.leaks import find_leaks
from grader.authoring.published import public_files
from grader.authoring.stubs import is_script, stub_text
from grader.errors import AssignmentError, SubmissionError
from grader.files import write_whole
from grader.notebook import parse_notebook
from grader.records import Assignment, Environment, Exercise, Limits, Rules

README = "README.md"


def write_stubs(
    ids: Sequence[str], *, assignments: Path | None, check: bool, yes_publish: bool = False
) -> list[str]:
    """Write student_templates/ beside reference/ for these assignments; return the files written.

    ids : of assignments; empty for all
    assignments : the folder of assignments; None to find it by $GRADE_ASSIGNMENTS or upwards
    check : write nothing; return a line for each file that is out of date
    Raises AssignmentError, also for a student's copy, which has no solutions.
    """
    folders = find_assignments(Path.cwd(), assignments, os.environ)
    touched: list[str] = []
    for assignment_id in ids or sorted(folders):
        assignment = load_assignment(folder_of(assignment_id, folders))
        if assignment.public_only:
            raise AssignmentError(
                f"{assignment.folder} is a student's copy: stubs are made from "
                f"reference/{assignment.id}; name its folder with --assignments"
            )
        to = assignment.folder.parent.parent / "student_templates" / assignment.id
        if check:
            touched += check_templates(assignment, to)
        else:
            touched += [
                str(path) for path in write_templates(assignment, to, yes_publish=yes_publish)
            ]
    return touched


def write_templates(assignment: Assignment, to: Path, *, yes_publish: bool = False) -> list[Path]:
    """Write the stubs and the public checks; return the files that changed.

    to : student_templates/<id>; each file is replaced whole, and files of an earlier run that are
        no longer needed are removed
    yes_publish : True if somebody has looked at possible leaks
    Raises AssignmentError if a file seems to hold a solution, an answer or a hidden check.
    """
    wanted = _template_files(assignment)
    leaks = [] if yes_publish else find_leaks(assignment, wanted)
    if leaks:
        raise AssignmentError(
            f"{assignment.id}: nothing was written, since students might see: "
            + "; ".join(leaks[:8])
            + (f"; and {len(leaks) - 8} more" if len(leaks) > 8 else "")
            + ". If students may see all of it: grade stubs --yes-publish"
        )
    changed = []
    for name, data in wanted.items():
        path = to / name
        if _read(path) != data:
            write_whole(path, data)
            changed.append(path)
    for path in _leftovers(assignment, to, wanted):
        path.unlink()
        changed.append(path)
    return changed


def check_templates(assignment: Assignment, to: Path) -> list[str]:
    """Return a line for each file that `write_templates` would change; [] if there is none."""
    wanted = _template_files(assignment)
    stale = []
    for name, data in wanted.items():
        found = _read(to / name)
        if found is None:
            stale.append(f"{to / name}: missing")
        elif found != data:
            stale.append(f"{to / name}: out of date")
    stale += [f"{path}: no longer generated" for path in _leftovers(assignment, to, wanted)]
    return stale


def _template_files(assignment: Assignment) -> dict[str, bytes]:
    """Return every file of student_templates/<id>, by its relative name."""
    files: dict[str, bytes] = {}
    for name in assignment.notebook_names:
        solved = assignment.notebooks[name]
        first = first_cell(assignment.environment, script=is_script(name))
        files[name] = stub_text(solved, assignment=assignment.id, file=name, first=first).encode()
        # Submissions are compared with this stub, which has no first cell.
        files[f"checks/stubs/{name}"] = stub_text(
            solved, assignment=assignment.id, file=name
        ).encode()
    files[README] = readme(assignment).encode()
    files["checks/assignment.toml"] = public_assignment(assignment).encode()
    for name, data in public_files(assignment).items():
        if name not in assignment.files:  # it is in checks/files/
            files[f"checks/{name}"] = data
    if assignment.environment is not None and (lock := assignment.environment.lock):
        files[lock] = files[f"checks/{lock}"] = (assignment.folder / lock).read_bytes()
    for name, path in assignment.files.items():
        files[name] = files[f"checks/{COPIES}/{name}"] = path.read_bytes()
    return files


def _leftovers(assignment: Assignment, to: Path, wanted: Mapping[str, bytes]) -> list[Path]:
    """Return the files of an earlier run that are no longer needed; not the user's notebooks."""
    known = {to / name for name in wanted}
    old = [*(to / "checks").rglob("*.py"), *(to / "checks" / "stubs").glob("*.ipynb")]
    for path in (to / "checks" / COPIES).rglob("*"):
        if path.is_file() and path not in known and "__pycache__" not in path.parts:
            old.append(path)
            # The copy beside the notebook goes as well, unless somebody has changed it.
            beside = to / path.relative_to(to / "checks" / COPIES)
            if beside not in known and _read(beside) == _read(path):
                old.append(beside)
    for path in to.glob("*.ipynb"):
        if path not in known and _claimed_assignment(path) == assignment.id:
            old.append(path)
    return sorted({path for path in old if path not in known})


def _claimed_assignment(path: Path) -> object:
    try:
        grade = parse_notebook(path.read_bytes(), name=path.name).metadata.get("grade")
    except (OSError, SubmissionError):
        return None
    return grade.get("assignment") if isinstance(grade, dict) else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


# --- the public part of assignment.toml ---------------------------------------------------------


def public_assignment(assignment: Assignment) -> str:
    """Return the student's copy of assignment.toml, with the full points of each exercise."""
    document: dict[str, object] = {
        "id": assignment.id,
        "title": assignment.title,
        "public": True,
        "files": [*assignment.files],
        "environment": _environment(assignment.environment),
        "limits": _changed(assignment.limits, Limits()),
        "data": {"datasets": assignment.datasets} if assignment.datasets else {},
        "rules": asdict(assignment.rules) if assignment.rules != Rules() else {},
        "notebooks": [
            _filled_in({"file": name, "requires": assignment.requires.get(name)})
            for name in assignment.notebook_names
        ],
        "exercises": [_exercise(exercise) for exercise in assignment.exercises],
    }
    return "# Made by `grade stubs`; changes here are lost.\n" + tomli_w.dumps(_filled_in(document))


def _environment(environment: Environment | None) -> dict[str, object]:
    """Return the environment for students, without the instructor's own wheels."""
    if environment is None:
        return {}
    return _filled_in(asdict(replace(environment, wheels="")))


def _exercise(exercise: Exercise) -> dict[str, object]:
    table = {"id": exercise.id} | _filled_in(asdict(exercise))
    task = exercise.derivation
    if task is None:
        return table
    # The sheet's declarations are public; the targets are not: they are often the answer.
    del table["manual"]
    more = _filled_in({**task.sheet, "file": task.file, "tag": task.tag})
    return table | {"kind": "derivation", "derivation": more}


def _changed(record: Limits, default: Limits) -> dict[str, object]:
    before = asdict(default)
    return {key: value for key, value in asdict(record).items() if value != before[key]}


def _filled_in(table: Mapping[str, object]) -> dict[str, object]:
    """Return the table without empty values; whole numbers as integers."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in table.items()
        if value or isinstance(value, float)
    }
