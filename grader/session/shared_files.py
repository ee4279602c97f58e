"""The instructor's files beside a notebook: one read-only copy for all kernels of a run.

A kernel's folder gets copies of small files: a notebook may write to them, as on the student's
machine. Of large files it gets links into the shared copy, which a sandboxed process can only read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from grader.in_kernel.system import CAN_SANDBOX
from grader.records import Sandbox
from grader.temporary import TemporaryFolder

SMALL_BYTES = 256 << 10
"""A file up to this size is copied into each kernel's folder; the smallest files come first."""
COPIED_BYTES = 4 << 20
COPIED_FILES = 100
"""All copies together; files beyond these two limits are linked."""


class SharedFiles:
    """Read-only copies of an assignment's files, in the folder `path`. remove() deletes it.

    files : the source of each file, by its name relative to a notebook
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._made = TemporaryFolder()
        # A kernel may run as another user, who must pass through this folder to read.
        self._made.path.chmod(0o711)
        self.path = self._made.path / "files"
        try:
            self.path.mkdir()
            for name, source in files.items():
                target = self.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                target.chmod(0o444)
            for place, _, _ in os.walk(self.path):
                Path(place).chmod(0o755)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        self._made.remove()


def place_files(shared: Path, beside: Path, *, sandbox: Sandbox) -> None:
    """Put the files of a shared folder beside a notebook; replace files of the same names.

    beside : the notebook's folder
    sandbox : "none" means that files are never linked: a notebook could write through a link
    Raises OSError.
    """
    copied = 0
    linked = CAN_SANDBOX and sandbox != "none"
    for number, (size, name) in enumerate(_sized(shared)):
        target = _free_path(beside, PurePosixPath(name))
        copied += size
        if not linked or (size <= SMALL_BYTES and copied <= COPIED_BYTES and number < COPIED_FILES):
            shutil.copyfile(shared / name, target)
        else:
            target.symlink_to(shared / name)


@lru_cache(maxsize=8)
def _sized(shared: Path) -> list[tuple[int, str]]:
    """Return (bytes, name) of each file, the small ones first; a shared folder never changes."""
    return sorted(
        (file.stat().st_size, file.relative_to(shared).as_posix())
        for file in shared.rglob("*")
        if file.is_file()
    )


def _free_path(beside: Path, name: PurePosixPath) -> Path:
    """Return the path for a file; delete whatever is in its place or blocks its folders."""
    folder = beside
    for part in name.parts[:-1]:
        folder /= part
        if folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True)
    target = folder / name.name
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    return target
