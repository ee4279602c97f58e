"""The check files of an assignment: which are public, which are hidden, what they may import.

reference/pw02/test_sigmoid.py             public: copied to the students byte for byte
reference/pw02/hidden/test_sigmoid.py      hidden: never copied, whatever it holds
reference/pw02/images.py                   a module that all check files can import
reference/pw02/hidden/answers.py           a module that only hidden check files can import
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from grader.errors import AssignmentError

HIDDEN = "hidden"
"""The folder of hidden checks. A file is hidden by its place, so no name can be misspelt."""
MARKER = ("points", "hidden", "reply_mib", "shares")
"""What `exercise` says of a check beside the exercise's id."""
COPIES = "files"
"""The folder of a student's copy with the files that lie beside the notebooks."""


def find_check_files(
    folder: Path, *, public: bool, beside: Collection[str] = ()
) -> tuple[Path, ...]:
    """Return the check files, each hidden one after the public one with the same name.

    public : True for a student's copy, whose folder `hidden` is ignored
    beside : the files named in `files`: a module of the course may be called test_utils.py
    Raises AssignmentError for a check file in another folder, where it would never run.
    """
    found = [
        path for path in folder.glob("test_*.py") if path.name not in beside or holds_checks(path)
    ]
    if public:
        return tuple(sorted(found))
    for path in sorted(folder.glob("*/test_*.py")):
        if path.parent.name == HIDDEN:
            found.append(path)
        elif holds_checks(path):
            raise AssignmentError(
                f"{path}: check files stand beside assignment.toml, those that students don't "
                f"get in {folder / HIDDEN}: move it to one of them"
            )
    return tuple(sorted(found, key=lambda path: (path.name, is_hidden(path, folder))))


def holds_checks(file: Path) -> bool:
    """Return whether a file has a check file's name, and a check in it."""
    named = file.name.startswith("test_") and file.suffix == ".py"
    return named and "mark.exercise" in file.read_text(encoding="utf-8", errors="replace")


def is_hidden(file: Path, folder: Path) -> bool:
    """Return whether a file of the assignment in `folder` stays with the instructor."""
    return file.resolve().is_relative_to(folder.resolve() / HIDDEN)


def module_names(folder: Path) -> list[str]:
    """Return the names of the modules beside the check files, which these can import."""
    places = [folder, folder / HIDDEN, folder / COPIES]
    files = [file.stem for place in places for file in sorted(place.glob("*.py"))]
    packages = [file.parent.name for file in sorted(folder.glob("*/__init__.py"))]
    return [name for name in dict.fromkeys((*files, *packages)) if name.isidentifier()]


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let check files import the modules beside them, until the block ends.

    They come last on the path, so a file called numpy.py does not replace the package. The imports
    are forgotten at the end, since the next assignment may have a module with the same name.
    """
    path = list(sys.path)
    root = folder.resolve()
    # In a student's copy, what lies beside the notebooks is in a folder of its own.
    sys.path += [str(root), str(root / HIDDEN), str(root / COPIES)]
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(root):
                del sys.modules[name]
