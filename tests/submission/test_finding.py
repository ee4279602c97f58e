"""Which files and folders are a submission each, below the paths that a user names."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.errors import SubmissionError
from grader.records import Origin, Report, Result
from grader.report.html_page import render_page
from grader.submission import find_parts, find_submissions, finding, passed_over


def notebook(*sources):
    cells = [
        {"cell_type": "code", "id": f"c{n}", "source": source, "metadata": {}, "outputs": [],
         "execution_count": None}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


EMPTY = notebook()
TEMPLATE = [notebook("import numpy", "def f(x):", "def g(x):", f"own = {n}") for n in range(6)]


def lay(folder, *names, text=EMPTY):
    """Write a notebook under each name; a name that ends in / is an empty folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a.ipynb", text)
        else:
            path.write_text(text)


def found(folder):
    return [path.relative_to(folder).as_posix() for path in find_submissions([folder])]


def shown(folder, *more, **options):
    parts = find_parts([folder, *more], folder.parent / "scratch", **options).parts
    return [part.path.relative_to(folder.parent).as_posix() for part in parts]


# --- one folder ---------------------------------------------------------------------------------


def test_folders_of_helpers_beside_notebooks_are_one_students(tmp_path):
    lay(tmp_path, "a.ipynb", "data/load.py", "helpers/more.ipynb", "set.zip")
    assert found(tmp_path) == ["."]


def test_zips_of_two_students_beside_a_notebook_are_a_class(tmp_path):
    lay(tmp_path, "a.ipynb", "Meier_Anna.zip", "Rossi_Luca.zip")
    assert found(tmp_path) == ["a.ipynb", "Meier_Anna.zip", "Rossi_Luca.zip"]


def test_zips_with_a_platforms_names_beside_a_notebook_are_a_class(tmp_path):
    names = [f"{name}_{n}_assignsubmission_file.zip" for n, name in ((1, "anna b"), (2, "luca"))]
    lay(tmp_path, "a.ipynb", *names)
    assert found(tmp_path) == ["a.ipynb", *names]


def test_a_folder_that_is_called_like_a_script_is_none(tmp_path):
    lay(tmp_path, "old.py/notes.txt", "Meier_Anna/x.ipynb", "Rossi_Luca/x.ipynb")
    assert found(tmp_path) == ["Meier_Anna", "Rossi_Luca"]


def test_one_students_zip_beside_a_notebook_is_no_class(tmp_path):
    lay(tmp_path, "a.ipynb", "Meier_Anna.zip")
    assert found(tmp_path) == ["."]


def test_three_zips_without_names_beside_a_notebook_are_a_class(tmp_path):
    lay(tmp_path, "a.ipynb", "1.zip", "2.zip", "3.ZIP")
    assert found(tmp_path) == ["1.zip", "2.zip", "3.ZIP", "a.ipynb"]


def test_two_zips_without_names_beside_a_notebook_are_data(tmp_path):
    lay(tmp_path, "a.ipynb", "1.zip", "2.zip", "more/b.ipynb", "again/b.ipynb")
    assert found(tmp_path) == ["."]


def test_loose_notebooks_with_students_names_are_a_class(tmp_path):
    names = ["Meier_Anna.ipynb", "Rossi_Luca.IPYNB", "Smith_Bob.ipynb"]
    lay(tmp_path, *names)
    assert found(tmp_path) == names
    assert found(tmp_path / names[0]) == ["."]


def test_loose_notebooks_of_one_template_are_a_class(tmp_path):
    for n, text in enumerate(TEMPLATE):
        lay(tmp_path, f"answer{n}.ipynb", text=text)
    assert len(found(tmp_path)) == len(TEMPLATE)
    (tmp_path / "answer0.ipynb").unlink()
    assert found(tmp_path) == ["."]


def test_of_a_large_notebook_no_more_is_read_than_tells_that_it_is_too_large(tmp_path, monkeypatch):
    lay(tmp_path, "answer.ipynb")
    monkeypatch.setattr(finding, "MAX_READ_BYTES", 9)
    assert finding._reader(tmp_path / "answer.ipynb")() == EMPTY[:10].encode()


def test_a_notebook_that_cannot_be_read_is_like_no_other(tmp_path, monkeypatch):
    for n, text in enumerate(TEMPLATE):
        lay(tmp_path, f"answer{n}.ipynb", text=text)
    opened = Path.open

    def refused(path, *arguments, **options):
        if path.name == "answer0.ipynb":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refused)
    assert found(tmp_path) == ["."]


def test_scripts_alone_are_one_submission_and_zips_beside_them_are_a_class(tmp_path):
    lay(tmp_path, "main.py", "parts/more.py")
    assert found(tmp_path) == ["."]
    lay(tmp_path, "Meier_Anna.zip")
    assert found(tmp_path) == ["Meier_Anna.zip", "parts"]


def test_the_suffix_of_a_script_counts_in_capitals_too(tmp_path):
    lay(tmp_path, "MAIN.PY", "parts/more.py")
    assert found(tmp_path) == ["."]


def test_a_class_of_folders_in_one_folder_is_found(tmp_path):
    lay(tmp_path, *(f"all/{name}/x.ipynb" for name in ("Meier_Anna", "Rossi_Luca", "Smith_Bob")))
    assert found(tmp_path) == ["all/Meier_Anna", "all/Rossi_Luca", "all/Smith_Bob"]


def test_folders_of_one_students_work_in_one_folder_stay_together(tmp_path):
    lay(tmp_path, *(f"pw02/{part}/x.ipynb" for part in ("numpy", "sigmoid", "perceptron")))
    assert found(tmp_path) == ["pw02"]


def test_folders_of_a_class_are_known_by_the_notebooks_deeper_in_them(tmp_path):
    for n, text in enumerate(TEMPLATE):
        lay(tmp_path, f"all/{n}/inner/answer.ipynb", text=text)
    lay(tmp_path, "all/readme/")
    assert len(found(tmp_path)) == len(TEMPLATE)


def test_who_handed_in_what_cannot_be_graded_is_in_the_class_all_the_same(tmp_path):
    lay(tmp_path, "Meier_Anna.zip", "Rossi_Luca.zip", "Meier_Anna.pdf", "sheet.pdf")
    lay(tmp_path, "Li_Bo.rar", "Li_Cem.tar.gz", "Li_Dan.ipynb.txt", "Li_Eve/report.pdf", "data/")
    assert found(tmp_path) == [
        "Li_Bo.rar", "Li_Cem.tar.gz", "Li_Dan.ipynb.txt", "Li_Eve", "Meier_Anna.zip",
        "Rossi_Luca.zip",
    ]  # fmt: skip
    assert passed_over(tmp_path) == ["data", "Meier_Anna.pdf", "sheet.pdf"]


def test_a_page_that_a_student_handed_in_is_refused_and_grades_own_is_none(tmp_path):
    lay(tmp_path, "Meier_Anna.zip", "Rossi_Luca.zip", "Li_Bo.html", "Li_Cem.mlx", "Li_Dan.json")
    result = Result("Roe_Eve.zip", ("Eve Roe",), "graded")
    page = render_page(Report("toy", "Toy", 0, (result,)), result)
    lay(tmp_path, "Roe_Eve.html", text=page)
    assert found(tmp_path) == ["Li_Bo.html", "Li_Cem.mlx", "Meier_Anna.zip", "Rossi_Luca.zip"]


def test_a_class_of_scripts_or_rars_with_students_names_is_one(tmp_path):
    lay(tmp_path / "scripts", "Meier_Anna.py", "Rossi_Luca.py", "Smith_Bob.py")
    assert len(found(tmp_path / "scripts")) == 3
    lay(tmp_path / "rars", "Meier_Anna.rar", "Rossi_Luca.7z", "Smith_Bob.pdf")
    assert len(found(tmp_path / "rars")) == 3
    lay(tmp_path / "own", "main.py", "helper.py", "Meier_Anna.py")
    assert found(tmp_path / "own") == ["."]


def test_a_copy_comes_after_what_it_is_a_copy_of(tmp_path):
    """Without times the order decides which attempt is the last one."""
    names = ["Rossi_Luca.zip", "Rossi_Luca (1).zip", "Rossi_Luca (2).zip", "Rossi_Luca (10).zip"]
    lay(tmp_path, *names, "Rossi_Lucas.zip", "Meier_Anna.zip")
    assert found(tmp_path) == ["Meier_Anna.zip", *names, "Rossi_Lucas.zip"]


def test_one_students_copies_are_no_class(tmp_path):
    lay(tmp_path, *(f"Meier_Anna ({n}).ipynb" for n in range(4)))
    assert found(tmp_path) == ["."]


def test_a_class_of_files_in_one_folder_is_found(tmp_path):
    lay(tmp_path, "all/Meier_Anna.zip", "all/Rossi_Luca.ipynb", "all/Smith_Bob.zip", "all/Li_X.7z")
    assert [Path(name).stem for name in found(tmp_path)] == [
        "Li_X", "Meier_Anna", "Rossi_Luca", "Smith_Bob",
    ]  # fmt: skip
    assert passed_over(tmp_path) == []
    lay(tmp_path / "own", "work/a.zip", "work/b.zip", "work/c.zip")
    assert found(tmp_path / "own") == ["work"]


def test_copies_that_google_classroom_named_are_a_class(tmp_path):
    names = ("Anna Meier", "Luca Rossi", "王小明", "Seán O'Neill")
    lay(tmp_path, *(f"Homework 1/{name} - toy.ipynb" for name in names))
    assert len(found(tmp_path)) == 4
    lay(tmp_path / "own", *(f"Linear Regression - {part}.ipynb" for part in "abcd"))
    assert found(tmp_path / "own") == ["."]


def test_folders_of_people_with_one_notebook_each_are_a_class(tmp_path):
    lay(tmp_path, *(f"all/{n}/toy.ipynb" for n in ("Anna Meier", "Luca Rossi", "王小明", "x")))
    lay(tmp_path, "all/Bo Li/report.pdf", "all/Sheet One.pdf", "all/Anna Meier/old.ipynb")
    assert [Path(name).name for name in found(tmp_path)] == [
        "Anna Meier", "Bo Li", "Luca Rossi", "x", "王小明",
    ]  # fmt: skip
    own = tmp_path / "own"
    lay(own, *(f"work/{n}/toy.ipynb" for n in ("Part One", "Part Two", "Linear Regression")))
    lay(tmp_path, *(f"other/sheets/{n}/{n}.ipynb" for n in ("Anna Li", "Bo Rossi", "Eve Roe")))
    assert found(own) == ["work"]
    assert found(tmp_path / "other") == ["sheets"]


def test_a_folder_that_is_a_link_is_nobodys(tmp_path):
    lay(tmp_path, "elsewhere/x.ipynb", "class/Meier_Anna/x.ipynb", "class/Rossi_Luca/x.ipynb")
    (tmp_path / "class" / "Smith_Bob").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "class") == ["Meier_Anna", "Rossi_Luca"]
    assert "class/Smith_Bob" not in shown(tmp_path / "class", split=True)
    lay(tmp_path, "deep/all/Meier_Anna/x.ipynb", "deep/all/Rossi_Luca/x.ipynb")
    (tmp_path / "deep" / "all" / "Smith_Bob").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "deep") == ["all"]


# --- what the user says -------------------------------------------------------------------------


def test_split_makes_a_submission_of_each_notebook_script_zip_and_folder(tmp_path):
    folder = tmp_path / "class"
    lay(folder, "a.ipynb", "B.IPYNB", "c.py", "d.zip", "e/x.ipynb", "empty/", "notes.txt")
    assert shown(folder, split=True) == [
        "class/a.ipynb", "class/B.IPYNB", "class/c.py", "class/d.zip", "class/e",
    ]  # fmt: skip
    assert shown(folder) == ["class"]
    assert shown(folder / "a.ipynb", split=True)
    only = tmp_path / "nothing"
    lay(only, "notes.txt")
    assert shown(only, split=True) == ["nothing"]


def test_no_split_leaves_each_path_whole(tmp_path):
    folder = tmp_path / "class"
    lay(folder, "Meier_Anna.zip", "Rossi_Luca.zip")
    (part,) = find_parts([folder], tmp_path / "scratch", split=False).parts
    assert (part.path, part.shown) == (folder, str(folder))
    assert len(shown(folder)) == 2


MOODLE = {
    f"{name}_{n}_assignsubmission_file/x.ipynb": EMPTY
    for n, name in ((1, "Anna Meier"), (2, "Luca Rossi"))
}


def exported(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in MOODLE.items():
            archive.writestr(name, text)
    return path


def test_one_export_is_split_and_one_of_several_zips_is_not(tmp_path):
    first, second = exported(tmp_path / "one.zip"), exported(tmp_path / "two.zip")
    scratch = tmp_path / "scratch"
    found = find_parts([first], scratch)
    assert [part.shown for part in found.parts] == [
        f"{first}/{name}_assignsubmission_file" for name in ("Anna Meier_1", "Luca Rossi_2")
    ]
    assert all(part.path.is_relative_to(scratch / "exports" / "0") for part in found.parts)
    assert [p.path for p in find_parts([first, second], scratch).parts] == [first, second]
    both = find_parts([first, second], tmp_path / "again", split=True)
    assert len(both.parts) == 4
    assert {part.path.relative_to(tmp_path / "again").parts[1] for part in both.parts} == {"0", "1"}
    assert [p.path for p in find_parts([first], scratch, split=False).parts] == [first]


def test_an_export_that_is_not_split_among_others_is_said(tmp_path):
    first, second = exported(tmp_path / "one.zip"), exported(tmp_path / "two.zip")
    lay(tmp_path, "Meier_Anna.zip")
    remarks = find_parts([first, tmp_path / "Meier_Anna.zip", second], tmp_path / "s").remarks
    assert [remark.partition(":")[0] for remark in remarks] == [
        f"{path} is taken for one student's, but holds the work of 2 by a learning platform's names"
        for path in (first, second)
    ]
    assert find_parts([tmp_path], tmp_path / "t").remarks == remarks
    for option in (True, False):
        assert find_parts([first, second], tmp_path / "u", split=option).remarks == ()
    assert find_parts([first], tmp_path / "v").remarks == ()


def test_an_unpacker_of_a_plugin_is_asked_first_and_only_where_a_class_may_be(tmp_path):
    asked = []
    origin = Origin(platform="ours", ids={"id": "7"})

    @dataclass
    class One:
        path: object
        shown: str
        origin: Origin

    def unpacker(path, into):
        asked.append((path.name, into.name))
        return [One(tmp_path / "a.ipynb", "Anna", origin)] if path.suffix == ".ours" else None

    lay(tmp_path, "a.ipynb", "b.ipynb")
    (tmp_path / "class.ours").write_text("")
    paths = [tmp_path / "class.ours", tmp_path / "b.ipynb"]
    parts = find_parts(paths, tmp_path / "scratch", unpacker=unpacker).parts
    assert [(part.path.name, part.shown) for part in parts] == [
        ("a.ipynb", "Anna"), ("b.ipynb", str(tmp_path / "b.ipynb")),
    ]  # fmt: skip
    assert parts[0].origin is origin
    assert asked == [("class.ours", "0"), ("b.ipynb", "1")]
    asked.clear()
    find_parts(paths, tmp_path / "scratch", unpacker=unpacker, split=False)
    assert asked == []


def test_a_submission_that_two_paths_name_is_there_once(tmp_path):
    lay(tmp_path, "class/Meier_Anna.zip", "class/Rossi_Luca.zip")
    folder = tmp_path / "class"
    assert shown(folder, folder / "Rossi_Luca.zip") == [
        "class/Meier_Anna.zip", "class/Rossi_Luca.zip",
    ]  # fmt: skip


# --- what is passed over ------------------------------------------------------------------------


def remarks(*paths, scratch):
    return find_parts(paths, scratch).remarks


def test_what_lies_in_a_class_and_is_graded_by_nobody_is_named_up_to_five(tmp_path):
    folder = tmp_path / "class"
    lay(
        folder, "Meier_Anna.zip", "Rossi_Luca.zip", "Smith_Bob.zip", *(f"{n}.pdf" for n in range(5))
    )
    assert remarks(folder, scratch=tmp_path / "s") == (
        f"5 in {folder}, no submission, and not graded: 0.pdf, 1.pdf, 2.pdf, 3.pdf, 4.pdf",
    )
    lay(folder, "5.pdf", "6.pdf")
    (line,) = remarks(folder, scratch=tmp_path / "s")
    assert line.endswith("0.pdf, 1.pdf, 2.pdf, 3.pdf, 4.pdf and 2 more")
    assert line.startswith(f"7 in {folder}")


def test_beside_one_submission_nothing_is_told_and_beside_two_it_is(tmp_path):
    folder = tmp_path / "class"
    lay(folder, "Meier_Anna.zip", "notes.pdf")
    assert remarks(folder, scratch=tmp_path / "s") == ()
    lay(folder, "Rossi_Luca.zip")
    assert remarks(folder, scratch=tmp_path / "s") == (
        f"1 in {folder}, no submission, and not graded: notes.pdf",
    )


def test_what_another_path_hands_in_is_not_passed_over(tmp_path):
    folder = tmp_path / "class"
    lay(folder, "Meier_Anna.zip", "Rossi_Luca.zip", "Smith_Bob.zip", "report.pdf", "notes.pdf")
    (line,) = remarks(folder / "notes.pdf", folder, scratch=tmp_path / "s")
    assert line == f"1 in {folder}, no submission, and not graded: report.pdf"


def test_our_own_pages_are_not_passed_over_but_empty_folders_are(tmp_path):
    lay(tmp_path, "a.zip", "b.zip", "pages/index.html", "Max/")
    assert passed_over(tmp_path) == ["Max"]


def test_of_a_folder_that_is_not_there_nothing_is_told(tmp_path):
    assert passed_over(tmp_path / "nowhere") == []
    assert find_submissions([tmp_path / "nowhere"]) == [tmp_path / "nowhere"]


def test_a_folder_whose_listing_fails_is_told_with_the_reason(tmp_path, monkeypatch):
    def refused(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("grader.submission.finding.entries_of", refused)
    with pytest.raises(SubmissionError) as caught:
        find_submissions([tmp_path])
    assert str(caught.value) == f"{tmp_path}: can't be read (permission denied)"
    assert passed_over(tmp_path) == []
