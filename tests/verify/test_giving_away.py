"""A sample's words that would give the solution away are not what students read."""

from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.errors import AssignmentError
from grader.verify.giving_away import given_away, right_sources, too_much_said
from grader.verify.known_candidates import sample_mistakes
from grader.verify.report import detail_sections
from grader.verify.samples import load_samples
from grader.verify.verdicts import VerifyReport
from grader.verify.verification import _too_much_said

REFERENCE = Path(__file__).parents[2] / "reference"


@pytest.mark.parametrize(
    ("text", "solution", "found"),
    [
        ("s (s - 1) for s (1 - s)", "ds = s * (1.0 - s)", ["s (1 - s)"]),
        ("the factor 1 - sigma is lost", "ds = s * (1.0 - s)", ["1 - sigma"]),
        ("y is taken, never 2y - 1", "v = np.logaddexp(0, -(2 * y - 1) * z)", ["2y - 1"]),
        ("it returns y_hat - y", "delta = (y_hat - y) * h", ["y_hat - y"]),
        ("divided by 2 epsilon", "g = (above - below) / (2.0 * epsilon)", ["2 epsilon"]),
        ("without -log(p)", "loss = -np.log(p)", ["-log(p)"]),
        ("the step x + v^2 / 2 is too long", "y = x + v**2 / 2", ["x + v^2 / 2"]),
    ],
)
def test_an_expression_of_the_solution_is_found_between_words(text, solution, found):
    assert given_away(text, [solution]) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-log sigma(z) for -log sigma(-z)", ["-log sigma(-z)"]),
        ("log 2 instead of -log 2", ["-log 2"]),
        ("divided by h, not by h + 1", ["h + 1"]),
    ],
)
def test_what_the_text_itself_calls_right_is_found_in_any_form(text, found):
    assert given_away(text, ["value = np.logaddexp(0.0, z)"]) == found


@pytest.mark.parametrize(
    "text",
    [
        "the minus sign is lost",
        "cross-entropy without its minus sign",
        "the derivative as s (s - 1)",  # the wrong one
        "the error is taken as y - y_hat",
        "both gradients without 1/m",
        "polar coordinates instead of points",
        "labels -1 and 1, in a column",
        "W1 as (2, h)",
        "exp(-z) as it stands overflows at -1000",
        "x -",
        "((((",
        pytest.param("log " * 3000 + "-x", id="a very long one"),
    ],
)
def test_a_text_without_the_solution_s_expressions_is_left_alone(text):
    solution = "s = 1 / (1 + np.exp(z))\nds = s * (1.0 - s)\nd = (y_hat - y) / m"
    assert given_away(text, [solution]) == []


@pytest.fixture
def sample_with(write_toy):
    """The words that students read of a mistake with this title, and what verify warns of."""

    def read(title, says=""):
        folder = write_toy()
        (folder / "samples" / "mistake-words.toml").write_text(
            f'title = "{title}"\n{says}\nkind = "mistake"\nnotebook = "toy.ipynb"\n'
            "[definitions]\nmean_square = '''\ndef mean_square(p, y):\n"
            "    return np.sum((p - y) ** 2)\n'''\n[expect]\na = '.'\n"
        )
        assignment = load_assignment(folder)
        samples = load_samples(assignment)
        (sample,) = (one for one in samples if one.name == "mistake-words")
        notebook = assignment.notebooks["toy.ipynb"]
        (words,) = (
            c.mistake.says
            for c in sample_mistakes(assignment, notebook)
            if c.mistake.title == title
        )
        return words, too_much_said(sample, notebook, right_sources(samples, sample))

    return read


def test_a_plain_title_is_read_by_students(sample_with):
    assert sample_with("a sum where the mean belongs, see the sheet") == (
        "a sum where the mean belongs, see the sheet",
        "",
    )


def test_a_title_with_the_solution_is_withheld_and_verify_says_what_to_do(sample_with):
    words, warning = sample_with("the absolute value for (p - y) ** 2")
    assert words == ""
    assert "mistake-words.toml: its title holds `(p - y) ** 2`" in warning
    assert 'says = "..."' in warning


def test_the_sample_s_own_words_for_students_come_first(sample_with):
    title = "the absolute value for (p - y) ** 2"
    assert sample_with(title, 'says = "the square is lost"') == ("the square is lost", "")


def test_words_for_students_with_the_solution_are_warned_of(sample_with):
    words, warning = sample_with("lost", 'says = "it is p - y, squared"')
    assert words == "it is p - y, squared"
    assert "students read `p - y` in `says`" in warning


def test_verify_lists_the_words_that_give_the_solution_away(write_toy):
    folder = write_toy()
    (folder / "samples" / "mistake-words.toml").write_text(
        'title = "the absolute value for (p - y) ** 2"\nkind = "mistake"\nnotebook = "toy.ipynb"\n'
        "[definitions]\nmean_square = 'def mean_square(p, y): return 0'\n[expect]\na = '.'\n"
    )
    assignment = load_assignment(folder)
    found = _too_much_said(assignment, load_samples(assignment))
    report = VerifyReport("toy", "Toy", (), 10.0, 10.0, 0.0, too_much_said=found)
    assert report.passed  # a warning: students don't read it
    (line,) = detail_sections(report)["Samples with words that would give the solution away"]
    assert line.startswith("samples/mistake-words.toml: its title holds")


def test_a_right_sample_has_no_words_for_students(write_toy):
    folder = write_toy()
    (folder / "samples" / "right-words.toml").write_text(
        'title = "t"\nsays = "x"\nkind = "right"\nnotebook = "toy.ipynb"\n'
    )
    with pytest.raises(AssignmentError, match="nobody reads `says` of a right sample"):
        load_samples(load_assignment(folder))


@pytest.mark.parametrize("name", sorted(p.name for p in REFERENCE.iterdir() if p.is_dir()))
def test_no_shipped_sample_gives_its_solution_away(name):
    assignment = load_assignment(REFERENCE / name)
    samples = load_samples(assignment)
    warnings = [
        too_much_said(one, assignment.notebooks[one.notebook], right_sources(samples, one))
        for one in samples
    ]
    assert not list(filter(None, warnings))
