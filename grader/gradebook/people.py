"""Match results to people: by the platform's ids, and by name only if that is unambiguous.

A platform's id decides. A name in a file's name is only a claim: it does not count if the person
has a result by id, or if two people match.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grader.records import Result
from grader.text import is_east_asian

# The platforms' names for each kind of id.
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

    ids : the platform's ids, by kind: participant, user, username, sid, email
    other_names : other spellings of the name at the platform
    extra_days : extensions of the deadline, by assignment id
    row : the line in the worksheet, from 0; None outside a worksheet
    """

    name: str
    ids: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    other_names: tuple[str, ...] = ()
    extra_days: Mapping[str, float] = field(default_factory=dict)
    row: int | None = None

    @property
    def key(self) -> str:
        """Return an id that tells this person from another of the same name; "" without ids."""
        return next((f"{kind}-{value}" for kind, value in self.ids.items() if value), "")


@dataclass(frozen=True)
class Matched:
    """Which results belong to which people.

    results : the results of each person, by the person's place in the roster
    by_name : the places of people who were matched only by a file's name
    unmatched : results that match no one in the roster
    unclear : a line for each result that could belong to several people
    """

    results: Mapping[int, tuple[Result, ...]]
    by_name: frozenset[int]
    unmatched: tuple[Result, ...]
    unclear: tuple[str, ...]


def themselves(results: Iterable[Result]) -> tuple[tuple[Person, ...], Matched]:
    """Return the people that the results name, and their results, where there is no roster.

    Two names that differ in any character are two people.
    """
    people: dict[tuple[object, ...], Person] = {}
    found: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        ids = ids_of(result) if len(result.students) <= 1 else {}
        for name in result.students or (result.origin.name or result.path,):
            # Ids separate two people of one name, and join two names of one person.
            key = tuple(sorted(ids.items())) or (unicodedata.normalize("NFC", name),)
            people.setdefault(key, Person(name, ids))
            found[key].append(result)
    places = {key: place for place, key in enumerate(people)}
    results_of = {places[key]: tuple(own) for key, own in found.items()}
    return tuple(people.values()), Matched(results_of, frozenset(), (), ())


def ids_of(result: Result) -> dict[str, str]:
    """Return the platform's ids of a result's student, by kind."""
    return {
        KINDS[kind]: value for kind, value in result.origin.ids.items() if kind in KINDS and value
    }


def who_is(result: Result) -> str:
    """Return a key for a submission's student: the platform's ids, else names, else the file."""
    if ids := ids_of(result):
        return str(sorted(ids.items()))
    return str(sorted(map(squeezed, result.students)) or result.path)


def match(people: Sequence[Person], results: Sequence[Result]) -> Matched:
    """Return which results belong to which people: by id, by group, then by name."""
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
        # A group's submission has the group's name and number; each member has a row.
        group = by_group.get(squeezed(result.origin.name), []) if result.origin.name else []
        if group and not owners & set(group):
            owners = set(group)
        for place in sorted(owners):
            found[place].append(result)
        later.append((result, bool(owners)))
    own = frozenset(found)
    named: set[int] = set()
    candidates_of: dict[int, list[tuple[Result, bool]]] = defaultdict(list)
    unmatched: list[Result] = []
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
            unmatched.append(result)
    for place, claims in sorted(candidates_of.items()):
        if _are_several(people[place], [result for result, _ in claims]):
            paths = ", ".join(result.path for result, _ in claims)
            unclear.append(f"several people's work has the name {people[place].name}: {paths}")
            unmatched += [result for result, known in claims if not known]
            continue
        found[place] += [result for result, _ in claims]
        named.add(place)
    return Matched(
        {place: tuple(own_results) for place, own_results in found.items()},
        frozenset(named),
        tuple(unmatched),
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
    """Return whether the platform's ids show that the results are of several people of one name.

    Results of a team, or with another person's name, are not compared.
    """
    name = spellings(person.name)
    own = [ids_of(r) for r in results if len(r.students) == 1 and name & spellings(r.students[0])]
    return any(
        len({_folded(ids[kind]) for ids in own if kind in ids}) > 1 for kind in set(KINDS.values())
    )


def _folded(value: str) -> str:
    return value.strip().casefold()


def spellings(name: str) -> frozenset[str]:
    """Return the spellings of a name; two names match if they share one.

    A platform that keeps the parts of "王小明" shows "王 小明", or "小明 王" (given name first).
    """
    words = unicodedata.normalize("NFC", name).replace(",", " ").split()
    if len(words) < 2 or not is_east_asian(" ".join(words)):
        return frozenset({squeezed(name)})
    joined = ("".join(words), "".join(reversed(words)))
    return frozenset({squeezed(name), *map(squeezed, joined)})


def squeezed(name: str) -> str:
    """Return a name as sorted words without case, accents, signs: "Rossi, Luca" is "luca rossi"."""
    if name.count(",") == 1:  # "Rossi, Luca", as gradebooks sort
        family, given = name.split(",")
        name = f"{given} {family}"
    folded = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    # A name of only symbols stays as it is, so that two such names stay different.
    return " ".join(sorted(re.findall(r"\w+", plain))) or name.strip()
