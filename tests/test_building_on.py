"""One wrong function and what builds on it: whose mistake it is, where points follow through."""

import json
import re
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from grader import building_on, grade, stand_ins
from grader.assignment import load_assignment
from grader.errors import AssignmentError
from grader.notebook import parse_notebook
from grader.records import Outcome

TOML = """\
id = "chain"
[[notebooks]]
file = "chain.ipynb"
[[exercises]]
id = "a-softmax"
title = "Softmax"
points = 2
notebook = "chain.ipynb"
functions = ["softmax"]
[[exercises]]
id = "b-loss"
title = "Loss"
points = 2
notebook = "chain.ipynb"
functions = ["loss"]
[[exercises]]
id = "c-gradient"
title = "Gradient"
points = 2
notebook = "chain.ipynb"
functions = ["Model.gradient"]
[[exercises]]
id = "d-step"
title = "Step"
points = 3
notebook = "chain.ipynb"
functions = ["Model.step"]
follows = ["c-gradient"]
"""
CHAIN = """\
# %%
import numpy as np

# %%
def softmax(z):
    ### START YOUR CODE ###
    # STUB: p = z
    e = np.exp(z - z.max())
    p = e / e.sum()
    ### END YOUR CODE ###
    return p

# %%
def loss(z, j):
    ### START YOUR CODE ###
    # STUB: value = 0.0
    value = -np.log(softmax(z)[j])
    ### END YOUR CODE ###
    return value

# %%
class Model:
    def __init__(self, w, lr):
        self.w = np.array(w, dtype=float)
        self.lr = lr

    def gradient(self):
        ### START YOUR CODE ###
        # STUB: g = 0.0 * self.w
        g = 2 * self.w
        ### END YOUR CODE ###
        return g

    def step(self):
        ### START YOUR CODE ###
        # STUB: pass
        self.w = self.w - self.lr * self.gradient()
        ### END YOUR CODE ###
"""
CHECKS = """\
import numpy as np
import pytest

from grader.checks import as_array, assert_close

@pytest.mark.exercise("a-softmax", points=2)
def test_softmax(student, rng):
    z = rng.normal(size=4)
    assert_close(student.softmax(z), np.exp(z) / np.exp(z).sum(), called="softmax(z)")

@pytest.mark.exercise("b-loss", points=2)
def test_loss(student, rng):
    for _ in range(3):
        z = rng.normal(size=4)
        p = np.exp(z) / np.exp(z).sum()
        assert_close(student.loss(z, 2), -np.log(p[2]), called="loss(z, 2)")

@pytest.mark.exercise("c-gradient", points=2)
def test_gradient(student, rng):
    w = rng.normal(size=4)
    assert_close(student.Model(w, 0.1).gradient(), 2 * w, called="gradient()")

@pytest.mark.exercise("d-step", points=3)
def test_step(student, rng):
    w = rng.normal(size=4)
    model = student.Model(w, 0.1)
    model.step()
    model.step()
    assert_close(as_array(model.w), w * 0.64, called="step()")
"""
NO_MEAN = ("e / e.sum()", "e / e.mean()")
NO_FACTOR = ("g = 2 * self.w", "g = self.w")


def as_notebook(text):
    cells = [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
        | {"execution_count": None}
        for source in text.split("# %%\n")[1:]
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def course(folder, toml=TOML):
    folder = folder / "chain"
    folder.mkdir()
    (folder / "assignment.toml").write_text(toml)
    (folder / "chain.ipynb").write_text(as_notebook(CHAIN))
    (folder / "test_chain.py").write_text(CHECKS)
    return folder


def graded(folder, *changes, text=CHAIN):
    """The exercises' lines by id, and the notes, of the solution with some changes."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    handed_in = folder / "handed in"
    handed_in.mkdir()
    (handed_in / "chain.ipynb").write_text(as_notebook(re.sub(r" *# STUB: .*\n", "", text)))
    report = grade([handed_in], assignment="chain", assignments=folder)
    result = report.results[0]
    assert result.status == "graded", result.message
    return {e.id: e for e in result.exercises}, [n.message for n in result.notes]


IN_PLACE_TOML = """\
id = "chain"
[[notebooks]]
file = "chain.ipynb"
[[exercises]]
id = "a-update"
title = "Update"
points = 2
notebook = "chain.ipynb"
functions = ["update"]
[[exercises]]
id = "b-train"
title = "Train"
points = 3
notebook = "chain.ipynb"
functions = ["train"]
follows = ["a-update"]
"""
IN_PLACE = """\
# %%
import numpy as np

# %%
def update(weights, gradients, rate, history):
    ### START YOUR CODE ###
    # STUB: pass
    for name in weights:
        weights[name] -= rate * gradients[name]
    history.append(float(weights["b"][0]))
    ### END YOUR CODE ###

# %%
def train(w, steps):
    weights, history = {"w": np.array(w), "b": np.zeros(1)}, []
    same = weights["w"]
    ### START YOUR CODE ###
    # STUB: pass
    for _ in range(steps):
        update(weights, {"w": 2 * weights["w"], "b": np.ones(1)}, 0.1, history=history)
    ### END YOUR CODE ###
    return same, weights["b"], history
"""
IN_PLACE_CHECKS = """\
import numpy as np
import pytest

from grader.checks import assert_close

@pytest.mark.exercise("a-update", points=2)
def test_update(student, rng):
    w = rng.normal(size=3)
    assert_close(student.train(w, 1)[0], 0.8 * w, called="train(w, 1)")

@pytest.mark.exercise("b-train", points=3)
def test_train(student, rng):
    w = rng.normal(size=3)
    w_after, b, history = student.train(w, 3)
    assert_close(w_after, 0.8**3 * w, called="train(w, 3)")
    assert_close(history, [-0.1, -0.2, -0.3], called="the history")
"""


def said(exercise):
    return "\n".join(check.message for check in exercise.checks)


def test_a_check_that_fails_for_another_functions_sake_says_where_to_look_first(tmp_path):
    course(tmp_path)
    lines, _ = graded(tmp_path, NO_MEAN)
    assert said(lines["b-loss"]).startswith(
        "builds on `softmax` (a-softmax), which failed: look there first"
    )
    assert lines["b-loss"].points == 0  # the sheet lets nothing follow through here


def test_points_follow_through_where_the_sheet_says_so(tmp_path):
    course(tmp_path)
    lines, notes = graded(tmp_path, NO_FACTOR)
    assert lines["c-gradient"].points == 0
    assert lines["d-step"].points == 3
    assert any(
        "d-step builds on `gradient` (c-gradient), which failed: look there first; points are "
        "given as if c-gradient were right" in note
        for note in notes
    )


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ((), 3),
        # A mistake of its own.
        (("range(steps)", "range(steps - 1)"), 0),
    ],
)
def test_points_follow_through_a_function_that_changes_its_arguments(tmp_path, change, points):
    folder = course(tmp_path, IN_PLACE_TOML)
    (folder / "chain.ipynb").write_text(as_notebook(IN_PLACE))
    (folder / "test_chain.py").write_text(IN_PLACE_CHECKS)
    wrong = ("-= rate * gradients", "+= rate * gradients")
    lines, _ = graded(tmp_path, wrong, *([change] if change else []), text=IN_PLACE)
    assert lines["a-update"].points == 0
    assert lines["b-train"].points == points


def test_a_mistake_of_its_own_costs_points_beside_one_that_it_builds_on(tmp_path):
    course(tmp_path)
    lines, _ = graded(tmp_path, NO_FACTOR, ("self.w - self.lr *", "self.w + self.lr *"))
    assert lines["d-step"].points == 0
    assert "With a right one:\nstep(): " in said(lines["d-step"])


def test_a_second_look_hangs_on_the_students_time_and_not_on_the_clock(tmp_path, monkeypatch):
    folder = course(tmp_path)
    file = folder / "test_chain.py"  # the check itself waits, as one does on a busy machine
    slow = file.read_text().replace(
        "def test_loss(student, rng):", "def test_loss(student, rng):\n    time.sleep(0.6)"
    )
    file.write_text(f"import time\n{slow}")
    monkeypatch.setattr(building_on, "QUICK_S", 0.4)
    lines, _ = graded(tmp_path, NO_MEAN, ("value = -np.log", "value = np.log"))
    assert "With a right one:\nloss(z, 2): " in said(lines["b-loss"])


def test_a_mistake_that_blames_nobody_else_is_told_alone(tmp_path):
    course(tmp_path)
    lines, _ = graded(tmp_path, ("value = -np.log", "value = np.log"))
    assert "builds on" not in said(lines["b-loss"])


def test_what_builds_on_an_empty_gap_says_that_it_is_empty(tmp_path):
    course(tmp_path)
    lines, _ = graded(
        tmp_path, ("    e = np.exp(z - z.max())\n    p = e / e.sum()\n", "    p = z\n")
    )
    assert "builds on `softmax` (a-softmax), which is not filled in yet" in said(lines["b-loss"])


def test_a_figure_that_was_drawn_before_is_not_checked_with_a_stand_in(tmp_path):
    chain = load_assignment(course(tmp_path))
    solved = chain.notebooks["chain.ipynb"]
    drawing = replace(
        solved,
        definitions={
            **solved.definitions,
            "loss": replace(solved.definitions["loss"], source="def loss():\n    plt.plot([1])\n"),
        },
    )
    echoes = building_on.Echoes(
        SimpleNamespace(assignment=replace(chain, notebooks={"chain.ipynb": drawing})), {}
    )
    drawn = {e.id: echoes._draws(e) for e in chain.exercises}
    assert drawn == {"a-softmax": False, "b-loss": True, "c-gradient": False, "d-step": False}


def test_a_stand_in_that_is_asked_without_end_gives_no_points(tmp_path):
    """A forged question may ask for the right answers to all that it likes: up to a limit."""
    course(tmp_path)
    lines, _ = graded(
        tmp_path,
        (
            "self.w = self.w - self.lr * self.gradient()",
            "for n in range(300):\n            self.w = self.w + n\n            self.gradient()",
        ),
        NO_FACTOR,
    )
    assert lines["d-step"].points == 0


def test_a_stand_in_gives_nothing_where_its_questions_are_forged(tmp_path):
    course(tmp_path)
    forged = textwrap.indent(
        "global _asked_for\n_asked_for = [['eval', None, ['1'], {}], 7, ['softmax']]\n"
        "self.w = None",
        "        ",
    )
    lines, _ = graded(
        tmp_path,
        (
            "        self.w = self.w - self.lr * self.gradient()",
            forged + "\n        self.gradient()",
        ),
        NO_FACTOR,
    )
    assert lines["d-step"].points == 0


@pytest.mark.parametrize(
    ("names", "problem"),
    [('["z"]', "there is no exercise 'z'"), ('["d-step"]', "itself, which has one function")],
)
def test_a_file_that_follows_what_is_not_there_is_refused(tmp_path, names, problem):
    folder = course(tmp_path, TOML.replace('follows = ["c-gradient"]', f"follows = {names}"))
    with pytest.raises(AssignmentError, match=problem):
        load_assignment(folder)


def test_answers_are_told_apart_by_the_last_digit():
    space = {}
    exec(stand_ins._PLAIN, space)
    same = space["_is_same"]
    assert same([1, np.array([1.0, np.nan])], [1, np.array([1.0, np.nan])])
    assert not same(np.array([1.0]), np.array([1.0 + 1e-15]))
    assert not same([1], [1.0])
    assert not same({"a": 1}, {"b": 1})


ONE = """\
id = "chain"
[[notebooks]]
file = "chain.ipynb"
[[exercises]]
id = "all"
title = "Softmax and its loss"
points = 9
notebook = "chain.ipynb"
functions = ["softmax", "loss", "Model.gradient", "Model.step"]
"""
FOLLOWING = ONE + 'follows = ["all"]\n'


def one_exercise(folder, toml):
    place = course(folder, toml)
    text = re.sub(r'exercise\("[a-z-]+"', 'exercise("all"', CHECKS)
    (place / "test_chain.py").write_text(text)


def by_check(exercise):
    return {check.name: check for check in exercise.checks}


def test_within_an_exercise_a_check_says_which_function_to_look_at_first(tmp_path):
    one_exercise(tmp_path, ONE)
    lines, _ = graded(tmp_path, NO_MEAN, NO_FACTOR)
    checks = by_check(lines["all"])
    assert "builds on `softmax`, which failed: look there first" in checks["loss"].message
    assert "builds on `gradient`, which failed" in checks["step"].message
    assert "builds on" not in checks["softmax"].message + checks["gradient"].message
    assert lines["all"].points == 0


def test_within_an_exercise_points_follow_through_where_it_follows_itself(tmp_path):
    one_exercise(tmp_path, FOLLOWING)
    lines, notes = graded(tmp_path, NO_MEAN)
    checks = by_check(lines["all"])
    assert checks["loss"].points == 2 and checks["softmax"].points == 0
    assert "points are given as if `softmax` was right" in checks["loss"].message
    assert lines["all"].points == 7
    assert any("`softmax`" in note for note in notes)


def test_within_an_exercise_a_mistake_of_its_own_is_not_laid_on_another_function(tmp_path):
    one_exercise(tmp_path, FOLLOWING)
    lines, _ = graded(tmp_path, NO_MEAN, ("-np.log(softmax(z)[j])", "np.log(softmax(z)[j])"))
    checks = by_check(lines["all"])
    assert checks["loss"].points == 0 and "builds on" not in checks["loss"].message


def test_a_function_that_calls_itself_by_its_name_gets_no_points_by_a_stand_in(tmp_path):
    one_exercise(tmp_path, FOLLOWING)
    cheat = "p = [a[4] for a in globals().get('_right_answers', ())][:1] or z"
    lines, _ = graded(tmp_path, ("e = np.exp(z - z.max())\n    p = e / e.sum()", cheat))
    assert by_check(lines["all"])["softmax"].points == 0


PAIR_TOML = """\
id = "chain"
[[notebooks]]
file = "chain.ipynb"
[[exercises]]
id = "pair"
title = "Half and slope"
points = 2
notebook = "chain.ipynb"
functions = ["half", "slope"]
[[exercises]]
id = "use"
title = "Use"
points = 1
notebook = "chain.ipynb"
functions = ["use"]
[[exercises]]
id = "both"
title = "Both"
points = 1
notebook = "chain.ipynb"
functions = ["both"]
"""
PAIR = """\
# %%
import numpy as np

# %%
def half(x):
    ### START YOUR CODE ###
    value = x / 2
    ### END YOUR CODE ###
    return value

# %%
def slope(x):
    ### START YOUR CODE ###
    value = half(x) * (1 - half(x))
    ### END YOUR CODE ###
    return value

# %%
def use(x):
    ### START YOUR CODE ###
    value = x * slope(x)
    ### END YOUR CODE ###
    return value

# %%
def both(x):
    ### START YOUR CODE ###
    value = half(x) + slope(x)
    ### END YOUR CODE ###
    return value
"""
PAIR_CHECKS = """\
import pytest

from grader.checks import assert_close

def right(x):
    return x / 2, x / 2 * (1 - x / 2)

@pytest.mark.exercise("pair", points=1)
def test_half(student, rng):
    x = rng.normal(size=4)
    assert_close(student.half(x), right(x)[0], called="half(x)")

@pytest.mark.exercise("pair", points=1)
def test_slope(student, rng):
    x = rng.normal(size=4)
    assert_close(student.slope(x), right(x)[1], called="slope(x)")

@pytest.mark.exercise("use", points=1)
def test_use(student, rng):
    x = rng.normal(size=4)
    assert_close(student.use(x), x * right(x)[1], called="use(x)")

@pytest.mark.exercise("both", points=1)
def test_both(student, rng):
    x = rng.normal(size=4)
    assert_close(student.both(x), sum(right(x)), called="both(x)")
"""
WRONG_HALF = ("value = x / 2", "value = x / 3")
WRONG_SLOPE = ("(1 - half(x))", "(2 - half(x))")


def first_line(tmp_path, exercises, *changes, toml=PAIR_TOML, checks=PAIR_CHECKS, of=""):
    """What each exercise's message says first, with some changes of the pair's solution.

    of : the check whose message counts; "" for all
    """
    place = course(tmp_path, toml)
    (place / "chain.ipynb").write_text(as_notebook(PAIR))
    (place / "test_chain.py").write_text(checks)
    text = PAIR
    for old, new in changes:
        text = text.replace(old, new)
    handed_in = tmp_path / "handed in"
    handed_in.mkdir()
    (handed_in / "chain.ipynb").write_text(as_notebook(text))
    result = grade([handed_in], assignment="chain", assignments=tmp_path).results[0]
    checked = {e.id: [c for c in e.checks if of in c.name] for e in result.exercises}
    return ["\n".join(c.message for c in checked[e]).splitlines()[0] for e in exercises]


def test_of_two_functions_of_an_exercise_only_the_wrong_one_is_named(tmp_path):
    """The slope's own check fails, too, but only because it calls the wrong half."""
    lines = first_line(tmp_path, ["use", "both"], WRONG_HALF)
    assert lines == ["builds on `half` (pair), which failed: look there first"] * 2


def test_a_right_function_that_a_wrong_one_calls_is_not_named(tmp_path):
    (line,) = first_line(tmp_path, ["both"], WRONG_SLOPE)
    assert line == "builds on `slope` (pair), which failed: look there first"


def test_two_wrong_functions_are_both_named_only_where_both_are_needed(tmp_path):
    use, both = first_line(tmp_path, ["use", "both"], WRONG_HALF, WRONG_SLOPE)
    assert both == "builds on `half` and `slope` (pair), which failed: look there first"
    # With a right slope, no half is asked for: half is wrong, but use isn't wrong because of it.
    assert use == "builds on `slope` (pair), which failed: look there first"


def test_within_an_exercise_a_right_function_that_calls_the_wrong_one_is_not_named(tmp_path):
    """The checks of half and slope both fail; only half is wrong."""
    toml = PAIR_TOML[: PAIR_TOML.index('[[exercises]]\nid = "use"')].replace(
        '"half", "slope"', '"half", "slope", "use", "both"'
    )
    checks = re.sub(r'"(use|both)", points', '"pair", points', PAIR_CHECKS)
    toml = toml.replace("points = 2", "points = 4")
    (line,) = first_line(tmp_path, ["pair"], WRONG_HALF, toml=toml, checks=checks, of="both")
    assert line == "builds on `half`, which failed: look there first"


class FixedLooks:
    """Outcomes by the functions with stand-ins; a set that is not there is undecided."""

    def __init__(self, **passing):
        self.passing = passing
        self.tried = []

    def outcomes(self, names):
        key = "".join(sorted(names))
        self.tried.append(key)
        return {"c": outcome(self.passing[key])} if key in self.passing else None


def outcome(credit):
    return Outcome("x", "c", "passed" if credit else "failed", credit, 1.0)


def needed(looks, names, order):
    return building_on._needed(looks, outcome(0.0), outcome(1.0), names, order)


def test_where_each_of_two_stand_ins_is_enough_the_later_one_to_leave_out_is_named():
    assert needed(FixedLooks(f=1.0, g=1.0), ["f", "g"], ["g", "f"]) == ["f"]


def test_nobody_is_named_where_it_can_not_be_decided_who_is_wrong():
    assert needed(FixedLooks(f=1.0), ["f", "g"], ["f", "g"]) is None
    assert needed(FixedLooks(), ["f", "g"], []) is None


def test_each_function_costs_one_look_at_most():
    looks = FixedLooks(ghi=1.0, hi=0.0, gi=1.0, g=1.0)
    assert needed(looks, [*"fghi"], [*"fghi"]) == ["g"]
    assert looks.tried == ["ghi", "hi", "gi", "g"]


def test_an_exercise_of_which_no_function_is_known_to_be_wrong_is_named_by_its_id(tmp_path):
    chain = load_assignment(course(tmp_path))
    softmax, loss = chain.exercises[:2]
    several = replace(softmax, functions=("softmax", "other"))
    one = building_on.BuiltOn(several, ("softmax",), False)
    line = building_on._line_of(building_on._without_names([one]))
    assert line == "builds on a-softmax, which failed: look there first"
    empty = building_on.BuiltOn(loss, ("loss",), True)
    line = building_on._line_of(building_on._without_names([one, empty]))
    assert line == (
        "builds on a-softmax, which failed; on `loss` (b-loss), which is not filled in yet: "
        "look there first"
    )


def test_of_exercises_that_build_on_each_other_the_first_one_is_named(tmp_path):
    """Where no stand-in decides, the exercise in the middle may be right itself."""
    chain = load_assignment(course(tmp_path))
    source = "def a(x):\n    return x\ndef b(x):\n    return a(x)\ndef c(x):\n    return b(x)\n"
    notebook = parse_notebook(source.encode(), name="n.py")
    exercises = tuple(
        replace(one, functions=(name,))
        for one, name in zip(chain.exercises, ["a", "b", "c"], strict=False)
    )
    suite = SimpleNamespace(assignment=replace(chain, exercises=exercises))
    echoes = building_on.Echoes(suite, {})
    failed = [Outcome(one.id, "x", "failed", 0.0, 1.0) for one in exercises]
    built_on = echoes._built_on(exercises[2], notebook, failed)
    assert [one.exercise.id for one in built_on] == ["a-softmax", "b-loss"]
    roots = echoes._roots(built_on, notebook, failed)
    assert [one.exercise.id for one in roots] == ["a-softmax"]
