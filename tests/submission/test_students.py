"""Names of files: whose work it is, in every way that students and learning platforms write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.submission import Part
from grader.submission.incoming import Incoming
from grader.submission.students import students_of


@pytest.mark.parametrize(
    ("name", "students"),
    [
        ("Freiburghaus_Jonas- Moulin_Vincent.zip", ("Jonas Freiburghaus", "Vincent Moulin")),
        ("Freiburghaus_Jonas - Moulin_Vincent.zip", ("Jonas Freiburghaus", "Vincent Moulin")),
        ("Freiburghaus_Jonas-Moulin_Vincent.zip", ("Jonas Freiburghaus", "Vincent Moulin")),
        ("Solo_Hans.zip", ("Hans Solo",)),
        ("王_小明.ipynb", ("王小明",)),
        ("欧阳_小明- 김_민준.zip", ("欧阳小明", "김민준")),
        ("佐々木_花子.zip", ("佐々木花子",)),
        ("王_Wei.zip", ("Wei 王",)),
        ("Müller_Anne-Marie- Rossi-Bianchi_Jan.zip", ("Anne-Marie Müller", "Jan Rossi-Bianchi")),
        ("Müller_Anne-Marie-Meier_Jan.zip", ("Anne-Marie Müller", "Jan Meier")),
        ("Rossi-Bianchi_Anna-Meier_Jan.zip", ("Anna Rossi-Bianchi", "Jan Meier")),
        ("Mu\u0308ller_Zoe\u0308.zip", ("Zoë Müller",)),
        ("O'Neil_Sean #1- de la Cruz_Juan #2.zip", ("Sean O'Neil", "Juan de la Cruz")),
        ("Van_der_Berg_Anna.zip", ("Anna Van der Berg",)),
        ("Solo_Hans (1).zip", ("Hans Solo",)),
        ("PW02_Solo_Hans.zip", ("Hans Solo",)),
        ("Jane Doe_12345_assignsubmission_file_.zip", ("Jane Doe",)),
        ("Jane Doe_12345_assignsubmission_file_Doe_Jane- Roe_Rick.zip", ("Jane Doe", "Rick Roe")),
        ("doejane_12345_67890_work.zip", ("doejane",)),
        ("pw02.zip", ("pw02",)),
        ("my_solution.zip", ("my_solution",)),
        ("MNIST_binary_classifier_stud.ipynb", ("MNIST_binary_classifier_stud",)),
        ("Li_Bo.html", ("Bo Li",)),
        ("Silva Costa_Ana.pdf", ("Ana Silva Costa",)),
        ("Żółć_Łukasz.tar.gz", ("Łukasz Żółć",)),
        ("Anna Meier - toy.ipynb", ("Anna Meier",)),
        ("Anna de la Cruz - Copy of toy (1).ipynb", ("Anna de la Cruz",)),
        ("王小明 - toy.ipynb", ("王小明",)),
        ("محمد علي - toy.zip", ("محمد علي",)),
        ("Linear Regression - toy.ipynb", ("Linear Regression - toy",)),
        ("Exercise 2 - toy.ipynb", ("Exercise 2 - toy",)),
        ("toy - final.ipynb", ("toy - final",)),
        ("", ("unknown",)),
    ],
)
def test_students_are_told_from_the_name(name, students):
    assert students_of(name) == students


@given(st.text(max_size=60))
def test_any_name_gives_at_least_one_printable_student(name):
    students = students_of(name + ".zip")
    assert students
    assert all(student and student.isprintable() for student in students)


@pytest.mark.parametrize(
    ("name", "students"),
    [("Keller_Max.zip", ("Max Keller",)), ("work.zip", ())],
)
def test_what_cannot_be_opened_keeps_the_name_that_its_file_tells(tmp_path, name, students):
    (tmp_path / name).write_bytes(b"no archive")
    incoming = Incoming(Part(tmp_path / name, name), tmp_path / "into")
    assert not incoming.read()
    assert incoming.result().students == students


@pytest.mark.parametrize(
    ("name", "students"), [("Max Keller", ("Max Keller",)), ("Part Two", ()), ("work", ())]
)
def test_a_folder_without_work_keeps_its_students_name(tmp_path, name, students):
    (tmp_path / name).mkdir()
    incoming = Incoming(Part(tmp_path / name, name), tmp_path / "into")
    assert not incoming.read()
    assert incoming.result().students == students
