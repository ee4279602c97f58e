"""Small real data sets, and the full ones if $GRADE_DATA names a folder with them.

NAMES                 the names of the sets: "mnist", "fashion-mnist"
load(name)            -> x (n, 784) uint8, y (n,) uint8
datasets_dir()        the folder from which notebooks get their data

known        hashes, licences and sources of the sets
files        IDX, npz and CSV files -> x, y
importing    writes a full set into the folder
overview     what `grade data` shows
"""

from __future__ import annotations

import functools
import io
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grader.errors import AssignmentError

NAMES = ("mnist", "fashion-mnist")
SHIPPED = Path(__file__).parent

__all__ = ["NAMES", "SHIPPED", "datasets_dir", "load", "load_file", "path_of"]


def datasets_dir() -> Path:
    """Return the folder whose sets are preferred: $GRADE_DATA, else the package's own."""
    configured = os.environ.get("GRADE_DATA", "")
    return Path(configured).expanduser().resolve() if configured else SHIPPED


def path_of(name: str) -> Path:
    """Return the file of a set: the one in $GRADE_DATA, else the package's own.

    Raises AssignmentError for a name that is not in NAMES.
    """
    if name not in NAMES:
        raise AssignmentError(f"there is no data set {name!r}; there are {', '.join(NAMES)}")
    configured = datasets_dir() / f"{name}.npz"
    return configured if configured.is_file() else SHIPPED / f"{name}.npz"


def load(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return x (n, 784) and y (n,), both uint8; images are rows of 28 x 28 pixels.

    The arrays are the caller's own. A process unpacks a file once, since several checks of each
    submission load the same set.
    Raises AssignmentError for an unknown name, and for a file that does not have this form.
    """
    path = path_of(name)
    try:
        found = path.stat()
    except OSError as error:
        raise AssignmentError(f"{path} holds no arrays x and y: {error}") from error
    x, y = _kept(path, found.st_mtime_ns, found.st_size, found.st_ino)
    return x.copy(), y.copy()


@functools.lru_cache(maxsize=len(NAMES))
def _kept(path: Path, *changes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the set in a file; `changes` differ if the file has changed."""
    return load_file(path)


def load_file(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the set in a file, as load() does. Raises AssignmentError."""
    try:
        # Read as a whole first, since numpy leaves a file open that is not a zip.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            x, y = np.asarray(file["x"]), np.asarray(file["y"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise AssignmentError(f"{path} holds no arrays x and y: {error}") from error
    x = x.reshape(len(x), -1)
    if x.shape != (len(y), 784) or x.dtype != np.uint8:
        raise AssignmentError(
            f"{path}: x is {x.dtype} {x.shape}, y is {y.shape}; expected uint8 (n, 784) and (n,)"
        )
    return x, y.astype(np.uint8)
