"""Values decide, whatever the student's code made of comparing them, and whatever it returns."""

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0
HALF = 5.0

REPLACED = {
    "comparisons of numpy": """
        import numpy as np
        np.allclose = np.array_equal = np.isclose = lambda *a, **k: True
        np.all = np.any = np.isfinite = lambda *a, **k: True
        np.abs = np.max = np.linalg.norm = lambda *a, **k: 0.0
        np.testing.assert_allclose = np.testing.assert_array_equal = lambda *a, **k: None
        """,
    "builtins": """
        import builtins
        builtins.abs = lambda x: 0
        builtins.all = builtins.any = lambda x: True
        builtins.len = lambda x: 0
        builtins.min = builtins.max = lambda *a, **k: 0.0
        builtins.float = lambda x=0: 0.0
        """,
    "isinstance": """
        import builtins
        builtins.isinstance = builtins.issubclass = lambda *a: True
        """,
    "the modules of the checks": """
        import sys
        for name in ("grader.checks", "grader.checks.closeness", "grader.errors", "pytest"):
            sys.modules[name] = type("M", (), {"__getattr__": lambda s, n: lambda *a, **k: None})()
        """,
    "methods of arrays, by ctypes": """
        import ctypes, numpy as np
        slots = ctypes.py_object.from_address(id(np.ndarray.__dict__) + 2 * ctypes.sizeof(
            ctypes.c_void_p)).value
        slots["all"] = slots["any"] = slots["max"] = lambda *a, **k: True
        """,
}


# Its own numpy may not work any more under these. That is its own loss.
BREAKING = ("builtins", "isinstance")


@pytest.fixture(scope="module")
def under_replaced(attacks):
    return attacks(REPLACED)


@pytest.mark.parametrize("replaced", REPLACED)
def test_a_replaced_comparison_changes_no_score(under_replaced, points, replaced):
    assert points(under_replaced[replaced])["sigmoid"] == 0.0
    assert replaced in BREAKING or under_replaced[replaced]["score"] == HALF


LIAR = """
class Liar:
    shape, ndim, size, dtype = (), 0, 1, np.dtype(float)
    __array_priority__ = 1e9
    def yes(self, *a, **k): return True
    def same(self, *a, **k): return self
    def zero(self, *a, **k): return 0.0
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = yes
    __hash__ = lambda self: 0
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __truediv__ = __abs__ = __getitem__ = same
    __float__ = __len__ = zero
    all = any = mean = sum = max = min = item = astype = copy = ravel = reshape = same
    def __array__(self, *a, **k): return np.zeros(())
    def __array_ufunc__(self, *a, **k): return True
    def __array_function__(self, *a, **k): return True
    def __getattr__(self, name): return self
    def __instancecheck__(self, other): return True
    __class__ = np.ndarray
    def __reduce__(self): return print, ("unpickled",)
    def __repr__(self): return "1.0"
"""
TOO_MUCH = "MiB|bytes|larg|memory|limit|elements|items|values"
# What a function may give back instead of numbers, and a word of the reason that is shown.
RETURNED = {
    "an object that says yes to everything": ("Liar()", LIAR, "Liar|ndarray|object"),
    "a class whose metaclass says yes": (
        "Yes",
        "class M(type):\n    __eq__ = lambda s, o: True\n    __instancecheck__ = __eq__\n"
        "    __hash__ = None\nclass Yes(metaclass=M): pass",
        "M",
    ),
    "an array whose class overrides comparing": (
        "np.zeros(np.shape({arg})).view(Sly)",
        "class Sly(np.ndarray):\n    __eq__ = lambda s, o: True\n"
        "    __array_ufunc__ = lambda s, *a, **k: True\n"
        "    __array_function__ = lambda s, *a, **k: True\n"
        "    shape = property(lambda s: ())",
        "",
    ),
    "an array of objects": ("np.array([Liar()], dtype=object)", LIAR, "object"),
    "an array of fields": ("np.zeros(3, dtype=[('a', float), ('b', 'O')])", "", ""),
    "a float that compares as it likes": (
        "Number(0.25)",
        "class Number(float):\n    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = lambda s, o: True\n"
        "    __sub__ = __rsub__ = __abs__ = lambda s, *a: 0.0\n    __hash__ = None",
        "",
    ),
    "a text": ("'1.0'", "", "text|str"),
    "nothing": ("None", "", "return"),
    "a function": ("np.mean", "", "object of type"),
    "a generator": ("(i for i in range(9))", "", "generator"),
    "not a number": ("np.nan", "", "nan"),
    "infinity": ("-np.inf", "", "inf"),
    "a complex number": ("1j * np.asarray({arg})", "", "complex"),
    "a billion bytes": (
        "np.zeros(10**9, dtype=np.int8)",
        "",
        TOO_MUCH,
    ),
    "a billion elements that take no room": (
        "np.broadcast_to(0.0, (10**5, 10**5))",
        "",
        TOO_MUCH,
    ),
    "a list nested 100 000 deep": (
        "deep()",
        "def deep():\n    out = []\n    for _ in range(10**5): out = [out]\n    return out",
        "list",
    ),
    "a list that holds itself": (
        "loop()",
        "def loop():\n    out = []\n    out.append(out)\n    return out",
        "list",
    ),
    "a billion laughs": (
        "laughs()",
        "def laughs():\n    out = ['ha'] * 10\n    for _ in range(9): out = [out] * 10\n"
        "    return out",
        TOO_MUCH,
    ),
    "an integer of a million digits": ("10 ** 10**6", "", ""),
    "a type that lies about its name": (
        "type('float64', (), {'__module__': 'numpy', '__float__': lambda s: 0.0})()",
        "",
        "float64",
    ),
    "a dict with lying keys": ("{Liar(): 1.0}", LIAR, ""),
}


@pytest.fixture(scope="module")
def returned(toy, graded_together):
    """The verdicts on a wrong answer for each value in RETURNED, of one run of the command."""
    paths = {}
    for n, (title, (value, top, _)) in enumerate(RETURNED.items()):
        bodies = {
            "mean_square": f"return {value.replace('{arg}', 'x')}",
            "sigmoid": f"return {value.replace('{arg}', 'z')}",
            "cost": f"return {value.replace('{arg}', 'w')}",
            "grad": f"return {value.replace('{arg}', 'w')}",
        }
        paths[title] = toy.wrong("import numpy as np\n" + top, name=f"s{n}", **bodies)
    return graded_together(toy, paths)


@pytest.mark.parametrize("value", RETURNED)
def test_what_is_no_right_value_is_a_failed_check_with_its_reason(returned, messages, value):
    submission = returned[value]
    assert submission["status"] == "graded"
    assert submission["score"] == 0.0
    for exercise in submission["exercises"]:
        assert exercise["status"] in ("failed", "error", "missing"), exercise
    said = messages(submission)
    assert all(said.values())
    words = RETURNED[value][2]
    if words:
        assert any(word in said["square"] for word in words.split("|")), said["square"]


def test_an_argument_that_is_changed_to_fit_does_not_help(host):
    fits = "x[:] = 0\nreturn 0.0"
    verdict = host.grade(host.wrong(mean_square=fits))["wrong"]
    assert verdict["score"] == 0.0


def test_an_odd_value_is_neither_a_free_pass_nor_a_fault_of_ours(host, messages):
    """A careless check breaks on what it did not expect: the student's value, not the check."""
    careless = """
import numpy as np
import pytest

@pytest.mark.exercise("square", points=2)
def test_careless(student):
    first = student.mean_square([1.0, 2.0])[0]
    assert first.real == 2.5

@pytest.mark.exercise("gradient", points=3)
def test_other(student):
    assert float(student.Model([[1.0]], [0.0]).cost([2.0])) == 4.0
"""
    hidden = """
import pytest

@pytest.mark.exercise("sigmoid", points=3)
def test_also_careless(student):
    table = {0.5: "right"}
    assert table[student.sigmoid(0.0)] == "right"
"""
    reference = {
        "mean_square": "return [np.mean(np.square(x))]",
        "sigmoid": "return 1 / (1 + np.exp(-z))",
        "cost": "return np.mean((self.x @ np.asarray(w) - self.y) ** 2)",
        "grad": "return w",
    }
    host.write_assignment(checks=careless, hidden=hidden, reference=reference)
    odd = host.wrong("secret = 'KEEP'", mean_square="return {}", sigmoid="return []",
                     cost="return 'four'")  # fmt: skip
    honest = host.right(name="honest", mean_square="return [np.mean(np.square(x))]",
                        cost="return np.mean((np.asarray(self.x) @ w - self.y) ** 2)")  # fmt: skip
    graded = host.grade(odd, honest)
    assert graded["wrong"]["status"] == "graded"
    assert graded["wrong"]["score"] == 0.0
    assert all(e["status"] == "failed" for e in graded["wrong"]["exercises"])
    assert "could not use the returned value" in messages(graded["wrong"])["square"]
    assert graded["honest"]["score"] == MAX
