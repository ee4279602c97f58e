"""A folder in which two sheets were handed in: each submission is graded as what it answers."""

import json
import zipfile
from types import SimpleNamespace

import pytest

from grader.batch.store import open_store
from grader.choosing import group_by_assignment
from grader.errors import AssignmentError
from grader.submission.incoming import find_incoming

from .conftest import CELLS, CHECKS, HIDDEN_CHECKS, TOML, Class, notebook

pytestmark = pytest.mark.slow
NAMES = ("mean_square", "double", "toy")
OTHERS = ("largest_root", "halved", "roots")


def other(text):
    """The same in the other sheet's words."""
    for ours, theirs in zip(NAMES, OTHERS, strict=True):
        text = text.replace(ours, theirs)
    return text


def zipped(folder, name, **files):
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for stem, text in files.items():
            archive.writestr(f"{stem}.ipynb", text)
    return path


def with_two_sheets(root):
    klass = Class(root)
    roots = klass.reference / "roots"
    roots.mkdir()
    (roots / "assignment.toml").write_text(other(TOML).replace("Toy", "Roots"))
    (roots / "roots.ipynb").write_text(other(notebook()))
    (roots / "test_roots.py").write_text(other(CHECKS))
    (roots / "hidden").mkdir()
    (roots / "hidden" / "test_roots.py").write_text(other(HIDDEN_CHECKS))
    return klass


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Three answered toy, one roots under toy's file name, one neither; graded twice."""
    klass = with_two_sheets(tmp_path_factory.mktemp("mixed"))
    klass.fill(3)
    zipped(klass.handed_in, "Rossi_Luca", toy=other(notebook(more="mine = 1")))
    zipped(klass.handed_in, "Zola_Emile", holiday=notebook().replace("mean_square", "f")
           .replace("double", "g"))  # fmt: skip
    pages = klass.root / "pages"
    first, told = klass.grade("--jobs", "1", "--html", str(pages), "--junit", str(klass.root / "j"))
    again, told_again = klass.grade("--jobs", "1")
    return SimpleNamespace(
        klass=klass, first=json.loads(first), told=told, again=json.loads(again), pages=pages,
        told_again=told_again,
    )  # fmt: skip


def who(report, assignment):
    return [s["students"][0] for s in report["submissions"] if s["assignment"] == assignment]


def test_each_is_graded_as_the_sheet_that_it_answers(mixed):
    assert mixed.first["assignment"] == "roots, toy"
    assert who(mixed.first, "roots") == ["Luca Rossi"]
    assert who(mixed.first, "toy") == ["Ax Meier", "Bx Meier", "Cx Meier", "Emile Zola"]
    scores = {s["students"][0]: s["score"] for s in mixed.first["submissions"]}
    assert scores == {"Luca Rossi": 6.0, "Ax Meier": 2.0, "Bx Meier": 6.0, "Cx Meier": 6.0,
                      "Emile Zola": None}  # fmt: skip
    assert [(a["assignment"], a["submissions"]) for a in mixed.first["assignments"]] == [
        ("roots", 1),
        ("toy", 4),
    ]


def test_who_answers_none_of_them_is_told_so_and_stays_in_the_list(mixed):
    (zola,) = (s for s in mixed.first["submissions"] if s["students"] == ["Emile Zola"])
    assert zola["status"] == "refused"
    assert "nothing here (holiday.ipynb) answers a known assignment (roots, toy)" in zola["message"]


def test_each_sheet_has_its_run_and_the_summary_says_which(mixed):
    with open_store(mixed.klass.results, create=False) as store:
        runs = {run.id: (run.assignment, run.submissions, run.kept) for run in store.runs()}
    assert runs == {
        1: ("roots", 1, 0),
        2: ("toy", 4, 0),
        3: ("roots", 1, 1),
        4: ("toy", 4, 3),
    }
    assert "run 1 is roots (1 submission), run 2 is toy (4 submissions)" in mixed.told
    assert "toy: 4 submissions, 1 unread" in mixed.told


def test_what_an_earlier_run_has_graded_is_told_apart_again_and_not_graded(mixed):
    def told(report):
        return [(s["path"], s["assignment"], s["score"]) for s in report["submissions"]]

    assert told(mixed.again) == told(mixed.first)


def test_the_pages_of_each_sheet_are_in_a_folder_that_one_page_leads_to(mixed):
    assert sorted(p.relative_to(mixed.pages).as_posix() for p in mixed.pages.rglob("*.html")) == [
        "index.html",
        "roots/Rossi_Luca.html",
        "toy/Meier_Ax.html",
        "toy/Meier_Bx.html",
        "toy/Meier_Cx.html",
        "toy/Zola_Emile.html",
        "toy/index.html",
    ]
    contents = (mixed.pages / "index.html").read_text()
    assert 'href="roots/Rossi_Luca.html"' in contents
    assert 'href="toy/index.html"' in contents


def test_junit_names_the_sheet_of_each_check(mixed):
    text = (mixed.klass.root / "j").read_text()
    assert 'classname="roots.a"' in text
    assert 'classname="toy.a"' in text


# --- telling apart, without a kernel --------------------------------------------------------------


def apart(klass, tmp_path, **options):
    folders = {name: klass.reference / name for name in ("roots", "toy")}
    submissions, _ = find_incoming([klass.handed_in], tmp_path / "scratch")
    chosen = group_by_assignment(options.get("assignment"), folders, submissions, print)
    paths = [incoming.shown.rpartition("/")[2] for incoming in submissions]
    return {one.id: [paths[place] for place in places] for one, places in chosen}


def test_a_sheet_that_is_named_is_everybody_s(tmp_path):
    klass = with_two_sheets(tmp_path / "root")
    klass.fill(1)
    zipped(klass.handed_in, "Rossi_Luca", roots=other(notebook()))
    assert apart(klass, tmp_path, assignment="toy") == {"toy": ["Meier_Ax.zip", "Rossi_Luca.zip"]}
    with pytest.raises(AssignmentError):
        apart(klass, tmp_path, assignment="tov")


def test_work_that_fits_two_sheets_alike_is_of_the_sheet_of_most(tmp_path):
    klass = with_two_sheets(tmp_path / "root")
    klass.fill(2)
    both = CELLS.format(mean_square="return 1", double="return 2", more="")
    zipped(klass.handed_in, "Aaron_Both", notes=notebook(more=other(both).replace("#---", "")))
    zipped(klass.handed_in, "Rossi_Luca", roots=other(notebook()))
    found = apart(klass, tmp_path)
    assert found == {
        "roots": ["Rossi_Luca.zip"],
        "toy": ["Aaron_Both.zip", "Meier_Ax.zip", "Meier_Bx.zip"],
    }


def test_a_broken_zip_is_in_the_list_of_most(tmp_path):
    klass = with_two_sheets(tmp_path / "root")
    klass.fill(2)
    (klass.handed_in / "Bad_Zip.zip").write_bytes(b"PK not a zip")
    zipped(klass.handed_in, "Rossi_Luca", roots=other(notebook()))
    assert apart(klass, tmp_path)["toy"] == ["Bad_Zip.zip", "Meier_Ax.zip", "Meier_Bx.zip"]


def test_submissions_of_a_large_class_do_not_stay_open(tmp_path):
    klass = with_two_sheets(tmp_path / "root")
    klass.fill(12)
    folders = {name: klass.reference / name for name in ("roots", "toy")}
    submissions, _ = find_incoming([klass.handed_in], tmp_path / "scratch")
    group_by_assignment(None, folders, submissions, print)
    assert sum(bool(incoming.notebooks) for incoming in submissions) == 8
    assert len(list((tmp_path / "scratch").iterdir())) == 8
    assert all(incoming.read() and incoming.notebooks for incoming in submissions)
