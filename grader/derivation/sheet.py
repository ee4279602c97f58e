"""Make a Context from the sheet's declarations, a table of assignment.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grader.derivation import tree as t
from grader.derivation.context import Context, ContextError, Declared, Definition, read_domain
from grader.derivation.parsing import parse
from grader.derivation.tokens import Token, Unreadable, tokenize


def read_context(table: Mapping[str, object]) -> Context:
    """Return the context that a table declares.

    table : symbols, sizes, given, aliases, bare, sums, variable, swapped; all are optional
    Raises ContextError, which names the entry.
    """
    sizes = _table(table, "sizes")
    declared = {name: Declared(name, "size", (str(value),)) for name, value in sizes.items()}
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 12:
            raise ContextError(f"sizes: {name} = {value!r}: write a whole number from 1 to 12")
    for name, text in _table(table, "symbols").items():
        if not isinstance(text, str):
            raise ContextError(f"symbols: {name}: write its domain as text")
        declared[name] = read_domain(name, text)
    for d in declared.values():
        for size in d.shape + (d.values if d.domain == "index" else ()):
            root = size.partition("-")[0]
            if root and not root.isdigit() and root not in declared:
                raise ContextError(f'symbols: {d.name} has the size {root}: put it into "sizes"')
    aliases = {str(k): str(v) for k, v in _table(table, "aliases").items()}
    sums = table.get("sums", "explicit")
    if sums not in ("explicit", "einstein"):
        raise ContextError(f'sums = {sums!r}: write "explicit" or "einstein"')
    pairs = [tuple(pair) for pair in _list(table, "swapped")]
    context = Context(
        declared=declared,
        aliases=aliases,
        variable=str(table.get("variable", "")),
        einstein=sums == "einstein",
        swapped=tuple((str(a), str(b)) for a, b in pairs),
    )
    for text in _list(table, "given"):
        context = _with_given(context, str(text))
    bare: dict[str, t.Node] = {}
    for name, text in _table(table, "bare").items():
        try:
            bare[name] = parse(tokenize(str(text), words=context.words()), context)
        except Unreadable as error:
            raise ContextError(f'bare: {name} = "{text}": {error}') from error
    return replace(context, bare=bare)


def _with_given(context: Context, text: str) -> Context:
    """Return the context with a definition of the sheet, as \\sigma(z) = \\frac{1}{1 + e^{-z}}."""
    try:
        tokens = tokenize(text, words=context.words())
        signs = [
            i for i, token in enumerate(tokens) if token.kind == "rel" and _depth(tokens, i) == 0
        ]
        if len(signs) != 1 or tokens[signs[0]].text not in ("=", ":="):
            raise Unreadable("write one name, =, and what it stands for")
        left, right = tokens[: signs[0]], tokens[signs[0] + 1 :]
        name, parameters, indices = _left_side(left, context)
        inner = context.declaring(*(Declared(p) for p in parameters if context.name_of(p) is None))
        body = parse(right, inner)
    except Unreadable as error:
        raise ContextError(f'given: "{text}": {error}') from error
    return context.defining(Definition(name, body, parameters, indices))


def _depth(tokens: Sequence[Token], at: int) -> int:
    opened = sum(token.text in ("(", "{", "[", "\\{") for token in tokens[:at])
    return opened - sum(token.text in (")", "}", "]", "\\}") for token in tokens[:at])


def _left_side(
    tokens: Sequence[Token], context: Context
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the name, the parameters and the indices of a definition's left side."""
    if not tokens or tokens[0].kind != "sym":
        raise Unreadable("its left side is not a name")
    at, name, indices = 1, tokens[0].text, tuple[str, ...]()
    while at < len(tokens) and tokens[at].text in ("_", "^"):
        sign = tokens[at].text
        if tokens[at + 1].text == "{":
            end = next(i for i in range(at, len(tokens)) if tokens[i].text == "}")
            script = [token.text for token in tokens[at + 2 : end] if token.text != ","]
            at = end + 1
        else:
            script = [tokens[at + 1].text]
            at += 2
        if sign == "_" and all(context.is_index(text) for text in script):
            indices = tuple(script)
        else:
            name += sign + "".join(script)
    parameters: list[str] = []
    if at < len(tokens):
        inside = list(tokens[at + 1 : -1])
        if tokens[at].text != "(" or tokens[-1].text != ")":
            raise Unreadable("its left side is not a name with arguments")
        pieces: list[str] = [""]
        for token in inside:
            if token.text in (",", ";", "|", "\\mid"):
                pieces.append("")
            elif token.text not in ("{", "}"):
                pieces[-1] += token.text
        parameters = [context.aliases.get(piece, piece) for piece in pieces]
    return context.aliases.get(name, name), tuple(parameters), indices


def _table(table: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = table.get(key, {})
    if not isinstance(found, Mapping):
        raise ContextError(f"{key}: write a table, as {key} = {{ z = ... }}")
    return found


def _list(table: Mapping[str, object], key: str) -> Sequence[Sequence[str]]:
    found = table.get(key, [])
    if not isinstance(found, list | tuple):
        raise ContextError(f"{key}: write a list")
    return found
