"""The name of a submission's page: that of its file, in the same script.

Letters and digits of every script stay, composed (NFC). Every other character becomes "-": a name
has no separator and no direction mark. Names differ even if case is ignored. They are short
enough for every file system, also in bytes.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Collection

from grader.text import in_name

MAX_CHARACTERS = 80
MAX_BYTES = 200
"""Most systems allow 255; a number and the suffix are added."""
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com\d|lpt\d)")
"""Names that Windows reserves for devices, with any suffix."""


def page_names(paths: Collection[str]) -> list[str]:
    """Return a file name for each path: no separators, unique also where case is ignored."""
    taken = {"index"}
    names = []
    for path in paths:
        last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
        stem = re.sub(r"\.(zip|ipynb|py)$", "", last, flags=re.IGNORECASE)
        safe = _safe(stem)
        name, n = safe, 1
        while name.casefold() in taken:
            n += 1
            name = f"{safe}-{n}"
        taken.add(name.casefold())
        names.append(f"{name}.html")
    return names


def _safe(stem: str) -> str:
    # Category M: in Devanagari or Thai, marks on the letters belong to the name.
    chars = (c if c == "_" or unicodedata.category(c)[0] in "LMN" else " " for c in in_name(stem))
    name = _cut("-".join("".join(chars).split()).strip("-_"))
    try:
        name.encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:  # a system set to an old encoding
        name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip("-_")
    if not name or _RESERVED.fullmatch(name):
        return f"submission-{name}".rstrip("-")
    return name


def _cut(name: str) -> str:
    name = name[:MAX_CHARACTERS]
    while len(name.encode()) > MAX_BYTES:
        name = name[:-1]
    return name
