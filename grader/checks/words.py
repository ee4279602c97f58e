"""Checks of answers in words: phrases of a text, and the numbers in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import numpy as np

from grader.checks.showing import describe_type, show
from grader.diagnosis.wording import number
from grader.errors import CheckFailed

_NUMBER = re.compile(
    r"(?<![\w.])[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d)\.)?"
    r"(?:(?<=[\d.])[eE][-+\u2212]?\d{1,4})?\s?%?"
)
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TEENS = ("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen")
_WORDS = {
    word: value for value, word in enumerate((*_DIGITS, *_TEENS, "eighteen", "nineteen", "twenty"))
}
_TEXT_MAX = 100_000


def numbers_in(text: object, *, called: str = "") -> list[float]:
    """Return the numbers of a text in their order: 3, -1.5e-3, 1,000, 12 % (0.12), "three" (3).

    Raises CheckFailed if the value is not a text.
    """
    found: list[tuple[int, float]] = []
    plain = _text(text, called)
    for match in _NUMBER.finditer(plain):
        value = match.group().replace(",", "").replace("\u2212", "-").strip()
        share = value.endswith("%")
        value = value.rstrip("% ")
        if re.search(r"\d", value):
            found.append((match.start(), float(value) / (100 if share else 1)))
    for match in re.finditer(r"[a-z]+", plain.lower()):
        if match.group() in _WORDS:
            found.append((match.start(), float(_WORDS[match.group()])))
    return [value for _, value in sorted(found)]


def assert_says(
    text: object,
    *phrases: str | Iterable[str],
    never: Iterable[str] = (),
    called: str = "",
    noun: str = "the text",
) -> None:
    """Accept a text that contains each phrase; case, blanks and accents don't matter.

    phrases : one or a few words each; a tuple or a list of phrases if one of them is enough
    never : phrases that the text must not contain
    Raises CheckFailed, which says how many are missing, or names a forbidden phrase.
    """
    plain = _folded(_text(text, called))
    choices = [(p,) if isinstance(p, str) else tuple(p) for p in phrases]
    missing = [c for c in choices if not any(_says(plain, phrase) for phrase in c)]
    if missing:
        raise CheckFailed(
            f"{noun} lacks {len(missing)} of {len(choices)} required things",
            hint="" if plain.strip() else "It is empty.",
            called=called,
            expected=" / ".join(missing[0]),
            got=show(str(text), limit=120),
        )
    for phrase in never:
        if _says(plain, phrase):
            raise CheckFailed(f"{noun} says {phrase!r}, which is wrong here", called=called)


def assert_tells(
    text: object,
    *values: float,
    rtol: float = 1e-2,
    atol: float = 0.0,
    called: str = "",
    noun: str = "the text",
) -> None:
    """Accept a text that contains each number, to rtol, in digits or in words, or in per cent.

    Raises CheckFailed, with the numbers in the text.
    """
    found = numbers_in(text, called=called)
    room = [atol + rtol * abs(value) for value in values]
    missing = [
        value
        for value, off in zip(values, room, strict=True)
        if not any(abs(one - value) <= off or abs(100 * one - value) <= off for one in found)
    ]
    if missing:
        raise CheckFailed(
            f"{noun} lacks {len(missing)} of {len(values)} numbers",
            called=called,
            expected=number(missing[0]),
            got=", ".join(number(one) for one in found[:8]) or "no number",
        )


def _text(text: object, called: str) -> str:
    if isinstance(text, np.ndarray) and text.ndim == 0:
        text = text.item()
    if not isinstance(text, str):
        raise CheckFailed(f"returned {describe_type(text)}, expected a text", called=called)
    return text[:_TEXT_MAX]


def _folded(text: str) -> str:
    """Return the text in lower case without accents, with one blank between words."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return " ".join("".join(c for c in apart if not unicodedata.combining(c)).split())


def _says(plain: str, phrase: str) -> bool:
    wanted = re.escape(_folded(phrase))
    return re.search(rf"(?<!\w){wanted}(?!\w)", plain) is not None
