"""The folders of assignments that this user has graded with; a new one must be named once.

A check file runs with the user's rights. An assignment that is found above the working directory
may be part of a submission: `cd unzipped && grade part/`. So the folders that were used are stored
beside the results. Once there is one, any other folder that was only found is refused until the
user names it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from grader.batch import store
from grader.errors import AssignmentError
from grader.files import write_whole

# Only the latest are kept; a department has some dozens.
_MAX_KNOWN = 200


def require_known(folder: Path, environ: Mapping[str, str], *, named: bool) -> bool:
    """Store an assignment's folder as trusted; return whether it is the first one.

    folder : the assignment's own
    named : whether the user named it, or a folder around it
    Raises AssignmentError if it was only found, and this user has graded with other folders.
    """
    file = _file(environ)
    if file is None:
        return False
    place = folder.resolve().parent
    known = _known(file)
    if place in known:
        return False
    existing = [path for path in known if path.is_dir()]
    if existing and not named:
        raise AssignmentError(
            f"{folder} was found above this folder, and nothing was graded with it before: it "
            f"may be a student's, and its checks would run with your rights. You have graded with "
            f"{existing[-1]}. If it is your course's, name it once: --assignments {place}"
        )
    latest = [str(path) for path in (*existing, place)][-_MAX_KNOWN:]
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(file, json.dumps(latest, indent=1) + "\n")
    except OSError:
        return False  # a full disk, or no right to write: grade without storing it
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
