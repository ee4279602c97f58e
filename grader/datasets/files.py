"""Reads image sets from files in the usual formats.

    IDX         images and labels in two files, as MNIST's own (train-images-idx3-ubyte)
    npz         x and y, or x_train, y_train, x_test, y_test
    CSV         one row for each image: 784 pixels, and the label first or last; with or without a
                header line

Each file may be compressed by gzip. A folder stands for all such files in it.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from grader.errors import DataError

Pixels = NDArray[np.uint8]
Part: TypeAlias = "tuple[str, NDArray[Any], NDArray[Any]]"

SIDE = 28
PIXELS = SIDE * SIDE
CLASSES = 10
MOST_BYTES = 2**30
"""The size of one unpacked file. The largest real one is a CSV of MNIST: 128 MB."""

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_IDX_IMAGES, _IDX_LABELS = b"\x00\x00\x08\x03", b"\x00\x00\x08\x01"
_SUFFIX = re.compile(r"(ubyte|\.idx[13]?|\.npz|\.csv)(\.gz)?$", re.IGNORECASE)
_NPZ_PARTS = (("x", "y"),), (("x_train", "y_train"), ("x_test", "y_test"))


def read_set(paths: Sequence[Path]) -> tuple[Pixels, Pixels]:
    """Return x (n, 784) and y (n,), uint8, of all files together; training images first.

    Raises DataError, which names the file and the problem.
    """
    parts: list[Part] = []
    idx_images: dict[Path, Pixels] = {}
    idx_labels: dict[Path, Pixels] = {}
    for path in _expanded(paths):
        data = _unpacked(path)
        if data.startswith(_IDX_IMAGES):
            idx_images[path] = _idx(path, data, dimensions=3)
        elif data.startswith(_IDX_LABELS):
            idx_labels[path] = _idx(path, data, dimensions=1)
        elif data.startswith(_ZIP):
            parts += _npz(path, data)
        else:
            parts.append((path.name, *_csv(path, data)))
    parts += _joined(idx_images, idx_labels)
    # The order of MNIST and OpenML; the sort is stable, so other files stay in order.
    parts.sort(key=lambda part: "train" not in part[0].lower())
    for name, x, y in parts:
        if x.shape != (len(y), PIXELS) and x.shape != (len(y), SIDE, SIDE):
            raise DataError(
                f"{name}: pixels {x.shape}, labels {y.shape}; they must be (n, {PIXELS}) or "
                f"(n, {SIDE}, {SIDE}), and (n,)"
            )
    pixels = [_as_bytes(x, name, "pixels").reshape(len(x), PIXELS) for name, x, _ in parts]
    labels = [_as_bytes(y, name, "labels") for name, _, y in parts]
    return np.concatenate(pixels), np.concatenate(labels)


def _expanded(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
        if path.is_dir():
            inside = [p for p in inside if _SUFFIX.search(p.name)]
            if not inside:
                raise DataError(f"{path} contains no IDX, npz or CSV file")
        found += inside
    if len({path.resolve() for path in found}) < len(found):
        raise DataError("a file is named twice: its images would count twice")
    return found


def _unpacked(path: Path) -> bytes:
    """Return the file's bytes, decompressed if it is a gzip file."""
    try:
        with path.open("rb") as file:
            if file.read(2) == _GZIP:
                with gzip.open(path) as inner:
                    data = inner.read(MOST_BYTES + 1)
            else:
                file.seek(0)
                data = file.read(MOST_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is cut off or damaged: {error}") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise DataError(f"{path} holds more than {MOST_BYTES >> 20} MiB: no such set is that large")
    if not data:
        raise DataError(f"{path} is empty")
    return data


# --- IDX ------------------------------------------------------------------------------------


def _idx(path: Path, data: bytes, *, dimensions: int) -> Pixels:
    """Return images (n, 784) or labels (n,). Format: magic number, sizes as uint32, bytes."""
    head = 4 + 4 * dimensions
    if len(data) < head:
        raise DataError(f"{path} is cut off: it ends within its header")
    shape = struct.unpack(f">{dimensions}I", data[4:head])
    if dimensions == 3 and shape[1:] != (SIDE, SIDE):
        raise DataError(
            f"{path} has images of {shape[1]} x {shape[2]} pixels; "
            f"they must be {SIDE} x {SIDE} pixels"
        )
    expected, actual = math.prod(shape), len(data) - head
    if expected != actual:
        state = "cut off" if actual < expected else "damaged"
        raise DataError(f"{path} is {state}: its header says {expected} bytes, but it has {actual}")
    return np.frombuffer(data, np.uint8, offset=head).reshape(
        shape[0], -1 if dimensions == 3 else 1
    )


def _joined(images: dict[Path, Pixels], labels: dict[Path, Pixels]) -> list[Part]:
    """Return each file of images with its file of labels, which has a matching name."""
    left = dict(labels)
    parts = []
    for path, x in images.items():
        partner = next((other for other in left if _stem(other) == _stem(path)), None)
        if partner is None and len(images) == len(labels) == 1:
            partner = next(iter(left))
        if partner is None:
            raise DataError(
                f"{path} has no labels: name the file of labels as well "
                f"({path.name.replace('images', 'labels').replace('idx3', 'idx1')})"
            )
        y = left.pop(partner)
        if len(x) != len(y):
            raise DataError(f"{path} has {len(x)} images, but {partner.name} has {len(y)} labels")
        parts.append((path.name, x, y.ravel()))
    if left:
        raise DataError(f"{next(iter(left))} has labels without images: name the file of images")
    return parts


def _stem(path: Path) -> str:
    """Return the common part of the names of a file of images and its file of labels."""
    return re.sub(r"images?|labels?|idx[13]|\.gz$|[-_.]", "", path.name.lower())


# --- npz ------------------------------------------------------------------------------------


def _npz(path: Path, data: bytes) -> list[Part]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            names = next((n for n in _NPZ_PARTS if {*sum(n, ())} <= {*file.files}), None)
            if names is None:
                listed = ", ".join(file.files) or "nothing"
                raise DataError(
                    f"{path} contains {listed}; it must contain x and y, or x_train, y_train, "
                    "x_test, y_test"
                )
            return [(f"{path.name}, {x}", file[x], np.ravel(file[y])) for x, y in names]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not an npz file of plain arrays: {error}") from error


# --- CSV ------------------------------------------------------------------------------------


def _csv(path: Path, data: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    head, _, rest = data.partition(b"\n")
    names = [name.strip(" \"'\r").lower() for name in head.decode("utf-8", "replace").split(",")]
    if len(names) != PIXELS + 1:
        raise DataError(
            f"{path} is neither IDX nor npz, nor a CSV of {PIXELS + 1} columns: "
            f"its first line has {len(names)}"
        )
    header = not re.fullmatch(r"\d+", names[1])
    body = rest if header else data
    if not body.strip():
        raise DataError(f"{path} contains no row of an image")
    try:
        rows = np.loadtxt(io.BytesIO(body), delimiter=",", dtype=np.int16, ndmin=2)
    except ValueError as error:
        raise DataError(f"{path} can't be read as whole numbers: {error}") from error
    label = _label_column(path, names if header else [], rows)
    return np.delete(rows, label, axis=1), rows[:, label]


def _label_column(path: Path, header: Sequence[str], rows: NDArray[np.int16]) -> int:
    named = [at for at, name in enumerate(header) if name in ("label", "class", "target", "y")]
    if len(named) == 1:
        return named[0]
    # A corner pixel is nearly always the same; the label column contains exactly the ten labels.
    found = [at for at in (0, PIXELS) if set(np.unique(rows[:, at])) == set(range(CLASSES))]
    if len(found) != 1:
        raise DataError(
            f"{path}: it is not clear which column contains the labels; add a first line of column "
            "names, with `label` for that column"
        )
    return found[0]


# --- values ---------------------------------------------------------------------------------


def _as_bytes(values: NDArray[Any], name: str, what: str) -> Pixels:
    """Return the same numbers as uint8. Raises DataError for other values than whole numbers."""
    most = 255 if what == "pixels" else CLASSES - 1
    numbers = values.dtype.kind in "buif" and np.all((values >= 0) & (values <= most))
    if not numbers or np.any(values != values.astype(np.uint8)):
        raise DataError(f"{name}: the {what} must be whole numbers from 0 to {most}")
    return values.astype(np.uint8)
