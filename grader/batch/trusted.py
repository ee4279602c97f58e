"""Which folders of assignments this user has graded with: a new one is not believed unasked.

A check file runs with the rights of the user. An assignment that is found upwards of the
working directory may lie in what a student handed in: `cd unzipped && grade part/`. So the folders
that were graded with are remembered beside the results. Once there is one, another that was only
found, and never named, is refused until the user names it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from grader.batch import store
from grader.errors import AssignmentError
from grader.files import write_whole

# The latest are kept: a department has some dozens.
_MAX_KNOWN = 200


def require_known(folder: Path, environ: Mapping[str, str], *, named: bool) -> bool:
    """Remember where an assignment lies that is graded with; return whether it is the first.

    folder : the assignment's own
    named : the user named it, or a folder around it
    Raises AssignmentError where it was only found, and this user has graded with others.
    """
    file = _file(environ)
    if file is None:
        return False
    place = folder.resolve().parent
    known = _known(file)
    if place in known:
        return False
    alive = [one for one in known if one.is_dir()]
    if alive and not named:
        raise AssignmentError(
            f"{folder} was found upwards of this folder, and nothing was graded with it before: it "
            f"may be a student's, and its checks would run with your rights. You have graded with "
            f"{alive[-1]}. If it is your course's, name it once: --assignments {place}"
        )
    kept = [str(one) for one in (*alive, place)][-_MAX_KNOWN:]
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(file, json.dumps(kept, indent=1) + "\n")
    except OSError:
        return False  # a full disk, a folder without rights: it is only not remembered
    return not known


def _file(environ: Mapping[str, str]) -> Path | None:
    results = store.place(environ)
    return None if results is None else results.with_name(f"{results.name}.courses")


def _known(file: Path) -> list[Path]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(read, list):
        return []
    return [Path(one) for one in read if isinstance(one, str) and os.path.isabs(one)]  # noqa: PTH117
