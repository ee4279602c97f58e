"""The private folders and the environment variables of a kernel."""

from __future__ import annotations

import contextlib
import os
import shutil
import site
import tempfile
from collections.abc import Callable
from pathlib import Path

from grader.temporary import TemporaryFolder, remove_leftovers

BACKEND = "module://grader.in_kernel.figures"

# The host's variables that a kernel gets. It gets no others: they may be secrets, proxies, or
# settings (PYTHONSTARTUP, MPLBACKEND, IPYTHONDIR) that would change what a notebook does.
ALLOWED_ENVIRONMENT = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV", "CONDA_PREFIX", "SYSTEMROOT",
)  # fmt: skip
# One thread each: a fork is then twice as fast, and several sessions share the machine's cores.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
           "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")  # fmt: skip
# Files that a program reads by itself from the folder that it runs in, and folders of tools.
NEVER_COPIED = {"matplotlibrc", ".matplotlibrc", ".git", "__pycache__", "__MACOSX",
                ".ipynb_checkpoints", "ipython_config.py", "ipython_kernel_config.py"}  # fmt: skip


class Scratch:
    """Private folders of one session; remove() deletes them all.

    work : where the notebook runs: a copy of what the student handed in
    home, tmp : what the kernel sees as HOME and as its temporary directory
    box : empty; a sandboxed kernel's root folder is built in it
    calls : holds the grader's sockets; outside /tmp, since a sandboxed kernel has its own /tmp
    """

    def __init__(self, folder: Path | None, lay: Callable[[Path], None] | None = None) -> None:
        """lay : puts the instructor's files over the copy in `work`"""
        self._made = [TemporaryFolder()]
        self.root = self._made[0].path
        try:
            self._made.append(TemporaryFolder(parent=place_of_sockets()))
            self.calls = self._made[1].path
            self.work, self.home, self.tmp, self.box = (
                self.root / name for name in ("work", "home", "tmp", "box")
            )
            for path in (self.work, self.home, self.tmp, self.box):
                path.mkdir(mode=0o700)
            if folder is not None:
                _copy_tree(folder, self.work)
            if lay is not None:
                lay(self.work)
            _copy_font_list(self.home / "matplotlib")
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Delete the folders, also those that were made read-only."""
        for folder in self._made:
            folder.remove()

    def folders(self) -> dict[str, Path]:
        """Return every folder by its name."""
        names = ("root", "box", "work", "home", "tmp", "calls")
        return {name: getattr(self, name) for name in names}


def remove_session_leftovers() -> None:
    """Delete the folders of killed runs, in all places where sessions have theirs."""
    remove_leftovers(place_of_sockets() or tempfile.gettempdir())


def place_of_sockets() -> str | None:
    """Return a folder for sockets outside the temporary folder; None if there is none."""
    for name in (os.environ.get("XDG_RUNTIME_DIR", ""), "/var/tmp"):
        folder = Path(name)
        if name and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return name
    return None


def _copy_tree(source: Path, target: Path) -> None:
    """Copy plain files and folders; skip links, devices and sockets."""
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.name in NEVER_COPIED or entry.is_symlink():
                continue
            if entry.is_dir():
                (target / entry.name).mkdir(exist_ok=True)
                _copy_tree(Path(entry.path), target / entry.name)
            elif entry.is_file():
                shutil.copyfile(entry.path, target / entry.name)


def _copy_font_list(target: Path) -> None:
    """Copy the user's list of fonts for the kernel: matplotlib takes a second to make one.

    A matplotlibrc beside the list is not copied: it belongs to the user, not to the assignment.
    """
    target.mkdir(mode=0o700)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    for font_list in cache.glob("fontlist-*.json"):
        with contextlib.suppress(OSError):
            shutil.copyfile(font_list, target / font_list.name)


def kernel_environment(scratch: Scratch) -> dict[str, str]:
    """Return all environment variables of a kernel."""
    environment = {k: os.environ[k] for k in ALLOWED_ENVIRONMENT if k in os.environ}
    environment.setdefault("LANG", "C.UTF-8")
    environment.update(dict.fromkeys(THREADS, "1"))
    if site.ENABLE_USER_SITE:
        environment["PYTHONUSERBASE"] = site.getuserbase()
    return environment | {
        "HOME": str(scratch.home),
        "USERPROFILE": str(scratch.home),
        "TMPDIR": str(scratch.tmp),
        "USER": "student",
        "LOGNAME": "student",
        "IPYTHONDIR": str(scratch.home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_DATA_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLCONFIGDIR": str(scratch.home / "matplotlib"),
        "MPLBACKEND": BACKEND,
        "PYTHONHASHSEED": "0",  # the order of a set must not change a score
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
