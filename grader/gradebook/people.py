"""Whose result it is: by the platform's keys first, and by name only where that is unambiguous.

What a student writes into a file's name is a claim. A platform's key decides; a name gives a result
but not if that person has a result of the own, or if two people match.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grader.records import Result
from grader.text import is_east_asian

# The platforms' names of one kind of key. A user name and an e-mail address have no case.
KINDS = {
    "participant": "participant",
    "user": "user",
    "username": "username",
    "login": "username",
    "student": "username",
    "sid": "sid",
    "email": "email",
    "anonymous": "anonymous",
}


@dataclass(frozen=True)
class Person:
    """Someone in the class.

    ids : the platform's keys, by kind: participant, user, username, sid, email
    other_names : as the platform writes the name elsewhere
    extra_days : of the deadline, by assignment id
    row : the line of a worksheet, from 0; None where it is of no worksheet
    """

    name: str
    ids: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    other_names: tuple[str, ...] = ()
    extra_days: Mapping[str, float] = field(default_factory=dict)
    row: int | None = None

    @property
    def key(self) -> str:
        """Return what tells this person from another of the same name, for a file or a list."""
        return next((f"{kind}-{value}" for kind, value in self.ids.items() if value), "")


@dataclass(frozen=True)
class Matched:
    """Who has which results.

    results : the results of each person, by the person's place in the roster; possibly none
    by_name : the places matched only by a file's name
    nobody : results of people who are not in the roster
    unclear : a line for each result that could be of several
    """

    results: Mapping[int, tuple[Result, ...]]
    by_name: frozenset[int]
    nobody: tuple[Result, ...]
    unclear: tuple[str, ...]


def themselves(results: Iterable[Result]) -> tuple[tuple[Person, ...], Matched]:
    """Return the people that the results name, and whose is what, where there is no roster.

    Two names that differ in anything are two people.
    """
    people: dict[tuple[object, ...], Person] = {}
    found: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        ids = ids_of(result) if len(result.students) <= 1 else {}
        for name in result.students or (result.origin.name or result.path,):
            # The platform's keys tell two of one name apart, and one with two names together.
            key = tuple(sorted(ids.items())) or (unicodedata.normalize("NFC", name),)
            people.setdefault(key, Person(name, ids))
            found[key].append(result)
    places = {key: place for place, key in enumerate(people)}
    whose = {places[key]: tuple(them) for key, them in found.items()}
    return tuple(people.values()), Matched(whose, frozenset(), (), ())


def ids_of(result: Result) -> dict[str, str]:
    """Return the platform's keys of who handed in, by kind."""
    return {
        KINDS[kind]: value for kind, value in result.origin.ids.items() if kind in KINDS and value
    }


def who_is(result: Result) -> str:
    """Return whose a submission is: the platform's keys of a person, else names, else the file."""
    if ids := ids_of(result):
        return str(sorted(ids.items()))
    return str(sorted(map(squeezed, result.students)) or result.path)


def match(people: Sequence[Person], results: Sequence[Result]) -> Matched:
    """Return whose the results are."""
    by_id: dict[tuple[str, str], list[int]] = defaultdict(list)
    by_group: dict[str, list[int]] = defaultdict(list)
    by_name: dict[str, set[int]] = defaultdict(set)
    for place, person in enumerate(people):
        for kind, value in person.ids.items():
            by_id[kind, _folded(value)].append(place)
        if person.group:
            by_group[squeezed(person.group)].append(place)
        for name in (person.name, *person.other_names):
            for spelling in spellings(name):
                by_name[spelling].add(place)
    found: dict[int, list[Result]] = defaultdict(list)
    later: list[tuple[Result, bool]] = []
    for result in results:
        owners = _owners_by_id(result, by_id)
        # A group's hand-in bears the group's name and number; each member has a row.
        group = by_group.get(squeezed(result.origin.name), []) if result.origin.name else []
        if group and not owners & set(group):
            owners = set(group)
        for place in sorted(owners):
            found[place].append(result)
        later.append((result, bool(owners)))
    own = frozenset(found)
    named: set[int] = set()
    candidates_of: dict[int, list[tuple[Result, bool]]] = defaultdict(list)
    nobody: list[Result] = []
    unclear: list[str] = []
    for result, known in later:
        places: set[int] = set()
        for name in result.students or (result.origin.name,):
            candidates: set[int] = set()
            for spelling in spellings(name) if name else ():
                candidates |= by_name.get(spelling, set())
            free = candidates - own
            if len(free) == 1:
                places |= free
            elif len(candidates) > 1 and not known:
                unclear.append(f"{result.path}: {len(candidates)} people are called {name}")
        for place in places:
            candidates_of[place].append((result, known))
        if not known and not places:
            nobody.append(result)
    for place, bearing in sorted(candidates_of.items()):
        if _are_several(people[place], [result for result, _ in bearing]):
            paths = ", ".join(result.path for result, _ in bearing)
            unclear.append(f"work of several bears the name {people[place].name}: {paths}")
            nobody += [result for result, known in bearing if not known]
            continue
        found[place] += [result for result, _ in bearing]
        named.add(place)
    return Matched(
        {place: tuple(them) for place, them in found.items()},
        frozenset(named),
        tuple(nobody),
        tuple(unclear),
    )


def _owners_by_id(result: Result, by_id: Mapping[tuple[str, str], Sequence[int]]) -> set[int]:
    owners: set[int] = set()
    for kind, value in ids_of(result).items():
        # Gradescope lists the addresses of a whole team.
        for one in value.split() if kind in ("sid", "email") else [value]:
            places = by_id.get((kind, _folded(one)), ())
            if len(places) == 1:
                owners.update(places)
    return owners


def _are_several(person: Person, results: Sequence[Result]) -> bool:
    """Return whether the platform's keys tell the results apart: two people of one name.

    What is of a team, or of somebody else with a partner in its file's name, tells nothing.
    """
    name = spellings(person.name)
    own = [ids_of(r) for r in results if len(r.students) == 1 and name & spellings(r.students[0])]
    return any(
        len({_folded(ids[kind]) for ids in own if kind in ids}) > 1 for kind in set(KINDS.values())
    )


def _folded(value: str) -> str:
    return value.strip().casefold()


def spellings(name: str) -> frozenset[str]:
    """Return what stands for a name where two are compared.

    "王小明" is "王 小明" or "小明 王" where a platform keeps its parts, and puts given names first.
    """
    words = unicodedata.normalize("NFC", name).replace(",", " ").split()
    if len(words) < 2 or not is_east_asian(" ".join(words)):
        return frozenset({squeezed(name)})
    joined = ("".join(words), "".join(reversed(words)))
    return frozenset({squeezed(name), *map(squeezed, joined)})


def squeezed(name: str) -> str:
    """Return a name without case, accents, order and signs: "Rossi, Luca" is "luca rossi"."""
    if name.count(",") == 1:  # "Rossi, Luca", as gradebooks sort
        family, given = name.split(",")
        name = f"{given} {family}"
    folded = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    # A name of only symbols stays as it is, so that two such names stay different.
    return " ".join(sorted(re.findall(r"\w+", plain))) or name.strip()
