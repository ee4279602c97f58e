"""What an exercise forbids, found in its functions and the helpers that they call."""

import json
from pathlib import Path

import pytest

from grader.notebook import read_notebook
from grader.records import Assignment, Exercise, Rules
from grader.rule_checks import BreachSearch

RULES = Rules(forbidden_imports=("sklearn", "torch"), forbidden_calls=("numpy.gradient",))


@pytest.fixture
def breaches(tmp_path):
    """The breaches of exercise `a` (function `f`) in a notebook of the given cells."""

    def find(*cells, **modules):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
        path = tmp_path / "toy.ipynb"
        code = [
            {
                "cell_type": "code",
                "metadata": {},
                "source": c,
                "outputs": [],
                "execution_count": None,
            }
            for c in cells
        ]
        path.write_text(
            json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
        )
        exercise = Exercise("a", "A", 1.0, notebook="toy.ipynb", functions=("f",))
        toy = Assignment("toy", "Toy", Path(), (exercise,), ("toy.ipynb",), (), rules=RULES)
        return BreachSearch(toy, read_notebook(path), folder=tmp_path).breaches(exercise)

    return find


def test_numpy_alone_is_no_breach(breaches):
    assert breaches("import numpy as np", "def f(x):\n    return np.exp(x)") == []


def test_the_given_code_may_use_what_the_filled_functions_may_not(breaches):
    cells = "from sklearn.datasets import load_digits\nd = load_digits()", "def f(x):\n    return x"
    assert breaches(*cells) == []


def test_an_import_inside_the_function_is_found_with_its_line(breaches):
    cell = "def f(x):\n    from sklearn.linear_model import Ridge\n    return Ridge()"
    (exercise, note), *_ = breaches("y = 1", cell)
    assert (exercise, note.kind, note.cell) == ("a", "forbidden", 1)
    assert "line 2" in note.message


def test_an_import_in_a_helper_counts(breaches):
    helper = "def helper(x):\n    import torch\n    return torch.tensor(x)"
    (_, note), *_ = breaches(helper, "def f(x):\n    return helper(x)")
    assert "`helper`, line 2" in note.message


def test_an_import_behind_another_name_counts(breaches):
    helper = "def helper(x):\n    import torch\n    return torch.tensor(x)\nalias = helper"
    assert len(breaches(helper, "def f(x):\n    return alias(x)")) >= 1


def test_a_helper_method_counts(breaches):
    cell = "class f:\n    def g(self):\n        import torch\n    def __call__(self): self.g()"
    assert len(breaches(cell)) >= 1


def test_a_helper_that_is_never_called_does_not_count(breaches):
    helper = "def helper(x):\n    import torch\n    return torch.tensor(x)"
    assert breaches(helper, "def f(x):\n    return x") == []


def test_a_name_imported_above_and_used_in_the_function_counts(breaches):
    cells = (
        "from sklearn.linear_model import LogisticRegression",
        "def f(x):\n    return LogisticRegression()",
    )
    assert len(breaches(*cells)) == 1


def test_a_cell_that_does_not_parse_hides_no_import(breaches):
    cells = (
        "%matplotlib inline\nimport torch as t",
        "def broken(:",
        "def f(x):\n    return t.exp(x)",
    )
    assert len(breaches(*cells)) == 1


def test_a_forbidden_call_is_found_through_its_alias(breaches):
    assert len(breaches("import numpy as n", "def f(x):\n    return n.gradient(x)")) == 1


MINE = "import numpy as np\nimport torch\n\n\ndef g(x):\n    return torch.exp(x)\n"


@pytest.mark.parametrize(
    "cell",
    [
        "import mine\ndef f(x):\n    return mine.g(x)",
        "import mine as m\ndef f(x):\n    return m.g(x)",
        "from mine import g as h\ndef f(x):\n    return h(x)",
        "from mine import *\ndef f(x):\n    return g(x)",
        "def f(x):\n    from mine import g\n    return g(x)",
        "import mine\ng = mine.g\ndef f(x):\n    return g(x)",
        "import mine\ndef f(x):\n    return getattr(mine, 'g')(x)",
        "def f(x):\n    return __import__('mine').g(x)",
        "import importlib\ndef f(x):\n    return importlib.import_module('mine').g(x)",
        "import mine\ndef f(x):\n    return eval('mine.g(x)')",
        "import mine\nf = mine.g",
    ],
)
def test_a_module_of_the_student_s_own_is_searched(breaches, cell):
    (_, note), *_ = breaches(cell, mine=MINE)
    assert (note.notebook, note.cell) == ("mine.py", None)
    assert "`g`, line 6: return torch.exp(x)" in note.message


def test_a_module_that_only_passes_a_library_on_is_no_way_around(breaches):
    (_, note), *_ = breaches(
        "from mine import exp\ndef f(x):\n    return exp(x)", mine="\nfrom torch import exp\n"
    )
    assert (note.notebook, note.message) == (
        "mine.py",
        "`torch` is not allowed here: `exp`, line 2: from torch import exp",
    )


def test_a_star_that_a_module_passes_on_is_no_way_around(breaches):
    cell = "from mine import *\ndef f(x):\n    return exp(x)"
    assert len(breaches(cell, mine="from torch import *\n")) == 1


def test_modules_that_import_each_other_are_searched_once(breaches):
    cell = "import one\ndef f(x):\n    return one.g(x)"
    found = breaches(
        cell,
        one="import two\ndef g(x):\n    return two.h(x)\n",
        two="import one, torch\ndef h(x):\n    one.g(x)\n    return torch.exp(x)\n",
    )
    assert [note.notebook for _, note in found] == ["two.py"]


def test_a_function_of_the_same_name_in_a_module_is_another_one(breaches):
    cell = "import mine\ndef f(x):\n    return mine.f(x)"
    assert len(breaches(cell, mine="import torch\ndef f(x):\n    return torch.exp(x)\n")) == 1


def test_what_a_module_does_for_others_is_no_breach(breaches):
    cell = "import mine\nmine.g(0)\ndef f(x):\n    return mine.honest(x).g"
    assert breaches(cell, mine=MINE + "def honest(x):\n    return x\n") == []


@pytest.mark.parametrize("text", ["def broken(:", "\0", "", "(" * 10_000])
def test_a_module_that_does_not_parse_is_no_fault(breaches, text):
    assert breaches("import mine\ndef f(x):\n    return mine.f(x)", mine=text) == []
