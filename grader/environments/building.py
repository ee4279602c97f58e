"""Builds an environment: by uv if it is installed, else by Python's own venv and pip."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grader.environments.recipe import OURS, digest_of, inherited, python_version
from grader.environments.store import BUILDING, RECORD, Built, interpreter_in, place, read
from grader.errors import AssignmentError
from grader.files import write_whole
from grader.records import Environment

Tell = Callable[[str], None]

# A script that prints the version and the packages of the new interpreter.
_CONTENTS = """
import importlib.metadata, json, sys
names = {f"{d.metadata['Name']} {d.version}" for d in importlib.metadata.distributions()
         if d.metadata["Name"]}
print(json.dumps(["{}.{}.{}".format(*sys.version_info[:3]), sorted(names, key=str.lower)]))
"""
_NEEDED = "import ipykernel, numpy"
_LAST_LINES = 12


def build(
    environment: Environment, folder: Path, assignment_id: str, *, tell: Tell, again: bool = False
) -> Built:
    """Return the assignment's environment; build it if it is missing.

    folder : the assignment's
    tell : called with a line of text before each step
    again : whether to build it again, with the newest packages that the requirements allow
    Raises AssignmentError if a package or the Python is not available, OSError.
    """
    target = place() / digest_of(environment, folder)
    known = read(target)
    if known is not None and not again:
        return _with_assignment(known, assignment_id)
    place().mkdir(parents=True, exist_ok=True)
    _remove_unfinished()
    # Built beside its folder and moved when complete: other runs never see an incomplete one.
    making = place() / f"{BUILDING}{secrets.token_hex(6)}"
    try:
        _make(environment, folder, making, assignment_id, tell)
        python, packages = json.loads(_output_of(making, "-c", _CONTENTS))
        record = {
            "python": python,
            "packages": packages,
            "assignments": sorted({assignment_id, *(known.assignments if known else ())}),
            "bytes": _size(making),
        }
        (making / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        if target.exists():
            target.rename(place() / f"{BUILDING}{secrets.token_hex(6)}")
        making.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
        _remove_unfinished()
    built = read(target)
    assert built is not None
    return built


def _make(
    environment: Environment, folder: Path, making: Path, assignment_id: str, tell: Tell
) -> None:
    version = python_version(environment)
    if environment.inherit and version != "{}.{}".format(*sys.version_info[:2]):
        raise AssignmentError(
            f"{assignment_id}: [environment] `inherit` takes the packages of grade's own Python "
            f"{sys.version_info[0]}.{sys.version_info[1]}: leave `python` out"
        )
    uv = find_uv()
    own = _interpreter(version)
    tell(f"{assignment_id}: Python {version}")
    if uv:
        _run([uv, "venv", "--quiet", "--python", own or version, str(making)], assignment_id)
    elif own:
        _run([own, "-m", "venv", str(making)], assignment_id)
    else:
        raise AssignmentError(
            f"{assignment_id} asks for Python {version}, which is not on this machine: install it, "
            "or uv, which fetches it (pip install uv)"
        )
    python = str(interpreter_in(making))
    install = (
        [uv, "pip", "install", "--quiet", "--python", python]
        if uv
        else [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    )
    if environment.wheels:
        install += ["--no-index", "--find-links", str((folder / environment.wheels).resolve())]
    wanted: list[str] = list(environment.requirements)
    if environment.inherit:
        # The resolver does not see inherited packages, and would install them again.
        install.append("--no-deps")
        site = _output_of(making, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])")
        Path(site.strip(), "_grade_inherited.pth").write_text(
            "".join(f"{path}\n" for path in inherited()), encoding="utf-8"
        )
    if environment.lock:
        tell(f"{assignment_id}: installing {environment.lock}")
        lock = (folder / environment.lock).resolve()
        if uv:
            _run([*install, "-r", str(lock)], assignment_id)
        else:
            pinned = making / "pinned.txt"
            pinned.write_text(_pinned(lock, assignment_id), encoding="utf-8")
            _run([*install, "--no-deps", "--require-hashes", "-r", str(pinned)], assignment_id)
    if wanted or not environment.inherit:
        # Together with OURS, so that all versions fit; packages from a lock stay as they are.
        ours = [] if environment.inherit else list(OURS)
        tell(f"{assignment_id}: installing {', '.join(wanted) or 'what a kernel needs'}")
        _run([*install, *wanted, *ours], assignment_id)
    _run([python, "-c", _NEEDED], assignment_id)


def _pinned(lock: Path, assignment_id: str) -> str:
    """Return a pylock.toml as requirements with hashes, for a pip that can't read it."""
    try:
        packages = tomllib.loads(lock.read_text("utf-8"))["packages"]
        lines = []
        for package in packages:
            files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
            hashes = " ".join(f"--hash=sha256:{file['hashes']['sha256']}" for file in files)
            marker = f" ; {package['marker']}" if "marker" in package else ""
            lines.append(f"{package['name']}=={package['version']}{marker} {hashes}\n")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssignmentError(
            f"{assignment_id}: {lock.name} can't be read as a pylock.toml ({error!r}): make it by "
            "`uv pip compile -o pylock.toml`, or install uv"
        ) from error
    return "".join(lines)


def find_uv() -> str:
    """Return the path of uv; "" if it is missing."""
    return shutil.which("uv") or ""


def _interpreter(version: str) -> str:
    """Return the path of a Python of that version on this machine; "" for none."""
    if version == "{}.{}".format(*sys.version_info[:2]):
        return str(getattr(sys, "_base_executable", sys.executable))
    for path in _candidates(version):
        try:
            script = "import sys; print('{}.{}'.format(*sys.version_info[:2]))"
            done = subprocess.run([path, "-c", script], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and done.stdout.strip() == version:
            return str(path)
    return ""


def _candidates(version: str) -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder, f"python{version}")
        if folder and path.exists():
            yield path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    yield from sorted(pyenv.glob(f"{version}*/bin/python"))


def _run(command: Sequence[str], assignment_id: str) -> None:
    """Run a step. Raises AssignmentError with the last lines of its output."""
    # The environment of the instructor's shell must not affect the build.
    left_out = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX")
    environ = {k: v for k, v in os.environ.items() if k not in left_out}
    done = subprocess.run(
        [*command], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environ
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise AssignmentError(
            f"the environment of {assignment_id} can't be built: {' / '.join(lines[-_LAST_LINES:])}"
        )


def _output_of(folder: Path, *arguments: str) -> str:
    command = [str(interpreter_in(folder)), "-I", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _with_assignment(known: Built, assignment_id: str) -> Built:
    """Add an assignment to the record of an environment."""
    if assignment_id not in known.assignments:
        record = json.loads((known.folder / RECORD).read_text("utf-8"))
        record["assignments"] = sorted({assignment_id, *known.assignments})
        write_whole(known.folder / RECORD, json.dumps(record, indent=1))
    return read(known.folder) or known


def _size(folder: Path) -> int:
    files = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files)


def _remove_unfinished() -> None:
    """Delete unfinished builds older than a day; a younger one may be in progress."""
    import time

    for folder in place().glob(f"{BUILDING}*"):
        if time.time() - folder.stat().st_mtime > 86_400:
            shutil.rmtree(folder, ignore_errors=True)
