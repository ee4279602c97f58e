"""A request of a grader, and how its page is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jinja2

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.report.judgement_words import signed
from grader.report.wording import points_text
from grader.review.classroom import Classroom
from grader.review.rights import Grader
from grader.text import printable

Settings = dict[str, bool]
MAX_TEXT = 100_000
_SETTINGS: Settings = {"names": True, "keys": True}


class Refused(ReviewError):
    """This grader may not do that."""


@dataclass
class Visit:
    """A request of a grader.

    base : the path that every address begins with
    form : each field's last value, of a POST; lists : all values of each field
    """

    store: Store
    room: Classroom
    grader: Grader
    base: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    several: bool = False
    """Whether there are several graders."""

    def require(self, right: str, exercise: str = "") -> None:
        """Raise Refused if the grader lacks a right, or may not open the exercise."""
        if right not in self.grader.may:
            raise Refused(f"the file of rights does not give {self.grader.name} the right {right}")
        if exercise and not self.grader.sees(exercise):
            raise Refused(f"the file of rights does not give {self.grader.name} {exercise}")

    @property
    def settings(self) -> Settings:
        """This grader's settings: whether names are shown, and whether keys work."""
        with self.store.guarded():
            row = self.store.connection.execute(
                "SELECT settings FROM graders WHERE name = ?", (self.grader.name,)
            ).fetchone()
        saved = json.loads(row[0]) if row else {}
        return {name: bool(saved.get(name, default)) for name, default in _SETTINGS.items()}

    def keep_setting(self, name: str, value: bool) -> None:
        if name not in _SETTINGS:
            raise ReviewError(f"there is no setting {name!r}")
        settings = {**self.settings, name: value}
        with self.store.writing():
            self.store.connection.execute(
                "INSERT INTO graders (name, settings) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET settings = excluded.settings",
                (self.grader.name, json.dumps(settings)),
            )

    @property
    def names(self) -> bool:
        """Whether names are shown."""
        return "names" in self.grader.may and self.settings["names"]

    def url(self, *parts: object, **query: object) -> str:
        """Return an address of this server."""
        path = "/".join([self.base, *(str(part) for part in parts)])
        wanted = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{path}?{urlencode(wanted)}" if wanted else path

    def number(self, name: str) -> float:
        """Return a number of the form. Raises ReviewError."""
        text = self.form.get(name, "").strip()
        try:
            return float(text.replace(",", ".").replace("−", "-"))
        except ValueError:
            raise ReviewError(
                f"{text!r} is not a number" if text else "a number is missing"
            ) from None

    def whole(self, name: str) -> int:
        """Return an integer of the form. Raises ReviewError."""
        number = self.number(name)
        if number != int(number):
            raise ReviewError(f"{number:g} is not a whole number")
        return int(number)


@dataclass(frozen=True)
class Page:
    """The answer to a request. location : the target of a redirect after a change"""

    body: str = ""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    location: str = ""
    file: str = ""
    """The name under which a browser saves the page."""


def _harmless(value: Any) -> Any:
    # Markup is a subclass of str that this program made itself.
    return printable(value, MAX_TEXT) if type(value) is str else value


@cache
def environment() -> jinja2.Environment:
    """Return the templates' environment: each inserted text is made printable, and escaped."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("grader.review.pages", "templates"),
                jinja2.PackageLoader("grader", "report"),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["points"] = points_text
    made.filters["signed"] = signed
    return made


def render(visit: Visit, template: str, *, status: int = 200, **values: Any) -> Page:
    """Return the page of a template. values : the template's own variables"""
    settings = visit.settings
    body = (
        environment()
        .get_template(template)
        .render(
            visit=visit,
            room=visit.room,
            run=visit.room.run,
            grader=visit.grader,
            base=visit.base,
            url=visit.url,
            keys=settings["keys"],
            names=visit.names,
            said=visit.query.get("said", "")[:300],
            **values,
        )
    )
    return Page(body, status)


def go(visit: Visit, *parts: object, **query: object) -> Page:
    """Return a redirect to a page of this server."""
    return Page(status=303, location=visit.url(*parts, **query))
