"""The results of earlier runs, in one SQLite file: nothing is graded twice, nothing is lost.

    with open_store(file) as store:
        run = store.begin(...)
        run.kept(input_hash)  the result of the same submission under the same cache key
        run.add(...)          is on the disk when this returns
        run.end(...)

A result is written whole, in one transaction, as soon as it is there. So a run that is killed at
any moment has lost at most what was being graded, and the next one goes on from there. Several
runs may write at the same time. SQLite's rollback journal is used, not its write-ahead log: home
folders often lie on a network file system, where the log does not work.

Results never change, but for words that tell which known mistake a wrong answer is. A regraded
submission gets a new one, and the runs before it still show theirs. Faults of the grader and
refusals belong to their run, and are never taken up again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from grader.batch.serialization import Packed, Results, pack, unpack, unpack_evidence
from grader.batch.stored_results import StoredResults
from grader.batch.tables import OF_SUBJECTS, SCHEMA, STEPS
from grader.errors import StoreError
from grader.records import Evidence, Result, RunRecord

VARIABLE = "GRADE_RESULTS"
NOWHERE = "none"
"""The value of $GRADE_RESULTS that keeps nothing."""
BUSY_S = 60.0
"""How long one run waits for another that is writing; a result takes milliseconds."""


@dataclass(frozen=True)
class KeptItem:
    """A submission of a run: its place in the input, its path then, its result."""

    number: int
    path: str
    packed: Packed
    kept: bool

    def relabelled(self) -> Packed:
        """Return the result with this run's path: the one that it was graded under may differ."""
        if not self.kept:
            return self.packed
        result = replace(unpack(Packed(self.packed.verdict)), path=self.path)
        return Packed(pack(result).verdict, self.packed.evidence)


def place(environ: Mapping[str, str], *, student: bool = False) -> Path | None:
    """Return the file of results; None where nothing is kept.

    In the user's own state folder, never beside submissions: what lies there may come from a
    student, and a result that is read back is believed.

    student : on a student's own machine nothing is kept unless $GRADE_RESULTS names a file
    Raises StoreError where the user has no folder of the kind.
    """
    named = environ.get(VARIABLE, "")
    if named == NOWHERE or (student and not named):
        return None
    try:
        if named:
            return Path(named).expanduser()
        return platformdirs.user_state_path("grade", appauthor=False) / "results.sqlite"
    except RuntimeError as error:  # a user without a home, as containers have them
        raise StoreError(
            f"there is no place for results ({error}): name a file by ${VARIABLE}, or set "
            f"{VARIABLE}={NOWHERE} to keep none"
        ) from error


def graded_with_solutions(environ: Mapping[str, str]) -> bool:
    """Return whether a run of this user had an assignment's hidden checks: an instructor's."""
    try:
        file = place(environ)
        if file is None or not file.is_file():
            return False
        with open_store(file, create=False) as store:
            return any(not run.settings.get("public") for run in store.runs())
    except (StoreError, OSError):
        return False


def open_store(file: Path, *, create: bool = True) -> Store:
    """Return the store in that file. Close it.

    create : make the file if there is none, readable only by its owner: it holds grades
    Raises StoreError.
    """
    try:
        if file.is_dir():
            raise _unusable(file, "it is a folder")
        if create:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        elif not file.is_file():
            raise StoreError(f"no results are kept yet: there is no {file}")
        connection = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, error) from error
    try:
        return Store(file, connection)
    except BaseException:
        connection.close()
        raise


def _unusable(file: Path, error: Exception | str) -> StoreError:
    reason = getattr(error, "strerror", None) or error
    return StoreError(
        f"the results in {file} can't be used ({reason}): move the file away, name another one "
        f"by ${VARIABLE}, or set {VARIABLE}={NOWHERE} to keep none"
    )


class Store:
    """An open file of results."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self.file = file
        self.connection = connection
        self.rollbacks = 0
        """Counts the blocks that failed: a run that began in one of them is not there."""
        with self.guarded():
            self.connection.execute("PRAGMA foreign_keys = ON")
            # What is deleted is overwritten: some builds of SQLite do so by default, most don't.
            self.connection.execute("PRAGMA secure_delete = ON")
            if self._version() < SCHEMA:
                self._make_tables()
            version = self._version()
        if version != SCHEMA:
            raise _unusable(file, f"another version of grade wrote it, in format {version}")

    def begin(
        self,
        *,
        assignment: str,
        title: str,
        submissions: int,
        settings: Mapping[str, Any],
        key: str,
        acceptable: Sequence[str] = (),
        about: Mapping[str, Any] | None = None,
    ) -> KeptRun:
        """Return a run that begins now; it is in the file from its first result on.

        settings, about : see RunRecord
        """
        told = json.dumps(about or {})
        row = (time.time(), assignment, title, submissions, json.dumps(settings), told)
        return KeptRun(self, row, key, acceptable)

    def runs(self, only: int | None = None) -> list[RunRecord]:
        """Return every run, the latest first. only : just this one, if it exists"""
        with self.guarded():
            rows = self.connection.execute(
                "SELECT runs.id, begun, ended, assignment, title, submissions, count(result), "
                "coalesce(sum(kept), 0), coalesce(sum(status != 'graded'), 0), "
                "avg(CASE WHEN status = 'graded' THEN percent END), isolation, settings, "
                "about FROM runs LEFT JOIN items ON items.run = runs.id "
                "LEFT JOIN results ON results.id = items.result "
                "WHERE :only IS NULL OR runs.id = :only GROUP BY runs.id ORDER BY runs.id DESC",
                {"only": only},
            ).fetchall()
        return [
            RunRecord(id_, begun, ended, assignment, title, submissions, results, kept,
                      not_graded, mean, isolation, json.loads(settings), json.loads(about))
            for (id_, begun, ended, assignment, title, submissions, results, kept,
                 not_graded, mean, isolation, settings, about) in rows
        ]  # fmt: skip

    def items(self, run: int, *, evidence: bool = False) -> Iterator[KeptItem]:
        """Yield the submissions of a run in the order of its input."""
        column = "evidence" if evidence else "x''"
        with self.guarded():
            for number, path, verdict, seen, kept in self.connection.execute(
                f"SELECT number, path, verdict, {column}, kept FROM items "
                "JOIN results ON results.id = items.result WHERE run = ? ORDER BY number",
                (run,),
            ):
                yield KeptItem(number, os.fsdecode(path), Packed(verdict, seen), bool(kept))

    def graded_under(self, input_hash: str, keys: Sequence[str]) -> str:
        """Return the key of these under which that input was graded last; "" for none."""
        with self.guarded():
            row = self.connection.execute(
                "SELECT cache_key FROM results WHERE input_hash = ? AND status = 'graded' "
                "AND cache_key IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT 1",
                (input_hash, json.dumps(list(keys))),
            ).fetchone()
        return row[0] if row is not None else ""

    def numbers(self, run: int) -> list[int]:
        """Return the places in the input of the submissions that have a result, in order."""
        with self.guarded():
            rows = self.connection.execute(
                "SELECT number FROM items WHERE run = ? ORDER BY number", (run,)
            ).fetchall()
        return [number for (number,) in rows]

    def item(self, run: int, number: int, *, evidence: bool = False) -> KeptItem:
        """Return one submission of a run. Raises StoreError where there is none."""
        column = "evidence" if evidence else "x''"
        with self.guarded():
            row = self.connection.execute(
                f"SELECT path, verdict, {column}, kept FROM items "
                "JOIN results ON results.id = items.result WHERE run = ? AND number = ?",
                (run, number),
            ).fetchone()
        if row is None:
            raise StoreError(f"run {run} has no submission {number} any more")
        return KeptItem(number, os.fsdecode(row[0]), Packed(row[1], row[2]), bool(row[3]))

    def evidence_of(self, run: int, path: str) -> Evidence:
        """Return what a person reads beside that submission's score; empty where none was kept."""
        return unpack_evidence(self.packed_evidence_of(run, path))

    def packed_evidence_of(self, run: int, path: str) -> bytes:
        """Return the same as it is kept, for another process to unpack."""
        with self.guarded():
            row = self.connection.execute(
                "SELECT evidence FROM items JOIN results ON results.id = items.result "
                "WHERE run = ? AND path = ? ORDER BY number",
                (run, os.fsencode(path)),
            ).fetchone()
        return row[0] if row else b""

    def results(self, run: int) -> Results:
        """Return the verdicts of a run, in the order of its input."""
        return Results([item.relabelled().verdict for item in self.items(run)])

    def results_in_place(self, run: int) -> Sequence[Result]:
        """Return the same, each read when it is looked at: as long as the store is open."""
        return StoredResults(self, run)

    def drop(self, run: int) -> None:
        """Take a run off the list. Its results stay for the next time, until one is forgotten."""
        with self.writing():
            self.connection.execute("DELETE FROM runs WHERE id = ?", (run,))

    def forget(self, run: int) -> None:
        """Delete a run, with the results and the marks that no other run shows."""
        with self.writing():
            self.connection.execute("DELETE FROM runs WHERE id = ?", (run,))
            self.connection.execute(
                "DELETE FROM results WHERE id NOT IN (SELECT result FROM items)"
            )
            # What people said of a student who is in no run any more goes with the student.
            for table in OF_SUBJECTS:
                self.connection.execute(
                    f"DELETE FROM {table} WHERE subject != '' "
                    "AND subject NOT IN (SELECT subject FROM answers)"
                )
        with self.guarded():
            # What was deleted is a person's: it must not stay in the file's free pages.
            self.connection.execute("VACUUM")

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """All of the block is written or none of it; other runs wait. Raises StoreError.

        A block within a block is a part of it.
        """
        if self.connection.in_transaction:
            yield
            return
        with self.guarded():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                self.rollbacks += 1
                raise
            self.connection.execute("COMMIT")

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise StoreError for what SQLite raises in the block."""
        try:
            yield
        except sqlite3.Error as error:
            raise _unusable(self.file, error) from error

    def _version(self) -> int:
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def _make_tables(self) -> None:
        with self.writing():
            # Another run may have made them while this one waited.
            for version in range(self._version() + 1, SCHEMA + 1):
                for statement in STEPS[version]:
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA user_version = {version}")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class KeptRun:
    """A run that is going on.

    key : the cache key of what its verdicts depend on beside the submissions
    acceptable : other keys, whose results are as good
    """

    def __init__(
        self, store: Store, row: Sequence[object], key: str, acceptable: Sequence[str] = ()
    ) -> None:
        """row : begun, assignment, title, submissions, settings, about"""
        self.store = store
        self._row = row
        self._id: int | None = None
        self._rollbacks = store.rollbacks
        self.key = key
        self.acceptable = json.dumps([key, *acceptable])
        self._taken: dict[str, int] = {}

    @property
    def id(self) -> int:
        """Its number in the file. Raises StoreError where it can't be written."""
        if self._id is None or self._rollbacks != self.store.rollbacks:
            self._rollbacks = self.store.rollbacks
            if self._id is not None and self.store.runs(self._id):
                return self._id
            with self.store.writing():
                self._id = self.store.connection.execute(
                    "INSERT INTO runs (begun, assignment, title, submissions, settings, about) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    self._row,
                ).lastrowid
            assert self._id is not None
        return self._id

    def has_results(self) -> bool:
        """Return whether anything was graded under a key that this run accepts."""
        with self.store.guarded():
            row = self.store.connection.execute(
                "SELECT 1 FROM results WHERE status = 'graded' "
                "AND cache_key IN (SELECT value FROM json_each(?)) LIMIT 1",
                (self.acceptable,),
            ).fetchone()
        return row is not None

    def kept(self, input_hash: str) -> Packed | None:
        """Return the latest result of that input under a key that this run accepts."""
        if not input_hash:
            return None
        with self.store.guarded():
            row = self.store.connection.execute(
                "SELECT id, verdict, evidence FROM results "
                "WHERE input_hash = ? AND status = 'graded' "
                "AND cache_key IN (SELECT value FROM json_each(?)) "
                "ORDER BY id DESC LIMIT 1",
                (input_hash, self.acceptable),
            ).fetchone()
        if row is None:
            return None
        self._taken[input_hash] = row[0]
        return Packed(*row[1:])

    def add(
        self,
        number: int,
        result: Result,
        packed: Packed,
        *,
        input_hash: str,
        kept: bool,
        another_origin: bool = False,
    ) -> None:
        """Keep a submission's result; it is on the disk when this returns.

        input_hash : of the submission; "" for a result that belongs only to this run
        kept : it came from `kept`, so that it is in the file already
        another_origin : it lies there under another student's name, or of another export
        """
        connection, run = self.store.connection, self.id
        with self.store.writing():
            row: int | None
            if kept and not another_origin:
                row = self._taken[input_hash]
            else:
                row = connection.execute(
                    "INSERT INTO results (input_hash, cache_key, status, percent, verdict, "
                    "evidence) VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        input_hash,
                        self.key if input_hash else "",
                        result.status,
                        100.0 * result.score / result.max_score if result.max_score else 100.0,
                        packed.verdict,
                        packed.evidence,
                    ),
                ).lastrowid
            # A path is bytes: it need not be UTF-8.
            connection.execute(
                "INSERT INTO items (run, number, path, result, kept) VALUES (?, ?, ?, ?, ?)",
                (run, number, os.fsencode(result.path), row, kept),
            )

    def explain(self, number: int, packed: Packed) -> Packed:
        """Put other words into a result of this run; return it with its evidence.

        packed : the same verdict, with what is said of its wrong answers
        """
        of_this = "id = (SELECT result FROM items WHERE run = ? AND number = ?)"
        with self.store.writing():
            self.store.connection.execute(
                f"UPDATE results SET verdict = ? WHERE {of_this}",
                (packed.verdict, self.id, number),
            )
            (evidence,) = self.store.connection.execute(
                f"SELECT evidence FROM results WHERE {of_this}", (self.id, number)
            ).fetchone()
        return Packed(packed.verdict, evidence)

    def end(self, isolation: str) -> None:
        """Say that the run is through."""
        run = self.id
        with self.store.writing():
            self.store.connection.execute(
                "UPDATE runs SET ended = ?, isolation = ? WHERE id = ?",
                (time.time(), isolation, run),
            )
