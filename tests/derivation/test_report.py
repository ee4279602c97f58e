"""What reports show of a derivation: the same facts everywhere, harmless on a page."""

import json

from cases import SIGMOID

from grader.derivation.following import follow
from grader.records import DerivationTarget, ExerciseScore, Report, Result
from grader.report import json_report
from grader.report.derivation_words import derivation_lines, derivation_table, formula
from grader.report.html_page import render_page
from grader.report.table import render_html, render_text

TEXT = r"""
$$\sigma'(z) = \frac{e^{-z}}{(1+e^{-z})^2} = -\sigma(z)(1-\sigma(z))$$

$$q = \text{<script>alert(1)</script>}$$

$$\zeta'(z) = \sigma(z)$$
"""
TARGETS = [
    DerivationTarget(r"\sigma(z)", of=r"\zeta'(z)", points=2),
    DerivationTarget(r"\sigma(z)(1-\sigma(z))", of=r"\sigma'(z)", points=3),
]


def result():
    derivation = follow(TEXT, SIGMOID, TARGETS)
    exercise = ExerciseScore("1", "Sigmoid", 0, 5, "manual", derivation=derivation)
    return Result("a.ipynb", ("Ada",), "graded", manual_points=5, exercises=(exercise,))


def page():
    return render_page(Report("toy", "Toy", 0, (result(),)), result())


def test_the_share_that_was_not_read_is_always_told():
    lines = list(derivation_lines(result().exercises[0]))

    assert lines[0] == "4 steps: 2 follow, 1 differ, 1 not read"


def test_points_are_open_with_the_suggestion():
    text = "\n".join(derivation_lines(result().exercises[0]))

    assert "2 points open, for a person to decide" in text
    assert "3 points open" in text


def test_points_that_are_reached_without_a_doubt_are_suggested_and_open():
    text = r"$$\zeta'(z) = \frac{e^z}{1+e^z} = \sigma(z)$$"
    exercise = ExerciseScore("1", "", 0, 2, "manual", derivation=follow(text, SIGMOID, TARGETS[:1]))

    assert "suggested: 2 points, open until a person agrees" in "\n".join(
        derivation_lines(exercise)
    )


def test_terminal_notebook_and_page_tell_the_same_fact():
    remark = result().exercises[0].derivation.remarks[0].remark

    assert remark in "\n".join(derivation_lines(result().exercises[0]))
    assert remark in render_text(result())
    assert remark in page()
    assert remark in render_html(result())


def test_the_json_tells_every_step_and_keeps_the_points_open():
    report = json.loads(json_report.render(Report("toy", "Toy", 0, (result(),))))
    exercise = report["submissions"][0]["exercises"][0]

    assert exercise["status"] == "manual"
    assert exercise["points"] == 0
    assert exercise["derivation"]["counts"] == {
        "follows": 2, "definition": 0, "differs": 1, "not_read": 1,
    }  # fmt: skip
    assert exercise["derivation"]["steps"][1]["left_value"]


def test_the_page_renders_formulas_and_marks_the_step_that_differs():
    shown = page()
    table = derivation_table(result().exercises[0])

    assert "<mfrac>" in shown
    assert [row["tone"] for row in table["steps"]] == ["good", "part", "open", "good"]
    assert table["steps"][1]["left_value"] in shown
    assert table["steps"][1]["right_value"] in shown


def test_a_script_in_a_formula_is_text_on_the_page():
    assert "<script" not in page()
    assert "alert(1)" in page()


def test_only_plain_mathml_reaches_the_page():
    hostile = (
        '<math><mi onclick="x()" href="javascript:x()">a</mi><maction actiontype="x"><mi>b</mi>'
        '</maction><annotation-xml><iframe src="http://x"></iframe></annotation-xml></math>'
    )
    assert formula(hostile, "a") == "<math><mi>a</mi><mi>b</mi></math>"
    assert formula("<math><mi>a", "a<b") == "<code>a&lt;b</code>"
    assert "&lt;" in formula("<math><mtext>&lt;script&gt;</mtext></math>", "")


def test_an_entity_bomb_is_shown_as_its_source():
    bomb = '<!DOCTYPE a [<!ENTITY b "cc">]><math>&b;</math>'

    assert formula(bomb, "x") == "<code>x</code>"
