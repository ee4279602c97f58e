"""How steps that a careful reader judged are judged here, and how long it takes.

    python tests/benchmarks/derivations.py STEPS.json [--contexts CONTEXTS.toml] [--show]

STEPS.json : a list of {"document", "line", "step", "kind", "latex", "verdict", "why"}; latex is one
    step "A = B"; a verdict begins with "right", "wrong" or "definition", or is something else
CONTEXTS.toml : [[context]] tables with document, lines = [first, last] and what the sheet declares;
    without one, textbook names are declared (TEXTBOOK below)

Times are of the processor, so that another program on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import tomllib
from collections import Counter
from pathlib import Path

from grader.derivation.context import Context
from grader.derivation.document import Formula, pieces
from grader.derivation.judging import Circumstances, Judgement, judge
from grader.derivation.sheet import read_context
from grader.derivation.tokens import Unreadable, tokenize

TEXTBOOK = {
    "symbols": {
        **dict.fromkeys(("x", "t", "u", "v", "a", "b", "w", r"\theta", r"\mu", r"\alpha"), "real"),
        **dict.fromkeys((r"\lambda", r"\tau", r"\beta"), "positive"),
        **dict.fromkeys(("i", "j", "k", "l", "c"), "index 1..K"),
        "z": "real", "y": "{0, 1}", "p": "(0, 1)", "q": "(0, 1)",
    },
    "sizes": {"K": 3, "m": 3, "n": 4, "d": 2},
    "given": [r"\sigma(z) = \frac{1}{1 + e^{-z}}"],
    "aliases": {r"\omega": "w"},
}  # fmt: skip
CONTEXTS = Path(__file__).with_suffix(".toml")


def context_of(step: dict, tables: list[dict], read: dict[int, Context]) -> int:
    for n, table in enumerate(tables):
        first, last = table["lines"]
        if table["document"] == step["document"] and first <= step["line"] <= last:
            read.setdefault(n, read_context(table))
            return n
    read.setdefault(-1, read_context(TEXTBOOK))
    return -1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", type=Path)
    parser.add_argument("--contexts", type=Path, default=CONTEXTS)
    parser.add_argument("--show", action="store_true", help="list what the reader judged otherwise")
    asked = parser.parse_args()
    tables = tomllib.loads(asked.contexts.read_text(encoding="utf-8"))["context"]
    read: dict[int, Context] = {}
    judged, seconds = [], []
    before: tuple = ()
    for step in json.loads(asked.steps.read_text(encoding="utf-8")):
        place = context_of(step, tables, read)
        began = time.process_time()
        try:
            found, read[place], before = judge_one(step, read[place], before)
        except Unreadable as error:
            found, before = Judgement("not read", str(error)), ()
        seconds.append(time.process_time() - began)
        judged.append((step, found))
    report(judged, seconds, show=asked.show)


def judge_one(step: dict, context: Context, before: tuple) -> tuple[Judgement, Context, tuple]:
    """Return what is said of a step; `before` is the right side of the step before it."""
    formula = Formula(step["line"], step["kind"] == "display", step["latex"])
    (piece,) = list(pieces(formula, context.words()))[:1] or [None]
    if piece is None or len(piece.signs) != 1:
        tokenize(step["latex"])
        raise Unreadable("it is not one relation")
    left, right = piece.expressions
    first = left != before
    found, context = judge(left, piece.signs[0], right, context, Circumstances(first=first))
    return found, context, right


def report(judged: list, seconds: list[float], *, show: bool) -> None:
    table = Counter((kind_of(s), s["kind"], found.verdict) for s, found in judged)
    for key, count in sorted(table.items()):
        print("{:12} {:8} {:11} {:4}".format(*key, count))
    shown = [(s, f) for s, f in judged if s["kind"] == "display"]
    for name, some in (("displayed", shown), ("all", judged)):
        wrong = [f.verdict for s, f in some if kind_of(s) == "wrong"]
        right = [f.verdict for s, f in some if kind_of(s) == "right"]
        print(
            f"{name}: read {sum(f.verdict != 'not read' for _, f in some)} of {len(some)}; "
            f"right ones flagged {right.count('differs')} of {len(right)}; wrong ones flagged "
            f"{wrong.count('differs')} of {len(wrong)}, passed {wrong.count('follows')}"
        )
    print(
        f"a step: median {1000 * statistics.median(seconds):.1f} ms, "
        f"longest {1000 * max(seconds):.0f} ms; all: {sum(seconds):.2f} s"
    )
    for step, found in judged if show else []:
        if found.verdict == "not read" or (kind_of(step) == "right") == (
            found.verdict == "differs"
        ):
            print(
                step["document"], step["line"], step["step"], step["verdict"], "->", found.verdict
            )
            print("   ", step["latex"], "\n   ", found.why or found.witness)


def kind_of(step: dict) -> str:
    first = step["verdict"].split()[0].strip(",")
    return first if first in ("right", "wrong", "definition") else "other"


if __name__ == "__main__":
    main()
