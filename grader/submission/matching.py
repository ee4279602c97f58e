"""Recognise a submission: its assignment, and which file is which notebook.

Students rename files, copy cells into notebooks of their own and lose metadata. The definitions of
a notebook count most, then its name; its metadata are only a claim.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import PurePosixPath

from grader.errors import SubmissionError
from grader.notebook import compare_with_stub
from grader.records import Assignment, Definition, Note, Notebook

ENOUGH_DEFINED = 0.3
"""Share of a notebook's functions that makes another notebook a candidate by itself. Notebooks
of one assignment share a helper or two (sigmoid), never a third of their functions."""

MAX_COPIES = 5
"""Further candidates for one notebook. One student keeps fewer old copies than that."""

_NOISE = frozenset(
    {
        *("stud", "student", "students", "copy", "copie", "kopie", "kopia", "copia", "von", "of"),
        *("final", "finale", "solution", "solutions", "solved", "sol", "loesung", "losung"),
        *("corrige", "submission", "submit", "done", "new", "neu", "last", "version"),
        *("completed", "template", "abgabe", "rendu", "my"),
    }
)
"""Words that students add to a file's name, or take away; digits and "v2" as well."""


@dataclass(frozen=True)
class _Fit:
    """How well one submitted notebook fits one of the assignment's.

    defined : share of the functions that it defines, in [0, 1]; 0 if there are none
    named : 1 same name, 0.9 same without decoration, 0.6 one name contains the other, else 0
    claimed : whether the metadata say so
    """

    defined: float
    named: float
    claimed: bool

    @property
    def score(self) -> float:
        return 3 * self.defined + self.named + 0.8 * self.claimed


# --- the assignment -------------------------------------------------------------------------


def recognise_assignment(
    notebooks: Sequence[Notebook],
    assignments: Mapping[str, Assignment],
    *,
    advice: str = "name it with --assignment",
) -> str:
    """Return the id of the assignment that the notebooks answer.

    advice : what the user can do if they answer none
    Raises SubmissionError if they fit none of them.
    """
    scores = assignment_fits(notebooks, assignments)
    if not scores:
        raise SubmissionError(no_assignment(notebooks, assignments, advice))
    return max(scores, key=lambda key: scores[key])


def assignment_fits(
    notebooks: Sequence[Notebook], assignments: Mapping[str, Assignment]
) -> dict[str, float]:
    """Return how well the notebooks fit each assignment that they may answer; > 0."""
    scores: dict[str, float] = {}
    for key, assignment in assignments.items():
        scores[key] = sum(
            max(_fit(assignment, name, notebook).score for notebook in notebooks)
            for name in assignment.notebook_names
            if any(_is_candidate(assignment, name, notebook) for notebook in notebooks)
        )
    return {key: score for key, score in scores.items() if score > 0}


def no_assignment(
    notebooks: Sequence[Notebook], assignments: Mapping[str, Assignment], advice: str
) -> str:
    """Return the message that the notebooks answer none of the assignments."""
    known = ", ".join(assignments) or "none"
    handed = ", ".join(PurePosixPath(notebook.name).name for notebook in notebooks[:5])
    named = [line for a in assignments.values() for line in other_work(a, notebooks)]
    why = f" ({'; '.join(named[:3])})" if named else ""
    return (
        f"nothing here ({handed or 'no notebook'}) answers a known assignment ({known})"
        f"{why}: {advice}"
    )


# --- the notebooks --------------------------------------------------------------------------


def match_notebooks(assignment: Assignment, notebooks: Sequence[Notebook]) -> dict[str, Notebook]:
    """Return the submitted notebook for each of the assignment's, compared with its stub.

    Keys are the assignment's notebook names; one that wasn't handed in is absent. A submitted
    notebook may stand for several. Of several candidates, the one with the most filled regions is
    chosen, and a note names the others.
    Raises SubmissionError for so many candidates that they are a class's.
    """
    matched: dict[str, Notebook] = {}
    for name in assignment.notebook_names:
        functions = assignment.functions_in(name)
        candidates = [
            (
                compare_with_stub(notebook, assignment.stubs[name], functions=functions),
                _fit(assignment, name, notebook),
                order,
            )
            for order, notebook in enumerate(notebooks)
            if _is_candidate(assignment, name, notebook)
        ]
        if not candidates:
            continue
        candidates.sort(key=lambda c: (-_filled(c[0]), -c[1].score, c[2]))
        chosen, fit, _ = candidates[0]
        notes = []
        if fit.named < 1:
            notes.append(
                Note(
                    kind="wrong_name",
                    message=f"{chosen.name} is read as {name}",
                    notebook=chosen.name,
                )
            )
        # Another notebook that only came near is not a rival.
        rivals = [other for other, its, _ in candidates[1:] if its.named or its.defined > 0.5]
        own_names = {PurePosixPath(other).name for other in assignment.notebook_names}
        rivals = [other for other in rivals if _base(other.name) not in own_names - {name}]
        if len(rivals) >= MAX_COPIES:
            raise SubmissionError(
                f"{len(rivals) + 1} notebooks could each be {name}, as those of a whole class: "
                "put each student's work into a folder or a zip of its own, or grade with --split"
            )
        if rivals:
            others = ", ".join(other.name for other in rivals[:3])
            notes.append(
                Note(
                    kind="several_candidates",
                    message=f"{chosen.name} is graded as {name}; {others} could be it too",
                    notebook=chosen.name,
                )
            )
        matched[name] = replace(chosen, notes=(*chosen.notes, *notes))
    return matched


LEAST_OWN = 2
"""With so many definitions of its own a notebook may be other work; bare cells don't count."""


def is_other_work(assignment: Assignment, name: str, notebook: Notebook) -> bool:
    """Tell whether a notebook only has the name: it is work for another year, or another sheet.

    It defines functions of its own, but none of the required ones: neither under another name, nor
    in a cell that doesn't compile.
    """
    wanted = _names_to_define(assignment, name)
    fit = _fit(assignment, name, notebook)
    if not wanted or not fit.named or fit.defined or fit.claimed or name not in assignment.stubs:
        return False
    stub = assignment.stubs[name]
    own = [n for n in notebook.definitions if "." not in n and n not in stub.definitions]
    if len(own) < LEAST_OWN or any(name_instead(n, notebook, stub) for n in wanted):
        return False
    heads = "|".join(sorted({re.escape(n.partition(".")[0]) for n in wanted}))
    head = re.compile(rf"^\s*(?:async\s+def|def|class)\s+(?:{heads})\b", re.MULTILINE)
    return not any(cell.kind == "code" and head.search(cell.source) for cell in notebook.cells)


def other_work(assignment: Assignment, notebooks: Sequence[Notebook]) -> list[str]:
    """Return a line for each notebook with a name of the assignment that is other work."""
    return [
        f"{notebook.name} has a name of the sheet's, and defines none of what the sheet asks for "
        f"({', '.join(_names_to_define(assignment, name)[:3])}, ...): is it of another year, or "
        "of another sheet?"
        for name in assignment.notebook_names
        for notebook in notebooks
        if is_other_work(assignment, name, notebook)
    ]


def name_instead(missing: str, notebook: Notebook, stub: Notebook) -> str:
    """Return the student's own name that may replace a missing one, "" for none.

    missing : a qualified name; names that the template also defines are not candidates
    """
    within, _, name = missing.rpartition(".")
    own = sorted(notebook.definitions.keys() - stub.definitions.keys())
    beside = {n.rpartition(".")[2]: n for n in own if n.rpartition(".")[0] == within}
    # 0.75: cost_function for cost_funct, my_sigmoid for sigmoid; not a related function.
    near = get_close_matches(name, beside, n=1, cutoff=0.75)
    # grad for gradient; or a function with the same parameters, if there is only one.
    short = [n for n in beside if min(len(n), len(name)) >= 4 and (n in name or name in n)]
    wanted = _parameters(stub.definitions[missing]) if missing in stub.definitions else set()
    alike = [
        n
        for n, full in beside.items()
        if len(wanted) >= 2 and _parameters(notebook.definitions[full]) == wanted
    ]
    choices = [near, short if len(short) == 1 else [], alike if len(alike) == 1 else []]
    return next((beside[found[0]] for found in choices if found), "")


_HEAD = re.compile(r"(?:\s*@.*\n)*\s*(?:async\s+)?def\s+\w+\s*\((?P<names>[^()]{1,300})\)")


def _parameters(definition: Definition) -> set[str]:
    """Return the names that a function takes, without self; empty for anything else."""
    head = _HEAD.match(definition.source)
    names = head["names"].split(",") if head else []
    return {re.split(r"[:=]", name)[0].strip() for name in names} - {"self"}


def _filled(notebook: Notebook) -> int:
    return sum(region.status == "filled" for region in notebook.regions.values())


def _is_candidate(assignment: Assignment, name: str, notebook: Notebook) -> bool:
    """Tell whether the notebook may be that one of the assignment.

    By its definitions, by its name, or by its metadata, unless its definitions clearly fit another.
    """
    fit = _fit(assignment, name, notebook)
    if fit.defined >= ENOUGH_DEFINED:
        return True
    if is_other_work(assignment, name, notebook):
        return False
    others = max(
        (
            _fit(assignment, other, notebook).defined
            for other in assignment.notebook_names
            if other != name
        ),
        default=0.0,
    )
    if others >= ENOUGH_DEFINED and others > fit.defined:
        return fit.named == 1 and fit.defined > 0
    return fit.named >= 0.6 or fit.claimed


def _fit(assignment: Assignment, name: str, notebook: Notebook) -> _Fit:
    wanted = _names_to_define(assignment, name)
    defined = sum(function in notebook.definitions for function in wanted) / max(1, len(wanted))
    claim = notebook.metadata.get("grade")
    claimed = (
        isinstance(claim, dict)
        and claim.get("assignment") == assignment.id
        and claim.get("notebook") == name
    )
    return _Fit(defined=defined, named=_name_fit(name, notebook.name), claimed=claimed)


def _names_to_define(assignment: Assignment, name: str) -> tuple[str, ...]:
    """Return the functions that identify a notebook: the exercises', else all of its stub."""
    functions = assignment.functions_in(name)
    if functions:
        return functions
    stub = assignment.stubs.get(name)
    return tuple(stub.definitions) if stub is not None else ()


def _name_fit(wanted: str, handed_in: str) -> float:
    """Return how much a file's name looks like the wanted one, in [0, 1]."""
    found = _base(handed_in)
    if found == wanted:
        return 1.0
    ours, theirs = _words(wanted), _words(found)
    if not ours or not theirs:
        return 0.0
    if ours == theirs:
        return 0.9
    longer, shorter = (theirs, ours) if len(theirs) >= len(ours) else (ours, theirs)
    starts = range(len(longer) - len(shorter) + 1)
    # "sigmoid_Mueller" contains "sigmoid"; "numpy" is too little of "numpy-tutorial-images".
    if any(longer[n : n + len(shorter)] == shorter for n in starts) and (
        longer is theirs or 2 * len(shorter) > len(longer)
    ):
        return 0.6
    return 0.0


def _base(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _words(name: str) -> list[str]:
    """Return a file name's words in lower case, without accents, "(1)" and decoration."""
    stem = re.sub(r"\.(ipynb|py|json|txt)$", "", _base(name), flags=re.IGNORECASE)
    stem = re.sub(r"\(\d+\)", " ", stem)
    folded = unicodedata.normalize("NFKD", stem.casefold())
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    words = re.findall(r"[^\W_]+", plain)
    kept = [w for w in words if w not in _NOISE and not re.fullmatch(r"v?\d{1,2}|copy\d*", w)]
    return kept or words
