"""Docstrings that SciPy writes while it is imported: a fifth of the time of that import.

SciPy parses the docstrings of its 474 functions to add a table to each: with which array libraries
it works. No notebook's result depends on it.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

_WITH_SCIPY = frozenset({"scipy", "sklearn"})


class _AsWritten:
    """In the place of SciPy's FunctionDoc: a docstring that stays as its author wrote it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._text = function.__doc__ or ""

    def __getitem__(self, section: str) -> list[str]:
        return []  # what SciPy adds here is dropped

    def __str__(self) -> str:
        return f"(its signature)\n{self._text}"  # SciPy removes the first line


@contextlib.contextmanager
def as_written(imports: Collection[str]) -> Iterator[None]:
    """Within the block, SciPy adds no tables to docstrings.

    imports : names of the modules that the block imports
    """
    tables: Any = None
    if any(name.partition(".")[0] in _WITH_SCIPY for name in imports):
        with contextlib.suppress(Exception):  # it is private; SciPy before 1.17 has no tables
            tables = importlib.import_module("scipy._lib._array_api")
    own = getattr(tables, "FunctionDoc", None)
    if own is not None:
        tables.FunctionDoc = _AsWritten
    try:
        yield
    finally:
        if own is not None:
            tables.FunctionDoc = own
