"""Split an answer in Markdown or LaTeX into formulas, rows and pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from grader.derivation.tokens import Token, Unreadable, tokenize

LONGEST_ANSWER = 120_000
"""Most characters of an answer. A long answer has 20,000."""
MOST_STEPS = 400

_MATHS = ("equation", "align", "aligned", "alignat", "alignedat", "flalign", "gather", "gathered",
          "multline", "eqnarray", "split", "displaymath", "math", "array", "subequations",
          "multlined", "dmath")  # fmt: skip
_OPENING = re.compile(
    r"```math\b|```|~~~|<!--|\\\[|\\\(|\$\$|(?<!\\)\$|\\begin\{(?P<env>[a-z]+\*?)\}|`"
)
_CLOSING = {"```math": "```", "```": "```",
            "~~~": "~~~", "<!--": "-->", "\\[": "\\]", "\\(": "\\)", "$$": "$$",
            "$": "$", "`": "`"}  # fmt: skip
_SOLVING = re.compile(
    r"\b(sett?(?:ing|s)?\b[^.]{0,60}\b(?:zero|0|equal)|solv(?:e|ing|es)|zeros? of|stationary"
    r"|root|equat(?:e|ing)|vanish|could be|equals? (?:to )?(?:0|zero)|nullstelle|on pose"
    r"|true when|happens when|holds when)",
    re.IGNORECASE,
)
_CASES = re.compile(
    r"\b(if|when|cases?|otherwise|else|(off-)?diagonals?|suppose|assum\w+|falls|fall|wenn|sonst|si"
    r"|sinon|cas|correct class|true class)\b|≠|\\neq?",
    re.IGNORECASE,
)
_CONDITION_WORDS = re.compile(
    r"\b(if|when|for|case|assume|suppose|falls|wenn|für|fall|si|pour|cas)\b[^.]{0,40}$",
    re.IGNORECASE,
)
_PLAIN_CONDITION = re.compile(
    r"\b(?:if|when|for|case|falls|wenn|si)\s+([A-Za-z])\s*(=|!=|≠)\s*([+-]?\d+|[A-Za-z])\b",
    re.IGNORECASE,
)
_BEGUN = re.compile(r"\s*(?:\\begin\{[a-z]+\*?\}(?:\{[^{}]*\})?\s*)*")
_KNOWN_WORDS = {
    "the", "and", "of", "is", "are", "we", "with", "to", "from", "by", "in", "it", "this",
    "that", "then", "so", "thus", "hence", "where", "der", "die", "das", "und", "ist", "wir",
    "mit", "von", "daraus", "also", "folgt", "le", "la", "les", "et", "est", "on", "avec",
    "donc", "nous", "de",
}  # fmt: skip
_IF = {
    "if",
    "for",
    "when",
    "falls",
    "wenn",
    "für",
    "si",
    "pour",
    "whenever",
    "in case",
    "if and only if",
}


@dataclass(frozen=True)
class Formula:
    """A formula as written in the text.

    line : from 1; before : the running text between it and the formula before
    """

    line: int
    display: bool
    latex: str
    before: str = ""


@dataclass(frozen=True)
class Piece:
    """The part between two separators: expressions joined by relations.

    continues : it begins with a relation, so its left side is the end of the piece before
    conditions : the tokens of cases beside it ("if i = j")
    """

    line: int
    display: bool
    expressions: tuple[tuple[Token, ...], ...]
    signs: tuple[str, ...]
    continues: bool = False
    dangling: bool = False
    conditions: tuple[tuple[Token, ...], ...] = ()
    cased: bool = False
    before: str = ""


@dataclass
class _Row:
    tokens: list[Token] = field(default_factory=list)
    line: int = 0


def formulas(text: str) -> list[Formula]:
    """Return the formulas of an answer, in order; code and comments are skipped."""
    found: list[Formula] = []
    at, last_end = 0, 0
    never: set[str] = set()
    while (opening := _OPENING.search(text, at)) is not None:
        sign = opening.group()
        environment = opening.group("env")
        if environment is not None and environment.rstrip("*") not in _MATHS:
            at = opening.end()
            continue
        closing = f"\\end{{{environment}}}" if environment is not None else _CLOSING[sign]
        end = -1 if closing in never else text.find(closing, opening.end())
        while end > 0 and sign == "$" and text[end - 1] == "\\":
            end = text.find(closing, end + 1)
        if end < 0 or (sign in ("$", "`") and "\n\n" in text[opening.end() : end]):
            if end < 0:
                never.add(closing)
            at = opening.end()
            continue
        inner = text[opening.end() : end]
        if environment is not None:
            inner = text[opening.start() : end + len(closing)]
        if sign not in ("```", "~~~", "<!--", "`") and inner.strip():
            line = text.count("\n", 0, opening.end()) + 1
            lead = len(inner) - len(inner.lstrip())
            line += inner.count("\n", 0, lead)
            if sign == "$" and inner.startswith("`") and inner.endswith("`"):
                inner = inner[1:-1]  # $`x`$, a form that some pages need
            found.append(
                Formula(line, sign not in ("$", "\\("), inner, text[last_end : opening.start()])
            )
            last_end = end + len(closing)
        at = end + len(closing)
    return found


def solves(prose: str) -> bool:
    """Return whether the text before a formula speaks of solving an equation."""
    return bool(_SOLVING.search(prose[-300:]))


def names_cases(prose: str) -> bool:
    """Return whether the text speaks of cases, so that a formula may hold only for one of them.

    It is also True for a text in a language whose words are not known here.
    """
    words = re.findall(r"[^\W\d_]{2,}", prose)
    if len(words) > 3 and not any(word.casefold() in _KNOWN_WORDS for word in words):
        return True
    return bool(_CASES.search(prose)) or ends_as_condition(prose) or bool(plain_conditions(prose))


def ends_as_condition(prose: str) -> bool:
    """Return whether an inline formula after this text is a case: "If $i = j$"."""
    return bool(_CONDITION_WORDS.search(prose[-80:]))


def plain_conditions(prose: str) -> list[str]:
    """Return the cases in running text: "When y = 0"."""
    return [
        f"{a} {'=' if sign == '=' else chr(92) + 'neq'} {b}"
        for a, sign, b in _PLAIN_CONDITION.findall(prose[-200:])
    ]


def pieces(formula: Formula, words: frozenset[str]) -> Iterator[Piece]:
    """Yield the pieces of a formula. Raises Unreadable if it can't be tokenized."""
    tokens = tokenize(formula.latex, words=words)
    before = formula.before
    for row in _rows(tokens, formula):
        cased = any(token.kind == "text" for token in row.tokens)
        parts = list(_parts(row.tokens))
        made: list[Piece] = []
        pending: list[tuple[Token, ...]] = []
        for cue, part in parts:
            piece = _piece(part, row.line, formula, before)
            before = ""
            word = cue.strip(" .,;:").casefold()
            is_condition = word in _IF or word.split(" ")[-1] in _IF
            if piece is None or (cue and not piece.signs):
                continue  # "for all z" is not a step
            if is_condition and len(piece.signs) >= 1 and not piece.continues:
                condition = tuple(part)
                if made:
                    made[-1] = _with_condition(made[-1], condition)
                else:
                    pending.append(condition)
                continue
            if made and not piece.continues and len(piece.signs) == 1 and _is_small(piece):
                made[-1] = _with_condition(made[-1], tuple(part))
                continue
            for condition in pending:
                piece = _with_condition(piece, condition)
            made.append(piece)
        for piece in made:
            yield replace(piece, cased=cased or piece.cased)


def _with_condition(piece: Piece, condition: tuple[Token, ...]) -> Piece:
    return replace(piece, conditions=(*piece.conditions, condition), cased=True)


def _is_small(piece: Piece) -> bool:
    """Return whether a piece after a comma is a case, as in "= 0, i != j"."""
    if piece.signs[0] not in ("=", "!=", "in", "<", ">", "<=", ">="):
        return False
    return all(len(e) == 1 and e[0].kind in ("sym", "num") for e in piece.expressions)


def _rows(tokens: Sequence[Token], formula: Formula) -> list[_Row]:
    """Return the rows of a formula, each with its line in the text."""
    offsets = [m.start() for m in re.finditer(r"\\\\", formula.latex)]
    begun = _BEGUN.match(formula.latex)
    first = formula.line + formula.latex.count("\n", 0, begun.end() if begun else 0)
    first -= formula.latex.count("\n", 0, len(formula.latex) - len(formula.latex.lstrip()))
    rows, depth, brackets = [_Row(line=first)], 0, 0
    passed = 0
    for token in tokens:
        if token.kind in ("begin", "end") and token.text in _MATHS and depth == 0:
            continue
        depth += (token.kind == "begin") - (token.kind == "end")
        if token.kind == "p":
            brackets += token.text in ("(", "[", "{", "\\{")
            brackets -= token.text in (")", "]", "}", "\\}")
        if token.kind == "row":
            passed += 1
            if depth <= 0 and brackets <= 0:
                line = formula.line
                if passed <= len(offsets):
                    after = formula.latex[offsets[passed - 1] + 2 :]
                    gap = len(after) - len(after.lstrip())
                    start = offsets[passed - 1] + 2 + gap
                    lead = len(formula.latex) - len(formula.latex.lstrip())
                    line += formula.latex.count("\n", lead, start)
                rows.append(_Row(line=line))
                brackets = 0
                continue
            if depth <= 0:
                continue  # brackets that are open at a row's end are closed in the next row
        rows[-1].tokens.append(token)
    joined: list[_Row] = []
    for row in rows:
        if joined and _goes_on(row.tokens):
            joined[-1].tokens += [token for token in row.tokens if token.kind != "col"]
        else:
            joined.append(row)
    return [row for row in joined if any(t.kind != "col" for t in row.tokens)]


def _goes_on(tokens: Sequence[Token]) -> bool:
    """Return whether a row continues the expression before: "& + b"."""
    plain = [token for token in tokens if token.kind != "col"]
    if not plain or plain[0].text not in ("+", "-", "*"):
        return False
    if plain[0].text == "*":
        return True
    starts_column = bool(tokens) and tokens[0].kind == "col"
    return starts_column or not any(token.kind == "rel" for token in plain)


def _parts(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Split at separators and running text; yield (the running text before, tokens)."""
    part: list[Token] = []
    cue = ""
    depth = 0
    for n, token in enumerate(tokens):
        if token.kind in ("p", "begin", "end"):
            depth += token.text in ("(", "[", "{", "\\{", "\\langle") or token.kind == "begin"
            depth -= token.text in (")", "]", "}", "\\}", "\\rangle") or token.kind == "end"
            depth = max(depth, 0)
        parts_here = depth == 0 and (
            token.kind in ("sep", "text")
            or (token.kind == "p" and token.text in (",", ";", ".", ":"))
            or token == Token("rel", "to")
        )
        following = next((t for t in tokens[n + 1 :] if t.kind != "col"), None)
        beside = [following, next((t for t in reversed(tokens[:n]) if t.kind != "col"), None)]
        if token.kind == "text" and any(t is not None and t.kind == "rel" for t in beside):
            parts_here = False  # "MSE = ...": the text is a side
        if token.kind == "text" and _is_name(token, beside):
            parts_here = False  # onehot(y): a name that is not declared
        if not parts_here:
            part.append(token)
            continue
        if any(t.kind != "col" for t in part):
            yield cue, part
            cue = ""
        part = []
        if token.kind == "text":
            cue = f"{cue} {token.text}".strip()
        elif token.text == "\\forall":
            cue = "for"
    if any(t.kind != "col" for t in part):
        yield cue, part


def _is_name(token: Token, beside: Sequence[Token | None]) -> bool:
    """Return whether text in a formula is a name: it is applied, or follows an operator."""
    following, before = beside
    word = token.text.strip(" .,:;()").casefold()
    if word in _IF or word in _KNOWN_WORDS or " " in word:
        return False
    applied = following is not None and following.kind == "p" and following.text in "(_^["
    operand = before is not None and before.kind == "p" and before.text in "+-*/(["
    return applied or operand


def _piece(part: Sequence[Token], line: int, formula: Formula, before: str) -> Piece | None:
    """Return a part split at its relations; None if it is empty."""
    expressions: list[list[Token]] = [[]]
    signs: list[str] = []
    depth = nested = 0
    for token in part:
        nested += (token.kind == "begin") - (token.kind == "end")
        if token.kind == "col" and nested <= 0:
            continue
        if token.kind in ("p", "begin", "end"):
            depth += token.text in ("(", "[", "{", "\\{", "\\langle") or token.kind == "begin"
            depth -= token.text in (")", "]", "}", "\\}", "\\rangle") or token.kind == "end"
        if token.kind == "rel" and depth <= 0:
            if signs and not expressions[-1]:
                signs[-1] = token.text if signs[-1] == "=" else signs[-1]
                continue  # "= \\ =": it stands at a row's end and again in the next row
            signs.append(token.text)
            expressions.append([])
        else:
            expressions[-1].append(token)
    if depth > 0:
        # A bracket that never closes must not hide the relations.
        expressions, signs = [[]], []
        braces = 0
        for token in part:
            if token.kind == "col":
                continue
            braces += (token.text == "{") - (token.text == "}") if token.kind == "p" else 0
            if token.kind == "rel" and braces <= 0:
                signs.append(token.text)
                expressions.append([])
            else:
                expressions[-1].append(token)
    if not signs and not expressions[0]:
        return None
    continues = bool(signs) and not expressions[0]
    dangling = bool(signs) and not expressions[-1]
    return Piece(
        line,
        formula.display,
        tuple(tuple(e) for e in expressions),
        tuple(signs),
        continues,
        dangling,
        before=before,
    )


def source(tokens: Sequence[Token]) -> str:
    """Return tokens as LaTeX again, without layout commands."""
    out: list[str] = []
    for token in tokens:
        text = token.text
        if token.kind == "sym" and len(text) > 1 and text.isalpha():
            text = f"\\{text}" if text in _COMMANDS else f"\\operatorname{{{text}}}"
        elif token.kind == "rel":
            text = {"<=": "\\le", ">=": "\\ge", "!=": "\\ne", "in": "\\in", "to": "\\to"}.get(
                text, text
            )
        elif token.kind == "text":
            text = f"\\text{{{text}}}"
        elif token.kind in ("begin", "end"):
            text = f"\\{token.kind}{{{text}}}"
        elif text == "*":
            text = "\\cdot"
        elif text == "\\one":
            text = "\\mathbb{1}"
        elif text == "\\R":
            text = "\\mathbb{R}"
        glued = out and (out[-1][-1:].isalpha() and out[-1].startswith("\\")) and text[:1].isalpha()
        out.append((" " if glued else "") + text)
    return "".join(out)


_COMMANDS = {"log", "ln", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "lim"}

__all__ = ["Formula", "Piece", "Unreadable", "formulas", "pieces", "source"]
