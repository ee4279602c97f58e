"""How steps that a careful reader judged are judged here, and how long it takes.

    python tests/benchmarks/derivations.py STEPS.json [--contexts CONTEXTS.toml] [--show]

STEPS.json : a list of {"document", "line", "step", "kind", "latex", "verdict", "why"}; latex is one
    step "A = B"; a verdict begins with "right", "wrong" or "definition", or is something else
CONTEXTS.toml : [[context]] tables with document, lines = [first, last] and what the sheet declares;
    without one for a document, its names are guessed as a textbook would declare them

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

from grader.derivation.context import BUILT_IN, Context
from grader.derivation.document import Formula, pieces
from grader.derivation.judging import Circumstances, Judgement, judge
from grader.derivation.sheet import read_context
from grader.derivation.tokens import Unreadable, tokenize

INDICES = "ijklc"
SIZES = {"K": 3, "N": 3, "M": 4, "C": 3, "D": 2, "m": 3, "n": 4, "d": 2}
SHARES = ("p", "q", r"\hat{y}", r"\pi", r"\hat{p}")
POSITIVE = (r"\lambda", r"\tau", r"\beta", r"\alpha", r"\epsilon")
CONTEXTS = Path(__file__).with_suffix(".toml")


def context_of(step: dict, steps: list[dict], tables: list[dict], read: dict[int, Context]) -> int:
    for n, table in enumerate(tables):
        first, last = table["lines"]
        if table["document"] == step["document"] and first <= step["line"] <= last:
            read.setdefault(n, read_context(table))
            return n
    place = -1 - sorted({s["document"] for s in steps}).index(step["document"])
    if place not in read:
        read[place] = read_context(guess([s for s in steps if s["document"] == step["document"]]))
    return place


def guess(steps: list[dict]) -> dict:
    """Return what a textbook would declare for a document, by how its names are written."""
    symbols, sizes, sigmoid, called = {}, {}, False, set()
    for step in steps:
        try:
            tokens = tokenize(step["latex"])
        except Unreadable:
            continue
        for n, token in enumerate(tokens):
            following = [t.text for t in tokens[n + 1 : n + 4]]
            name = token.text
            if token.kind != "sym" or name in BUILT_IN or name in ("d", "e", "\\delta"):
                continue
            if name == "\\sigma" and following[:1] in (["("], ["'"]):
                sigmoid = True
            elif following[:1] == ["("] and n == 0:
                called.add(name)
            elif following[:1] == ["_"] and following[1:2] and following[1] in INDICES:
                symbols[name] = "real, K"
                symbols[following[1]] = "index 1..K"
                sizes["K"] = 3
            elif following[:1] == ["_"] and following[1:2] and following[1].isdigit():
                symbols.setdefault(f"{name}_{following[1]}", "real")
            elif tokens[n - 1].text == "^" and name in SIZES:
                sizes[name] = SIZES[name]
            else:
                symbols.setdefault(name, domain_of(name))
    given = [r"\sigma(t) = \frac{1}{1 + e^{-t}}"] if sigmoid else []
    hidden = called | set(sizes) | ({"\\sigma"} if sigmoid else set())
    symbols = {name: d for name, d in symbols.items() if name not in hidden}
    return {"symbols": symbols, "sizes": sizes, "given": given}


def domain_of(name: str) -> str:
    if name == "y":
        return "{0, 1}"
    return "(0, 1)" if name in SHARES else "positive" if name in POSITIVE else "real"


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
    steps = json.loads(asked.steps.read_text(encoding="utf-8"))
    for step in steps:
        place = context_of(step, steps, tables, read)
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
