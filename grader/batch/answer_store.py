"""Stores the replies of students' processes to checks in the file of results, for `grade regrade`.

They belong to a result, and are deleted with it. When they take more than their share of the file,
those of the oldest results are deleted; a later run then needs a process again.

$GRADE_ANSWERS is their maximum size in MiB; with "none", no replies are kept or used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grader.batch.serialization import Packed
from grader.batch.store import NOWHERE, KeptRun, Store
from grader.errors import StoreError

VARIABLE = "GRADE_ANSWERS"
MAX_MIB = 256
"""The default: enough for about 1,000 submissions of a large assignment."""
MAX_ANSWER_BYTES = 2 << 20
"""Of one submission, from another machine or from a part of a class; more is not kept."""
_MAX_ROWS = 8
"""For one submission: its first grading, and the new requests of later gradings."""


def room_mib(environ: Mapping[str, str]) -> int:
    """Return the maximum size in MiB; 0 to keep none. Raises StoreError for an invalid value."""
    setting = environ.get(VARIABLE, "").strip()
    if not setting:
        return MAX_MIB
    if setting == NOWHERE:
        return 0
    if not setting.isdecimal():
        raise StoreError(f"${VARIABLE} is {setting!r}: say how many MiB, or {NOWHERE}")
    return int(setting)


def keep(run: KeptRun, number: int, answers: bytes) -> None:
    """Keep the replies of a submission's processes in that run. Raises StoreError.

    number : its place in the run, which must have its result already
    """
    if answers and run.session_key and run.answers_mib:
        _write(run, number, answers, run.session_key)


def _write(run: KeptRun, number: int, answers: bytes, session_key: str) -> None:
    with run.store.writing():
        connection = run.store.connection
        connection.execute(
            "INSERT OR REPLACE INTO kept_answers (result, session_key, size, answers) "
            "SELECT result, ?, ?, ? FROM items WHERE run = ? AND number = ?",
            (session_key, len(answers), answers, run.id, number),
        )
        # Delete the oldest ones, so that the rest fits.
        connection.execute(
            "DELETE FROM kept_answers WHERE result IN (SELECT result FROM (SELECT result, "
            "sum(size) OVER (ORDER BY result DESC) AS together FROM kept_answers) "
            "WHERE together > ?)",
            (run.answers_mib << 20,),
        )


def kept(run: KeptRun, input_hash: str) -> Packed | None:
    """Return the earlier replies of a submission's processes, with the earlier evidence.

    None if there are none for the notebooks' current state. Raises StoreError.
    """
    if not (input_hash and run.session_key and run.answers_mib):
        return None
    with run.store.guarded():
        rows = run.store.connection.execute(
            "SELECT answers, evidence FROM kept_answers JOIN results ON results.id = result "
            "WHERE input_hash = ? AND session_key = ? AND length(evidence) > 0 "
            "ORDER BY result DESC LIMIT ?",
            (input_hash, run.session_key, _MAX_ROWS),
        ).fetchall()
    if not rows:
        return None
    return Packed(b"", rows[0][1], b"".join(answers for answers, _ in rows))


@dataclass(frozen=True)
class Carried:
    """What a part of a class knows of a submission besides its result.

    input_hash : of the submission; "" if it is not known
    answers : the replies of its processes, b"" for none; session_key : what they depend on
    """

    input_hash: str = ""
    answers: bytes = b""
    session_key: str = ""


def of_part(part: Store, run: int, number: int) -> Carried:
    """Return the kept replies to the checks of one submission of a run. Raises StoreError.

    Those of its result come first, then those that later gradings of the same work added, as far
    as they fit into MAX_ANSWER_BYTES. They are bytes, which only the codec reads.
    """
    with part.guarded():
        rows = part.connection.execute(
            "SELECT own.input_hash, k.session_key, k.answers FROM items "
            "JOIN results own ON own.id = items.result "
            "LEFT JOIN results r ON r.input_hash = own.input_hash AND own.input_hash != '' "
            "LEFT JOIN kept_answers k ON k.result = r.id "
            "WHERE run = ? AND number = ? "
            "ORDER BY k.result IS NULL, r.id != own.id, r.id DESC LIMIT ?",
            (run, number, _MAX_ROWS),
        ).fetchall()
    if not rows or not rows[0][0]:
        return Carried()
    input_hash, session_key, _ = rows[0]
    together = b""
    for _, key, answers in rows:
        fits = isinstance(answers, bytes) and len(together) + len(answers) <= MAX_ANSWER_BYTES
        if key == session_key and fits:
            together += answers
    return Carried(input_hash, together, session_key or "")


def carry(run: KeptRun, number: int, carried: Carried) -> None:
    """Keep what came with a part of a class. Raises StoreError.

    number : the submission's place in the joined run, which must have its result already
    """
    if carried.answers and carried.session_key and run.answers_mib:
        _write(run, number, carried.answers, carried.session_key)
