"""Runs Python as a user without rights: `python tests/ordinary_user.py -m pytest tests/session`.

As root, in a mount namespace of its own: where Python or this repository lies in a folder of
root's, that folder is covered there by one that shows them and nothing else. The user's home is in
memory, seen there alone, and gone with the last process of it. As anyone else it just runs Python.
"""

import os
import sys
import tempfile
from pathlib import Path

from grader.in_kernel.sandbox import libc

USER = 54321
HOME = "/mnt"  # covered; whatever lies there is nothing that a test looks at
NEW_MOUNTS = 0x00020000
BIND_ALL, ALL_PRIVATE = 4096 | 16384, 16384 | (1 << 18)


def closed_parent(path: Path) -> Path | None:
    """Return the topmost folder above a path that others can't pass; None where they can."""
    for parent in reversed(path.parents):
        if not parent.stat().st_mode & 0o001:
            return parent
    return None


def open_a_way() -> None:
    """Let others pass to Python and to this repository, in a mount namespace of our own."""
    libc.unshare(NEW_MOUNTS)
    libc.mount("", "/", "", ALL_PRIVATE)
    needed = (Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[1])
    hidden = {path: closed_parent(path) for path in dict.fromkeys(map(Path.resolve, needed))}
    kept = {path: tempfile.mkdtemp() for path, closed in hidden.items() if closed is not None}
    for path, place in kept.items():
        libc.mount(str(path), place, "", BIND_ALL)
    for closed in {hidden[path] for path in kept}:
        libc.mount("tmpfs", str(closed), "tmpfs", 0, "mode=755")
    for path, place in kept.items():
        path.mkdir(parents=True, exist_ok=True)
        libc.mount(place, str(path), "", BIND_ALL)
        libc.unmount(place, 0)
        Path(place).rmdir()


def main() -> None:
    if os.geteuid() == 0:
        open_a_way()
        libc.mount("tmpfs", HOME, "tmpfs", 0, f"mode=700,uid={USER},gid={USER}")
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        os.environ |= {"HOME": HOME, "USER": "ordinary", "LOGNAME": "ordinary"}
        os.environ.pop("XDG_RUNTIME_DIR", None)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])


if __name__ == "__main__":
    main()
