"""Stores the replies of students' processes to checks in the file of results, for `grade regrade`.

They belong to a result, and are deleted with it. When they take more than their share of the file,
those of the oldest results are deleted; a later run then needs a process again.

$GRADE_ANSWERS is their maximum size in MiB; with "none", no replies are kept or used.
"""

from __future__ import annotations

from collections.abc import Mapping

from grader.batch.serialization import Packed
from grader.batch.store import NOWHERE, KeptRun
from grader.errors import StoreError

VARIABLE = "GRADE_ANSWERS"
MAX_MIB = 256
"""The default: enough for about 1,000 submissions of a large assignment."""
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
    if not (answers and run.session_key and run.answers_mib):
        return
    with run.store.writing():
        connection = run.store.connection
        connection.execute(
            "INSERT OR REPLACE INTO kept_answers (result, session_key, size, answers) "
            "SELECT result, ?, ?, ? FROM items WHERE run = ? AND number = ?",
            (run.session_key, len(answers), answers, run.id, number),
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
