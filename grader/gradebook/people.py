"""Match results to people: by the platform's ids, and by name only if that is unambiguous.

A platform's id decides. A name in a file's name is only a claim: it does not count if the person
has a result by id, or if two people match.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from grader.gradebook.names import Names, joined, spellings, squeezed
from grader.records import Result

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
_NUMBERED = re.compile(r"(?P<name>.+) \((?P<number>.+)\)", re.DOTALL)


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
    claimed : the places of people without a result to whom such a result could belong
    """

    results: Mapping[int, tuple[Result, ...]]
    by_name: frozenset[int]
    unmatched: tuple[Result, ...]
    unclear: tuple[str, ...]
    claimed: frozenset[int] = frozenset()


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
    by_name = Names((person.name, *person.other_names) for person in people)
    owners, kinds = _owners(people, results)
    found: dict[int, set[int]] = defaultdict(set)
    for number, places in owners.items():
        for place in places:
            found[place].add(number)
    unclear: list[str] = []
    unmatched: list[Result] = []
    claimed: set[int] = set()

    def candidates_for(name: str, result: Result, *, own: bool) -> set[int]:
        """own : the submission is this name's alone, so that its ids tell who it is not"""
        bearers = by_name.find(name)
        if not bearers and _is_canvas_name(name, result):
            bearers = by_name.find_joined(name)
        return {p for p in bearers if not (own and _is_another(people[p], result, kinds))}

    def given_once(claims: Mapping[int, Sequence[int]]) -> Iterator[tuple[int, int]]:
        """Yield (place, number of the result); nothing where two people's work has one name."""
        for place, numbers in sorted(claims.items()):
            their_work = [results[number] for number in numbers]
            if _are_several(people[place], their_work):
                paths = ", ".join(result.path for result in their_work)
                unclear.append(f"several people's work has the name {people[place].name}: {paths}")
                unmatched.extend(results[number] for number in numbers if number not in owners)
                claimed.add(place)
                settled.update(numbers)
            else:
                yield from ((place, number) for number in numbers)

    settled: set[int] = set()
    by_ids = frozenset(found)
    claims: dict[int, list[int]] = defaultdict(list)
    for number, result in enumerate(results):
        if number not in owners and result.origin.platform:
            for name in names_by_platform(result):
                candidates = candidates_for(name, result, own=True)
                if len(candidates) == 1 and not candidates & by_ids:
                    claims[candidates.pop()].append(number)
    for place, number in given_once(claims):
        owners.setdefault(number, set()).add(place)
        found[place].add(number)

    own = frozenset(found)
    claims = defaultdict(list)
    for number, result in enumerate(results):
        if number in settled:
            continue
        names = names_in(result)
        left = list(owners.get(number, ()))
        given: set[int] = set()
        for name in names:
            written = spellings(name)
            owner = next((p for p in left if written & _spellings_of(people[p])), None)
            if owner is not None:
                # The name is its owner's: nobody else of that name has a part in it.
                left.remove(owner)
                continue
            alone = number not in owners and (len(names) == 1 or name in names_by_platform(result))
            candidates = candidates_for(name, result, own=alone)
            free = candidates - own
            if len(candidates) == 1:
                given |= free
            elif free:
                unclear.append(f"{result.path}: {len(candidates)} people are called {name}")
                claimed |= free
        for place in given:
            claims[place].append(number)
        if number not in owners and not given:
            unmatched.append(result)
    named: set[int] = set()
    for place, number in given_once(claims):
        found[place].add(number)
        named.add(place)
    return Matched(
        {place: tuple(results[n] for n in sorted(theirs)) for place, theirs in found.items()},
        frozenset(named),
        tuple(unmatched),
        tuple(unclear),
        frozenset(claimed - set(found)),
    )


def names_in(result: Result) -> tuple[str, ...]:
    """Return the names of those who handed in, without the number that tells two apart."""
    return tuple(_bare(name, result) for name in result.students) or names_by_platform(result)


def names_by_platform(result: Result) -> tuple[str, ...]:
    """Return the names that the platform gave, none without a platform."""
    origin = result.origin
    return tuple(_bare(name, result) for name in origin.students or (origin.name,) if name)


def _bare(name: str, result: Result) -> str:
    """Return "Luca Rossi" for "Luca Rossi (4002)", if 4002 is an id of that submission."""
    found = _NUMBERED.fullmatch(name)
    ids = {one for value in result.origin.ids.values() for one in (value, *value.split())}
    return found["name"] if found and found["number"] in ids else name


def _owners(
    people: Sequence[Person], results: Sequence[Result]
) -> tuple[dict[int, set[int]], frozenset[str]]:
    """Return the places of those whom ids or the group tell, by the number of the result.

    Also return the kinds of ids that told someone.
    """
    by_id: dict[tuple[str, str], list[int]] = defaultdict(list)
    by_group: dict[str, list[int]] = defaultdict(list)
    for place, person in enumerate(people):
        for kind, value in person.ids.items():
            by_id[kind, _folded(value)].append(place)
        if person.group:
            for name in {squeezed(person.group), joined(person.group)}:
                by_group[name].append(place)
    owners: dict[int, set[int]] = {}
    kinds: set[str] = set()
    for number, result in enumerate(results):
        places, by = _owners_by_id(result, by_id)
        # A group's submission has the group's name and number; each member has a row.
        origin = result.origin
        written = joined(origin.name) if origin.platform == "canvas" else squeezed(origin.name)
        group = by_group.get(written, []) if origin.name else []
        if group and not places & set(group):
            places, by = set(group), set()
        kinds |= by
        if places:
            owners[number] = places
    return owners, frozenset(kinds)


def _owners_by_id(
    result: Result, by_id: Mapping[tuple[str, str], Sequence[int]]
) -> tuple[set[int], set[str]]:
    """Return the places of those with an id of the result's, and the kinds of these ids."""
    owners: set[int] = set()
    kinds: set[str] = set()
    for kind, value in ids_of(result).items():
        # Gradescope lists the addresses of a whole team.
        for one in value.split() if kind in ("sid", "email") else [value]:
            places = by_id.get((kind, _folded(one)), ())
            if len(places) == 1:
                owners.update(places)
                kinds.add(kind)
    return owners, kinds


def _is_another(person: Person, result: Result, kinds: Collection[str]) -> bool:
    """Return whether an id shows that the result is not this person's.

    kinds : those that told someone. A list may have the numbers of another assignment, which
        tell no one.
    """
    ids = ids_of(result)
    return any(
        kind in ids
        and person.ids.get(kind, "")
        and _folded(person.ids[kind]) not in map(_folded, (ids[kind], *ids[kind].split()))
        for kind in kinds
    )


def _are_several(person: Person, results: Sequence[Result]) -> bool:
    """Return whether the platform's ids show that the results are of several people of one name.

    Results of a team, or with another person's name, are not compared.
    """
    own = [ids_of(r) for r in results if len(names_in(r)) == 1 and _bears(person, r)]
    return any(
        len({_folded(ids[kind]) for ids in own if kind in ids}) > 1 for kind in set(KINDS.values())
    )


def _bears(person: Person, result: Result) -> bool:
    """Return whether a submission of one student has the person's name."""
    (name,) = names_in(result)
    if _is_canvas_name(name, result):
        return bool(Names([[person.name]]).find_joined(name))
    return bool(spellings(person.name) & spellings(name))


def _is_canvas_name(name: str, result: Result) -> bool:
    return result.origin.platform == "canvas" and name == result.origin.name


def _folded(value: str) -> str:
    return value.strip().casefold()


def _spellings_of(person: Person) -> frozenset[str]:
    return frozenset().union(*map(spellings, (person.name, *person.other_names)))
