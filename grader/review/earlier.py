"""The texts of earlier years' submissions: what they hold is not rare in this year's class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from grader.batch.serialization import unpack
from grader.batch.store import Store
from grader.submission.incoming import find_incoming
from grader.temporary import TemporaryFolder


def earlier_texts(store: Store, earlier: Sequence[int | Path]) -> Iterator[str]:
    """Yield the texts that earlier submissions hold.

    earlier : numbers of kept runs, and folders or exports of submissions
    A submission that can't be read is passed over. Raises SubmissionError for a folder that
    can't be read.
    """
    for source in earlier:
        yield from _of_run(store, source) if isinstance(source, int) else _of_folder(source)


def _of_run(store: Store, run: int) -> Iterator[str]:
    for item in store.items(run, evidence=True):
        evidence = unpack(item.packed).evidence
        for regions in evidence.regions.values():
            yield from (region.source for region in regions)
        for cells in evidence.answers.values():
            yield from (cell.source for cell in cells)


def _of_folder(folder: Path) -> Iterator[str]:
    with TemporaryFolder() as scratch:
        submissions, _ = find_incoming([folder], scratch)
        for incoming in submissions:
            try:
                incoming.read()
            except Exception:
                continue
            for notebook in incoming.notebooks:
                yield from (cell.source for cell in notebook.cells)
            incoming.let_go()
