"""The results of earlier runs, in one SQLite file: nothing is graded twice, nothing is lost.

    with open_store(file) as store:
        run = store.begin(...)
        run.kept(input_hash)  the result of the same submission under the same cache key
        run.add(...)          stores a result; it is on the disk when this returns
        run.end(...)

Each result is written at once, in one transaction. So a run that is killed loses only the
submissions that were being graded, and the next run continues from there. Several runs may write at
the same time. The file uses SQLite's rollback journal, not its write-ahead log: home folders are
often on a network file system, where the log does not work.

Results never change, except for the texts about known mistakes. A regraded submission gets a new
result, and earlier runs still show the old one. Faults of the grader and refusals belong to one
run, and are never used again.
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
from grader.closing import Closing
from grader.errors import StoreError
from grader.records import Evidence, Result, RunRecord

VARIABLE = "GRADE_RESULTS"
NOWHERE = "none"
"""The value of $GRADE_RESULTS with which no results are kept."""
BUSY_S = 60.0
"""How long one run waits for another that is writing; a result takes milliseconds."""


@dataclass(frozen=True)
class KeptItem:
    """A submission of a run: its place in the input, its path in that run, its result.

    kept : whether the result is from an earlier run
    """

    number: int
    path: str
    packed: Packed
    kept: bool

    def relabelled(self) -> Packed:
        """Return the result with the path in this run, which may differ from the earlier one."""
        if not self.kept:
            return self.packed
        result = replace(unpack(Packed(self.packed.verdict)), path=self.path)
        return Packed(pack(result).verdict, self.packed.evidence)


def place(environ: Mapping[str, str], *, student: bool = False) -> Path | None:
    """Return the file of results; None if results are not kept.

    It is in the user's state folder, never beside submissions: a file there may come from a
    student, and results in the file are trusted.

    student : whether this is a student's machine, where $GRADE_RESULTS must name the file
    Raises StoreError if the user has no state folder.
    """
    named = environ.get(VARIABLE, "")
    if named == NOWHERE or (student and not named):
        return None
    try:
        if named:
            return Path(named).expanduser()
        return platformdirs.user_state_path("grade", appauthor=False) / "results.sqlite"
    except RuntimeError as error:  # a user without a home folder, as in containers
        raise StoreError(
            f"there is no place for results ({error}): name a file by ${VARIABLE}, or set "
            f"{VARIABLE}={NOWHERE} to keep none"
        ) from error


def graded_with_solutions(environ: Mapping[str, str]) -> bool:
    """Return whether a run of this user had hidden checks, so that the user is an instructor."""
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

    create : whether to create a missing file, readable only by its owner, since it has grades
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


class Store(Closing):
    """An open file of results."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self.file = file
        self.connection = connection
        self.rollbacks = 0
        """How many blocks of writing() failed: a run that began in such a block does not exist."""
        with self.guarded():
            self.connection.execute("PRAGMA foreign_keys = ON")
            # Overwrite deleted data. Some builds of SQLite do so by default, most don't.
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
        """Return a run that begins now; it is written to the file with its first result.

        settings, about : see RunRecord
        """
        plain = json.dumps(settings), json.dumps(about or {})
        row = (time.time(), assignment, title, submissions, *plain)
        return KeptRun(self, row, key, acceptable)

    def runs(self, only: int | None = None) -> list[RunRecord]:
        """Return all runs but parts of a regrade, the latest first. only : the run of this id"""
        with self.guarded():
            rows = self.connection.execute(
                "SELECT runs.id, begun, ended, assignment, title, submissions, count(result), "
                "coalesce(sum(kept), 0), coalesce(sum(status != 'graded'), 0), "
                "avg(CASE WHEN status = 'graded' THEN percent END), isolation, settings, about "
                "FROM runs LEFT JOIN items ON run = runs.id LEFT JOIN results r ON r.id = result "
                "WHERE coalesce(runs.id = :only, json_extract(about, '$.part_of') IS NULL) "
                "GROUP BY runs.id ORDER BY runs.id DESC",
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
        """Return which of these cache keys the input's latest result has; "" if none."""
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
        """Return one submission of a run. Raises StoreError if it does not exist."""
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
        """Return the evidence of a submission; empty if none was kept."""
        return unpack_evidence(self.packed_evidence_of(run, path))

    def packed_evidence_of(self, run: int, path: str) -> bytes:
        """Return the same in packed form, for another process to unpack."""
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
        """Return the same, each read from the file when it is used; the store must stay open."""
        return StoredResults(self, run)

    def drop(self, run: int) -> None:
        """Delete a run from the list. Its results are still used, until some run is forgotten."""
        with self.writing():
            self.connection.execute("DELETE FROM runs WHERE id = ?", (run,))

    def forget(self, run: int) -> None:
        """Delete a run, with the results and marks that belong to no other run."""
        with self.writing():
            whole = "DELETE FROM runs WHERE ? IN (id, json_extract(about, '$.part_of'))"
            self.connection.execute(whole, (run,))
            self.connection.execute(
                "DELETE FROM results WHERE id NOT IN (SELECT result FROM items)"
            )
            # Judgements of a student who is in no other run are deleted as well.
            for table in OF_SUBJECTS:
                self.connection.execute(
                    f"DELETE FROM {table} WHERE subject != '' "
                    "AND subject NOT IN (SELECT subject FROM answers)"
                )
        with self.guarded():
            # Personal data must not stay in the file's free pages.
            self.connection.execute("VACUUM")

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write all changes of the block or none; other runs wait. Raises StoreError.

        An inner block belongs to the transaction of the outer one.
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
        """Turn errors of SQLite in the block into StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            raise _unusable(self.file, error) from error

    def _version(self) -> int:
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def _make_tables(self) -> None:
        with self.writing():
            # Another run may have created the tables while this one waited.
            for version in range(self._version() + 1, SCHEMA + 1):
                for statement in STEPS[version]:
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA user_version = {version}")


class KeptRun:
    """A run in progress.

    key : the cache key of its results
    acceptable : other cache keys whose results this run may use
    """

    def __init__(
        self, store: Store, row: Sequence[object], key: str, acceptable: Sequence[str] = ()
    ) -> None:
        """row : begun, assignment, title, submissions, settings, about"""
        self.store = store
        self._row = row
        self._id: int | None = None
        self._rollbacks = store.rollbacks
        self.key, self.session_key, self.answers_mib = key, "", 0  # the latter: answer_store.py
        self.acceptable = json.dumps([key, *acceptable])
        self._taken: dict[str, int] = {}

    @property
    def id(self) -> int:
        """Its id in the file. Raises StoreError if the run can't be written."""
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
        """Return whether there is any result under a key that this run accepts."""
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
        """Store a submission's result; it is on the disk when this returns.

        input_hash : of the submission; "" for a result that belongs only to this run
        kept : whether it came from kept(), so that the file already has it
        another_origin : whether the file has it under another student or export
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
        """Replace a result of this run by one with more explanations; return it with its evidence.

        packed : the same verdict, with the texts about known mistakes
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
        """Note that the run has ended. isolation : the sandbox layers that were missing"""
        run = self.id
        with self.store.writing():
            self.store.connection.execute(
                "UPDATE runs SET ended = ?, isolation = ? WHERE id = ?",
                (time.time(), isolation, run),
            )
