"""The overview that `grade data` shows: the data sets and their contents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grader import datasets
from grader.datasets.known import SOURCES, Content, content_hash, find_content
from grader.errors import AssignmentError


@dataclass(frozen=True)
class SetFile:
    """One file of a set, after reading.

    served : whether notebooks get it
    shipped : whether it belongs to the package
    counts : how many images each class has
    problem : why it can't be read; then the other fields are empty
    """

    name: str
    path: Path
    served: bool
    shipped: bool
    shape: tuple[int, ...] = ()
    dtype: str = ""
    counts: tuple[int, ...] = ()
    sha256: str = ""
    problem: str = ""

    @property
    def content(self) -> Content | None:
        return find_content(self.sha256)

    @property
    def licence(self) -> str:
        licence = SOURCES[self.name].licence
        if self.shipped:
            return f"{licence}; see {self.path.with_suffix('.LICENSE').name} beside it"
        return licence if self.content else "that of the imported files"


def find_sets() -> list[SetFile]:
    """Return every file of every set: the one that notebooks get, then the package's own."""
    found = []
    for name in datasets.NAMES:
        served = datasets.path_of(name)
        shipped = datasets.SHIPPED / f"{name}.npz"
        found += [_read(name, path, served) for path in dict.fromkeys((served, shipped))]
    return found


def _read(name: str, path: Path, served: Path) -> SetFile:
    shipped = path.parent == datasets.SHIPPED
    try:
        x, y = datasets.load_file(path)
    except AssignmentError as error:
        return SetFile(name, path, path == served, shipped, problem=str(error))
    return SetFile(
        name,
        path,
        path == served,
        shipped,
        shape=x.shape,
        dtype=str(x.dtype),
        counts=tuple(int(n) for n in np.bincount(y)),
        sha256=content_hash(x, y),
    )


def lines(sets: list[SetFile]) -> Iterator[str]:
    """Yield the lines of the overview, and how to get the full sets that are missing."""
    for one in sets:
        origin = "ships with grade" if one.shipped else "imported"
        yield f"{one.name}, {origin}" + ("" if one.served else "; not served, the other one is")
        yield f"  file      {one.path}"
        if one.problem:
            yield f"  problem   {one.problem}"
            continue
        yield f"  images    {one.shape[0]} x {one.shape[1]}, {one.dtype}"
        yield f"  classes   {_classes(one.counts)}"
        known = f"known: {one.content.what}" if one.content else "unknown content"
        yield f"  SHA-256   {one.sha256}"
        yield f"            {known}"
        yield f"  licence   {one.licence}"
        if one.served:
            yield f"  read by   {SOURCES[one.name].asked_by}, datasets({one.name!r})"
    lacking = [one.name for one in sets if one.served and one.shipped]
    if lacking:
        yield ""
        yield "The full sets, into the folder that $GRADE_DATA names:"
        for name in lacking:
            yield from (f"  {command}" for command in SOURCES[name].how_to_get)


def _classes(counts: tuple[int, ...]) -> str:
    present = [n for n in counts if n]
    if not present:
        return "none"
    low, high = min(present), max(present)
    return (
        f"{len(present)}, {low} images each"
        if low == high
        else (f"{len(present)}, {low} to {high} images each")
    )
