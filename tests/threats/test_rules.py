"""A forbidden library in a filled region is flagged with its line, however it is spelled."""

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0
LOST = {"square": 2.0, "sigmoid": 0.0, "gradient": 3.0}

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


# What stands in a module of the student's own, beside the notebook.
MODULE = "from scipy.special import expit\n\n\ndef logistic(z):\n    return expit(z)\n"
BEHIND = {
    "a module": ("import mine", "return mine.logistic(z)", {"mine.py": MODULE}),
    "a module, inside": ("", "import mine\nreturn mine.logistic(z)", {"mine.py": MODULE}),
    "a name of a module": ("from mine import logistic", "return logistic(z)", {"mine.py": MODULE}),
    "a name of a module under another name": (
        "from mine import logistic as f",
        "return f(z)",
        {"mine.py": MODULE},
    ),
    "a star of a module": ("from mine import *", "return logistic(z)", {"mine.py": MODULE}),
    "a module in a folder": (
        "import sys\nsys.path.insert(0, 'lib')\nimport mine as m",
        "return m.logistic(z)",
        {"lib/mine.py": MODULE},
    ),
    "a package": (
        "from tools import mine",
        "return mine.logistic(z)",
        {"tools/__init__.py": "", "tools/mine.py": MODULE},
    ),
    "a module of a module": (
        "import first",
        "return first.logistic(z)",
        {"first.py": "from mine import logistic\n", "mine.py": MODULE},
    ),
    "a helper that uses a module": (
        "import mine\ndef helper(z): return mine.logistic(z)",
        "return helper(z)",
        {"mine.py": MODULE},
    ),
}
HARMLESS = {
    "the word alone": (
        "",
        "# not scipy, not torch\ntext = 'import sklearn'\nreturn 1 / (1 + np.exp(-z))",
        {},
    ),
    "what is imported elsewhere": (
        "import scipy.special  # for a plot\nimport sklearn\nprint(scipy.special.expit(0.0))",
        "return 1 / (1 + np.exp(-z))",
        {},
    ),
    "a module that is for a plot": (
        "import mine\nprint(mine.logistic(0.0))",
        "return 1 / (1 + np.exp(-z))",
        {"mine.py": MODULE},
    ),
    "another function of that module": (
        "import mine",
        "return mine.honest(z)",
        {
            "mine.py": "import numpy as np\ndef honest(z): return 1 / (1 + np.exp(-z))\n"
            "def plot(z):\n    from scipy.special import expit\n    return expit(z)\n"
        },
    ),
}
CALL = "np.gradient(np.ones(3))\nreturn 1 / (1 + np.exp(-z))"


@pytest.fixture(scope="module")
def verdicts(toy, graded_together):
    """The verdicts on right answers whose sigmoid breaks a rule, or does not."""
    answers = {title: ("", body, {}) for title, body in SPELLED.items()}
    answers |= {title: (top, body, {}) for title, (top, body) in HELPED.items()}
    answers |= BEHIND | HARMLESS | {"a call": ("", CALL, {})}
    # Importing scipy takes a while where it was not imported before.
    toy.write_assignment(cell_s=20, check_s=20)
    paths = {
        title: toy.right(top, name=f"s{n}", files=files, sigmoid=body)
        for n, (title, (top, body, files)) in enumerate(answers.items())
    }
    return graded_together(toy, paths)


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_forbidden_import_costs_its_exercise_alone(verdicts, points, notes, spelled):
    assert points(verdicts[spelled]) == LOST
    flagged = notes(verdicts[spelled])["forbidden"]
    assert "`sigmoid`, line" in flagged
    assert "scipy" in flagged or "exec" in flagged or "__import__" in flagged


@pytest.mark.parametrize("helped", HELPED)
def test_a_helper_outside_the_region_does_not_hide_it(verdicts, points, notes, helped):
    assert points(verdicts[helped]) == LOST
    flagged = notes(verdicts[helped])["forbidden"]
    assert "`sigmoid`" in flagged or "line" in flagged


@pytest.mark.parametrize("behind", BEHIND)
def test_a_module_of_the_student_s_own_does_not_hide_it(verdicts, points, notes, behind):
    assert points(verdicts[behind]) == LOST
    flagged = notes(verdicts[behind])["forbidden"]
    assert "scipy" in flagged
    assert "mine.py" in flagged
    assert "`logistic`, line 5: return expit(z)" in flagged


def test_a_forbidden_call_is_flagged_too(verdicts, points):
    assert points(verdicts["a call"]) == LOST


@pytest.mark.parametrize("harmless", HARMLESS)
def test_what_the_answer_itself_does_not_use_costs_nothing(verdicts, harmless):
    assert verdicts[harmless]["score"] == MAX
