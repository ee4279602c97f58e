"""`grade demo`: a whole class through the real pipeline, real kernels and all."""

import json

import pytest

from grader import cli
from grader.authoring import demo_class


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """(folder, what was printed), after one run."""
    from click.testing import CliRunner

    from grader.cli.demo import command

    folder = tmp_path_factory.mktemp("demo") / "class"
    done = CliRunner().invoke(command, [str(folder), "--no-browser"], standalone_mode=False)
    assert done.exception is None, done.output
    return folder, done.stdout


def points(page):
    """Return the points that a page's title ring tells."""
    return page.read_text(encoding="utf-8").partition('aria-label="')[2].partition(" of")[0]


@pytest.mark.parametrize(
    ("page", "score"),
    [
        ("Rossi_Luca", "10"),
        ("Mueller_Anna-Ng_Zoe", "10"),
        ("Haddad_Karim", "10"),
        ("Novak_Petra", "4"),
        ("Silva_Joao", "4"),
        ("Lindqvist_Åsa", "6"),
        ("Tanaka_Yuki", "4"),
        ("Petrov_Ivan", "4"),
        ("Dubois_Chloe", "0"),
        ("Void_Eve", "4"),
    ],
)
def test_each_of_the_class_gets_what_the_work_deserves(demo, page, score):
    assert points(demo[0] / "pages" / f"{page}.html") == score


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("Novak_Petra", "12 times"),
        ("Silva_Joao", "sign"),
        ("Lindqvist_Åsa", "twice as large"),
        ("Petrov_Ivan", "timed out"),
        ("Tanaka_Yuki", "weights"),
        ("Keller_Max", "not a zip archive"),
        ("Void_Eve", "the same number in every element"),
    ],
)
def test_the_pages_say_what_is_wrong(demo, page, told):
    assert told in (demo[0] / "pages" / f"{page}.html").read_text(encoding="utf-8")


def test_it_says_who_hands_in_what_the_verdicts_and_the_next_step(demo):
    folder, printed = demo
    assert printed.count("\n  ") >= 24
    assert "a loop that never ends" in printed
    assert "11 of 12 submissions graded, 11 open" in printed
    assert str(folder / "pages" / "index.html") in printed
    assert printed.endswith("Now yours: grade new hw1\n")


def test_nothing_that_exists_is_written_over(tmp_path, capsys):
    (tmp_path / "mine").write_text("keep")
    assert cli.run(["demo", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_class_is_twelve_with_names_of_their_own(tmp_path):
    members = demo_class.write_class(tmp_path, "hw.ipynb")
    assert len({member.file for member in members}) == len(members) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(m.file for m in members)


def test_without_markers_the_work_stands_in_the_same_place():
    def code(text):
        return ["".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code"]

    bare = code(demo_class._work(markers=False))
    marked = code(demo_class._work())
    assert "YOUR CODE" not in bare[1] and "STUB" not in marked[1]
    assert [line for line in marked[1].splitlines() if "YOUR CODE" not in line] == bare[
        1
    ].splitlines()
