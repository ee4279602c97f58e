"""Samples: what a file may say, the notebook that it tells of, where a result deviates."""

import pytest

from grader.assignment import load_assignment
from grader.errors import AssignmentError
from grader.records import ExerciseScore, Outcome, Result
from grader.verify.samples import Sample, apply_sample, find_deviations, load_samples

MISTAKE = """\
title = "t"
kind = "mistake"
notebook = "toy.ipynb"
[regions]
mean_square = "return 0"
[expect]
a = "mean"
"""


def test_samples_are_read_in_the_order_of_their_names(write_toy):
    samples = load_samples(load_assignment(write_toy()))
    assert [(s.name, s.kind) for s in samples] == [("loop", "right"), ("sum", "mistake")]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", "samples/x.toml: unknown key `titel`; did you mean `title`"),
        ('"mistake"', '"error"', "samples/x.toml: `kind` is 'error'"),
        ("toy.ipynb", "other.ipynb", "samples/x.toml: no notebook 'other.ipynb'"),
        ("mean_square", "mean_squares", r"\[regions\] toy.ipynb has no 'mean_squares'"),
        ("[regions]", "[definitions]\nf = ''\n[regions]", r"\[definitions\] toy.ipynb has no 'f'"),
        ("a = ", "c = ", r"\[expect\] toy.ipynb has no graded exercise 'c'"),
        ('a = "mean"', 'a = "("', r"\[expect\] a: "),
        ('a = "mean"', "", "must name the exercises where a mistake loses points"),
        ('"mistake"', '"right"', "a right sample loses no points"),
        ("[regions]", "[regions", "samples/x.toml: is not TOML"),
        ('"t"', "5", "`title` must be a text"),
        ('"return 0"', "5", r"\[regions\]: each value must be a text, not a whole"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_with_its_file_and_key(write_toy, old, new, message):
    folder = write_toy(samples={"x": MISTAKE.replace(old, new, 1)})
    with pytest.raises(AssignmentError, match=message):
        load_samples(load_assignment(folder))


def test_a_region_is_replaced_between_its_markers(write_toy):
    assignment = load_assignment(write_toy())
    regions = {"Model.predict": "if x:\n    return 1"}
    sample = Sample("x", "t", "mistake", "toy.ipynb", regions=regions)
    changed = apply_sample(sample, assignment.notebooks["toy.ipynb"])
    assert changed.cells[2].source.splitlines()[4:9] == [
        "    def predict(self, x):",
        "        ### START YOUR CODE ###",
        "        if x:",
        "            return 1",
        "        ### END YOUR CODE ###",
    ]
    assert (
        changed.definitions["mean_square"]
        == (assignment.notebooks["toy.ipynb"].definitions["mean_square"])
    )


def test_a_definition_is_replaced_whole_and_a_cell_is_appended(write_toy):
    assignment = load_assignment(write_toy())
    loop = load_samples(assignment)[0]
    changed = apply_sample(loop, assignment.notebooks["toy.ipynb"])
    assert "for a, b in zip(p, y)" in changed.definitions["mean_square"].source
    assert "START" not in changed.cells[1].source
    assert changed.cells[-1].source.startswith("print(")
    assert len(changed.cells) == len(assignment.notebooks["toy.ipynb"].cells) + 1


SAMPLE = Sample("x", "t", "mistake", "toy.ipynb", expect={"a": "minus SIGN"})


def result(*, a: float, b: float = 2.0, message: str = "the minus sign is lost") -> Result:
    def line(name: str, points: float, of: float) -> ExerciseScore:
        failed = points < of
        outcome = Outcome(
            name, "value", "failed" if failed else "passed", points / of, of,
            message=message if failed else "",
        )  # fmt: skip
        return ExerciseScore(name, name, points, of, "partial" if failed else "passed", (outcome,))

    return Result("", (), "graded", exercises=(line("a", a, 4.0), line("b", b, 2.0)))


def test_what_is_lost_as_declared_is_no_deviation():
    assert find_deviations(SAMPLE, result(a=1.0)) == []


def test_a_mistake_that_loses_nothing_deviates():
    assert find_deviations(SAMPLE, result(a=4.0)) == ["a kept all its points but must lose some"]


def test_an_exercise_that_is_not_named_must_keep_its_points():
    assert find_deviations(SAMPLE, result(a=1.0, b=1.5)) == [
        "b lost 0.5 of 2 points but must keep them: value: the minus sign is lost"
    ]


def test_a_message_must_match_the_pattern():
    assert find_deviations(SAMPLE, result(a=1.0, message="wrong")) == [
        "a lost 3 points as it must, but no message matches 'minus SIGN': value: wrong"
    ]


def test_a_sample_that_was_not_graded_deviates_with_the_reason():
    refused = Result("", (), "refused", "no notebook")
    assert find_deviations(SAMPLE, refused) == ["was not graded (refused): no notebook"]
