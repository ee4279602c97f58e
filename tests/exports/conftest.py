"""A made-up class of 40, and every form in which a learning platform hands out what it handed in.

Each writer follows what the platform's own source does with names (its rules stand beside it), and
returns {path in the archive: bytes}. What a student handed in lies in `Person.files`.
"""

import io
import json
import re
import zipfile
from dataclasses import dataclass, field

import pytest

NAMES = (
    "Anna Meier", "Luca Rossi", "Luca Rossi", "Søren Østergård", "Łukasz Żółć", "Bo Çelik",
    "Seán O'Neill", "Anne-Marie Dupont-Müller", "María José de la Cruz", "Nguyễn Thị Minh",
    "王 伟", "李 小龙", "Иван Петров", "Ольга Ёлкина", "محمد علي", "Γιώργος Παπαδόπουλος",
    "김 민준", "さとう はな", "Zoë Brontë", "Jean-Luc d'Arc", "X Æ", "Jan van der Berg",
    "Ana Maria Silva", "Ana Silva", "J. R. Smith", "Smith Jr. Bob", "Åsa Öberg", "Dvořák Antonín",
    "Ιωάννα Νίκου", "Björk Guðmundsdóttir", "Ng", "Li Na", "Eva Horváth", "Mehmet Yılmaz",
    "İpek Şahin", "Tomás Ó Sé", "Nina-Sofia Berg", "Fatima Al-Zahra", "Student 7",
    "O'Brien-Lee Kim",
)  # fmt: skip


def notebook(text):
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "outputs": [],
            "execution_count": None, "source": text}  # fmt: skip
    return json.dumps(
        {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    ).encode()


def zipped(files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@dataclass
class Person:
    """number : from 0; the platforms' own keys are made of it"""

    number: int
    name: str
    files: dict = field(default_factory=dict)
    late: bool = False

    @property
    def participant(self):
        return str(2000 + self.number)

    @property
    def user(self):
        return str(4000 + self.number)

    @property
    def username(self):
        return f"u_{self.number:03d}"

    @property
    def email(self):
        return f"{self.username}@example.org"

    @property
    def works(self):
        """Whether a notebook can be found in what was handed in."""
        return any(name.endswith((".ipynb", ".zip")) for name in self.files)


def people_of(names):
    """A class of these names, in which some are late, some handed in a PDF, one a broken zip."""
    made = []
    for number, name in enumerate(names):
        files = {"toy.ipynb": notebook(f"who = {number}")}
        if number % 7 == 3:
            files = {"my work.zip": zipped(files)}
        if number % 11 == 5:
            files["figure.tar.gz"] = b"no work"
        if number % 13 == 6:
            files = {"report.final.pdf": b"%PDF-1.7"}
        if number % 17 == 9:
            files = {
                "toy.ipynb": files.get("toy.ipynb", notebook("x")),
                "toy (1).ipynb": notebook("y"),
            }
        if number == 8:
            files = {"work.zip": b"PK\x03\x04 cut off"}
        made.append(Person(number, name, files, late=number % 5 == 4))
    return made


# --- the platforms' rules ------------------------------------------------------------------


def moodle_name(person):
    # "_" is the separator, so it becomes a blank; "/" and the like are cleaned out of file names.
    return re.sub(r'[/\\:*?"<>|\x00-\x1f]', "", person.name.replace("_", " ")).strip() or "x"


def moodle(people):
    return {
        f"{moodle_name(p)}_{p.participant}_assignsubmission_file/{name}": content
        for p in people
        for name, content in p.files.items()
    }


def moodle_old(people):
    """Before 4.1 the folder ends with "_"; a text that was typed in lies in a second folder."""
    made = {}
    for p in people:
        where = f"{moodle_name(p)}_{p.participant}_assignsubmission"
        made |= {f"{where}_file_/{name}": content for name, content in p.files.items()}
        if p.number % 3 == 0:
            made[f"{where}_onlinetext_/onlinetext.html"] = b"<p>done</p>"
    return made


def moodle_flat(people):
    return {
        f"{moodle_name(p)}_{p.participant}_assignsubmission_file_{name}": content
        for p in people
        for name, content in p.files.items()
    }


def moodle_blind(people):
    return {
        f"Participant_{p.participant}_assignsubmission_file/{name}": content
        for p in people
        for name, content in p.files.items()
    }


def moodle_teams(people):
    return {
        f"Group {p.number + 1}_{p.participant}_assignsubmission_file/{name}": content
        for p in people
        for name, content in p.files.items()
    }


def canvas_name(text):
    return re.sub(r"\W|_", "", text.lower()) or "x"


def canvas(people, name=lambda p: canvas_name(" ".join(reversed(p.name.split(" ", 1))))):
    made = {}
    attachment = 90000
    for p in people:
        for file, content in p.files.items():
            attachment += 1
            late = "_LATE" if p.late else ""
            made[f"{name(p)}{late}_{p.user}_{attachment}_{file}"] = content
    return made


def canvas_groups(people):
    return canvas(people, lambda p: f"group{p.number + 1}")


def canvas_anonymous(people):
    letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJ"
    made = {}
    for p in people:
        key = f"{letters[p.number % 30]}{p.number}Qx"
        for n, (file, content) in enumerate(p.files.items()):
            late = "LATE_" if p.late else ""
            made[f"{late}anon_{key}_{70000 + 10 * p.number + n}_{file}"] = content
    return made


def canvas_texts(people):
    """Every third typed a text, or named a link, beside the files."""
    made = canvas(people)
    for p in people:
        late = "_LATE" if p.late else ""
        name = canvas_name(" ".join(reversed(p.name.split(" ", 1))))
        if p.number % 3 == 0:
            made[f"{name}{late}_{p.user}_text.html"] = b"<p>done</p>"
        if p.number % 3 == 1:
            made[f"{name}{late}_{p.user}_link.html"] = b"<a href='https://example.org'>it</a>"
    return made


def blackboard(people):
    made = {}
    for p in people:
        where = f"Homework_1_{p.username}_attempt_2026-11-20-10-{p.number % 60:02d}-12"
        made[f"{where}.txt"] = (
            f"Name: {p.name} ({p.username})\nAssignment: Homework 1\n"
            "Date Submitted: Friday, November 20, 2026\n\nFiles:\n"
        ).encode()
        made |= {f"{where}_{name}": content for name, content in p.files.items()}
    return made


def brightspace(people):
    made = {"index.html": b"<html></html>"}
    for p in people:
        folder = f"{p.user}-567 - {p.name} - Nov {p.number % 28 + 1}, 2026 {p.number % 12 + 1}05 PM"
        made |= {f"{folder}/{name}": content for name, content in p.files.items()}
    return made


def gradescope(people):
    made, lines = {}, []
    for p in people:
        folder = f"submission_{30000 + p.number}"
        lines += [
            f"{folder}:",
            "  :submitters:",
            f"  - :name: {json.dumps(p.name, ensure_ascii=False)}",
            f"    :sid: '{p.user}'",
            f"    :email: {p.email}",
            "  :created_at: !ruby/object:ActiveSupport::TimeWithZone",
            "    utc: 2026-11-20 10:00:00.000000000 Z",
            "  :score: 0.0",
        ]
        made |= {f"assignment_77_export/{folder}/{name}": c for name, c in p.files.items()}
    made["assignment_77_export/submission_metadata.yml"] = "\n".join(lines).encode()
    return made


def github(people):
    made = {}
    for p in people:
        clone = f"toy-submissions/toy-{p.username.replace('_', '-')}"
        made[f"{clone}/.git/config"] = b"[core]\n"
        made |= {f"{clone}/{name}": content for name, content in p.files.items()}
    return made


def nbgrader(people):
    made = {}
    for p in people:
        made |= {f"submitted/{p.username}/toy/{name}": c for name, c in p.files.items()}
        made[f"submitted/{p.username}/toy/timestamp.txt"] = b"2026-11-20 10:00:00.000000 UTC"
    return made


ZIPS = {
    writer.__name__: writer
    for writer in (moodle, moodle_old, moodle_flat, moodle_blind, moodle_teams, canvas,
                   canvas_groups, canvas_anonymous, canvas_texts, blackboard, brightspace,
                   gradescope)
}  # fmt: skip
FOLDERS = ZIPS | {"github": github, "nbgrader": nbgrader}


@pytest.fixture(scope="session")
def people():
    return people_of(NAMES)
