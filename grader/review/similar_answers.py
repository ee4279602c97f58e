"""Groups of similar answers: by the student's text or figures, or by the checks' verdicts."""

from __future__ import annotations

import hashlib
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grader.batch.store import Store
from grader.records import Outcome
from grader.review.answers import AnswerRow, answers_of
from grader.review.classroom import Classroom
from grader.text import one_line

KINDS = {
    "answer": "the same answer, sign by sign",
    "text": "the same words or code, but for spaces, case and comments",
    "figure": "the same data in the figures, in any style",
    "trace": "the same wrong values",
    "diagnosis": "the same verdicts with the same words",
    "exception": "the same exception",
}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
_EXCEPTION = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit))\b")


@dataclass(frozen=True)
class Group:
    """Answers that are alike.

    key : a fingerprint of what they share; title : the same, for people
    numbers : of the submissions; name : given by a person, or ""
    """

    key: str
    title: str
    numbers: tuple[int, ...]
    name: str = ""


def groups_of(store: Store, room: Classroom, exercise: str, by: str) -> list[Group]:
    """Return the groups of one exercise, the largest first; single answers are groups of one."""
    rows = answers_of(store, room.run_id, exercise=exercise, text=True)
    names = group_names(store, room.name, exercise)
    found: dict[str, list[int]] = defaultdict(list)
    titles: dict[str, str] = {}
    for (number, _), row in rows.items():
        if number not in room.results:
            continue
        key, title = _key(room, number, row, by)
        if key:
            found[key].append(number)
            titles.setdefault(key, title)
    groups = [Group(k, titles[k], tuple(ns), names.get(k, "")) for k, ns in found.items()]
    return sorted(groups, key=lambda group: (-len(group.numbers), group.key))


def group_names(store: Store, assignment: str, exercise: str) -> dict[str, str]:
    with store.guarded():
        rows = store.connection.execute(
            "SELECT likeness, name FROM group_names WHERE assignment = ? AND exercise = ?",
            (assignment, exercise),
        ).fetchall()
    return dict(rows)


def _key(room: Classroom, number: int, row: AnswerRow, by: str) -> tuple[str, str]:
    key, title = _KEYS[by](room, number, row)
    # A hash, not the text itself: a form sends the key back.
    return (f"{by}-{hashlib.sha256(key.encode()).hexdigest()[:24]}" if key else ""), title


def names_of(store: Store, room: Classroom, exercise: str, number: int) -> list[str]:
    """Return the names of the groups that an answer is in, as people gave them."""
    names = group_names(store, room.name, exercise)
    if not names:
        return []
    row = answers_of(store, room.run_id, exercise=exercise, numbers=[number], text=True)
    keys = [_key(room, number, row[number, exercise], by)[0] for by in KINDS]
    return list(dict.fromkeys(names[key] for key in keys if key in names))


def likeness_of(room: Classroom, exercise: str, number: int) -> int:
    """Return how many others have the same answer, or the same wrong values."""
    kinds = room.once_of_work(f"alike {exercise}", lambda: _alike(room, exercise))
    row = room.row(number, exercise)
    mine = [("answer", row.answer), ("trace", _trace(room, number, row)[0])]
    return len(set().union(*(kinds.get(one, ()) for one in mine)) - {number})


def _alike(room: Classroom, exercise: str) -> dict[tuple[str, str], set[int]]:
    """Return the submissions with each answer, and with each trace of wrong values."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for number, rows in room.answers.items():
        if exercise not in rows:
            continue
        row = rows[exercise]
        found["answer", row.answer].add(number)
        if trace := _trace(room, number, row)[0]:
            found["trace", trace].add(number)
    return dict(found)


def _checks(room: Classroom, number: int, row: AnswerRow) -> Sequence[Outcome]:
    return room.machine_score(number, row.exercise).checks


def _answer(room: Classroom, number: int, row: AnswerRow) -> tuple[str, str]:
    return row.answer, _excerpt(row)


def _text(room: Classroom, number: int, row: AnswerRow) -> tuple[str, str]:
    return normalised(row.text), _excerpt(row)


def _figure(room: Classroom, number: int, row: AnswerRow) -> tuple[str, str]:
    return row.figures, _excerpt(row)


def _trace(room: Classroom, number: int, row: AnswerRow) -> tuple[str, str]:
    wrong = [c for c in _checks(room, number, row) if c.trace and c.outcome != "passed"]
    key = "\n".join(f"{check.name}={check.trace}" for check in wrong)
    return key, "; ".join(one_line(check.message or check.name, 120) for check in wrong[:2])


def _diagnosis(room: Classroom, number: int, row: AnswerRow) -> tuple[str, str]:
    wrong = [c for c in _checks(room, number, row) if c.outcome != "passed"]
    key = "\n".join(f"{c.name}={c.outcome}={diagnosis_of(c)}" for c in wrong)
    return key, "; ".join(one_line(f"{c.name}: {diagnosis_of(c)}", 160) for c in wrong[:2])


def _exception(room: Classroom, number: int, row: AnswerRow) -> tuple[str, str]:
    for check in _checks(room, number, row):
        if check.outcome != "passed" and (found := _EXCEPTION.search(check.message)):
            line = next(text for text in check.message.splitlines() if _EXCEPTION.search(text))
            return found[1] + _NUMBER.sub("#", line), one_line(line, 160)
    return "", ""


_KEYS: dict[str, Callable[[Classroom, int, AnswerRow], tuple[str, str]]] = {
    "answer": _answer,
    "text": _text,
    "figure": _figure,
    "trace": _trace,
    "diagnosis": _diagnosis,
    "exception": _exception,
}


def diagnosis_of(check: Outcome) -> str:
    """Return a check's last line without numbers, so that it is equal for many students."""
    return one_line(_NUMBER.sub("#", last_line(check)), 200)


def last_line(check: Outcome) -> str:
    """Return the last line of a check's message, which says what to look at."""
    lines = [line.strip() for line in check.message.splitlines() if line.strip()]
    return one_line(lines[-1] if lines else check.outcome, 200)


def _excerpt(row: AnswerRow) -> str:
    lines = [line for line in row.text.splitlines() if not line.lstrip().startswith("#")]
    return one_line(" ".join(lines), 160) or "nothing"


def normalised(text: str) -> str:
    """Return a text without differences of spaces, case, comments and Markdown's marks."""
    code = _without_comments(text)
    return re.sub(r"[\s*_`>#.,;:!?]+", " ", code).casefold().strip()


def _without_comments(text: str) -> str:
    try:
        tokens = [
            (token.type, token.string)
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type not in (tokenize.COMMENT, tokenize.NL)
        ]
    except (tokenize.TokenError, SyntaxError):
        return text  # not Python: words, usually
    return " ".join(string for _, string in tokens)
