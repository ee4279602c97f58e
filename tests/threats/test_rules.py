"""A forbidden library in a filled region is flagged with its line, however it is spelled."""

import pytest

# The toy forbids scipy, sklearn, torch, autograd and np.gradient; the deduction is everything.
SPELLED = {
    "import": "from scipy.special import expit\nreturn expit(z)",
    "import as": "import scipy.special as s\nreturn s.expit(z)",
    "__import__": "return __import__('scipy.special').special.expit(z)",
    "importlib": "import importlib\nreturn importlib.import_module('scipy.special').expit(z)",
    "importlib under another name": (
        "from importlib import import_module as load\nreturn load('scipy.special').expit(z)"
    ),
    "__import__ under another name": (
        "load = __import__\nreturn load('scipy.special').special.expit(z)"
    ),
    "builtins by getattr": (
        "import builtins\nload = getattr(builtins, '__import__')\n"
        "return load('scipy.special').special.expit(z)"
    ),
    "a name that is put together": "return __import__('sci' + 'py.special').special.expit(z)",
    "sys.modules": (
        "import sys\nreturn sys.modules['scipy.special'].expit(z) if 'scipy' in sys.modules "
        "else 1 / (1 + np.exp(-z))"
    ),
    "a text that runs": "exec('from scipy.special import expit as e', globals())\nreturn e(z)",
}


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_forbidden_import_costs_its_exercise_alone(host, points, notes, spelled):
    verdict = host.grade(host.right(sigmoid=SPELLED[spelled]))["right"]
    assert points(verdict) == {"square": 2.0, "sigmoid": 0.0, "gradient": 3.0}
    flagged = notes(verdict)["forbidden"]
    assert "`sigmoid`, line" in flagged
    assert "scipy" in flagged or "exec" in flagged or "__import__" in flagged


HELPED = {
    "a helper": (
        "from scipy.special import expit\ndef helper(z): return expit(z)",
        "return helper(z)",
    ),
    "an alias": ("from scipy.special import expit as np_sigmoid", "return np_sigmoid(z)"),
    "an alias of an alias": ("import scipy.special as a\nb = a\nc = b.expit", "return c(z)"),
    "a helper's helper": (
        "import scipy.special\n"
        "def one(z): return scipy.special.expit(z)\n"
        "def two(z): return one(z)",
        "return two(z)",
    ),
    "a lambda": (
        "import scipy.special\nhelp_me = lambda z: scipy.special.expit(z)",
        "return help_me(z)",
    ),
    "a class": (
        "import scipy.special\n"
        "class Helper:\n"
        "    @staticmethod\n"
        "    def run(z): return scipy.special.expit(z)",
        "return Helper.run(z)",
    ),
    "a star": ("from scipy.special import *", "return expit(z)"),
}


@pytest.mark.parametrize("helped", HELPED)
def test_a_helper_outside_the_region_does_not_hide_it(host, points, notes, helped):
    top, body = HELPED[helped]
    verdict = host.grade(host.right(top, sigmoid=body))["right"]
    assert points(verdict) == {"square": 2.0, "sigmoid": 0.0, "gradient": 3.0}
    assert "`sigmoid`" in notes(verdict)["forbidden"] or "line" in notes(verdict)["forbidden"]


def test_a_forbidden_call_is_flagged_too(host, points):
    body = "np.gradient(np.ones(3))\nreturn 1 / (1 + np.exp(-z))"
    assert points(host.grade(host.right(sigmoid=body))["right"])["sigmoid"] == 0.0


def test_the_word_alone_and_what_is_imported_elsewhere_cost_nothing(host):
    harmless = host.right(
        "import scipy.special  # for a plot\nimport sklearn",
        "print(scipy.special.expit(0.0))",
        sigmoid="# not scipy, not torch\ntext = 'import sklearn'\nreturn 1 / (1 + np.exp(-z))",
    )
    verdict = host.grade(harmless)["right"]
    assert verdict["score"] == 8.0
