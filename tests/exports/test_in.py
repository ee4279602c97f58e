"""Every export comes in whole: a row a student, by the platform's own keys, nobody joined."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.errors import SubmissionError
from grader.submission import find_parts, open_submission, split_zip

from .conftest import FOLDERS, NAMES, ZIPS, Person, notebook, people_of, zipped


def found_in_zip(files, folder, name="export.zip"):
    path = folder / name
    path.write_bytes(zipped(files))
    return find_parts([path], folder / "scratch")


def found_in_folder(files, folder):
    for name, content in files.items():
        path = folder / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return find_parts([folder / "export"], folder / "scratch")


def texts_of(part, into):
    """The notebooks' texts of a part; "" for each that can't be opened."""
    if part.problem:
        return ""
    into.mkdir(parents=True)
    try:
        submission = open_submission(part.path, into)
    except SubmissionError:
        return ""
    return "".join((into / file).read_text() for file in submission.files)


def check_whole(found, people, tmp_path):
    """A part for each student, whose work is that student's alone."""
    assert len(found.parts) == len(people)
    texts = [texts_of(part, tmp_path / "in" / str(n)) for n, part in enumerate(found.parts)]
    for person in people:
        mine = f'"who = {person.number}"'
        if person.files.get("toy.ipynb") == notebook(f"who = {person.number}"):
            assert sum(mine in text for text in texts) == 1, person.name
    assert len({part.shown for part in found.parts}) == len(people)
    keys = [tuple(sorted(part.origin.ids.items())) for part in found.parts]
    assert len(set(keys)) == len(people)


@pytest.mark.parametrize("form", ZIPS)
def test_a_zip_of_a_class_of_40_is_40_submissions(form, people, tmp_path):
    found = found_in_zip(ZIPS[form](people), tmp_path)
    check_whole(found, people, tmp_path)
    assert found.remarks == ()


@pytest.mark.parametrize("form", FOLDERS)
def test_so_is_the_folder_that_it_was_unpacked_into(form, people, tmp_path):
    found = found_in_folder(FOLDERS[form](people), tmp_path)
    check_whole(found, people, tmp_path)


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        ("moodle", {"participant": "2001"}),
        ("moodle_blind", {"participant": "2001"}),
        ("canvas", {"user": "4001", "attachment": "90002"}),
        ("canvas_groups", {"user": "4001", "attachment": "90002"}),
        ("blackboard", {"username": "u_001", "attempt": "2026-11-20-10-01-12"}),
        ("brightspace", {"user": "4001", "folder": "567"}),
        ("gradescope", {"submission": "30001", "sid": "4001", "email": "u_001@example.org"}),
        ("github", {"username": "u-001", "repository": "toy-u-001"}),
        ("nbgrader", {"student": "u_001", "assignment": "toy"}),
    ],
)
def test_the_platform_s_own_keys_are_kept(form, keys, people, tmp_path):
    origins = [part.origin.ids for part in found_in_folder(FOLDERS[form](people), tmp_path).parts]
    assert keys in origins


@pytest.mark.parametrize("form", ["moodle", "canvas", "brightspace", "gradescope"])
def test_two_students_of_one_name_are_told_apart_by_the_platform_s_number(form, people, tmp_path):
    found = found_in_zip(ZIPS[form](people), tmp_path)
    twins = [p.origin for p in found.parts if "ossi" in p.origin.name]
    assert len(twins) == 2
    assert len({twin.students for twin in twins}) == 2


@pytest.mark.parametrize("platform", ["blackboard", "brightspace"])
def test_two_attempts_of_one_student_have_the_student_s_name_alone(platform, tmp_path):
    files = {}
    for day in (20, 21):
        if platform == "blackboard":
            attempt = f"Toy_u_1_attempt_2026-11-{day}-10-00-00"
            files[f"{attempt}.txt"] = b"Name: Luca Rossi (u_1)\n"
            files[f"{attempt}_toy.ipynb"] = b"{}"
        else:
            files[f"41-5 - Luca Rossi - Nov {day}, 2026 1005 PM/toy.ipynb"] = b"{}"
    export = tmp_path / "export.zip"
    export.write_bytes(zipped(files))
    origins = [part.origin for part in split_zip(export, tmp_path / "in").parts]
    assert [origin.students or (origin.name,) for origin in origins] == [("Luca Rossi",)] * 2


@pytest.mark.parametrize(
    "usernames", [("a_smith", "b_smith", "jones"), ("u1", "u2"), ("x_u_1", "y_u_1")]
)
def test_user_names_of_blackboard_are_whole_although_no_text_tells_them(usernames, tmp_path):
    export = tmp_path / "export.zip"
    stamp = "attempt_2026-11-20-10-00-00"
    export.write_bytes(zipped({f"Lab_1_{name}_{stamp}_toy.ipynb": b"{}" for name in usernames}))
    origins = [part.origin for part in split_zip(export, tmp_path / "in").parts]
    assert [(one.name, one.ids["username"]) for one in origins] == [(u, u) for u in usernames]


def test_brackets_in_a_name_are_not_the_user_name(tmp_path):
    bob = Person(1, "Robert (Bob) Lee", {"toy.ipynb": notebook("x")})
    (part,) = found_in_zip(ZIPS["blackboard"]([bob]), tmp_path).parts
    assert (part.origin.name, part.origin.ids["username"]) == ("Robert (Bob) Lee", "u_001")


def test_letters_of_every_script_stay_in_the_names(people, tmp_path):
    names = {part.origin.name for part in found_in_zip(ZIPS["moodle"](people), tmp_path).parts}
    assert {"Søren Østergård", "Łukasz Żółć", "王 伟", "Иван Петров", "İpek Şahin"} <= names


@pytest.mark.parametrize("form", ["canvas", "canvas_groups", "canvas_anonymous", "canvas_texts"])
def test_late_is_kept(form, people, tmp_path):
    found = found_in_zip(ZIPS[form](people), tmp_path)
    assert sum(part.origin.late for part in found.parts) == sum(p.late for p in people)


@pytest.mark.parametrize("form", ["blackboard", "gradescope", "brightspace", "nbgrader"])
def test_the_time_of_the_hand_in_is_kept(form, people, tmp_path):
    found = found_in_folder(FOLDERS[form](people), tmp_path)
    assert all(part.origin.handed_in.startswith("2026-11-") for part in found.parts)


# --- what is not as the rest is ------------------------------------------------------------


def test_an_archive_of_which_most_bears_names_is_never_one_submission(people, tmp_path):
    files = ZIPS["moodle"](people) | {"left over.ipynb": notebook("odd"), "list.pdf": b"%PDF"}
    found = found_in_zip(files, tmp_path)
    assert len(found.parts) == 41
    assert [part.shown for part in found.parts if not part.origin.platform] == [
        f"{tmp_path / 'export.zip'}/left over.ipynb"
    ]
    taken, left = found.remarks
    assert taken.startswith("1 in export.zip, but not named by the platform")
    assert left == "1 in export.zip, with no student, not graded: list.pdf"


def test_zips_that_are_named_one_by_one_are_never_split(people, tmp_path):
    paths = []
    for name in ("Meier_Anna.zip", "Roe_Eve.zip"):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(zipped(ZIPS["moodle"](people)))
    assert [part.path for part in find_parts(paths, tmp_path / "s").parts] == paths
    assert len(find_parts(paths[:1], tmp_path / "t").parts) == 40
    assert len(find_parts(paths, tmp_path / "u", split=True).parts) == 80
    assert len(find_parts(paths[:1], tmp_path / "v", split=False).parts) == 1


def test_another_s_name_in_one_s_own_zip_makes_no_second_student(tmp_path):
    mine = {
        "toy.ipynb": notebook("mine"),
        "Anna Mueller_1001_assignsubmission_file_/x.ipynb": notebook("hers"),
    }
    assert len(found_in_zip(mine, tmp_path, "Roe_Eve.zip").parts) == 1


def test_one_limit_holds_over_all_owners_of_an_export(tmp_path, monkeypatch):
    monkeypatch.setattr("grader.submission.archive.MAX_TOTAL_BYTES", 8 << 20)
    files = {
        f"Eve {n}_{n}_assignsubmission_file_/data.bin": bytes(2 << 20) for n in range(100, 130)
    }
    found = found_in_zip(files, tmp_path)
    written = sum(f.stat().st_size for f in (tmp_path / "scratch").rglob("*") if f.is_file())
    assert written <= 8 << 20
    assert len(found.parts) == 30
    assert "the whole export unpacks to over 30 times its size" in found.parts[-1].problem


# --- folders and flat heaps ----------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("named", ["Mueller_Anna{}x", "notebook{}", "hw-{}-final"])
def test_a_flat_heap_of_29_notebooks_is_a_class(packed, named, tmp_path):
    template = ["# The task", "import numpy as np", "def f(x):\n    return x", "print('end')"]
    files = {}
    for n in range(29):
        made = [{"cell_type": "code", "source": s} for s in [*template, f"own = {n}"]]
        name = named.format("" if "Mueller" in named else n)
        name = f"{name}{'abcdefghijklmnopqrstuvwxyzåäö'[n]}" if "Mueller" in named else name
        files[f"{name}.ipynb"] = json.dumps({"cells": made}).encode()
    found = (found_in_zip if packed else found_in_folder)(files, tmp_path)
    assert len(found.parts) == 29


def test_three_notebooks_of_one_student_are_one_submission(tmp_path):
    files = {f"part{n}.ipynb": notebook(f"part = {n}") for n in range(3)}
    assert len(found_in_zip(files, tmp_path).parts) == 1
    (tmp_path / "folder").mkdir()
    assert len(found_in_folder(files, tmp_path / "folder").parts) == 1


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_of_folders_is_a_class(packed, people, tmp_path):
    files = {
        f"class/{p.name.replace(' ', '_')}_{p.number}/toy.ipynb": notebook(
            f"who = {p.number}"
        ).replace(b'"cells": [', b'"cells": [{"cell_type": "markdown", "source": "The task"}, ')
        for p in people
    }
    found = (found_in_zip if packed else found_in_folder)(files, tmp_path)
    assert len(found.parts) == 40


def test_one_loose_notebook_among_zips_costs_nobody_the_grade(people, tmp_path):
    files = {f"Meier_{chr(65 + n)}nna.zip": zipped({"toy.ipynb": notebook(n)}) for n in range(6)}
    files["Rossi_Luca.ipynb"] = notebook("loose")
    assert len(found_in_folder(files, tmp_path).parts) == 7


# --- any names -----------------------------------------------------------------------------

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"),
    min_size=1,
    max_size=12,
).filter(lambda word: word.strip(" ._") == word and not word.startswith("~"))
CLASSES = st.lists(WORDS | st.sampled_from(NAMES), min_size=2, max_size=12)


@pytest.mark.parametrize("form", sorted(ZIPS))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=CLASSES, data=st.data())
def test_no_names_lose_or_join_a_student(form, names, data, tmp_path_factory):
    made = [
        Person(n, name, {data.draw(st.sampled_from(["toy.ipynb", "a_b_1_22_c.ipynb", "x.zip"])):
                         notebook(f"who = {n}")})
        for n, name in enumerate(names)
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("any")
    found = found_in_zip(ZIPS[form](made), folder)
    assert len(found.parts) == len(made)
    assert len({tuple(sorted(p.origin.ids.items())) for p in found.parts}) == len(made)


def test_people_of_the_class_are_as_odd_as_they_are_said_to_be():
    made = people_of(NAMES)
    assert len(made) == 40
    assert sum(not p.works for p in made) >= 2
    assert any(p.late for p in made)
    assert len(set(NAMES)) < 40
    assert zipfile.is_zipfile(Path(__file__)) is False
