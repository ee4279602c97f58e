"""Definitions: decide whether a step defines a new name, and what the name means."""

from __future__ import annotations

from collections.abc import Sequence

from grader.derivation import tree as t
from grader.derivation.context import Context, Declared, Definition
from grader.derivation.cursor import Choices, split_at
from grader.derivation.evaluation import Evaluation, NotRead
from grader.derivation.parsing import Parser, readings
from grader.derivation.points import points
from grader.derivation.tokens import Token, Unreadable
from grader.derivation.values import Impossible, Undefined
from grader.derivation.witness import (
    Circumstances,
    Judgement,
)


def definition_of(
    left: Sequence[Token],
    sign: str,
    right: Sequence[Token],
    context: Context,
    circumstances: Circumstances,
) -> tuple[Judgement, Context] | None:
    """Return the verdict and the new context if the left side is a new name; else None."""
    if sign not in ("=", ":=") or not circumstances.first:
        return None
    form = _new_name(left, context)
    if form is None:
        return None
    name, parameters, indices = form
    inner = context.declaring(
        *(Declared(p) for p in parameters if context.name_of(p) is None),
        *(
            Declared(i, "index", ("1", _length_by(right, i, context)))
            for i in indices
            if context.name_of(i) is None and _length_by(right, i, context)
        ),
    )
    try:
        body = next(readings(right, inner))
    except Unreadable as error:
        return Judgement("not read", f"right side: {error}"), context
    if name in context.free_names(body) or any(
        isinstance(n, t.Symbol) and n.name == name for n in t.walk(body)
    ):
        return None
    known = context.name_of(name)
    if known is not None:
        # A declared letter gets a value: z = w x.
        declared = context.declared.get(known)
        reals = [
            n for n in inner.free_names(body) if not inner.declared[n].finite
            and inner.declared[n].domain != "size"
        ]  # fmt: skip
        if declared is None or declared.finite or declared.domain in ("size", "function"):
            return None
        if not reals:
            return Judgement("not read", f"it may say what {known} is here", None, body), context
        if len(declared.shape) != inner.rank_of(body):
            return None
    shown_left = (
        t.Symbol(name) if not parameters else t.Call(name, tuple(t.Symbol(p) for p in parameters))
    )
    definition = Definition(known or name, body, parameters, indices, given=False)
    try:
        for point in points(inner, sorted(inner.free_names(body)), seed=1):
            try:
                Evaluation(inner, point).value(body)
                break
            except Undefined:
                continue
    except NotRead as error:
        if indices or not parameters:
            return Judgement("not read", str(error), shown_left, body), context
    except Impossible as error:
        return Judgement("not read", str(error), shown_left, body), context
    after = inner.defining(definition) if indices else context.defining(definition)
    return Judgement("definition", "", shown_left, body), after


def _new_name(
    left: Sequence[Token], context: Context
) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
    """Return (name, parameters, indices) of a side that may define a name; else None."""
    tokens = [token for token in left if token.kind != "col"]
    if not tokens or tokens[0].kind != "sym":
        return None
    parser = Parser(tokens, context, Choices(()))
    base = parser.take().text
    try:
        sub, sup, primes = parser._decorations()
    except Unreadable:
        return None
    if primes or base in ("lim", "max", "min", "log", "exp", "d", "e"):
        return None
    resolved, rest_sub, rest_sup = parser._resolve(base, sub, sup)
    if resolved is not None:
        if rest_sub or rest_sup or parser.at < len(tokens) or resolved not in context.declared:
            return None
        return (resolved, (), ()) if resolved not in context.definitions else None
    sup_text = "".join(token.text for token in sup if token.text not in "{}")
    if (sup and not (sup_text.startswith("(") or sup_text.isalpha())) or sup_text in ("T", "\\top"):
        return None
    name = base + (f"^{sup_text}" if sup else "")
    indices: tuple[str, ...] = ()
    if sub:
        pieces = list(split_at(sub, ",")) if any(x.text == "," for x in sub) else [[x] for x in sub]
        symbols = [p[0].text for p in pieces if len(p) == 1 and p[0].kind == "sym"]
        known = [s for s in symbols if context.is_index(context.name_of(s) or "")]
        if len(symbols) == len(pieces) and (
            len(known) == len(symbols) or (len(symbols) == 1 and symbols[0] in "ijkln")
        ):
            indices = tuple(symbols)
        else:
            name += f"_{''.join(token.text for token in sub)}"
    parameters: tuple[str, ...] = ()
    if parser.at < len(tokens):
        if not parser.sees("("):
            return None
        try:
            inner = parser.bracketed()
        except Unreadable:
            return None
        pieces = split_at(inner, ",", ";", "\\mid", "|")
        names = []
        for piece in pieces:
            plain = [x for x in piece if x.kind != "col"]
            if len(plain) == 3 and plain[1].text == "=" and plain[0].kind == "sym":
                plain = plain[:1]  # L(z; y = a): the name is that of the label
            try:
                node: t.Node | None = Parser(plain, context, Choices(())).whole()
            except Unreadable:
                node = (
                    t.Symbol(plain[0].text) if len(plain) == 1 and plain[0].kind == "sym" else None
                )
            if not isinstance(node, t.Symbol):
                return None
            names.append(node.name)
        parameters = tuple(names)
        if len(set(parameters)) < len(parameters):
            return None
    if parser.at < len(tokens):
        return None
    if context.name_of(name) is not None:
        return None
    return name, parameters, indices


def _length_by(right: Sequence[Token], index: str, context: Context) -> str:
    """Return the size that an index of a new name runs to, from its use on the right side."""
    for n, token in enumerate(right[:-2]):
        if token.kind == "sym" and right[n + 1].text == "_":
            inside = [x.text for x in right[n + 2 : n + 5]]
            known = context.name_of(token.text)
            if index in inside and known and known in context.declared:
                shape = context.declared[known].shape
                if shape:
                    return shape[0]
    return ""
