"""Find the students from the name of a file or folder, which is only a claim."""

from __future__ import annotations

import re
from pathlib import Path

from grader.submission.platforms import platform_of
from grader.submission.work import HANDED_IN
from grader.text import full_name, in_name, is_east_asian


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SECOND_GIVEN_NAMES = _words(
    "marie pierre paul luc claude peter jakob jacob christophe françois francois baptiste louise "
    "sophie laure michel marc philippe jacques lena léna lea léa noël noel yves daniel andré andre "
    "charles henri rené rene joël joel sébastien sebastien david rose anne lou lise line maria "
    "katharina kathrin christine sylvie catherine claire luise lotte sofie heinz dieter jürgen "
    "juergen georg josef joseph ulrich rudolf friedrich werner ludwig max martin"
)
"""Second halves of double given names: the "-" before one doesn't start another student."""
PARTICLES = _words(
    "van von vom de del della di da du des den der la le el al ter ten dos das do bin ibn"
)
NO_NAMES = _words(
    "submission submissions solution solutions final homework assignment exercise exercises "
    "notebook notebooks pw hw tp lab stud student students copy version group team project code "
    "answers answer report zip ex work practical template templates test part question problem "
    "regression logistic linear neural network networks classifier binary gradient descent mnist "
    "tutorial numpy learning deep machine perceptron python jupyter untitled image images data"
)
"""Words of file names that follow no convention: "my_solution.zip" is not by a Solution My."""
MAX_STUDENT_CHARS = 80
_OTHER_SUFFIXES = _words(".html .htm .m .mlx .r .rmd .md .rtf .pages .png .jpg .jpeg .heic .mat")
SUFFIXES = frozenset({".zip", ".ipynb", ".json", ".txt", *HANDED_IN, *_OTHER_SUFFIXES})


def students_of(name: str) -> tuple[str, ...]:
    """Return the students named by a file or folder, each as the script of the name has it.

    The convention is `family name_given name #1- family name_given name #2.zip`; names may hold
    accents, hyphens, blanks and apostrophes, and learning platforms add their own text.
    A name that follows no convention is returned whole, as the only "student".
    """
    stem, suffix = _parted(in_name(name))
    fallback = (_shortened(stem.strip()) or "unknown",)
    owner, rest = _without_platform(stem)
    if not owner and (copied := _owner_of_copy(rest)):
        return (_shortened(copied),)
    if suffix in (".ipynb", ".py") and (owner or not _is_capital(rest)):
        # "Mueller_Anna.ipynb" is a student's name, "linear_regression.ipynb" is not.
        return (_shortened(owner),) if owner else fallback
    rest = re.sub(r"\(\d+\)|#\s*\d*", " ", rest)
    parts = [_name_of(part) for part in _students_apart(rest)]
    if parts and all(parts):
        return tuple(_shortened(part) for part in parts if part)
    return (_shortened(owner),) if owner else fallback


def has_students_name(name: str) -> bool:
    """Return whether the name of a file or folder follows a convention of students' names."""
    stem, _ = _parted(in_name(name))
    if _owner_of_copy(stem):
        return True
    parts = [_name_of(part) for part in _students_apart(stem)]
    return bool(parts) and all(parts) and _is_capital(stem)


def is_full_name(name: str) -> bool:
    """Return whether a folder's name may be a person's: "Anna Meier", but not "Part Two"."""
    return bool(_owner_of_copy(f"{in_name(name)} - work"))


def is_students_folder(name: str) -> bool:
    """Return whether the name of a folder is a student's."""
    return has_students_name(name) or is_full_name(name)


def _parted(name: str) -> tuple[str, str]:
    """Return a name without the suffix of what is handed in, and that suffix."""
    stem, suffix = name, Path(name).suffix.lower()
    if suffix in SUFFIXES:
        stem = name[: -len(suffix)]
    inner = Path(stem).suffix.lower()
    if inner in (".tar", ".ipynb") and suffix in SUFFIXES:  # .tar.gz, .ipynb.txt
        return stem[: -len(inner)], inner if inner == ".ipynb" else suffix
    return stem, suffix


def _owner_of_copy(stem: str) -> str:
    """Return "Anna Meier" for "Anna Meier - toy", as Google Classroom names copies; else ""."""
    owner, dash, rest = stem.partition(" - ")
    words = owner.split()
    if not dash or not rest.strip() or "_" in owner or any(char.isdigit() for char in owner):
        return ""
    if any(_name_of(part) for part in _students_apart(rest)):
        return ""  # "Rossi - Bianchi_Jan" is one name
    if not (2 <= len(words) <= 8 or is_east_asian(owner)) or not _is_capital(owner):
        return ""
    parts = [part.casefold() for part in re.split(r"[\s.,'’-]+", owner)]
    return "" if any(part in NO_NAMES for part in parts) else owner.strip()


def _is_capital(stem: str) -> bool:
    """Tell whether each word except particles starts with a capital, in scripts with case."""
    words = [word for word in re.split(r"[_\s]+", stem) if word[:1].isalpha()]
    return bool(words) and all(
        not word[0].islower() or word.casefold() in PARTICLES for word in words
    )


def students_of_folder(name: str, inner: list[str]) -> tuple[str, ...]:
    """Return the students by the zip inside a platform's folder, else by the folder's name."""
    if len(inner) == 1:
        students = students_of(inner[0])
        if students != (_shortened(Path(inner[0]).stem.strip()),):
            return students
    return students_of(name)


def _without_platform(stem: str) -> tuple[str, str]:
    """Return (the owner that the platform names, what the student wrote)."""
    found = platform_of(stem)
    return (found.owner, stem[len(found.prefix) :]) if found else ("", stem)


def _students_apart(text: str) -> list[str]:
    """Return one part for each student: cut at separating dashes, not at those inside names."""
    parts: list[str] = []
    for piece in re.split(r"\s+[-–—]\s*|\s*[-–—]\s+", text.strip()):
        # A piece with no "_" is the rest of a name that had blanks around its hyphen.
        if parts and "_" not in piece:
            parts[-1] += f"-{piece}"
        else:
            parts.append(piece)
    return [student for part in parts for student in _cut_at_bare_dashes(part)]


def _cut_at_bare_dashes(text: str) -> list[str]:
    """Cut "a_b-c_d" if both sides have a "_" and no double name is split."""
    for dash in re.finditer("-", text):
        left, right = text[: dash.start()], text[dash.end() :]
        if "_" not in left or "_" not in right:
            continue
        follower = re.split(r"[-_\s]", right, maxsplit=1)[0].casefold()
        # "Muller_Anne-Marie-Meier_Jan": the next dash is the one, if there is a next one.
        if follower in SECOND_GIVEN_NAMES and "-" in right.split("_", 1)[0]:
            continue
        return [left, *_cut_at_bare_dashes(right)]
    return [text]


def _name_of(part: str) -> str:
    """Return "given family" for "family_given", "王小明" for "王_小明"; "" if it is not a name."""
    words = [word.strip(" -.,") for word in part.split("_")]
    words = [word for word in words if word and not any(char.isdigit() for char in word)]
    if len(words) < 2 or any(not re.search(r"[^\W\d_]", word) for word in words):
        return ""
    if any(word.casefold() in NO_NAMES for word in words):
        return ""
    family = 1
    while family < len(words) - 1 and words[family - 1].casefold() in PARTICLES:
        family += 1
    return full_name(" ".join(words[family:]), " ".join(words[:family]))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_STUDENT_CHARS else text[: MAX_STUDENT_CHARS - 1] + "…"
