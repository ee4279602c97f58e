"""Tell whether a message says already what a known mistake would add.

    says_already("the result has the wrong sign everywhere", "with one sign reversed")    True

A message of a check diagnoses numbers, a known mistake names a change of code; often both are the
same finding. Each subject below has the words by which either of them speaks of it.
"""

from __future__ import annotations

import re

_EVIDENCE = re.compile(r"^(?:expected|got|where|called)\b.*$", re.MULTILINE)
_OF_A_NAMED_MISTAKE = " is what you get when "

_SUBJECTS = tuple(
    (re.compile(words, re.IGNORECASE), re.compile(message, re.IGNORECASE))
    for words, message in (
        (
            r"\bsign\b|\bminus\b|\bplus\b|other way round|wrong way|up the gradient|ascent|uphill",
            r"wrong sign|minus sign|a minus\b|the other sign|uphill|up the gradient|cost rises",
        ),
        (
            r"\bmean\b|\baverag|1/m|\bsum(?:s|med)?\b|number of examples",
            r"is the mean \(|(?:divided by \w+|1/\w+ applied) once too often|averaged|is summed"
            r"|sum where",
        ),
        (r"twice|double|\bhalf\b|factor 2", r"twice as large|half as large|factor 2"),
        (r"transpos|wrong way round|operands in the other order", r"transpos"),
        (r"overflow|naive", r"overflow|not finite"),
        (r"\baxis\b|keepdims", r"\baxis\b|over the (?:rows|columns)"),
        (r"in place|overwritten|caller's array", r"in place|(?:was|were|is) changed|changes its"),
        (r"returned nothing|nothing returned", r"\bNone\b|returns? nothing|nothing came"),
        (r"inner derivative|\bslope\b", r"inner derivative|the factor .* is missing"),
        (r"swapped|other order", r"swapped|other order|exchanged"),
    )
)
_CALL_LEFT_OUT = re.compile(r"without one call of `(\w+)`|with `(\w+)` where another function")
_TERM_LEFT_OUT = re.compile(r"without (?:the|one) (?:term|factor)|is (?:forgotten|left out|lost)")


def says_already(message: str, words: str) -> bool:
    """Return whether a check's message makes the finding that the words of a mistake would add.

    words : the phrase or the title of the mistake, as a student would read it
    """
    found = _EVIDENCE.sub("", message)
    if _OF_A_NAMED_MISTAKE in found:
        return True
    if any(of_words.search(words) and said.search(found) for of_words, said in _SUBJECTS):
        return True
    call = _CALL_LEFT_OUT.search(words)
    if call is not None:
        name = call[1] or call[2]
        return bool(re.search(rf"\b{name}\b[^?\n]*(?:\bmissing|\?)", found))
    return bool(_TERM_LEFT_OUT.search(words)) and " is missing" in found
