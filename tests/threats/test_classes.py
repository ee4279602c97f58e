"""A class's archive: another's name in one's own zip, a small zip large in sum, look-alikes.

By the whole command: who gets a row, and whose row it is.
"""

import csv
import io
import json
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0


def export(host, name, files):
    path = host.handed_in / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in files.items():
            archive.writestr(entry, content)
    return path


def notebook_in(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("toy.ipynb")


def test_another_s_folder_name_in_one_s_own_zip_makes_no_second_student(host):
    wrong, right = notebook_in(host.wrong()), notebook_in(host.right())
    eve = export(host, "Roe_Eve.zip", {
        "toy.ipynb": wrong, "Anna Mueller_1001_assignsubmission_file_/toy.ipynb": right,
    })  # fmt: skip
    anna = export(host, "Mueller_Anna.zip", {"toy.ipynb": right})
    for paths in ([eve, anna], [host.handed_in]):
        report = host.grade(*paths).report
        names = [one["path"] for one in report["submissions"] if "Eve" in one["path"]]
        assert names == [str(eve)]
        assert not any(one["origin"]["platform"] for one in report["submissions"])


def test_a_zip_that_names_others_alone_is_split_only_where_it_is_the_one_that_is_named(host):
    right = notebook_in(host.right())
    files = {f"Anna {n}_{n}_assignsubmission_file_/toy.ipynb": right for n in (1001, 1002)}
    eve = export(host, "Roe_Eve.zip", files)
    honest = host.right(name="Mueller_Anna")
    report = host.grade(eve, honest).report
    assert [one["path"] for one in report["submissions"]] == [str(eve), str(honest)]


def test_a_small_zip_that_is_large_in_sum_over_many_owners_meets_one_limit(host):
    big = bytes(31 << 20)  # each of them below what one entry may grow to
    files = {f"Eve {n}_{n}_assignsubmission_file_/data.bin": big for n in range(1000, 1040)}
    files["Anna_999_assignsubmission_file_/toy.ipynb"] = notebook_in(host.right())
    path = export(host, "class.zip", files)
    assert path.stat().st_size < 2 << 20
    found = {one["path"]: one for one in host.grade(path).report["submissions"]}
    assert len(found) == 41
    refused = [one["message"] for one in found.values() if "whole export" in one["message"]]
    assert len(refused) > 20
    assert found[f"{path}/Anna_999_assignsubmission_file_"]["score"] == MAX


def test_who_looks_like_another_has_an_own_row_page_and_mark(host):
    right, wrong = notebook_in(host.right()), notebook_in(host.wrong())
    path = export(host, "class.zip", {
        "Anna_1_assignsubmission_file_/toy.ipynb": right,
        "Anna_11_assignsubmission_file_/Mueller_Anna.ipynb": wrong,
        "anna_111_assignsubmission_file_/toy.ipynb": wrong,
        "Αnna_1111_assignsubmission_file_/toy.ipynb": right,  # a Greek capital
    })  # fmt: skip
    kept = {"GRADE_RESULTS": str(host.tmp / "results.sqlite")}
    graded = host.run(path, environment=kept)
    names = [one["students"] for one in graded.report["submissions"]]
    assert len({json.dumps(one) for one in names}) == 4
    sheet = host.root / "sheet.csv"
    lines = [f'"Participant {n}",Anna,,8.00,Yes,-\n' for n in (1, 11, 111, 1111)]
    head = 'Identifier,"Full name",Grade,"Maximum grade","Grade can be changed",'
    sheet.write_text(head + '"Last modified (grade)"\n' + "".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "grader", "results", "latest", "--fill", str(sheet),
         "--feedback", "moodle", "--to", str(host.root / "pages.zip")],
        cwd=host.root, env=host.environment(**kept), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    filled = (host.root / "sheet-graded.csv").read_text()
    marks = [row["Grade"] for row in csv.DictReader(io.StringIO(filled))]
    assert marks == ["8.00", "0.00", "0.00", "8.00"]
    with zipfile.ZipFile(host.root / "pages.zip") as archive:
        assert len(set(archive.namelist())) == 4
