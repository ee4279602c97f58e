"""Which files and folders are work, and which lie beside it: environments, caches, system files."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

SKIPPED_FOLDERS = frozenset(
    {"__macosx", ".ipynb_checkpoints", "__pycache__", ".git", ".hg", ".svn", ".idea", ".vscode"}
)
SKIPPED_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
ENVIRONMENTS = frozenset({"venv", ".venv", "env", "site-packages", "node_modules"})
"""Folders whose scripts nobody hands in."""
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
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def reason_of(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
