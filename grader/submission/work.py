"""Tell which files are work, and which are not: environments, caches, system files."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

MAX_DEPTH = 12
"""Nested folders. Real submissions have two or three."""
SKIPPED_FOLDERS = frozenset(
    {"__macosx", ".ipynb_checkpoints", "__pycache__", ".git", ".hg", ".svn", ".idea", ".vscode"}
)
SKIPPED_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
ENVIRONMENTS = frozenset({"venv", ".venv", "env", "site-packages", "node_modules"})
"""Folders whose scripts are never handed in."""
HANDED_IN = frozenset(
    {".pdf", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".doc", ".docx", ".odt", ".py"}
)
"""What students hand in besides zips and notebooks."""


def is_work(path: PurePosixPath) -> bool:
    return path.suffix.lower() in (".ipynb", ".py") and not any(
        is_skipped(part) or part.lower() in ENVIRONMENTS for part in path.parts
    )


def is_skipped(name: str) -> bool:
    folded = name.casefold()
    return folded in SKIPPED_FOLDERS or folded in SKIPPED_FILES or name.startswith("._")


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key that puts "pw2" before "pw10"."""
    return natural_name(path.name)


def natural_name(name: str) -> list[tuple[int, int, str]]:
    """Return that key of a name. "Rossi (2).zip" comes after "Rossi.zip", whose copy it is."""
    stem, _, suffix = name.rpartition(".")
    if stem and suffix.isalnum():
        return [*natural_name(stem), (0, -1, ""), *natural_name(suffix)]
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def entries_of(folder: Path) -> list[Path]:
    """Return the entries of a folder, in natural order, without caches and system files."""
    return sorted((e for e in folder.iterdir() if not is_skipped(e.name)), key=natural)


def holds_work(folder: Path, depth: int = 0) -> bool:
    """Return whether a folder holds a notebook, a script or a zip, at any depth."""
    if folder.name.lower() in ENVIRONMENTS or depth > MAX_DEPTH:
        return False
    try:
        entries = [entry for entry in folder.iterdir() if not is_skipped(entry.name)]
    except OSError:
        return False
    if any(e.is_file() and e.suffix.lower() in (".ipynb", ".py", ".zip") for e in entries):
        return True
    return any(holds_work(e, depth + 1) for e in entries if e.is_dir() and not e.is_symlink())


def reason_of(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
