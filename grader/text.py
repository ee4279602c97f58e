"""Text that a student may have written, made harmless to show.

Messages, names, paths, notes and code pass through here before they reach a terminal, a log, XML
or HTML. The result can't change anything outside its own place. Markup stays as it is: each output
(HTML, XML, CSV) escapes its own.

    printable    text of several lines
    one_line     the same on one line
    in_name      a name or a part of a path
    encodable    source code: replaces only what no file can hold
    full_name    a person's name of its parts, in the order that its script has
"""

from __future__ import annotations

import re
import unicodedata

# CSI (colours, cursor), OSC (titles, links), DCS/SOS/PM/APC, and two-byte escapes. The bodies
# stop at the next ESC, so a text of only openings takes linear time.
_TERMINAL_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
# More than three marks on one letter draw over the neighbouring lines.
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
_PILED_MARKS = re.compile(f"([{_MARKS}]{{3}})[{_MARKS}]+")
# Han, kana and Hangul, with the signs of Japanese that repeat or lengthen one.
_EAST_ASIAN = re.compile(
    r"[\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    r"\U00020000-\U0003ffff]+"
)
# Names in Persian and many emoji need the joiners; they move nothing.
_KEPT = frozenset("\n\u200c\u200d")


def printable(text: str, limit: int = 4000) -> str:
    r"""Return text that can be shown anywhere: no escapes, no controls, no bidi overrides.

    Terminal sequences are removed; every other control, format, surrogate or unassigned
    character stands as a visible escape (``\x07``, ``\u202e``). Line breaks stay, tabs become
    spaces. The result is legal in XML.

    limit : the most characters that stay; the end says how many were cut
    """
    # Most texts are plain: nothing below would change one.
    if len(text) <= limit and text.isascii() and text.replace("\n", "").isprintable():
        return text
    # Escapes are at most 10 characters long, so this prefix always suffices to fill the limit
    # unless it is made of removed sequences; it bounds the work on a text of any size.
    head = text[: 8 * limit + 1000]
    head = _TERMINAL_SEQUENCE.sub("", head.replace("\r\n", "\n")).expandtabs(4)
    if not head.replace("\n", "").isprintable():
        head = "".join(map(_shown, head))
    shown = _PILED_MARKS.sub(r"\1", head)
    cut = shown[:limit]
    lost = len(shown) - len(cut) + max(0, len(text) - (8 * limit + 1000))
    return f"{cut} … ({lost:,} more characters)" if lost else cut


def one_line(text: str, limit: int = 200) -> str:
    """Return the text on one line, blanks collapsed, with an ellipsis if it was cut."""
    line = " ".join(printable(text, limit=4 * limit).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def in_name(text: str) -> str:
    """Return the text as a name or a part of a path; what can't be shown becomes "_".

    Composed (NFC), so that one name has one spelling. All blanks stay. Joiners are removed:
    nothing invisible may make two names of one.
    """
    kept = (c if c.isprintable() else " " if unicodedata.category(c) == "Zs" else "_" for c in text)
    return unicodedata.normalize("NFC", _PILED_MARKS.sub(r"\1", "".join(kept)))


def full_name(given: str, family: str) -> str:
    """Return a person's name: "Anna Meier", but "王小明", family first and without a blank."""
    parts = [" ".join(part.split()) for part in (given, family)]
    if all(map(is_east_asian, parts)):
        return "".join(reversed(parts)).replace(" ", "")
    return " ".join(filter(None, parts))


def is_east_asian(text: str) -> bool:
    """Return whether each word is in Han, kana or Hangul, where names have the family first."""
    words = text.split()
    return bool(words) and all(map(_EAST_ASIAN.fullmatch, words))


def encodable(text: str) -> str:
    """Return the text with each lone surrogate replaced, since no file or parser accepts one."""
    if text.isascii():
        return text
    # Two halves of one character are joined on the way.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _shown(character: str) -> str:
    if character.isprintable() or character in _KEPT:
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
