"""Similar work: pairs of submissions that share rare features inside the gaps.

There is no percentage: right answers to one sheet look alike, and a share of equal lines says
nothing. What counts are features that hardly anybody has: an odd helper, the same comment, dead
code, a wrong value that is equal to the last bit. Features of the template, the solution or a
right sample don't count, nor features that many in the class share. A person judges the pairs.
"""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from grader.records import Evidence, Outcome, Result
from grader.text import one_line

MOST_WHO_HAVE_IT = 3
"""A feature that more submissions share is not rare."""
LEAST_RARITIES = 2
"""A single shared feature may be chance."""
MOST_PAIRS = 60
_WORDS = re.compile(r"[^\W\d_]{2,}")
_COMMON_NUMBERS = {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 100.0, 0.5, 0.1, 0.01, 0.001}


@dataclass(frozen=True)
class Rarity:
    """A rare feature. kind : "a comment", "a name", ...; text : the feature itself"""

    kind: str
    text: str
    exercise: str


@dataclass
class Pair:
    """Two submissions and the rare features that they share.

    weight : the features' information in nats; pairs are sorted by it
    """

    one: int
    other: int
    shared: list[Rarity] = field(default_factory=list)
    weight: float = 0.0


def pairs_of(works: Mapping[int, tuple[Result, Evidence]], known: Iterable[str] = ()) -> list[Pair]:
    """Return the pairs of submissions that share rare features, the largest weight first.

    works : by the submission's number; two attempts of one person are no pair
    known : texts of the template, the solution and right samples: their features don't count
    """
    given: set[tuple[str, str]] = set()
    for text in known:
        given |= {(kind, found) for kind, found in features_of(text)}
    owners: dict[Rarity, set[int]] = defaultdict(set)
    for number, (result, evidence) in works.items():
        for rarity in _rarities(result, evidence):
            if (rarity.kind, rarity.text) not in given:
                owners[rarity].add(number)
    pairs: dict[tuple[int, int], Pair] = {}
    count = max(2, len(works))
    for rarity, numbers in owners.items():
        if not 2 <= len(numbers) <= MOST_WHO_HAVE_IT:
            continue
        ordered = sorted(numbers)
        for place, one in enumerate(ordered):
            for other in ordered[place + 1 :]:
                pair = pairs.setdefault((one, other), Pair(one, other))
                pair.shared.append(rarity)
                pair.weight += math.log(count / len(numbers))
    found = [
        pair
        for pair in pairs.values()
        if len(pair.shared) >= LEAST_RARITIES and not _same_person(works, pair)
    ]
    return sorted(found, key=lambda p: (-p.weight, p.one, p.other))[:MOST_PAIRS]


def _same_person(works: Mapping[int, tuple[Result, Evidence]], pair: Pair) -> bool:
    one, other = (works[n][0] for n in (pair.one, pair.other))
    if one.origin.ids or other.origin.ids:
        return dict(one.origin.ids) == dict(other.origin.ids)
    return bool(set(one.students) & set(other.students))


def _rarities(result: Result, evidence: Evidence) -> Iterator[Rarity]:
    for exercise in result.exercises:
        for region in evidence.regions.get(exercise.id, ()):
            for kind, text in features_of(region.source):
                yield Rarity(kind, text, exercise.id)
        for cell in evidence.answers.get(exercise.id, ()):
            for text in _sentences(cell.source):
                yield Rarity("a sentence", text, exercise.id)
        for check in exercise.checks:
            if value := _wrong_value(check):
                yield Rarity("a wrong value", value, exercise.id)


def _wrong_value(check: Outcome) -> str:
    """Return the check's name and its trace, a fingerprint of the wrong value; "" if passed."""
    return f"{check.name}: {check.trace}" if check.trace and check.outcome != "passed" else ""


def features_of(source: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of each feature of a piece of code that may be rare."""
    yield from _comments(source)
    for text in _sentences(source):
        yield "a sentence", text
    try:
        # A gap is the inside of a function.
        tree = ast.parse("def gap():\n" + "\n".join(f" {line}" for line in source.splitlines())
                         + "\n pass")  # fmt: skip
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        for line in source.splitlines():
            if len(line.strip()) >= 25:
                yield "a line", " ".join(line.split())
        return
    yield from _of_tree(tree.body[0])


def _of_tree(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name != "gap":
            yield "a helper", f"{node.name}({', '.join(a.arg for a in node.args.args)})"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and len(node.id) > 4:
            yield "a name", node.id
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, float) and node.value not in _COMMON_NUMBERS:
                yield "a number", repr(node.value)
            elif isinstance(node.value, str) and len(node.value) >= 8:
                yield "a text", one_line(node.value)
        elif isinstance(node, ast.Call) and (draw := _unseeded(node)):
            yield "an unseeded draw", draw
        for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(body, list):
                yield from _dead(body)
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.Return | ast.Expr):
            try:
                text = ast.unparse(statement)
            except (RecursionError, ValueError):
                continue
            if len(text) >= 30:
                yield "a line", one_line(text, 300)


def _dead(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for place, statement in enumerate(body[:-1]):
        if isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
            after = body[place + 1]
            if not isinstance(after, ast.Pass):
                try:
                    yield "dead code", one_line(ast.unparse(after), 300)
                except (RecursionError, ValueError):
                    return
            return


def _unseeded(node: ast.Call) -> str:
    try:
        called = ast.unparse(node.func)
    except (RecursionError, ValueError):
        return ""
    if re.fullmatch(r"(np|numpy)\.random\.(?!seed|default_rng|RandomState)\w+", called):
        return one_line(ast.unparse(node), 200)
    return ""


def _comments(source: str) -> Iterator[tuple[str, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            text = " ".join(token.string.strip("# ").split())
            if token.type == tokenize.COMMENT and len(_WORDS.findall(text)) >= 3:
                yield "a comment", text
    except (tokenize.TokenError, SyntaxError):
        return


def _sentences(text: str) -> Iterator[str]:
    if "\n" in text or " " in text:
        for line in re.split(r"(?<=[.!?])\s+|\n+", text):
            words = _WORDS.findall(line)
            if len(words) >= 7 and not line.lstrip().startswith(("#", "def ", "return ")):
                yield " ".join(line.split())[:300]
