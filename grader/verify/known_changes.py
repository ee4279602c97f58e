"""All known mistakes of one function; diagnosis compares a student's answers with theirs.

`mutate` gives the changes that a check must catch. Here mistakes of the field are added, changes of
one value everywhere, and the same for the naive forms of stable formulas.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from grader.diagnosis.catalogue import words_for_student
from grader.verify.array_mistakes import ARRAY_OPERATORS
from grader.verify.bias_mistakes import broadcast
from grader.verify.code_words import Function, assigned_values, in_short, shorten, touches
from grader.verify.field_mistakes import FIELD_OPERATORS, FieldEdit, Surroundings
from grader.verify.function_text import FunctionText
from grader.verify.loop_mistakes import stale_results
from grader.verify.mutants import Change, expressions_of, mutate, normal, statements_of
from grader.verify.naive_forms import naive_forms
from grader.verify.order_mistakes import (
    ORDER_OPERATORS,
    all_signs,
    ordered_edits,
    repeated_edits,
)
from grader.verify.paired_mistakes import paired_edits
from grader.verify.product_mistakes import PRODUCT_OPERATORS
from grader.verify.rectifier_mistakes import activations, lost_masks, rectifiers, sigmoids
from grader.verify.signal_mistakes import SIGNAL_OPERATORS, already_new
from grader.verify.step_mistakes import step_edits
from grader.verify.value_mistakes import visible_names, whole_edits

_OPERATORS = (
    *FIELD_OPERATORS,
    rectifiers,
    sigmoids,
    broadcast,
    *ARRAY_OPERATORS,
    *ORDER_OPERATORS,
    *PRODUCT_OPERATORS,
    *SIGNAL_OPERATORS,
)


def known_changes(
    source: str,
    *,
    lines: Collection[int] | None = None,
    functions: Mapping[str, int] | None = None,
    other_form_of: Collection[str] | None = None,
) -> list[Change]:
    """Return every known mistake of the one function that `source` defines, each code once.

    lines : lines that may change, from 1; None for the whole body
    other_form_of : statements, as `statement_keys` returns them, whose mistakes are known from
        another form of the function: they are left out, and changes of parameters as well
    functions : the number of arguments of each of the notebook's own functions
    """
    tree = ast.parse(source)
    function = tree.body[0]
    if not isinstance(function, Function):
        return []
    visible = visible_names(function, lines)
    only = None if other_form_of is None else _lines_beyond(function, other_form_of)
    bases = [source]
    text = FunctionText(source, function)
    for places in naive_forms(function):
        inside = [(node, new) for node, new in places if lines is None or node.lineno in lines]
        if inside:
            bases.append(text.replaced(inside, keep_lines=True))
    seen = {ast.dump(tree)}
    changes = []
    for number, base in enumerate(bases):
        # The naive form itself overflows where the stable one does not.
        itself = [_naive(base)] if number else []
        for change in chain(itself, _of_base(base, lines, functions or {}, visible, only)):
            fingerprint = _fingerprint(change.source)
            if fingerprint and fingerprint not in seen:
                seen.add(fingerprint)
                changes.append(change)
    return changes


def _fingerprint(source: str) -> str:
    """Return a text that is equal for equal code; "" for code that does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a mistake may look odd
            compile(source, "<mistake>", "exec", dont_inherit=True)
            return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return ""


def _naive(base: str) -> Change:
    return Change(
        "naive form",
        "the formula as it is written first, without a stable form",
        1,
        base,
        "with the formula written as on paper: it overflows for large values",
    )


def _of_base(
    source: str,
    lines: Collection[int] | None,
    functions: Mapping[str, int],
    visible: Collection[str],
    only: Collection[int] | None,
) -> Iterator[Change]:
    """Yield the mistakes of one form; with `only`, those that touch one of these lines."""
    try:
        function = ast.parse(source).body[0]
    except SyntaxError:  # a naive form of half an expression
        return
    assert isinstance(function, Function)
    text = FunctionText(source, function)
    # Mistakes of the field come first: of equal code, the first with its words is kept.
    around = _surroundings(function, functions)
    single: list[tuple[ast.expr, FieldEdit]] = []
    for node in _expressions(function, lines if only is None else only):
        for operator in _OPERATORS:
            for edit in operator(node, around):
                single.append((node, edit))
                wording = f"`{in_short(node)}` -> `{shorten(normal(edit.new))}`"
                changed = text.replaced([(node, edit.new)])
                yield Change(edit.kind, wording, node.lineno, changed, edit.phrase)
    for lost in lost_masks(function, lines if only is None else only):
        changed = text.replaced(lost.places)
        yield Change(lost.kind, lost.text, lost.places[0][0].lineno, changed, lost.phrase)
    for change in mutate(source, lines=lines if only is None else only):
        phrase = words_for_student(change.kind, change.text, visible)
        yield Change(change.kind, change.text, change.line, change.source, phrase)
    for whole in chain(
        ordered_edits(function, source, lines, visible),
        repeated_edits(single),
        repeated_edits([*all_signs(function, lines)]),
        activations(function, lines),
        paired_edits(function, source, lines, visible),
        step_edits(function, source, lines, visible, functions),
        already_new(function, lines),
        stale_results(function, source, lines, visible),
        whole_edits(function, source, lines, visible, parameters=only is None),
    ):
        if only is not None and not any(touches(node, only) for node, _ in whole.places):
            continue
        first = min(node.lineno for node, _ in whole.places)
        yield Change(whole.kind, whole.text, first, text.replaced(whole.places), whole.phrase)


def statement_keys(source: str) -> set[str]:
    """Return a key for each statement of the function in `source`; equal for equal statements."""
    function = ast.parse(source).body[0]
    body = getattr(function, "body", [])
    return {_key(statement) for statement, _ in statements_of(body, False)}


def _key(statement: ast.stmt) -> str:
    """Return a statement's code; only its head if it holds other statements."""
    if not hasattr(statement, "body"):
        return ast.unparse(statement)
    heads = [ast.unparse(part) for part in expressions_of(statement)]
    return f"{type(statement).__name__} {' in '.join(heads)}"


def _lines_beyond(function: Function, known: Collection[str]) -> set[int]:
    """Return the lines of the statements that are not among the known ones."""
    found = set()
    for statement, _ in statements_of(function.body, False):
        if _key(statement) not in known:
            inside = getattr(statement, "body", None)
            end = inside[0].lineno - 1 if inside else statement.end_lineno or statement.lineno
            found |= {*range(statement.lineno, max(end, statement.lineno) + 1)}
    return found


def _surroundings(function: Function, functions: Mapping[str, int]) -> Surroundings:
    arguments = function.args
    with_default = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    defaults = {a.arg: value for a, value in zip(with_default, arguments.defaults, strict=True)}
    others = {name: count for name, count in functions.items() if name != function.name}
    names = tuple(a.arg for a in arguments.args)
    return Surroundings(assigned_values(function), defaults, others, names)


def _expressions(function: Function, lines: Collection[int] | None) -> Iterator[ast.expr]:
    for statement, _ in statements_of(function.body, False):
        for expression in expressions_of(statement):
            for node in ast.walk(expression):
                stored = isinstance(getattr(node, "ctx", None), ast.Store)
                if stored or not isinstance(node, ast.expr) or isinstance(node, ast.Slice):
                    continue
                if lines is None or node.lineno in lines:
                    yield node
