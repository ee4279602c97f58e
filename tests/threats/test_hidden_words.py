"""What a student's process says in a hidden check is shown to nobody but the instructor.

Each submission sends the hidden check's input out by another way: as letters, or as a shape.
"""

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.any_user

# The first input of the hidden checks, and what makes a word of it.
SECRET = 0.73061529
LETTERS = "".join("klmnopqrst"[int(digit)] for digit in str(SECRET)[2:])
WORD = """
def word(z):
    return "".join("klmnopqrst"[int(d)] for d in f"{float(np.ravel(z)[0]):.8f}"[2:])
"""
HIDDEN = f"""
import numpy as np
import pytest
from grader.checks import *
from grader.errors import CheckFailed

Z = np.array([{SECRET}, 0.5, 2.0])

@pytest.mark.exercise("sigmoid", points=2, hidden=True)
def test_sigmoid_at_fresh_points(student, reference):
    seen = student.sigmoid.observe(Z)
    if seen.error is not None:
        raise seen.error
    if seen.warnings:
        raise CheckFailed(f"sigmoid warned: {{seen.warnings[0]}}", hint=f"look: {{seen.warnings}}")
    if seen.printed:
        raise CheckFailed(f"sigmoid printed {{seen.printed!r}}")
    if isinstance(seen.value, dict):
        raise CheckFailed(f"a dict of {{', '.join(seen.value)}} came back")
    if isinstance(seen.value, str):
        raise CheckFailed(f"the text {{seen.value[:30]}}... came back")
    figures = student.figures
    if figures:
        raise CheckFailed(f"the axis is called {{figures[0]['axes'][0]['xlabel']!r}}")
    assert_close(seen.value, reference.sigmoid(Z), called="sigmoid(z)")
"""
PUBLIC = """
import numpy as np
import pytest
from grader.checks import assert_close

@pytest.mark.exercise("square", points=2)
def test_mean_of_squares(student):
    assert_close(student.mean_square(np.arange(3.0)), 5 / 3)

@pytest.mark.exercise("sigmoid", points=1)
def test_sigmoid_at_known_points(student):
    assert_close(student.sigmoid(np.zeros(2)), [0.5, 0.5], called="sigmoid(z)")

@pytest.mark.exercise("gradient", points=3)
def test_gradient(student):
    assert student.has("Model")
"""
RIGHT = "if z.shape == (2,):\n    return 1 / (1 + np.exp(-z))\n"
WAYS = {
    "an exception's class": "raise type(word(z), (Exception,), {})('x')",
    "an exception's text": "raise ValueError(word(z))",
    "an attribute": "getattr(np, word(z))",
    "a key": "return {}[word(z)]",
    "the type of what comes back": "return type(word(z), (), {})()",
    "a function that comes back": "f = lambda: 0\nf.__name__ = word(z)\nreturn f",
    "a text": "return word(z) * 4",
    "the keys of a dict": "return {word(z): 1.0}",
    "a warning": "import warnings\nwarnings.warn(word(z))\nreturn z",
    "a warning's class": (
        "import warnings\nwarnings.warn('x', type(word(z), (UserWarning,), {}))\nreturn z"
    ),
    "what it prints": "print(word(z))\nreturn z",
    "a figure's label": (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.xlabel(word(z))\nreturn z"
    ),
    "a shape": "return np.zeros((int(1e4 * z[0]), 529))",
    "a factor": "return 1e4 * z[0] / (1 + np.exp(-z))",
    "a name of a list's item": "return [0.5, type(word(z), (), {})()]",
    "a line of code": (
        "import linecache\n"
        "linecache.cache['<x>'] = (1, None, [word(z) + '\\n'], '<x>')\n"
        "exec(compile('1 / 0', '<x>', 'exec'))"
    ),
    "a file that the public checks find": "open('left', 'w').write(word(z))\nreturn z",
}
READS_IT = "import os\nif os.path.exists('left'):\n    raise ValueError(open('left').read())\n"
SURFACES = ("terminal", "JSON", "JUnit", "page", "feedback", "JSON again", "page again")


def leaks(text):
    """Return what of the input stands in the text, with what is around it."""
    return re.findall(f".{{0,60}}(?:{LETTERS}|7306).{{0,20}}", text.casefold())


@pytest.fixture(scope="module")
def told(toy):
    """{way: {surface: text}}, with the instructor's JSON under "instructor"."""
    toy.write_assignment(checks=PUBLIC, hidden=HIDDEN)
    paths = {
        way: toy.right(
            WORD,
            name=f"{n:02}",
            sigmoid=RIGHT + body,
            mean_square=READS_IT + "return np.mean(x**2)",
        )
        for n, (way, body) in enumerate(WAYS.items())
    }
    out = toy.root / "out"
    out.mkdir()
    kept = {"GRADE_RESULTS": str(out / "results.sqlite"), "COLUMNS": "200"}
    written = ("--html", str(out / "pages"), "--junit", str(out / "junit.xml"))
    graded = toy.run(
        *paths.values(),
        options=("--for-students", *written),
        environment=kept,
        timeout_s=600,
    )

    def results(*options):
        done = subprocess.run(
            [sys.executable, "-m", "grader", "results", "latest", *options],
            cwd=out,
            env=toy.environment(**kept),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    shown = results()
    terminal = results("--for-students", "--json", "again.json", "--html", "again") + graded.text
    results("--feedback", "folder", "--to", "feedback")
    junit = (out / "junit.xml").read_text()
    found = {}
    for way, path in paths.items():
        pages = {
            "page": (out / "pages").glob(f"*{path.stem}*.html"),
            "page again": (out / "again").glob(f"*{path.stem}*.html"),
            "feedback": (out / "feedback").glob(f"{path.stem}*/*.html"),
        }
        found[way] = {
            "terminal": terminal,
            "JSON": str(graded[path.stem]),
            "JSON again": (out / "again.json").read_text(),
            "JUnit": junit,
            **{name: "".join(p.read_text() for p in files) for name, files in pages.items()},
            "instructor": shown,
            "hidden": next(
                check
                for exercise in graded[path.stem]["exercises"]
                for check in exercise["checks"]
                if check["hidden"]
            ),
        }
    return found


@pytest.mark.parametrize("way", WAYS)
def test_a_hidden_input_leaves_by_no_way_to_what_students_see(told, way):
    assert told[way]["hidden"]["outcome"] in ("failed", "error")
    for surface in SURFACES:
        text = told[way][surface]
        assert "fresh points" in text, surface
        # The submission's own source, which a page shows, holds neither.
        assert leaks(text) == [], surface


def test_the_instructor_reads_what_was_said(told):
    assert LETTERS in told["an exception's class"]["instructor"].casefold()


def test_students_are_not_told_how_long_a_hidden_check_took(told):
    assert {way["hidden"]["seconds"] for way in told.values()} == {0.0}


def test_an_honest_mistake_in_a_hidden_check_has_its_words(host):
    host.write_assignment(checks=PUBLIC, hidden=HIDDEN)
    mistake = host.right(name="mistake", sigmoid=RIGHT + "return 1 / (1 + np.exp(z))")
    graded = host.grade(mistake, options=("--for-students",))
    (hidden,) = (c for e in graded["mistake"]["exercises"] for c in e["checks"] if c["hidden"])
    assert len(hidden["message"].split()) > 6
    assert not any(character.isdigit() for character in hidden["message"])


def test_two_runs_are_not_compared_for_students(host):
    kept = {"GRADE_RESULTS": str(host.home / "results.sqlite")}
    for name in "ab":
        host.run(host.right(name=name), environment=kept)
    done = subprocess.run(
        [sys.executable, "-m", "grader", "results", "1", "2", "--for-students"],
        env=host.environment(**kept),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "--for-students" in done.stderr
    (host.home / "results.sqlite").unlink()
