"""Judge a step A = B (or <, >=): compute both sides and compare them.

A step follows if any reading agrees at all points, and differs only if all readings differ. A line
that may be something else than a step (a definition, an equation to be solved, a case of its own)
is "not read": no remark costs a student nothing, but a false remark costs trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grader.derivation import tree as t
from grader.derivation.comparing import STEP_NODES, compare_all
from grader.derivation.context import Context
from grader.derivation.cursor import Choices
from grader.derivation.defining import definition_of
from grader.derivation.doubts import OTHERWISE, base_name
from grader.derivation.evaluation import Budget, NotRead
from grader.derivation.parsing import Parser, readings
from grader.derivation.tokens import Token, Unreadable
from grader.derivation.witness import (
    Circumstances,
    Judgement,
)

__all__ = ["STEP_NODES", "Circumstances", "Judgement", "judge"]


def judge(
    left: Sequence[Token],
    sign: str,
    right: Sequence[Token],
    context: Context,
    circumstances: Circumstances = Circumstances(),  # noqa: B008
    budget: Budget | None = None,
) -> tuple[Judgement, Context]:
    """Return the verdict on `left sign right`, and the context after it: it may define a name."""
    try:
        return _judge(left, sign, right, context, circumstances, budget or Budget(STEP_NODES))
    except (NotRead, RecursionError) as error:
        why = str(error) if isinstance(error, NotRead) else "it is nested too deeply"
        return Judgement("not read", why), context


def _judge(
    left: Sequence[Token],
    sign: str,
    right: Sequence[Token],
    context: Context,
    circumstances: Circumstances,
    budget: Budget,
) -> tuple[Judgement, Context]:
    if sign not in ("=", ":=", "<", "<=", ">", ">=", "!="):
        return Judgement("not read", "this relation is not read"), context
    defined = definition_of(left, sign, right, context, circumstances)
    if defined is not None:
        return defined
    try:
        lefts = list(readings(left, context, budget.spend))
    except Unreadable as error:
        return Judgement("not read", f"left side: {error}", None, _tree(right, context)), context
    try:
        rights = list(readings(right, context, budget.spend))
    except Unreadable as error:
        return Judgement("not read", f"right side: {error}", lefts[0]), context
    if sign == ":=" and any(base_name(lefts[0]) in _names_in(node) for node in rights):
        return Judgement("not read", "it may be an update", lefts[0], rights[0]), context
    sign = "=" if sign == ":=" else sign
    found = compare_all(lefts, sign, rights, context, circumstances, budget)
    if found.verdict == "follows" and circumstances.first and _repeats(lefts[0], rights, context):
        found = replace(found, verdict="definition")
    if found.verdict == "differs" and (_unclosed(left, context) or _unclosed(right, context)):
        found = replace(found, verdict="not read", why="a bracket is not closed")
    if OTHERWISE in found.why:
        context = context.forgetting(base_name(lefts[0]))
    return found, context


def _names_in(node: t.Node) -> set[str]:
    return {getattr(part, "name", "") for part in t.walk(node)} - {""}


def _tree(tokens: Sequence[Token], context: Context) -> t.Node | None:
    try:
        return next(readings(tokens, context))
    except Unreadable:
        return None


def _unclosed(tokens: Sequence[Token], context: Context) -> bool:
    parser = Parser(tokens, context, Choices(()))
    parser.whole()
    return parser.unclosed


def _repeats(left: t.Node, rights: list[t.Node], context: Context) -> bool:
    """Return whether a step only repeats a definition."""
    return _is_given(left, context) and context.definitions[base_name(left)].body in rights


def _is_given(node: t.Node, context: Context) -> bool:
    """Return whether a side is a defined name without other arguments."""
    if isinstance(node, t.Symbol):
        return not node.primes and node.name in context.definitions
    if isinstance(node, t.Indexed):
        return _is_given(node.base, context)
    if not isinstance(node, t.Call) or node.primes or node.name not in context.definitions:
        return False
    return all(isinstance(argument, t.Symbol) for argument in node.arguments)
