"""What an assignment asks for, as one fingerprint: equal recipes share one environment."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import sysconfig
from pathlib import Path

from grader.errors import AssignmentError
from grader.records import Environment

FORMAT = 1
"""Of what is built: a new one builds all anew."""
OURS = ("ipykernel", "numpy")
"""What a kernel needs besides; their versions are what the requirements leave open."""


def python_version(environment: Environment) -> str:
    """Return the requested version, such as "3.12"; the grader's own if there is none."""
    return environment.python or "{}.{}".format(*sys.version_info[:2])


def digest_of(environment: Environment, folder: Path) -> str:
    """Return the fingerprint of all that decides what is built.

    folder : the assignment's, which holds the lock and the wheels
    Raises AssignmentError where these are not there.
    """
    said: dict[str, object] = {
        "format": FORMAT,
        "python": python_version(environment),
        "requirements": environment.requirements,
        "ours": OURS,
        "machine": [sys.platform, platform.machine()],
    }
    if environment.lock:
        said["lock"] = _hash(_inside(folder, environment.lock, "lock"))
    if environment.wheels:
        place = _inside(folder, environment.wheels, "wheels")
        said["wheels"] = {file.name: _hash(file) for file in sorted(place.glob("*.whl"))}
    if environment.inherit:
        said["inherit"] = [sys.prefix, *inherited()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:24]


def inherited() -> list[str]:
    """Return the folders of the packages that grade itself runs with."""
    paths = sysconfig.get_paths()
    return list(dict.fromkeys((paths["purelib"], paths["platlib"])))


def _inside(folder: Path, name: str, key: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
        raise AssignmentError(f"{folder}: [environment] `{key}`: there is no {name} in this folder")
    return path


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
