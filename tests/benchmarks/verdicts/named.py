"""How many mutants of a notebook are named by the check that catches them, in pieces.

    python tests/benchmarks/verdicts/named.py hw1 hw1-q2.ipynb            the whole notebook
    python tests/benchmarks/verdicts/named.py hw1 hw1-q3.ipynb --part 2/8
    python tests/benchmarks/verdicts/named.py --sum named.jsonl           of pieces that are kept

It is the column "named" of `grade verify`, for one notebook: the table holds the mutants alone, as
whether a check can name a mutant hangs on that mutant's own answers. A piece is every n-th mutant;
each prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grader.assignment import load_assignment
from grader.records import Assignment
from grader.session import Kernels, start_fork_server
from grader.suite import open_suite
from grader.verify.explanations import explain, load_explanations
from grader.verify.known_candidates import patch_for
from grader.verify.known_table import prepare, table_of
from grader.verify.mutants import Mutant, make_mutants
from grader.verify.mutation_run import run_mutants
from grader.verify.naming import KnownPart, Naming
from grader.verify.verdicts import MutantVerdict

REFERENCE = Path(__file__).parents[3] / "reference"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("assignment", nargs="?")
    parser.add_argument("notebook", nargs="?")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--sum", type=Path)
    options = parser.parse_args()
    if options.sum:
        print_sums(options.sum)
        return
    part, of = map(int, options.part.split("/"))
    assignment = load_assignment(REFERENCE / options.assignment)
    verdicts = verdicts_of(assignment, options.notebook, part - 1, of)
    counts = Counter(
        mutants=sum(v.status != "equivalent" for v in verdicts),
        caught=sum(v.caught for v in verdicts),
        named=sum(v.caught and v.named for v in verdicts),
    )
    for verdict in verdicts:
        if verdict.caught and not verdict.named:
            print(f"not named: {verdict.mutant.id} (by {verdict.by})", file=sys.stderr)
    line = {"notebook": f"{assignment.id}, {options.notebook}", "part": part, "of": of, **counts}
    print(json.dumps(line))


def verdicts_of(assignment: Assignment, name: str, part: int, of: int) -> Sequence[MutantVerdict]:
    """Return what became of every `of`-th mutant of a notebook, and whether it is named."""
    notebook = assignment.notebooks[name]
    listed = [f for e in assignment.exercises if e.notebook == name for f in e.functions]
    mutants = make_mutants(notebook, listed)[part::of]
    with (
        tempfile.TemporaryDirectory() as empty,
        Kernels(assignment, start_fork_server(assignment.sandbox), draw=False) as kernels,
        open_suite(assignment) as suite,
        kernels.open(notebook, folder=Path(empty)) as session,
    ):
        verdicts = run_mutants(suite, name, session, mutants)
        prepared = prepare(suite, notebook, session)
        patches = {_patch(mutant) for mutant in mutants}
        few = [one for one in prepared.candidates if one.patch in patches]
        table, checks = table_of(replace(prepared, candidates=few), suite, session)
    explained, _ = explain(verdicts, load_explanations(assignment), whole=False)
    naming = Naming(assignment, [KnownPart(name, 0, table, checks)])
    return [naming.of_mutant(verdict) for verdict in explained]


def _patch(mutant: Mutant) -> str:
    return patch_for(mutant.notebook, mutant.function, mutant.source)


def print_sums(file: Path) -> None:
    """Print a table of the pieces in a file, and which of them are there."""
    sums: dict[str, Counter[str]] = {}
    pieces: dict[str, list[str]] = {}
    for text in file.read_text("utf-8").splitlines():
        line = json.loads(text)
        total = sums.setdefault(line["notebook"], Counter())
        total.update({key: line[key] for key in ("mutants", "caught", "named")})
        pieces.setdefault(line["notebook"], []).append(f"{line['part']}/{line['of']}")
    print("| notebook | mutants caught | named by the check that caught them | pieces |")
    print("|---|---|---|---|")
    for name, total in sums.items():
        share = 100 * total["named"] / max(1, total["caught"])
        print(
            f"| {name} | {total['caught']} of {total['mutants']} "
            f"| {total['named']} of {total['caught']} ({share:.0f} %) | {' '.join(pieces[name])} |"
        )


if __name__ == "__main__":
    main()
