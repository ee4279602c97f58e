"""The frozen records that pass between the stages. They import nothing else of this package.

This file is longer than others since the records are one vocabulary; each uses those above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

RegionStatus = Literal["filled", "untouched", "missing"]
CellStatus = Literal["ok", "error", "timeout", "crashed", "not_run", "extracted"]
CheckStatus = Literal["passed", "failed", "error", "timeout", "skipped"]
ExerciseStatus = Literal[
    "passed", "partial", "failed", "missing", "error", "timeout", "manual", "not_gradable"
]
DerivationVerdict = Literal["follows", "definition", "differs", "not read"]
SubmissionStatus = Literal["graded", "refused", "grader_fault"]
Figures = Literal["none", "answers", "all"]
"""Which figures are drawn: those of cells that belong to an answer that a person reads, or all."""
Sandbox = Literal["auto", "strict", "none"]
"""auto: every layer that the machine offers; strict: all of them, or nothing is graded."""


@dataclass(frozen=True)
class Note:
    """A remark for a person; it costs no points by itself.

    kind : "changed_outside_region", "markers_missing", "extracted", "cell_error",
        "cell_timeout", "cell_crash", "forbidden", "wrong_name", ...
    cell : index into the notebook's cells, from 0; None if it concerns no cell
    notebook : the file's name, "" if it concerns the whole submission
    """

    kind: str
    message: str
    cell: int | None = None
    notebook: str = ""


# --- the assignment ---------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What a submission may use. Times are seconds, sizes MiB.

    checks_s : for how long its code may compute or sleep in all checks of a submission together
    memory_mib, processes, scratch_mib : of all that a notebook starts, together; processes
        counts threads too
    open_files : of one process
    """

    cell_s: float = 60.0
    notebook_s: float = 240.0
    check_s: float = 20.0
    # A right solution takes tens of seconds. A wrong shape can make each check a hundred times
    # slower, below its own limit.
    checks_s: float = 300.0
    # 10,000 images of 28 by 28 as float64. No check of a real course asks for a tenth of it.
    reply_mib: int = 64
    output_mib: int = 4
    # A course laptop has 8 GiB, and two notebooks may run at once.
    memory_mib: int = 2048
    processes: int = 128
    scratch_mib: int = 512
    open_files: int = 512


@dataclass(frozen=True)
class Rules:
    """What the filled regions may not use.

    forbidden_imports : module names; a name covers its submodules
    forbidden_calls : dotted names of functions ("np.gradient")
    deduction : share of the exercise's points that a breach costs, in [0, 1]
    """

    forbidden_imports: tuple[str, ...] = ()
    forbidden_calls: tuple[str, ...] = ()
    deduction: float = 1.0


@dataclass(frozen=True)
class DerivationTarget:
    """What a derivation must reach.

    last : the last line's right side, in LaTeX; of : its left side, for the reader
    symbols : names that it may contain; None for those of `last`
    least : the number of steps that must lead there
    points : the points that a person gives for it
    """

    last: str
    of: str = ""
    symbols: tuple[str, ...] = ()
    least: int = 1
    points: float = 0.0


@dataclass(frozen=True)
class DerivationTask:
    """What a derivation exercise declares.

    sheet : symbols, sizes, given, aliases, bare, sums, variable, swapped (see docs/derivations.md)
    file : a .md or .tex file that holds the text, "" if it is in the notebook
    tag : of the Markdown cells that hold it, "" if headings (answer_cells) find them
    """

    sheet: Mapping[str, object] = field(default_factory=dict)
    targets: tuple[DerivationTarget, ...] = ()
    file: str = ""
    tag: str = ""


@dataclass(frozen=True)
class Deadline:
    """What lateness costs, and which attempt counts: applied to results, after grading.

    due : until when work is in time; None for no deadline
    late_days : how many days late work is accepted; None for any number
    penalty_per_day : share of the earned points that each started day costs
    steps : instead of it, pairs (day, share): from that day late, this share is lost
    cap : the largest share that lateness costs
    attempts : which of several hand-ins counts
    """

    due: datetime | None = None
    late_days: int | None = None
    penalty_per_day: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    cap: float = 1.0
    attempts: Literal["last", "best", "first"] = "last"


@dataclass(frozen=True)
class Environment:
    """The Python that an assignment's notebooks run in, if it is not the grader's own.

    python : "3.12"; "" for the grader's own version
    requirements : as pip takes them
    lock : file name of a pylock.toml, "" for none
    wheels : folder of wheels beside assignment.toml; if given, no package index is used
    inherit : the grader's own packages are there too; the requirements come before them
    """

    python: str = ""
    requirements: tuple[str, ...] = ()
    lock: str = ""
    wheels: str = ""
    inherit: bool = False


@dataclass(frozen=True)
class Exercise:
    """One line of the score.

    functions : qualified names that the student fills ("GradientDescent.predict")
    needs : names that other exercises score and this one builds on; if none of them is filled in
        either, there is nothing to check
    values : names set by a cell that holds a gap outside any function
    notebook : file name of the reference notebook that holds them
    manual : a person grades it; its points stay open
    bonus : its points add to the score, not to the maximum
    rules : overrides the assignment's, unless it is None
    follows : ids of exercises whose mistakes cost no points here a second time: a check that
        fails because of them is judged as if they were right. With its own id, the same holds
        among its own functions
    """

    id: str
    title: str
    points: float
    notebook: str = ""
    functions: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    manual: bool = False
    bonus: bool = False
    rules: Rules | None = None
    answer_cells: tuple[str, ...] = ()
    """Headings of the Markdown cells that hold a manual item's answer."""
    derivation: DerivationTask | None = None
    """For a written derivation: what the sheet declares. A person gives its points."""
    follows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """An assignment, read. `folder` holds assignment.toml and the check files.

    notebooks : the solved references by file name; empty in a student's copy
    stubs : what students start from, by file name
    requires : packages that a notebook needs besides grade's own, by its file name
    public_only : True for a student's copy, which holds only the public checks
    sandbox : how submissions are isolated; set by the command, not by the file
    """

    id: str
    title: str
    folder: Path
    exercises: tuple[Exercise, ...]
    notebook_names: tuple[str, ...]
    check_files: tuple[Path, ...]
    limits: Limits = Limits()
    rules: Rules = Rules()
    datasets: tuple[str, ...] = ()
    notebooks: Mapping[str, Notebook] = field(default_factory=dict)
    stubs: Mapping[str, Notebook] = field(default_factory=dict)
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    public_only: bool = False
    sandbox: Sandbox = "auto"
    deadline: Deadline = Deadline()
    environment: Environment | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    """The instructor's files beside the notebooks, by their paths relative to them."""

    def functions_in(self, notebook: str) -> tuple[str, ...]:
        """Return every function that the exercises of that notebook ask for, once each."""
        names = (f for e in self.exercises if e.notebook == notebook for f in e.functions)
        return tuple(dict.fromkeys(names))

    def given(self, notebook: str) -> Notebook | None:
        """Return the solved notebook of that name, the stub in a student's copy."""
        return self.notebooks.get(notebook, self.stubs.get(notebook))

    def lacking(self, notebook: str) -> str:
        """Return why that notebook can't run here, and what to install; "" if it can."""
        if self.environment is not None:  # which brings them
            return ""
        lacking = [p for p in self.requires.get(notebook, ()) if find_spec(p) is None]
        return (
            f"{notebook} needs {', '.join(lacking)}, which is not installed here: "
            f"pip install {' '.join(lacking)}"
            if lacking
            else ""
        )


@dataclass(frozen=True)
class Options:
    """How submissions are graded: the settings of a grading process.

    folder : the assignment's
    only : ids of exercises; empty for all
    evidence : whether evidence is passed on: only for pages and kept results
    figures : which figures are drawn: only those that a person looks at
    kernels : how many of a submission's notebooks run at once
    alone : whether it is a single submission, not a class: a student names one notebook
    shared : folder of read-only copies of the assignment's files, for all kernels of this machine;
        "" if each process makes its own
    share_cells : run the template's first cells once for all submissions with the same first cells
    try_mistakes : notebooks without a table of known mistakes, if the class is too small for one:
        the likely mistakes of a wrong answer are tried, function by function
    keep_answers : keep what students' processes reply to the checks, for a changed check
    checks : exercises with the names of the checks to run; empty for all of every exercise
    """

    folder: str
    only: tuple[str, ...] = ()
    public: bool = False
    seed: int = 0
    sandbox: Sandbox = "auto"
    evidence: bool = True
    figures: Figures = "all"
    kernels: int = 1
    alone: bool = False
    shared: str = ""
    share_cells: bool = False
    try_mistakes: tuple[str, ...] = ()
    keep_answers: bool = False
    checks: tuple[tuple[str, str], ...] = ()


# --- the submission ---------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where a submission came from: the keys that a learning platform gave it.

    platform : "moodle", "canvas", "blackboard", "brightspace", "gradescope", "github",
        "nbgrader"; "" for none
    name : the student's or the group's, as the platform writes it
    ids : the platform's own keys: participant, user, attachment, anonymous, username, attempt, ...
    late : whether the platform says so
    handed_in : ISO 8601, "" if the platform doesn't say
    students : who handed in, if the platform says so; they take precedence over a file's name
    """

    platform: str = ""
    name: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    late: bool = False
    handed_in: str = ""
    students: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """Who handed in what, unpacked.

    path : as the user named it
    folder : a private directory that holds the unpacked files, and nothing else
    files : notebooks and scripts, relative to folder, in order
    work : a fingerprint of these files' bytes, independent of their names
    """

    path: str
    students: tuple[str, ...]
    folder: Path
    files: tuple[Path, ...]
    notes: tuple[Note, ...] = ()
    work: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell as the student left it.

    outputs : nbformat's own, untrusted
    attachments : pictures pasted into Markdown, {"scan.png": {"image/png": base64 text}}
    """

    index: int
    kind: Literal["code", "markdown", "raw"]
    source: str
    outputs: tuple[Mapping[str, object], ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    attachments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """A cell of a notebook, by the file name as handed in and its index from 0."""

    notebook: str
    cell: int


@dataclass(frozen=True)
class Definition:
    """A function, method or class: the last one of its qualified name.

    source : dedented text of the whole definition; line : 1-based, within the cell
    """

    name: str
    cell: int
    line: int
    source: str


@dataclass(frozen=True)
class Region:
    """A gap to fill, named by the definition that encloses it.

    name : qualified name; "cell 12" for a region outside any definition
    source : the content of the gap (the whole definition if markers are lost)
    """

    name: str
    cell: int
    source: str
    status: RegionStatus


@dataclass(frozen=True)
class Notebook:
    """A notebook or script, read. `name` is its file name as handed in."""

    name: str
    cells: tuple[Cell, ...]
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    regions: Mapping[str, Region] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)


# --- the session ------------------------------------------------------------------------


@dataclass(frozen=True)
class Isolation:
    """The layers that isolate a student's process.

    applied : names of layers (grader.in_kernel.sandbox.confine lists them)
    missing : layer -> why this machine does not offer it
    """

    applied: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """Return in one line what is missing; "" for nothing."""
        if not self.missing:
            return ""
        if not self.applied:
            return (
                "student code is not closed in on this system: grade what strangers wrote on Linux"
            )
        reasons = "; ".join(f"{layer} ({reason})" for layer, reason in self.missing.items())
        return f"student code is closed in but for: {reasons}"


@dataclass(frozen=True)
class CellRun:
    """How one code cell ran.

    error : one printable line ("NameError: name 'x' is not defined"), "" for none
    outputs : nbformat's own, untrusted, cut to the limit
    """

    index: int
    status: CellStatus
    seconds: float = 0.0
    error: str = ""
    outputs: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class Run:
    """A notebook's execution, whole."""

    cells: tuple[CellRun, ...]
    notes: tuple[Note, ...] = ()
    seconds: float = 0.0


# --- the verdict ------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """One check's verdict.

    credit : share of max_points that was earned, in [0, 1]
    seconds : by the clock
    used_s : for which the student's code computed or slept, until echoes are told; 0 in a result
    requests, calls : how many requests it sent to the student's process, and how often that called
        it back, until its wrong answers are explained; 0 in a result
    missing : the check found nothing to check (not defined, still the template's dummy)
    not_defined : the name that was missing, as the check calls it; "" for none
    suspect : the check itself raised, or used a name that is missing and that it may have
        misspelt: a fault of the check, unless the same check accepts the reference
    called_back : the exception came from a function of the check that the student's code called
    fault : the grader failed while it ran the check; the student loses nothing
    penalty : points that a broken rule takes from the exercise
    trace : the wrong answers to the check's requests, as fingerprints (diagnosis/traces.py)
    known : the known mistake with the same answers, and its change; only for the instructor
    overruled : why a person has changed the verdict; usually ""
    machine : the check's own verdict, if it was overruled
    for_students : the text that students may read instead of a hidden check's message; "" for
        only the outcome
    """

    exercise: str
    name: str
    outcome: CheckStatus
    credit: float
    max_points: float
    hidden: bool = False
    message: str = ""
    seconds: float = 0.0
    missing: bool = False
    suspect: bool = False
    called_back: bool = False
    fault: bool = False
    penalty: float = 0.0
    not_defined: str = ""
    trace: str = ""
    known: str = ""
    overruled: str = ""
    machine: CheckStatus | None = None
    machine_credit: float = 0.0
    for_students: str = ""
    used_s: float = 0.0
    requests: int = 0
    calls: int = 0

    @property
    def points(self) -> float:
        return self.credit * self.max_points - self.penalty


@dataclass(frozen=True)
class DerivationStep:
    """One step of a derivation, with the verdict on it.

    line : 1-based, in the text or in the cell; cell : index from 0, None in a file
    chain : steps of one chain of equations share it
    left, right : LaTeX; sign : "=", "<=", ...
    why : the reason for "not read"; remark : a fact that a reader can check
    slip : the likely mistake ("a sign"); "" if unknown
    at, left_value, right_value : the point and the values of that fact
    regains : it undoes the mistake of the step before, so it gets no remark of its own
    left_mathml, right_mathml : made by the grader, harmless; "" if no page is made
    display : it is displayed, not part of a sentence
    """

    line: int
    chain: int
    left: str
    sign: str
    right: str
    verdict: DerivationVerdict
    why: str = ""
    remark: str = ""
    slip: str = ""
    at: tuple[tuple[str, str], ...] = ()
    left_value: str = ""
    right_value: str = ""
    regains: bool = False
    left_mathml: str = ""
    right_mathml: str = ""
    display: bool = True
    cell: int | None = None


@dataclass(frozen=True)
class DerivationReached:
    """Whether a derivation reaches a target in the required form: a suggestion.

    line, cell : where; line is 0 for nowhere
    steps : number of verified steps that lead there; doubtful : of those that differ
    """

    target: str
    points: float
    found: bool
    line: int = 0
    steps: int = 0
    doubtful: int = 0
    why: str = ""
    cell: int | None = None


@dataclass(frozen=True)
class Derivation:
    """A checked derivation. note : why it was not checked whole, usually \"\""""

    steps: tuple[DerivationStep, ...] = ()
    reached: tuple[DerivationReached, ...] = ()
    note: str = ""

    def count(self, *verdicts: DerivationVerdict) -> int:
        return sum(step.verdict in verdicts for step in self.steps)

    @property
    def remarks(self) -> tuple[DerivationStep, ...]:
        """Return the steps that a reader should look at."""
        return tuple(s for s in self.steps if s.verdict == "differs" and not s.regains)

    @property
    def suggested(self) -> float:
        """Return the points of the targets that are surely reached, for a person to confirm."""
        return sum(r.points for r in self.reached if r.found and not r.doubtful)


@dataclass(frozen=True)
class RubricMark:
    """A line of a rubric, and whether it applies to an answer. points : plus or minus"""

    words: str
    points: float
    applies: bool = False


@dataclass(frozen=True)
class Judgement:
    """A person's judgement of an answer.

    marks : the rubric, whole
    comment : for the student
    adjustment, reason : points in addition to the rubric, and why
    answered : False if the prompt was left as in the template
    done : a person has finished it
    """

    marks: tuple[RubricMark, ...] = ()
    comment: str = ""
    adjustment: float = 0.0
    reason: str = ""
    answered: bool = True
    done: bool = False


@dataclass(frozen=True)
class ExerciseScore:
    """An exercise's line in the report. judgement : None unless a person has judged it"""

    id: str
    title: str
    points: float
    max_points: float
    status: ExerciseStatus
    checks: tuple[Outcome, ...] = ()
    bonus: bool = False
    derivation: Derivation | None = None
    judgement: Judgement | None = None


@dataclass(frozen=True)
class Evidence:
    """What a person reads besides the score: HTML shows it, JSON leaves it out."""

    notebooks: Mapping[str, Notebook] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    regions: Mapping[str, tuple[Region, ...]] = field(default_factory=dict)
    """The regions of each exercise, by its id."""
    answers: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)
    """The Markdown cells that answer an exercise in words, by its id."""
    drawn: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    """The cells whose figures belong to such an answer, by the exercise's id."""


@dataclass(frozen=True)
class Result:
    """One submission, graded or not.

    origin : the learning platform's keys
    work : a fingerprint of the notebooks and scripts: equal if their bytes are equal
    """

    path: str
    students: tuple[str, ...]
    status: SubmissionStatus
    message: str = ""
    score: float = 0.0
    max_score: float = 0.0
    manual_points: float = 0.0
    exercises: tuple[ExerciseScore, ...] = ()
    notes: tuple[Note, ...] = ()
    evidence: Evidence = Evidence()
    origin: Origin = Origin()
    work: str = ""


@dataclass(frozen=True)
class Report:
    """The report of one run of `grade`."""

    assignment: str
    title: str
    seed: int
    results: Sequence[Result]
    isolation: str = ""
    """What the sandbox lacked, in one line."""
    checks_from: str = ""
    """The folder of the assignment whose checks ran."""
    run: int | None = None
    """Its number in the file of results, if it is kept."""
    from_answers: int = 0
    """How many submissions were graded from kept answers, without running their notebooks."""
    parts: tuple[Report, ...] = ()
    """The report of each assignment if there are several. `results` has the results of all."""

    @property
    def each(self) -> tuple[Report, ...]:
        """Return the report of each assignment; only this one if it has no parts."""
        return self.parts or (self,)


@dataclass(frozen=True)
class RunRecord:
    """A run in the list of runs.

    begun, ended : seconds since 1970; ended is None for a run that goes on or was killed
    submissions : how many were handed in
    results : how many have a result; kept : how many of these are from earlier runs;
        not_graded : how many were refused, or met a fault of the grader
    mean_percent : of the graded ones; None for none
    settings : seed, only, public, sandbox
    about : paths, split, apart, shard: where the submissions lie; checks: their hashes, by
        exercise; environment; for a class graded again: of, exercises, reason, who; for its
        exercises, before they are put into it: part_of. Empty in a file of an earlier version
    """

    id: int
    begun: float
    ended: float | None
    assignment: str
    title: str
    submissions: int
    results: int
    kept: int
    not_graded: int
    mean_percent: float | None
    isolation: str
    settings: Mapping[str, object]
    about: Mapping[str, Any] = field(default_factory=dict)
