"""Compare names of people as files, platforms and class lists write them.

A name is found as it stands; only if nobody has it, in another spelling: without accents, with
"ue" for "ü", family name first. So Muller and Müller are two people where a list has both.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from grader.text import is_east_asian

# What is written where a keyboard lacks the letter; NFKD takes apart none of the second line.
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "æ": "ae",
                        "œ": "oe"})  # fmt: skip


class Names:
    """Finds the places of people in a list by their names. names : a list for each person"""

    def __init__(self, people: Iterable[Iterable[str]]) -> None:
        self._exact: dict[str, set[int]] = defaultdict(set)
        self._like: dict[str, set[int]] = defaultdict(set)
        self._joined: dict[str, set[int]] = defaultdict(set)
        for place, names in enumerate(people):
            for name in names:
                self._exact[_exactly(name)].add(place)
                for spelling in spellings(name):
                    self._like[spelling].add(place)
                words = name.replace(",", " ").split()
                for turn in range(len(words)):
                    self._joined[joined(" ".join(words[turn:] + words[:turn]))].add(place)

    def find(self, name: str) -> set[int]:
        """Return the places of those who have this name, else of those with a like one."""
        exact = self._exact.get(_exactly(name))
        return set(exact or {p for one in spellings(name) for p in self._like.get(one, ())})

    def find_joined(self, name: str) -> set[int]:
        """Return the places of those whom Canvas calls so: "meieranna", family name first."""
        return set(self._joined.get(joined(name), ()))


def joined(name: str) -> str:
    """Return a name as Canvas writes it into a file's name: small letters and digits alone."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFC", name).casefold())


def _exactly(name: str) -> str:
    """Return the name's words in order, as they are but for case: "Rossi, Luca" is "luca rossi"."""
    words = unicodedata.normalize("NFC", name).casefold().replace(",", " ").split()
    return " ".join(sorted(words))


def spellings(name: str) -> frozenset[str]:
    """Return the spellings of a name; two names match if they share one.

    A platform that keeps the parts of "王小明" shows "王 小明", or "小明 王" (given name first).
    """
    words = unicodedata.normalize("NFC", name).replace(",", " ").split()
    if len(words) < 2 or not is_east_asian(" ".join(words)):
        composed = unicodedata.normalize("NFC", name).casefold()
        return frozenset({squeezed(name), squeezed(composed.translate(_UMLAUTS))})
    joined = ("".join(words), "".join(reversed(words)))
    return frozenset({squeezed(name), *map(squeezed, joined)})


def squeezed(name: str) -> str:
    """Return a name as sorted words without case, accents, signs: "Rossi, Luca" is "luca rossi"."""
    if name.count(",") == 1:  # "Rossi, Luca", as gradebooks sort
        family, given = name.split(",")
        name = f"{given} {family}"
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_PLAIN))
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    # A name of only symbols stays as it is, so that two such names stay different.
    return " ".join(sorted(re.findall(r"\w+", plain))) or name.strip()
