"""The keys of a student that learning platforms write into the names of files and folders.

| platform | example of a name |
|---|---|
| Moodle | `Anna Meier_1234_assignsubmission_file_` (a folder), `..._file_toy.ipynb` (flat) |
| Canvas | `meieranna_LATE_4021_99812_toy.ipynb`, `anon_x7Kq2_99_a.ipynb` |
| Blackboard | `Toy_am12_attempt_2026-11-20-10-11-12_toy.ipynb`, beside it a `.txt` |
| Brightspace | `1234-567 - Luca Rossi - Nov 1, 2026 1200 PM` (a folder) |

A name is only a claim, so only an instructor's export is split by names; see exports.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from grader.records import Origin


@dataclass(frozen=True)
class PlatformName:
    """A file's or folder's name, read as a platform writes it.

    prefix : the platform's part of the name; the rest is the student's
    key : identifies one submission; equal for all its files
    ids : the platform's own keys, by their names
    handed_in : ISO 8601 without a zone, "" if the name doesn't say
    """

    platform: str
    owner: str
    prefix: str
    key: str
    ids: Mapping[str, str] = field(default_factory=dict)
    late: bool = False
    handed_in: str = ""

    @property
    def origin(self) -> Origin:
        return Origin(self.platform, self.owner, dict(self.ids), self.late, self.handed_in)


_MOODLE = re.compile(
    # The first "_<number>_assignsubmission_": blanks stand for "_" in Moodle's full names.
    r"(?P<owner>.+?)_(?P<participant>\d+)_assignsubmission_(?P<plugin>[a-z]+)_?",
    re.IGNORECASE | re.DOTALL,
)
_CANVAS = re.compile(
    # The name is lower case without blanks; a group's may hold digits and "_".
    r"(?P<owner>\w+?)_(?P<late>LATE_)?(?P<user>\d+)_"
    r"(?:(?P<attachment>\d{2,})_|(?=(?:text|link)\.html$))",
)
_CANVAS_ANONYMOUS = re.compile(
    r"(?P<late>LATE_)?(?P<owner>anon_(?P<anonymous>[A-Za-z0-9]+))_"
    r"(?:(?P<attachment>\d{2,})_|(?=(?:text|link)\.html$))",
)
_BLACKBOARD = re.compile(
    r"(?P<before>.+)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_|(?=\.txt$)|$)", re.DOTALL
)
_BRIGHTSPACE = re.compile(
    r"(?P<user>\d+)-(?P<folder>\d+) - (?P<owner>.+?) - (?P<time>[^/]*\d{4}[^/]*)$", re.DOTALL
)


def platform_of(name: str) -> PlatformName | None:
    """Return the platform's part of a name; None if there is none."""
    for read in (_moodle, _blackboard, _canvas, _canvas_anonymous, _brightspace):
        found = read(name)
        if found is not None:
            return found
    return None


def _moodle(name: str) -> PlatformName | None:
    found = _MOODLE.match(name)
    if not found:
        return None
    owner, participant = found["owner"].strip(), found["participant"]
    return PlatformName(
        "moodle", owner, found[0], f"{owner}_{participant}", {"participant": participant}
    )


def _canvas(name: str) -> PlatformName | None:
    found = _CANVAS.match(name)
    if not found or found["owner"] != found["owner"].lower():
        return None
    ids = {"user": found["user"]}
    if found["attachment"]:
        ids["attachment"] = found["attachment"]
    return PlatformName(
        "canvas", found["owner"], found[0], f"{found['owner']}_{found['user']}", ids,
        late=bool(found["late"]),
    )  # fmt: skip


def _canvas_anonymous(name: str) -> PlatformName | None:
    found = _CANVAS_ANONYMOUS.match(name)
    if not found:
        return None
    ids = {"anonymous": found["anonymous"]}
    if found["attachment"]:
        ids["attachment"] = found["attachment"]
    return PlatformName(
        "canvas", found["owner"], found[0], found["owner"], ids, late=bool(found["late"])
    )


def _blackboard(name: str) -> PlatformName | None:
    found = _BLACKBOARD.match(name)
    if not found:
        return None
    # The assignment's name and a user name may both hold "_"; all of it tells students apart.
    username = found["before"].rpartition("_")[2]
    if not username or username == found["before"]:
        return None
    time = found["time"]
    return PlatformName(
        "blackboard",
        username,
        found[0],
        f"{found['before']}_{time}",
        {"username": username, "attempt": time},
        handed_in=f"{time[:10]}T{time[11:].replace('-', ':')}",
    )


def _brightspace(name: str) -> PlatformName | None:
    found = _BRIGHTSPACE.match(name)
    if not found:
        return None
    return PlatformName(
        "brightspace",
        found["owner"].strip(),
        found[0],
        found[0],
        {"user": found["user"], "folder": found["folder"]},
        handed_in=_brightspace_time(found["time"]),
    )


def _brightspace_time(text: str) -> str:
    """Return "Nov 1, 2026 1200 PM" as ISO 8601; "" in another language."""
    try:
        return datetime.strptime(" ".join(text.split()), "%b %d, %Y %I%M %p").isoformat()
    except ValueError:
        return ""
