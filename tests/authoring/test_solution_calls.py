"""A function that only the solution has belongs to the exercise that calls it."""

import pytest

from grader.authoring.importers import import_notebook
from grader.authoring.importers.solution_calls import gaps_with_helpers
from grader.authoring.template.from_notebooks import write_from
from grader.notebook import assembled
from grader.records import Cell

START, END = "### START YOUR CODE ###", "### END YOUR CODE ###"
MERGE = "def merge(a, b):\n    return sorted(a + b)"
SORT = f"""def merge_sort(a):
    {START}
    half = len(a) // 2
    return a if len(a) < 2 else merge(merge_sort(a[:half]), merge_sort(a[half:]))
    {END}"""
TEST = "assert merge_sort([3, 1, 2]) == [1, 2, 3]"


def gap(source):
    return f"{START}\n{source}\n{END}"


def notebook_of(*sources):
    cells = [Cell(n, "code", source) for n, source in enumerate(sources)]
    return assembled(cells, name="sort.ipynb")


def exercises(tmp_path, *sources):
    """Return what `grade new` makes of the cells: the exercises' lines, and the report."""
    lines = "\n".join(f"# %%\n{source}" for source in sources)
    (tmp_path / "sort.py").write_text(lines)
    written = write_from("toy", tmp_path / "reference", tmp_path / "sort.py")
    text = (written.folder / "assignment.toml").read_text()
    wanted = ("id", "functions")
    kept = [x for x in text.split("[[exercises]]\n", 1)[1].split("\n") if x.startswith(wanted)]
    return kept, written


@pytest.mark.parametrize("cells", [(gap(MERGE), SORT), (f"{gap(MERGE)}\n\n{SORT}",)])
def test_a_helper_is_no_exercise_and_the_report_says_where_it_is_graded(tmp_path, cells):
    lines, written = exercises(tmp_path, *cells, TEST)
    assert lines == ['id = "merge-sort"', 'functions = ["merge_sort"]']
    assert written.exercises == ()
    said = "cell 0: `merge` has no exercise of its own: it is graded where `merge_sort` calls it"
    assert any(line.endswith(said) for line in written.report)


def test_a_whole_function_in_a_gap_is_the_exercise_of_its_tests(tmp_path):
    whole = SORT.replace(START, "").replace(END, "")
    lines, written = exercises(tmp_path, gap(f"{MERGE}\n\n{whole}"), TEST)
    assert lines == ['id = "merge-sort"', 'functions = ["merge_sort"]']
    assert written.exercises == ()


@pytest.mark.parametrize(
    "source", [f"{MERGE}\nbest = merge([1], [2])", "def other():\n    return 1", "best = 3"]
)
def test_what_does_more_than_help_another_gap_is_an_exercise(source):
    assert gaps_with_helpers(notebook_of(gap(source), SORT)) == {}


def test_a_helper_of_a_helper_is_one_too():
    inner = "def inner(a):\n    return sorted(a)"
    outer = "def merge(a, b):\n    return inner(a + b)"
    found = gaps_with_helpers(notebook_of(gap(inner), gap(outer), SORT))
    assert sorted(found) == ["cell 0", "cell 1"]


def test_a_helper_with_a_test_of_its_own_is_an_exercise(tmp_path):
    lines, written = exercises(tmp_path, gap(MERGE), SORT, "assert merge([2], [1]) == [1, 2]", TEST)
    assert lines[::2] == ['id = "merge"', 'id = "merge-sort"']
    assert not any("no exercise" in line for line in written.report)


def test_a_test_of_a_helper_is_a_test_of_the_function_that_it_names_too():
    draft = import_notebook(notebook_of(gap(MERGE), SORT, f"assert merge([2], [1])\n{TEST}"))
    assert [(item.id, item.points) for item in draft.items] == [("merge-sort", 1)]
