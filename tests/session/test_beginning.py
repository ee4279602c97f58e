"""Which of the template's first cells may run once for all notebooks, and why not the others."""

import json

import pytest

from grader.notebook import parse_notebook
from grader.session.beginning import NO_CELL, beginning_of

GAP = (
    "def f():\n    ### START YOUR CODE ###\n    # STUB: return None\n    return 1\n"
    "    ### END YOUR CODE ###"
)


def notebook(*cells):
    made = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": one}
        for one in cells
    ]
    document = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    return parse_notebook(json.dumps(document).encode(), name="toy.ipynb")


def found(*own, template, folder=None, files=()):
    beginning = beginning_of(notebook(*own, GAP), [notebook(*template, GAP)], folder, files)
    return [index for index, _ in beginning.cells], beginning.why_not_more


@pytest.fixture
def handed_in(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        return tmp_path

    return make


def test_all_cells_before_the_first_gap_run_once():
    assert found("a = 1", "b = 2", template=["a = 1", "b = 2"]) == ([0, 1], "")


def test_a_template_that_begins_with_a_gap_gives_none_and_says_so():
    assert found("a = 1", template=[]) == ([], NO_CELL)


def test_the_first_cell_that_differs_is_named():
    why = "cell 1 differs from the template's"
    assert found("a = 1", "b = 3", template=["a = 1", "b = 2"]) == ([0], why)


def test_of_two_templates_that_begin_alike_the_one_without_further_cells_counts():
    stubs = [notebook("a = 1", "b = 2", GAP), notebook("a = 1", GAP)]
    beginning = beginning_of(notebook("a = 1", GAP), stubs, None, ())
    assert (len(beginning.cells), beginning.why_not_more) == (1, "")


def test_a_comment_in_a_cell_of_its_own_changes_nothing():
    assert found("# Ann", "a = 1", "b = 2", template=["a = 1", "b = 2"]) == ([1, 2], "")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import os\nhere = os.getcwd()", "getcwd"),
        ("import os\nmode = os.environ['MODE']", "environ"),
        ("import os\nos.environ['MODE'] = name", "environ"),
        ("import numpy as np\nx = np.load('x.npy', mmap_mode='r')", "mmap_mode"),
        ("import time\nt = time.process_time()", "process_time"),
        ("import asyncio\nloop = asyncio.get_event_loop()", "get_event_loop"),
    ],
)
def test_code_that_asks_where_or_when_it_runs_is_left_to_each_notebook(code, name):
    cells = ["a = 1", code, "b = 2"]
    assert found(*cells, template=cells) == ([0], f"cell 1 uses `{name}`")


def test_an_environment_that_gets_constants_is_the_same_for_all():
    cells = ["import os\nos.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'"]
    assert found(*cells, template=cells) == ([0], "")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("notes.txt", "text = open('notes.txt').read()"),
        ("part1.npy", "parts = [np.load(f'part{i}.npy') for i in range(3)]"),
        ("part1.npy", "parts = [np.load('part' + str(i)) for i in range(3)]"),
        ("7.png", "digit = plt.imread(str(7) + '.png')"),
        ("pictures/7.png", "digit = plt.imread('pictures/' + str(7))"),
    ],
)
def test_a_cell_that_may_read_a_student_s_file_is_left_to_each_notebook(handed_in, name, code):
    cells = ["import numpy as np", code, "b = 2"]
    why = f"cell 1 may read {name}, which was handed in"
    assert found(*cells, template=cells, folder=handed_in(name)) == ([0], why)
    assert found(*cells, template=cells, folder=handed_in(name), files=[name]) == ([0, 1, 2], "")


def test_files_that_no_string_of_the_cells_names_change_nothing(handed_in):
    cells = ["train_images = load('mnist')"]
    folder = handed_in("images/7.png", "Dupont_Anne.pdf", "other.ipynb", "my-notebook.py")
    assert found(*cells, template=cells, folder=folder) == ([0], "")


def test_a_student_s_module_could_be_imported_by_any_cell(handed_in):
    cells = ["import numpy as np", "a = 1"]
    why = "the cells could import helper.py, which was handed in"
    assert found(*cells, template=cells, folder=handed_in("helper.py")) == ([], why)
