"""Make a sample of a submission whose mistake a person has named.

    write_sample(assignment, outcome, regions, name="no-mean", title="the mean is missing")

Students read the title where a later submission gives the same answers. If it tells them the
solution, the sample gets a `says`: the words of the known mistake that the submission's message
names, or what the check has found. The sample expects that finding, so that `grade verify` notices
if a changed check no longer makes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.errors import AssignmentError
from grader.explaining import LIKE_A_MISTAKE, LIKE_THE_SOLUTION
from grader.files import write_whole
from grader.records import Assignment, Outcome, Region
from grader.text import one_line
from grader.verify.giving_away import (
    given_away,
    right_sources,
    solutions_of,
    words_for_students,
)
from grader.verify.samples import Sample, load_samples

MOST_WORDS = 200
"""Characters of a message that a sample repeats."""
_EVIDENCE = re.compile(r"(?:expected|got|where:) ")
_VAGUE = re.compile(r"\b(?:is|are) wrong\b")
"""What tells no mistake, as in "every element of the result is wrong"."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")


@dataclass(frozen=True)
class Written:
    """A sample that was written: its file, and what students will read of its mistake.

    students_read : "" for nothing, since the title gives the solution away
    """

    file: Path
    students_read: str


def write_sample(
    assignment: Assignment, outcome: Outcome, regions: Sequence[Region], *, name: str, title: str
) -> Written:
    """Write a submission as a sample of the assignment.

    outcome : of the check that the mistake fails; regions : of the submission, of that exercise
    name : the file's, without .toml; title : what the mistake is, in words. If it holds an
        expression of the solution, the sample's `says` is what the message has found
    Raises AssignmentError if it can't be a sample, and OSError.
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise AssignmentError("a sample's name has only letters, digits, - and _")
    if not title.strip():
        raise AssignmentError("a sample needs a title: what the mistake is, in your words")
    notebook = next((e.notebook for e in assignment.exercises if e.id == outcome.exercise), "")
    if notebook not in assignment.notebooks:
        raise AssignmentError(
            f"{assignment.folder} is a student's copy: samples need reference/"
            if assignment.public_only
            else f"{outcome.exercise} has no solved notebook: it can have no sample"
        )
    file = assignment.folder / "samples" / f"{name}.toml"
    if file.exists():
        raise AssignmentError(f"{file} is there already: give another name")
    reference = assignment.notebooks[notebook]
    sample = Sample(
        name, title, "mistake", notebook, regions=_in_a_sample(outcome, regions, reference.regions)
    )
    right = right_sources(load_samples(assignment), sample)
    read = words_for_students(sample, reference, right)
    if not read:
        read = words_instead(outcome, solutions_of(sample, reference, right))
    write_whole(file, sample_text(replace(sample, says="" if read == title else read), outcome))
    return Written(file, read)


def _in_a_sample(
    outcome: Outcome, regions: Sequence[Region], known: Collection[str]
) -> dict[str, str]:
    """Return the code of the regions that a sample can have. Raises AssignmentError for none."""
    kept = {r.name: r.source for r in regions if r.status == "filled" and r.name in known}
    if not kept:
        raise AssignmentError(
            f"nothing of {outcome.exercise} can be made a sample: its gaps have lost their "
            "markers; write one by hand"
        )
    return kept


def words_instead(outcome: Outcome, solutions: Sequence[str]) -> str:
    """Return what students may read where the title would tell them the solution.

    That is the known mistake that the message names, or what the check has found; "" for neither.
    """
    words = _named_in(outcome.message) or finding_of(outcome)
    return "" if _VAGUE.search(words) or given_away(words, solutions) else words


def _named_in(message: str) -> str:
    """Return the known mistake that a message names to the student, or ""."""
    for line in reversed(message.splitlines()):
        if line.startswith(LIKE_A_MISTAKE):
            return line.removeprefix(LIKE_A_MISTAKE).partition(" It may also be ")[0].rstrip(".")
        _, found, phrase = line.partition(LIKE_THE_SOLUTION)
        if found:
            return f"the solution {phrase.partition(', or ')[0]}".rstrip(".")
    return ""


def finding_of(outcome: Outcome) -> str:
    """Return what a check's message says is wrong, without its call and its values.

    It is "" for a check that ended with an error: that message is the student's program's.
    """
    if outcome.outcome != "failed":
        return ""
    line, depth = outcome.message.partition("\n")[0], 0
    for place, char in enumerate(line):
        depth += (char in "([{") - (char in ")]}")
        # "cost(w, X): it is twice as large": the call ends at the first colon outside of it.
        if depth == 0 and line.startswith(": ", place) and "(" in line[:place]:
            line = line[place + 2 :]
            break
    return "" if _EVIDENCE.match(line) else one_line(line, MOST_WORDS).rstrip(".")


def sample_text(sample: Sample, outcome: Outcome) -> str:
    """Return the file of a sample whose submission fails a check so."""
    lines = [
        f"title = {_text(sample.title)}",
        *([f"says = {_text(sample.says)}"] if sample.says else []),
        'kind = "mistake"',
        f"notebook = {_text(sample.notebook)}",
        "",
        "[regions]",
        *(f"{_text(name)} = {_text(source)}" for name, source in sample.regions.items()),
        "",
        "[expect]",
        # The exercise loses points by this message; the instructor may add other exercises.
        f"{_text(outcome.exercise)} = {_text(_pattern(outcome))}",
    ]
    return "\n".join(lines) + "\n"


def _pattern(outcome: Outcome) -> str:
    """Return a pattern of what the check has found, whatever its numbers are."""
    pieces = _NUMBER.split(finding_of(outcome).rstrip("…"))
    if re.search(r"[^\W\d_]{4,}", "".join(pieces)):
        return r"\S+".join(_SPECIAL.sub(r"\\\g<0>", piece) for piece in pieces)
    words = re.findall(r"[A-Za-z]{4,}", outcome.message)
    return words[0] if words else "."


def _text(text: str) -> str:
    # A JSON text is a TOML text, except for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
