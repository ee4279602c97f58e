"""The bank of verdicts: small cases, each with the verdict of a careful teacher and its cause.

    python tests/benchmarks/verdicts/run.py                   every case, a table at the end
    python tests/benchmarks/verdicts/run.py pw02 --show       what was said where it is not right
    python tests/benchmarks/verdicts/run.py --bank third      the cases that were written last
    python tests/benchmarks/verdicts/run.py --alone           what a lone student is told

A case is the body of one gap (or of a few) of a solved notebook. It is put in the place of the
solution in the notebook's process, and its exercises' checks run; what they say, and what the
table of known mistakes adds, is held against the case. Printed by assignment:

    wrong accepted   a mistake that lost no points
    right refused    a right variant that lost some
    named            of the mistakes that lost points: a message holds the cause
    misleading       a message names another cause, and none names the case's own
    loose            of the named: its words fit most messages of the function's other mistakes, too
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from grader.assignment import load_assignment
from grader.batch import known_store
from grader.diagnosis.known import Known
from grader.explaining import LIKE_A_MISTAKE, LIKE_THE_SOLUTION, Explainer
from grader.notebook import assembled, replace_region
from grader.records import Assignment, ExerciseScore, Notebook, Outcome, Result
from grader.session import Kernels, Session, start_fork_server
from grader.suite import CheckJob, open_suite
from grader.tracing import Tracer, put_in_place
from grader.verify import known_table
from grader.verify.mutants import Mutant
from grader.verify.patching import patch_source
from grader.verify.tried_mistakes import TriedMistakes

HERE = Path(__file__).parent
REFERENCE = HERE.parents[2] / "reference"
# A question, or a claim of what the code does, is a cause that is named.
CLAIMS = re.compile(
    rf"\?\s*$|{re.escape(LIKE_THE_SOLUTION)}|^{re.escape(LIKE_A_MISTAKE)}"
    r"|as (large|small) as|times (too|as)|transposed|is missing|swapped|look(s)? like"
)


@dataclass(frozen=True)
class Case:
    """One case. verdict : "wrong" or "right"; cause : in words; named_by : a pattern of them."""

    assignment: str
    notebook: str
    regions: tuple[tuple[str, str], ...]
    verdict: str
    cause: str
    named_by: str
    where: str


@dataclass(frozen=True)
class Judged:
    case: Case
    lost: bool
    messages: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def said(self) -> tuple[str, ...]:
        """What is said of the mistake: what was called, expected and got says nothing of it."""
        texts = [said_in(text) for text in self.messages]
        if not any(LIKE_THE_SOLUTION in t or LIKE_A_MISTAKE in t for t in self.messages):
            texts += self.known  # of a hidden check: the instructor reads it
        return tuple(texts)

    @property
    def named(self) -> bool:
        return self.is_named_in(self.said)

    def is_named_in(self, texts: Iterable[str]) -> bool:
        """Tell whether one of the texts holds the cause. A name of a letter or two stands alone."""
        words = [
            rf"\b{word}\b" if re.fullmatch(r"\w{1,2}", word) else word
            for word in self.case.named_by.split("|")
        ]
        pattern = "|".join(words) if self.case.named_by else "$^"
        return any(re.search(pattern, text, re.IGNORECASE) for text in texts)

    def is_loose(self, others: list[Judged]) -> bool:
        """Tell whether the cause's words fit most messages of the function's other mistakes, too.

        Then the figure would be as good with messages that say nothing.
        """
        siblings = [
            other
            for other in others
            if other.case.regions[0][0] == self.case.regions[0][0]
            and other.case.notebook == self.case.notebook
            and other.lost
            and other.case.verdict == "wrong"
            and other.case.cause != self.case.cause
        ]
        fitting = sum(self.is_named_in(o.said) for o in siblings)
        return len(siblings) >= 2 and fitting > len(siblings) / 2

    @property
    def misleading(self) -> bool:
        claims = [
            line for text in self.messages for line in text.splitlines() if CLAIMS.search(line)
        ]
        return self.lost and self.case.verdict == "wrong" and bool(claims) and not self.named


_OF_THE_CALL = re.compile(r"^(?:[\w.]+\([^():]*\)[^:`]{0,80}: |`[\w.]+`(?= behaves))")
_SAYS_NOTHING = re.compile(
    r"^(?:expected|got|where:?) |^Try it on two or three numbers|^the result is wrong$|\(tolerance"
)


def said_in(text: str) -> str:
    """Return a message without its call, what it expected and got, and general advice."""
    lines = [line for line in text.splitlines() if not _SAYS_NOTHING.search(line)]
    return "\n".join(_OF_THE_CALL.sub("", line) for line in lines)


def read_cases(file: Path, assignment: str) -> Iterator[Case]:
    notebook, heading, where = "", None, ""
    regions: list[tuple[str, list[str]]] = []

    def finished() -> Iterator[Case]:
        if heading is not None:
            _, verdict, cause, named_by = heading
            bodies = tuple((name, "\n".join(lines) + "\n") for name, lines in regions)
            yield Case(assignment, notebook, bodies, verdict, cause, named_by, where)

    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if line.startswith("# ") and not regions:
            continue
        if re.fullmatch(r"\[\S+\.(ipynb|py)\]", line):
            yield from finished()
            heading, regions, notebook = None, [], line[1:-1]
        elif line.startswith("-- "):
            yield from finished()
            region, verdict, cause, named_by = (
                (p.strip() for p in line[3:].split(" | ", 3))
                if (line.count(" | ") >= 3)
                else (*(p.strip() for p in line[3:].rstrip(" |").split(" | ")), "")
            )
            heading, where = (region, verdict, cause, named_by), f"{file.name}:{number}"
            regions = [(region, [])]
        elif line.startswith("++ "):
            regions.append((line[3:].strip(), []))
        elif regions:
            regions[-1][1].append(line)
    yield from finished()


def patch_of(case: Case, notebook: Notebook) -> tuple[str, set[str]]:
    """Return the statements that put the case in place, and the functions that it changes."""
    sources = {cell.index: cell.source for cell in notebook.cells}
    for name, body in case.regions:
        cell = notebook.regions[name].cell
        # Where a region begins within a statement's suite, the body stands as deep as the region.
        changed = replace_region(sources[cell], name, body)
        if changed is None:
            raise ValueError(f"{case.where}: no region {name}")
        sources[cell] = changed
    cells = [replace(cell, source=sources[cell.index]) for cell in notebook.cells]
    changed_notebook = assembled(cells, name=notebook.name, metadata=notebook.metadata)
    patches, names = [], set()
    for name, definition in changed_notebook.definitions.items():
        original = notebook.definitions.get(name)
        is_function = definition.source.lstrip().startswith("def ")
        if original is not None and is_function and definition.source != original.source:
            patches.append(
                patch_source(Mutant("", notebook.name, name, "", 0, 0, definition.source))
            )
            names.add(name)
    if not patches:
        raise ValueError(f"{case.where}: nothing is changed")
    return "\n".join(patches), names


@dataclass(frozen=True)
class Patched:
    """A session whose students have a case in the place of the solution."""

    session: Session
    patch: str

    def student(self, *, limit_s: float, reply_mib: int | None = None):
        student = self.session.student(limit_s=limit_s, reply_mib=reply_mib)
        put_in_place(student, self.patch)
        return student


def judge(
    assignment: Assignment,
    cases: list[Case],
    tables: Path,
    report: list[Judged],
    *,
    show: bool,
    with_table: bool,
    alone: bool,
) -> None:
    with (
        Kernels(assignment, start_fork_server(assignment.sandbox), draw=False) as kernels,
        open_suite(assignment) as suite,
        tempfile.TemporaryDirectory() as empty,
    ):
        for name in dict.fromkeys(case.notebook for case in cases):
            notebook = assignment.notebooks[name]
            session = kernels.open(notebook, folder=Path(empty))
            folder = tables / assignment.id
            known = known_store.load(folder, name) if with_table and not alone else Known()
            if known is None:
                started = time.perf_counter()
                known = known_table.build(suite, notebook, session)
                known_store.save(folder, name, 0, 1, known)
                print(
                    f"{name}: {len(known.mistakes)} known mistakes, "
                    f"{time.perf_counter() - started:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
            explainer: Explainer | TriedMistakes = Explainer(assignment, {name: known}.get)
            tracer = Tracer(suite, {name: session})
            if alone:
                explainer = TriedMistakes(suite, tracer, [name], seed=0)
            for case in (case for case in cases if case.notebook == name):
                patch, functions = patch_of(case, notebook)
                only = [e.id for e in assignment.exercises if functions & {*e.functions}]
                job = CheckJob(
                    sessions={name: Patched(session, patch)},
                    only=only,
                    reference=lambda other, session=session: session,
                )
                outcomes = tracer.traced(job, suite.run(job))
                report.append(_judged(case, outcomes, explainer))
                if show:
                    _show(report[-1:])
            session.close()


def _judged(case: Case, outcomes: list[Outcome], explainer: Explainer | TriedMistakes) -> Judged:
    line = ExerciseScore("", "", 0.0, 0.0, "failed", tuple(outcomes))
    explained = explainer.explain(Result("", (), "graded", exercises=(line,)))
    failing = [o for o in explained.exercises[0].checks if o.points < o.max_points - 1e-9]
    return Judged(
        case,
        bool(failing),
        tuple(o.message for o in failing),
        tuple(o.known for o in failing if o.known),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("assignments", nargs="*")
    parser.add_argument(
        "--bank", default="first", choices=["first", "second", "third", "fourth", "fifth"]
    )
    parser.add_argument(
        "--no-table", action="store_true", help="leave out the table of known mistakes: quicker"
    )
    parser.add_argument(
        "--alone", action="store_true", help="try mistakes case by case, as for a lone student"
    )
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--notebook", default="", help="cases of notebooks whose name holds this")
    parser.add_argument("--case", default="", help="cases whose cause or region holds this")
    parser.add_argument("--tables", type=Path, help="keep the tables of known mistakes here")
    options = parser.parse_args()
    cases: dict[str, list[Case]] = {}
    for file in sorted(
        (HERE / ("cases" if options.bank == "first" else options.bank)).glob("*.txt")
    ):
        assignment = file.stem.split("-")[0]
        if not options.assignments or assignment in options.assignments:
            cases.setdefault(assignment, []).extend(
                c
                for c in read_cases(file, assignment)
                if options.notebook in c.notebook
                and (options.case in c.cause or options.case == c.regions[0][0])
            )
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for name, listed in cases.items():
            folder = next(f for f in (REFERENCE / name, HERE / "courses" / name) if f.is_dir())
            judged: list[Judged] = []
            tables = options.tables or Path(scratch)
            judge(
                load_assignment(folder),
                listed,
                tables,
                judged,
                show=options.show,
                with_table=not options.no_table,
                alone=options.alone,
            )
            rows.append((name, judged))
            _print_table(rows)


def _show(judged: list[Judged]) -> None:
    for one in judged:
        wrong = one.case.verdict == "wrong"
        problem = (
            "WRONG ACCEPTED"
            if wrong and not one.lost
            else "RIGHT REFUSED"
            if not wrong and one.lost
            else "MISLEADING"
            if one.misleading
            else "not named"
            if wrong and not one.named
            else ""
        )
        if problem:
            print(
                f"{problem}: {one.case.where} {one.case.regions[0][0]}: {one.case.cause}",
                flush=True,
            )
            for text in (*one.messages, *one.known):
                print(textwrap.indent(text, "      | "))


def _print_table(rows: list[tuple[str, list[Judged]]]) -> None:
    print("| assignment | cases | wrong accepted | right refused | named | misleading | loose |")
    print("|---|---|---|---|---|---|---|")
    everything = [one for _, judged in rows for one in judged]
    for name, judged in [*rows, ("all", everything)]:
        wrong = [one for one in judged if one.case.verdict == "wrong"]
        right = [one for one in judged if one.case.verdict == "right"]
        caught = [one for one in wrong if one.lost]
        named = sum(one.named for one in caught)
        print(
            f"| {name} | {len(judged)} | {len(wrong) - len(caught)} of {len(wrong)} "
            f"| {sum(one.lost for one in right)} of {len(right)} "
            f"| {named} of {len(caught)} ({100 * named / max(1, len(caught)):.0f} %) "
            f"| {sum(one.misleading for one in judged)} "
            f"| {sum(one.named and one.is_loose(judged) for one in caught)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
