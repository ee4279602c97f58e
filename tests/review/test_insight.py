"""What a class teaches, held against numbers computed by hand; agreement; like work."""

import csv
import io
from dataclasses import replace

import pytest

from grader.cli.commands import run as run_command
from grader.records import (
    Evidence,
    ExerciseScore,
    Origin,
    Outcome,
    Region,
    Result,
)
from grader.review.agreement import cohens_kappa
from grader.review.insight import (
    as_csv,
    as_markdown,
    correlation,
    cronbachs_alpha,
    insight_of,
)
from grader.review.similar import features_of, pairs_of

from .conftest import cells


def result(points, *, messages=None, number=0):
    """A student with these points, out of 4 each; a check each."""
    exercises = tuple(
        ExerciseScore(f"e{n}", f"E{n}", p, 4.0, "passed" if p == 4 else "failed", (
            Outcome(f"e{n}", "check", "passed" if p == 4 else "failed", p / 4, 4.0,
                    message="" if p == 4 else (messages or {}).get(n, f"{p} is wrong")),))
        for n, p in enumerate(points)
    )  # fmt: skip
    return Result(f"{number}.zip", (f"S{number}",), "graded", score=sum(points),
                  max_score=4.0 * len(points), exercises=exercises)  # fmt: skip


def test_facility_and_deviation_are_those_of_the_shares():
    insight = insight_of([result([4, 0]), result([2, 0]), result([0, 0])])
    first, second = insight.exercises
    assert (first.students, first.facility) == (3, 0.5)
    assert first.sd == pytest.approx((1 / 6) ** 0.5)
    assert (second.facility, second.discrimination) == (0.0, None)


def test_an_exercise_s_own_points_are_left_out_of_its_discrimination():
    # The rest of the first exercise is the second one alone: they run against each other.
    insight = insight_of([result([4, 0]), result([2, 2]), result([0, 4])])
    assert insight.exercises[0].discrimination == pytest.approx(-1.0)


def test_a_check_s_own_points_are_left_out_of_its_discrimination():
    insight = insight_of([result([4, 0]), result([2, 2]), result([0, 4])])
    assert insight.checks[0].discrimination == pytest.approx(-1.0)


def test_correlation_is_pearson_s():
    assert correlation([(1, 2), (2, 4), (3, 7)]) == pytest.approx(0.9933993)
    assert correlation([(1, 1), (1, 2), (1, 3)]) is None
    assert correlation([(1, 1), (2, 2)]) is None


def test_alpha_is_cronbach_s_and_never_below_twenty_students():
    twenty = [result([n % 5, (n + n // 5) % 5, n % 3]) for n in range(20)]
    # Computed by hand from the variances of the columns and of the sums.
    columns = list(zip(*[[e.points for e in r.exercises] for r in twenty], strict=True))

    def variance(values):
        mean = sum(values) / len(values)
        return sum((v - mean) ** 2 for v in values) / len(values)

    sums = [sum(r) for r in zip(*columns, strict=True)]
    expected = 3 / 2 * (1 - sum(map(variance, columns)) / variance(sums))
    assert cronbachs_alpha(twenty) == pytest.approx(expected)
    assert cronbachs_alpha(twenty[:19]) is None


def test_equal_columns_have_an_alpha_of_one():
    assert cronbachs_alpha([result([n % 5] * 3) for n in range(25)]) == pytest.approx(1.0)


def test_checks_that_never_fired_or_always_fail_together_are_named():
    class_ = [result([4, p, p]) for p in (0, 0, 1, 4)]
    insight = insight_of(class_)
    assert insight.never_fired == (("e0", "check"),)
    assert insight.together == ((("e1", "check"), ("e2", "check")),)


def test_two_checks_that_failed_for_two_alone_are_no_pattern():
    assert insight_of([result([p, p]) for p in (0, 0, 4, 4)]).together == ()


def test_a_diagnosis_is_counted_without_the_numbers_of_one_student():
    told = [{0: f"cost(w) is {n}.5\nis a factor of {n} missing?"} for n in range(3)]
    insight = insight_of([result([0], messages=m) for m in told] + [result([4])] * 2)
    (one,) = insight.diagnoses
    assert (one.words, one.count, one.example) == ("is a factor of # missing?", 3, 0)
    assert one.share == pytest.approx(0.6)


def test_a_diagnosis_that_all_have_in_the_same_words_is_told_in_them():
    told = {0: "12 times too large\nis 1/m missing?"}
    (one,) = insight_of([result([0], messages=told)] * 2).diagnoses
    assert one.words == "is 1/m missing?"


def test_a_diagnosis_of_many_asks_whether_the_sheet_is_clear():
    results = [result([0], number=n) for n in range(2)] + [result([4], number=9)] * 4
    assert "**Is the sheet clear?**" in as_markdown(insight_of(results), "T", results)
    more = [*results, *[result([4])] * 4]
    assert "sheet clear" not in as_markdown(insight_of(more), "T", more)


def test_what_is_open_or_was_not_graded_is_left_out():
    opened = ExerciseScore("w", "W", 0.0, 5.0, "manual")
    first = result([4])
    results = [replace(first, exercises=(*first.exercises, opened), manual_points=5.0),
               Result("x.zip", (), "refused", "cut off")]  # fmt: skip
    insight = insight_of(results)
    assert (insight.students, insight.open) == (1, 1)
    assert [e.exercise for e in insight.exercises] == ["e0"]


def test_nobody_and_nothing_is_no_error():
    assert insight_of([]).mean is None
    assert "0 graded" in as_markdown(insight_of([]), "T", [])


def test_a_table_has_a_row_an_item_and_no_formula():
    evil = result([0])
    exercise = replace(evil.exercises[0], id="=1+1")
    check = replace(exercise.checks[0], exercise="=1+1", name="+cmd")
    evil = replace(evil, exercises=(replace(exercise, checks=(check,)),))
    rows = list(csv.reader(io.StringIO(as_csv(insight_of([evil])).removeprefix("\ufeff"))))
    assert [row[:2] for row in rows[1:]] == [["'=1+1", ""], ["'=1+1", "'+cmd"]]


def test_markdown_of_a_name_stays_in_its_cell():
    bad = replace(result([0]), students=("a|b<script>",))
    text = as_markdown(insight_of([bad, bad]), "x|y", [bad, bad])
    assert "<script>" not in text and "a\\|b" in text


@pytest.mark.parametrize(("name", "starts"), [("i.md", "# What"), ("i.csv", "\ufeffexercise")])
def test_the_command_writes_it(klass, monkeypatch, tmp_path, name, starts):
    made = klass(3, passed=False)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    monkeypatch.chdir(tmp_path)
    assert run_command(["results", "latest", "--insight", name]) == 0
    assert (tmp_path / name).read_text("utf-8").startswith(starts)


def test_the_command_refuses_another_kind_of_file(klass, monkeypatch, capsys):
    monkeypatch.setenv("GRADE_RESULTS", str(klass(1).file))
    assert run_command(["results", "latest", "--insight", "x.pdf"]) == 2
    assert "takes a file .md or .csv" in capsys.readouterr().err


# --- agreement ----------------------------------------------------------------------------------


def test_kappa_of_cohen_s_textbook_example():
    # 20 both yes, 15 both no, 5 and 10 apart: observed 0.7, by chance 0.5.
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)


def test_kappa_is_one_for_the_same_and_undefined_where_nothing_differs():
    assert cohens_kappa([(0, 0), (1, 1)]) == pytest.approx(1.0)
    assert cohens_kappa([(1, 1), (1, 1)]) is None
    assert cohens_kappa([]) is None


# --- like work ----------------------------------------------------------------------------------


def works(*codes, traces=(), words=(), origins=()):
    made = {}
    for number, code in enumerate(codes):
        trace = traces[number] if number < len(traces) else ""
        check = Outcome("e", "check", "failed", 0.0, 1.0, trace=trace)
        exercise = ExerciseScore("e", "E", 0.0, 1.0, "failed", (check,))
        text = words[number] if number < len(words) else ""
        evidence = Evidence(regions={"e": (Region("f", 0, code, "filled"),)},
                            answers={"e": cells(text)} if text else {})  # fmt: skip
        origin = origins[number] if number < len(origins) else Origin()
        made[number] = (Result(f"{number}.zip", (f"S{number}",), "graded",
                               exercises=(exercise,), origin=origin), evidence)  # fmt: skip
    return made


RIGHT = "return x.T @ (x @ w - y) / len(y)"
ODD = (
    "# no idea why this minus works here\nscaled_residual = y - x @ w\n"
    "return -x.T @ scaled_residual"
)


def test_the_same_right_answer_of_all_is_no_pair():
    assert pairs_of(works(*[RIGHT] * 12)) == []


def test_two_who_share_a_comment_and_a_name_that_no_one_else_has_are_a_pair():
    (pair,) = pairs_of(works(RIGHT, ODD, RIGHT, ODD.replace("\n", "\n\n"), RIGHT))
    assert (pair.one, pair.other) == (1, 3)
    kinds = {rarity.kind for rarity in pair.shared}
    assert {"a comment", "a name"} <= kinds


def test_one_coincidence_alone_is_none():
    one, other = "scaled_residual = 1\nreturn 3", "scaled_residual = 2\nreturn 4"
    assert pairs_of(works(one, other, RIGHT)) == []


def test_what_the_template_or_a_sample_has_does_not_count():
    assert pairs_of(works(RIGHT, ODD, ODD), known=[ODD]) == []


def test_what_many_have_is_no_rarity():
    assert pairs_of(works(RIGHT, *[ODD] * 5)) == []


def test_the_same_wrong_value_to_the_last_bit_counts():
    (pair,) = pairs_of(works(RIGHT, RIGHT, ODD, ODD, traces=("", "", "t", "t")))
    assert any(r.kind == "a wrong value" for r in pair.shared)
    assert (pair.one, pair.other) == (2, 3)


def test_two_hand_ins_of_one_person_are_no_pair():
    one = Origin("moodle", "A", {"participant": "1"})
    assert pairs_of(works(ODD, ODD, RIGHT, origins=(one, one))) == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def my_helper(a, b):\n    return a\nreturn my_helper(1, 2)", "a helper"),
        ("return 1\nprint('never')", "dead code"),
        ("w = np.random.randn(3)\nreturn w", "an unseeded draw"),
        ("return x * 0.7315", "a number"),
        ("print('something unusual')", "a text"),
    ],
)
def test_kinds_of_rarities(code, kind):
    assert kind in {found for found, _ in features_of(code)}


@pytest.mark.parametrize("code", ["(" * 5000, "\x00", "x = '", "1+" * 20000 + "1", "def f(:\n"])
def test_code_that_is_none_ends_in_no_error(code):
    list(features_of(code))


def test_sentences_of_words_count_as_well():
    odd = "The gradient limps along the valley like a tired old mule would do."
    text = [odd, "Short.", f"{odd} It then rests for a good long while near the river bank."]
    also = "It then rests for a good long while near the river bank."
    (pair,) = pairs_of(works("return 1", RIGHT, "return 2",
                             words=(f"{text[0]} {also}", text[1], text[2])))  # fmt: skip
    assert {r.kind for r in pair.shared} == {"a sentence"}
