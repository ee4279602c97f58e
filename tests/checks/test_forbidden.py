"""What is forbidden is found in the syntax tree, and only there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checks import find_forbidden, names_meant
from grader.checks.forbidden import Search

RULES = {
    "imports": ("sklearn", "scipy", "torch"),
    "calls": ("np.gradient", "np.linalg.lstsq", ".backward"),
}


def names(source, context=""):
    return [breach.name for breach in find_forbidden(source, **RULES, context=context)]


@pytest.mark.parametrize(
    "source",
    [
        "import scipy",
        "import numpy as np, scipy.stats as st",
        "from scipy import optimize",
        "from sklearn.linear_model import LogisticRegression as L",
        "def f():\n    import scipy.special",
        "__import__('sci' + 'py')",
        "import builtins\nbuiltins.__import__('scipy')",
        "import importlib\nimportlib.import_module('torch.nn')",
        "from importlib import import_module as load\nload('sklearn')",
        "import sys\nsys.modules['scipy']",
        "exec('import scipy')",
        "eval(\"__import__('scipy')\")",
        "%matplotlib inline\nimport torch",
        "x = (\nimport scipy",
        "x\0 = 3\nimport scipy",
    ],
)
def test_a_forbidden_import_is_found(source):
    assert len(names(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "np.gradient(x)",
        "import numpy as n\nn.gradient(x)",
        "import numpy\nnumpy.gradient(x)",
        "from numpy import *\ngradient(x)",
        "getattr(np, 'gradient')(x)",
        "np.__dict__['gradient'](x)",
        "vars(np)['gradient'](x)",
        "eval('np.gradient(x)')",
        "list(map(np.gradient, xs))",
        "f = lambda x: np.gradient(x)",
        "    return np.gradient(x)",
        "a = 1\nelse:\n    b = np.gradient(x)",
        "x = = np.gradient(y)",
    ],
)
def test_a_forbidden_call_is_found(source):
    assert names(source) == ["np.gradient"]


def test_an_alias_is_followed():
    assert names("la = np.linalg\nla.lstsq(a, b)") == ["np.linalg.lstsq"]
    assert names("import numpy.linalg as la\nla.lstsq(a, b)") == ["np.linalg.lstsq"]
    assert names("g = np.gradient\ng(x)") == ["np.gradient", "np.gradient"]


def test_a_method_of_any_object_can_be_forbidden():
    assert names("loss.backward()") == [".backward"]


@pytest.mark.parametrize(
    "source",
    [
        "x = 'import scipy'",
        "# np.gradient(x), import scipy",
        "'''np.gradient'''",
        "gradient(x)",
        "self.gradient(x)",
        "x.scipy",
        "import scipyx",
        "def f(torch):\n    return torch.size",
        "def gradient(x):\n    return x\ngradient(3)",
        "s = 'np.gradient' = 3",
        "",
    ],
)
def test_what_only_looks_alike_is_accepted(source):
    assert names(source) == []


def test_the_line_and_its_text_are_told():
    (found,) = find_forbidden("x = 1\n\ny = np.gradient(x)  # slope\n", **RULES)
    assert (found.line, found.text) == (3, "y = np.gradient(x)  # slope")


def test_a_region_that_does_not_parse_keeps_its_lines():
    (found,) = find_forbidden("        a = 1\n    else:\n        b = np.gradient(x)\n", **RULES)
    assert found.line == 3


CONTEXT = """
import numpy as N
from sklearn.linear_model import LogisticRegression
from scipy.special import expit as sigmoid
def sigmoid(z):
    return z
"""


@pytest.mark.parametrize("context", [CONTEXT, CONTEXT + "\n)broken(\n", "%magic\n" + CONTEXT])
def test_the_notebooks_imports_name_the_modules(context):
    assert names("N.gradient(3)", context) == ["np.gradient"]
    assert names("model = LogisticRegression()", context) == ["sklearn"]


@pytest.mark.parametrize("context", [CONTEXT, CONTEXT + "\n)broken(\n"])
def test_a_name_that_was_defined_anew_is_no_longer_the_import(context):
    assert names("sigmoid(3)", context) == []


def test_the_context_itself_is_not_searched():
    assert names("x = 1", "import scipy\nscipy.optimize") == []


def test_code_that_is_nested_too_deep_is_searched_by_its_tokens():
    assert names("(" * 5000 + "np.gradient") == ["np.gradient"]


@given(st.text(alphabet="abnpx.()=:'\"\\\n\t #%![]{}é\0", max_size=60))
def test_no_source_makes_it_raise(source):
    find_forbidden(source + "import scipy" + source, **RULES, context=source)
    names_meant(source + "import scipy" + source, context=source)


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("m.f(1)", "mine.f"),
        ("from mine import g as h\nh(1)", "mine.g"),
        ("from .mine import g", "mine.g"),
        ("g(1)", "stars.g"),
        ("getattr(m, 'f')", "mine.f"),
        ("__import__('mine').f", "mine.f"),
        ("exec('from mine import f')", "mine.f"),
        ("def broken(:\n    m.f(1)", "mine.f"),
    ],
)
def test_a_name_is_told_by_what_it_means(source, meant):
    assert meant in names_meant(source, context="import mine as m\nfrom stars import *")


def test_a_function_s_own_name_means_no_module():
    assert "mine.f" not in names_meant("def g(m):\n    return m.f", context="import mine as m")


def test_a_piece_that_several_exercises_ask_for_is_searched_once():
    search = Search(calls=RULES["calls"])
    source = "def f(x):\n    return np.gradient(x)"
    first = search.breaches(source)
    left = search._scope.work.left
    assert [breach.name for breach in search.breaches(source)] == ["np.gradient"]
    assert first and search._scope.work.left == left


def test_a_search_that_was_cut_short_is_not_taken_for_a_whole_one():
    search = Search(calls=RULES["calls"])
    source = "def f(x):\n    return np.gradient(x)"
    search._scope.work.left, whole = 3, search._scope.work.left
    assert search.breaches(source) == []
    search._scope.work.left = whole
    assert [breach.name for breach in search.breaches(source)] == ["np.gradient"]
