"""The fingerprint of a requested environment: assignments with equal requests share one."""

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
"""The format of an environment: after a change, all are built again."""
OURS = ("ipykernel", "numpy")
"""Packages that a kernel needs, in any versions that the requirements allow."""


def python_version(environment: Environment) -> str:
    """Return the requested version, such as "3.12"; the grader's own if there is none."""
    return environment.python or "{}.{}".format(*sys.version_info[:2])


def digest_of(environment: Environment, folder: Path) -> str:
    """Return the fingerprint of everything that determines an environment.

    folder : the assignment's, which contains the lock and the wheels
    Raises AssignmentError if these are missing.
    """
    recipe: dict[str, object] = {
        "format": FORMAT,
        "python": python_version(environment),
        "requirements": environment.requirements,
        "ours": OURS,
        "machine": [sys.platform, platform.machine()],
    }
    if environment.lock:
        recipe["lock"] = _hash(_inside(folder, environment.lock, "lock"))
    if environment.wheels:
        place = _inside(folder, environment.wheels, "wheels")
        recipe["wheels"] = {file.name: _hash(file) for file in sorted(place.glob("*.whl"))}
    if environment.inherit:
        recipe["inherit"] = [sys.prefix, *inherited()]
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:24]


def inherited() -> list[str]:
    """Return the folders of grade's own packages."""
    paths = sysconfig.get_paths()
    return list(dict.fromkeys((paths["purelib"], paths["platlib"])))


def _inside(folder: Path, name: str, key: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
        raise AssignmentError(f"{folder}: [environment] `{key}`: there is no {name} in this folder")
    return path


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
