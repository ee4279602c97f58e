"""The same work on a dask.distributed cluster: assignment and submissions travel as bytes.

    with Cluster("tcp://scheduler:8786") as cluster:
        cluster.run(order, items, desk)

A dask worker needs this package and what notebooks import, no files. It grades through processes
of grader/worker.py, as a single machine does, and keeps them for the submissions that follow. A
dask worker that ends takes nothing with it: the scheduler gives its submissions to another one.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from grader.batch import fingerprint
from grader.batch.desk import Desk, Item
from grader.batch.packing import Packed, pack, unpack
from grader.batch.parcel import Parcel, TooLarge, pack_up, unpack_into
from grader.batch.workers import Workers
from grader.errors import ClusterError
from grader.records import Order

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 20
IDLE_S = 60.0
"""How long a dask worker keeps grading processes that have nothing to do."""
AHEAD = 4
"""Submissions that wait at the scheduler for each thread of the cluster: none is ever idle, and
a class of thousands does not lie in its memory."""


_NOTHING = Packed(b"")


@dataclass(frozen=True)
class Answer:
    """What a dask worker says of a submission.

    kind : "done", "broken" or "lost"
    environment : the fingerprint of what it runs
    """

    kind: str
    environment: str
    packed: Packed = _NOTHING
    isolation: str = ""
    how: str = ""
    said: str = ""


class Cluster:
    """A connection to a cluster's scheduler. Close it."""

    def __init__(self, address: str) -> None:
        """Connect. address : "tcp://host:8786", or the path of a scheduler file

        Raises ClusterError, which says what to do.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise ClusterError(
                "--dask needs the package distributed: pip install 'grade[dask]'"
            ) from error
        self.address = address
        file = Path(address).is_file()
        if not file and not re.search(r":\d+/?$", address):
            raise ClusterError(
                f"{address} is neither the address of a dask scheduler (tcp://host:8786) "
                "nor a scheduler file"
            )
        where: dict[str, Any] = {"scheduler_file" if file else "address": address}
        try:
            self.client: Client = Client(**where, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise ClusterError(f"no dask scheduler answers at {address}: {reason}") from error
        self.environment = ""
        # Two who grade on one cluster have each their own processes there, and end their own.
        self.token = secrets.token_hex(8)

    def find_environment(self) -> str:
        """Return the fingerprint of what the cluster's workers run; waits for a first worker.

        Raises ClusterError where that is another grader than this one.
        """
        try:
            code, environment = self.client.submit(_what_runs_here, pure=False).result()
        except Exception as error:
            raise ClusterError(
                f"the workers at {self.address} can't grade ({type(error).__name__}: {error}): "
                "is this version of grade installed there?"
            ) from error
        if code != fingerprint.code():
            raise ClusterError(
                f"the workers at {self.address} have another version of grade: install this one "
                "there, so that verdicts are the same everywhere"
            )
        self.environment = environment
        return self.environment

    def run(self, order: Order, items: Sequence[Item], desk: Desk) -> None:
        """Grade each; `desk` receives the results as they come."""
        from distributed import as_completed

        assignment = pack_up(Path(order.folder), left_out=fingerprint.NO_PART_OF_CHECKS)
        # Not scattered: what is scattered is lost with the worker that holds it.
        there = self.client.submit(_same, assignment, pure=False)
        at_home: list[Item] = []
        waiting = self._parcels(items, at_home)
        sent: dict[Future, Item] = {}
        arriving = as_completed(loop=self.client.loop)

        def send_more() -> None:
            room = AHEAD * max(8, sum(self.client.nthreads().values()))
            for item, parcel in waiting:
                future = self.client.submit(
                    grade_there,
                    self.token,
                    replace(order, folder="", kernels=1),
                    there,
                    parcel,
                    pure=False,
                )
                sent[future] = item
                arriving.add(future)
                if len(sent) >= room:
                    break

        try:
            send_more()
            for future in arriving:
                item = sent.pop(future)
                answer = self._answer(future)
                future.release()
                if answer.kind == "broken":
                    desk.broken(answer.packed)
                    return
                if answer.kind == "lost":
                    desk.lost(item.number, answer.how, answer.said)
                else:
                    self._hand_over(item, answer, desk)
                send_more()
        finally:
            self.client.cancel(list(sent))
        if at_home:
            with Workers(order, count=1) as workers:
                workers.run(at_home, desk)

    def _parcels(self, items: Sequence[Item], at_home: list[Item]) -> Iterator[tuple[Item, Parcel]]:
        """Yield what can travel; the rest, unreadable mostly, goes to `at_home`."""
        for item in items:
            try:
                parcel = pack_up(Path(item.path))
            except (OSError, TooLarge):
                at_home.append(item)
                continue
            if item.content and item.content != fingerprint.content(Path(item.path)):
                item = replace(item, content="changed")
            yield item, parcel

    def _answer(self, future: Future) -> Answer:
        from distributed import KilledWorker

        try:
            answer = future.result()
        except KilledWorker as error:
            return Answer("lost", "", how="each dask worker that took it ended", said=str(error))
        except Exception as error:
            return Answer("lost", "", how=f"{type(error).__name__} at the cluster", said=str(error))
        assert isinstance(answer, Answer)
        return answer

    def _hand_over(self, item: Item, answer: Answer, desk: Desk) -> None:
        result = replace(unpack(Packed(answer.packed.verdict)), path=item.path)
        unchanged = item.content != "changed" and answer.environment == self.environment
        desk.done(
            item.number,
            Packed(pack(result).verdict, answer.packed.evidence),
            unchanged=unchanged,
            isolation=answer.isolation,
        )

    def close(self) -> None:
        """End the grading processes of the cluster's workers, and the connection."""
        with contextlib.suppress(Exception):
            self.client.run(end_grading_here, self.token)
        self.client.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


# --- on a dask worker ---------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


def _what_runs_here() -> tuple[str, str]:
    return fingerprint.code(), fingerprint.environment()


def grade_there(token: str, order: Order, assignment: Parcel, submission: Parcel) -> Answer:
    """Return what becomes of a submission; runs on a dask worker, in any of its threads.

    token : of the command that asks
    """
    global _caretaker
    with _sites_lock:
        if _caretaker is None:
            _caretaker = threading.Thread(target=_take_care, daemon=True, name="grade-idle")
            _caretaker.start()
        if token not in _sites:
            _sites[token] = _Site(order, assignment)
        site = _sites[token]
    return site.grade(submission)


def end_grading_here(token: str) -> None:
    """End every process of this dask worker that grades for that command."""
    with _sites_lock:
        site = _sites.pop(token, None)
    if site is not None:
        site.end()


class _Site:
    """An assignment unpacked on a dask worker, and grading processes that have loaded it."""

    def __init__(self, order: Order, assignment: Parcel) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grade-"))
        # A closed kernel has a user number of its own, and reads nothing here.
        self.order = replace(order, folder=str(unpack_into(assignment, self.folder)))
        self.idle: list[tuple[float, Workers]] = []
        self.busy: list[Workers] = []
        self.lock = threading.Lock()

    def grade(self, submission: Parcel) -> Answer:
        with self.lock:
            workers = self.idle.pop()[1] if self.idle else Workers(self.order, count=1)
            self.busy.append(workers)
        heard = _Heard()
        try:
            with tempfile.TemporaryDirectory(prefix="grade-") as scratch:
                path = unpack_into(submission, Path(scratch))
                workers.run([Item(0, str(path))], heard)
        except BaseException:
            with self.lock:
                self.busy.remove(workers)
            workers.close()
            raise
        with self.lock:
            self.busy.remove(workers)
            self.idle.append((time.monotonic(), workers))
        return replace(heard.answer, environment=fingerprint.environment())

    def end(self) -> None:
        """End the processes: what is graded is given up."""
        with self.lock:
            for workers in self.busy:
                workers.stop()
        self.close_idle(0.0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def close_idle(self, seconds: float) -> bool:
        """End processes that were idle for so long; True where nothing is left here."""
        with self.lock:
            old = [w for since, w in self.idle if time.monotonic() - since >= seconds]
            self.idle = [(since, w) for since, w in self.idle if w not in old]
            left = bool(self.idle or self.busy)
        for workers in old:
            workers.close()
        return not left


class _Heard:
    """Hears of one submission."""

    answer = Answer("lost", "", how="no answer")

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        """A dask worker tells nobody what it is at."""

    def done(self, number: int, packed: Packed, *, unchanged: bool, isolation: str) -> None:
        self.answer = Answer("done", "", packed, isolation)

    def broken(self, packed: Packed) -> None:
        self.answer = Answer("broken", "", packed)

    def lost(self, number: int, how: str, said: str) -> None:
        self.answer = Answer("lost", "", how=how, said=said)


_sites: dict[str, _Site] = {}
_sites_lock = threading.Lock()
_caretaker: threading.Thread | None = None


def _take_care() -> None:
    """End what a command has left that was killed before it could say so."""
    while True:
        time.sleep(IDLE_S / 4)
        with _sites_lock:
            for token in [t for t, site in _sites.items() if site.close_idle(IDLE_S)]:
                _sites.pop(token).end()
