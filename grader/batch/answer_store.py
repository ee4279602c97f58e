"""What students' processes replied to checks, in the file of results: for `grade regrade`.

They belong to a result, and go with it. They are worth less than any result: when they take more
than their share of the file, those of the oldest results are dropped, and what they would have
answered is asked again.

$GRADE_ANSWERS says how many MiB they may take; "none": none are kept, and none are used.
"""

from __future__ import annotations

from collections.abc import Mapping

from grader.batch.serialization import Packed
from grader.batch.store import NOWHERE, KeptRun
from grader.errors import StoreError

VARIABLE = "GRADE_ANSWERS"
MAX_MIB = 256
"""By default: of some 1,000 submissions of a large assignment."""
_MAX_ROWS = 8
"""Of one submission: its first grading, and what was asked anew when it was graded again."""


def room_mib(environ: Mapping[str, str]) -> int:
    """Return how much may be kept; 0 for nothing. Raises StoreError for what is no number."""
    said = environ.get(VARIABLE, "").strip()
    if not said:
        return MAX_MIB
    if said == NOWHERE:
        return 0
    if not said.isdecimal():
        raise StoreError(f"${VARIABLE} is {said!r}: say how many MiB, or {NOWHERE}")
    return int(said)


def keep(run: KeptRun, number: int, answers: bytes) -> None:
    """Keep what the processes of a submission of that run replied. Raises StoreError.

    number : its place in the run, which has its result already
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
        # The oldest ones, from the one on with which there are too many bytes.
        connection.execute(
            "DELETE FROM kept_answers WHERE result IN (SELECT result FROM (SELECT result, "
            "sum(size) OVER (ORDER BY result DESC) AS together FROM kept_answers) "
            "WHERE together > ?)",
            (run.answers_mib << 20,),
        )


def kept(run: KeptRun, input_hash: str) -> Packed | None:
    """Return what that submission's processes replied before, and the evidence of then.

    None if nothing is kept of it, or of another state of its notebooks. Raises StoreError.
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
