"""A run's verdicts, read from the file one by one, so that a class need not fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, overload

from grader.batch.serialization import Packed, unpack
from grader.records import Result

if TYPE_CHECKING:
    from grader.batch.store import Store


class StoredResults(Sequence[Result]):
    """A run's verdicts, each read from the file when it is used."""

    def __init__(self, store: Store, run: int, numbers: Sequence[int] | None = None) -> None:
        self._store, self._run = store, run
        self._numbers = store.numbers(run) if numbers is None else numbers

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> StoredResults: ...

    def __getitem__(self, index: int | slice) -> Result | StoredResults:
        if isinstance(index, slice):
            return StoredResults(self._store, self._run, self._numbers[index])
        item = self._store.item(self._run, self._numbers[index])
        result = unpack(Packed(item.packed.verdict))
        return replace(result, path=item.path) if item.kept else result

    def __len__(self) -> int:
        return len(self._numbers)
