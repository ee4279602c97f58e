"""A student's formula for the page: MathML of plain elements, or its LaTeX."""

from __future__ import annotations

from functools import lru_cache

from grader.report.derivation_words import formula

# A longer or deeper formula is shown as it was typed: converting it would take too long.
LONGEST = 1000
DEEPEST = 30


@lru_cache(maxsize=2000)
def rendered_formula(latex: str) -> str:
    """Return safe HTML of a formula, with its LaTeX for screen readers and for comparison."""
    return str(formula(_converted(latex), latex))


def _converted(latex: str) -> str:
    if len(latex) > LONGEST or _depth(latex) > DEEPEST:
        return ""
    try:
        from latex2mathml.converter import convert

        made = str(convert(latex))
        return made.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    except Exception:  # the library raises many kinds of errors for LaTeX that it does not know
        return ""


def _depth(latex: str) -> int:
    depth = deepest = 0
    for char in latex:
        depth += (char == "{") - (char == "}")
        deepest = max(deepest, depth)
    return deepest
