"""A written derivation in reports: the same words at a terminal, in a notebook, on a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from grader.records import Derivation, DerivationReached, DerivationStep, ExerciseScore
from grader.report.wording import points_text
from grader.text import one_line, printable

_VERDICT_WORDS = {
    "follows": "follows",
    "definition": "definition",
    "differs": "look here",
    "not read": "not read",
}
_VERDICT_TONES = {"follows": "good", "definition": "good", "differs": "part", "not read": "open"}
_SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠", "~": "≈"}
# Elements of MathML that only lay out their content. Attributes are dropped.
_MATHML = {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub",
           "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle",
           "mpadded", "code"}  # fmt: skip
_LONGEST_FORMULA = 100_000
_LINES = 200


def derivation_lines(exercise: ExerciseScore) -> Iterator[str]:
    """Yield lines on the steps that were read, those that differ, and the targets reached."""
    derivation = exercise.derivation
    if derivation is None:
        return
    if derivation.steps or not derivation.note:
        yield summary(derivation)
    if derivation.note:
        yield one_line(derivation.note, 300)
    for step in derivation.remarks[:_LINES]:
        yield f"{place(step)}: {one_line(step.remark, 600)}"
    for one in derivation.reached:
        yield reached_text(one)


def summary(derivation: Derivation) -> str:
    """Return the counts of steps by verdict; lines that were not read are always mentioned."""
    total = len(derivation.steps)
    counts = [
        (derivation.count("follows"), "follow"),
        (derivation.count("definition"), "define or repeat a name"),
        (derivation.count("differs"), "differ"),
    ]
    parts = [f"{count} {word}" for count, word in counts if count]
    parts.append(f"{derivation.count('not read')} not read")
    return f"{total} step{'' if total == 1 else 's'}: {', '.join(parts)}"


def place(item: DerivationStep | DerivationReached) -> str:
    """Return "cell 4, line 3", or "line 3" of a file."""
    return f"line {item.line}" if item.cell is None else f"cell {item.cell}, line {item.line}"


def reached_text(one: DerivationReached) -> str:
    """Return one sentence on a target; its points are a suggestion."""
    target = one_line(one.target, 200)
    points = (
        f"{points_text(one.points)} point{'' if one.points == 1 else 's'}" if one.points else ""
    )
    if not one.found:
        why = one_line(one.why, 200) or "not found"
        where = f" in {place(one)}" if one.line else ""
        text = f"to be reached{where}: {target}: {why}"
        return f"{text}; {points} open" if points else text
    text = f"reached in {place(one)}: {target}, and {one.steps} steps lead there"
    if one.doubtful:
        text += f"; {one.doubtful} on the way differ"
        return f"{text}; {points} open, for a person to decide" if points else text
    if points:
        return f"{text}; suggested: {points}, open until a person agrees"
    return f"{text} (a suggestion; a person decides)"


def derivation_table(exercise: ExerciseScore) -> dict[str, Any] | None:
    """Return a derivation for the HTML page, every step rendered; None without a derivation."""
    derivation = exercise.derivation
    if derivation is None:
        return None
    rows = []
    before = None
    for step in derivation.steps:
        here = (step.cell, step.line)
        rows.append(
            {
                "place": place(step) if here != before else "",
                "left": formula(step.left_mathml, step.left),
                "sign": _SIGNS.get(step.sign, step.sign),
                "right": formula(step.right_mathml, step.right),
                "verdict": "regains it" if step.regains else _VERDICT_WORDS[step.verdict],
                "tone": _VERDICT_TONES[step.verdict],
                "why": printable(step.why, 300),
                "remark": printable(step.remark, 600),
                "left_value": one_line(step.left_value),
                "right_value": one_line(step.right_value),
                "at": [(one_line(name), one_line(value)) for name, value in step.at],
            }
        )
        before = here
    return {
        "summary": summary(derivation) if derivation.steps else "",
        "note": printable(derivation.note, 300),
        "steps": rows,
        "reached": [
            {"text": reached_text(one), "found": one.found and not one.doubtful}
            for one in derivation.reached
        ],
    }


def derivation_json(derivation: Derivation) -> dict[str, object]:
    """Return a derivation for JSON, with printable texts."""
    return {
        "note": printable(derivation.note, 300),
        "counts": {
            verdict.replace(" ", "_"): sum(step.verdict == verdict for step in derivation.steps)
            for verdict in _VERDICT_WORDS
        },
        "steps": [
            {
                "cell": step.cell,
                "line": step.line,
                "left": one_line(step.left, 2000),
                "sign": step.sign,
                "right": one_line(step.right, 2000),
                "verdict": step.verdict,
                "why": printable(step.why, 300),
                "remark": printable(step.remark, 600),
                "slip": printable(step.slip, 200),
                "regains": step.regains,
                "at": {one_line(name): one_line(value) for name, value in step.at},
                "left_value": one_line(step.left_value),
                "right_value": one_line(step.right_value),
            }
            for step in derivation.steps
        ],
        "reached": [
            {
                "target": one_line(one.target, 500),
                "found": one.found,
                "cell": one.cell,
                "line": one.line,
                "steps": one.steps,
                "doubtful": one.doubtful,
                "points": round(one.points, 4),
                "why": printable(one.why, 300),
            }
            for one in derivation.reached
        ],
        "suggested_points": round(derivation.suggested, 4),
    }


def formula(mathml: str, latex: str) -> Markup:
    """Return a formula for the page: MathML of plain elements, or else its LaTeX source."""
    source = Markup("<code>{}</code>").format(printable(latex, 2000)) if latex else Markup("")
    if not mathml or len(mathml) > _LONGEST_FORMULA or "<!" in mathml or "<?" in mathml:
        return source
    try:
        root = ElementTree.fromstring(mathml)
    except ElementTree.ParseError:
        return source
    return Markup(_plain_element(root, 0))


def _plain_element(element: ElementTree.Element, depth: int) -> str:
    inner = escape(printable(element.text or ""))
    if depth < 200:
        for child in element:
            inner += _plain_element(child, depth + 1) + escape(printable(child.tail or ""))
    tag = element.tag if isinstance(element.tag, str) else ""
    return f"<{tag}>{inner}</{tag}>" if tag in _MATHML else inner
