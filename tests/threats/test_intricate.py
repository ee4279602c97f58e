"""Code that is deep, long or intricate: read in bounded time, scored on what is right."""

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0
FUNCTIONS = "".join(f"def g{n}(x):\n    return x\n" for n in range(4000))
HELPERS = "".join(f"def g{n}(x):\n    return g{n + 1}(x)\n" for n in range(850))
ALIASES = "g0 = abs\n" + "".join(f"g{n} = g{n - 1}\n" for n in range(1, 1600))
# Each cell stops at once, so that what is left of it has to be extracted.
DEEP = {
    "a sum of 1,500 terms": "x = " + "+".join(["1"] * 1500),
    "900 elif": "if None:\n    x = 1\n" + "".join(f"elif {n}:\n    x = {n}\n" for n in range(900)),
    "a chain of not": "x = " + "not " * 2000 + "1",
    "a chain of minus": "x = " + "-" * 3000 + "1",
    "a chain of attributes": "x = a" + ".b" * 2500,
    "a chain of calls": "x = a" + "()" * 1500,
    "lists in lists": "x = " + "[" * 150 + "]" * 150,
    "too many lists in lists": "x = " + "[" * 5000 + "]" * 5000,
    "lambdas in lambdas": "x = " + "lambda: " * 1000 + "1",
}
ANSWERS = {
    **{title: (f"1 / 0\n{cell}", {}) for title, cell in DEEP.items()},
    "4,000 functions after a raise": (f"raise ValueError\n{FUNCTIONS}", {}),
    "4,000 functions that don't parse": (FUNCTIONS.replace("):", ":"), {}),
    "850 helpers": (
        f"{HELPERS}def g850(x): return x",
        {"sigmoid": "return g0(1 / (1 + np.exp(-z)))"},
    ),
    "1,600 aliases": (ALIASES, {"sigmoid": "return g1599(1 / (1 + np.exp(-z)))"}),
    "a chain of calls in the answer": (
        "",
        {"sigmoid": "if 0: z" + "()" * 60 + "['a']()" * 30 + "\nreturn 1 / (1 + np.exp(-z))"},
    ),
    "a sum of 500 terms in the answer": (  # Jupyter itself takes fewer than a thousand
        "",
        {"sigmoid": f"return 1 / (1 + np.exp({'+'.join(['0'] * 500)} - z))"},
    ),
    "a function after them": (
        # It is defined last, and found.
        f"raise ValueError\n{FUNCTIONS}def logistic(z): return 1 / (1 + np.exp(-z))",
        {"sigmoid": "return logistic(z)"},
    ),
}


@pytest.fixture(scope="module")
def verdicts(toy, graded_together):
    toy.write_assignment(cell_s=30, notebook_s=120, check_s=30)
    paths = {
        title: toy.right("import numpy as np", top, name=f"s{n}", **bodies)
        for n, (title, (top, bodies)) in enumerate(ANSWERS.items())
    }
    return graded_together(toy, paths)


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_right_beside_intricate_code_keeps_its_points(verdicts, answer):
    assert verdicts[answer]["status"] == "graded"
    assert verdicts[answer]["score"] == MAX


TOO_LONG = "raise ValueError\n" + "".join(f"a{n} = abs({n})\n" for n in range(700))
LAMBDAS = "".join(f"    x = {'lambda: ' * 38}({'+'.join(['a'] * 300)})\n" for _ in range(180))


def test_a_bound_that_is_reached_is_named(host, notes):
    host.write_assignment(cell_s=30, notebook_s=120, check_s=30)
    body = f"if 0:\n{LAMBDAS}return 1 / (1 + np.exp(-z))"
    graded = host.grade(host.right(TOO_LONG), host.right(name="intricate", sigmoid=body))
    assert graded["right"]["score"] == MAX
    said = notes(graded["right"])["extracted"]
    assert "nothing from line 502 on was tried: more than 500 statements" in said
    assert graded["intricate"]["score"] == MAX
    said = notes(graded["intricate"])["not_searched"]
    assert "exercise sigmoid: the search for what is forbidden stopped after 2,000,000" in said
