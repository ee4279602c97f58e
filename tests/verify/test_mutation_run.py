"""A mutation run: a mutant's definition takes the original's place, in one fork."""

import numpy as np
import pytest

from grader.assignment import load_assignment
from grader.checks import counted
from grader.errors import GraderFault
from grader.session import open_session
from grader.suite import open_suite
from grader.verify import mutation_run
from grader.verify.mutants import Mutant
from grader.verify.mutation_run import _given, patch_source, run_mutants


def patched(cell: str, function: str, source: str) -> dict:
    """The namespace of a cell after the mutant took its place."""
    space: dict = {"np": np}
    exec(cell, space)
    exec(patch_source(Mutant("", "n", function, "", 0, 0, source)), space)
    return space


def test_a_function_is_replaced_and_its_callers_see_it():
    cell = "def f():\n    return 1\ndef g():\n    return f() + 1\n"
    assert patched(cell, "f", "def f():\n    return 5\n")["g"]() == 6


MODEL = """
class Base:
    def name(self):
        return "base"

class Model(Base):
    def __init__(self):
        self.__hidden = 3
    def value(self):
        return 1
    def name(self):
        return "model"
    @staticmethod
    def two():
        return 2
    @property
    def three(self):
        return 3

before = Model()
"""


def test_objects_made_before_follow_their_class():
    assert patched(MODEL, "Model.value", "def value(self):\n    return 5")["before"].value() == 5


def test_private_names_are_mangled_as_in_the_class():
    source = "def value(self):\n    return self.__hidden"
    assert patched(MODEL, "Model.value", source)["before"].value() == 3


def test_super_finds_the_base_class():
    source = "def name(self):\n    return super().name() + '!'"
    assert patched(MODEL, "Model.name", source)["before"].name() == "base!"


def test_a_method_that_names_its_class_means_the_real_one():
    source = "def value(self):\n    return isinstance(self, Model)"
    assert patched(MODEL, "Model.value", source)["before"].value() is True


def test_static_methods_and_properties_stay_what_they_are():
    static = patched(MODEL, "Model.two", "@staticmethod\ndef two():\n    return 22")
    assert static["Model"].two() == static["before"].two() == 22
    prop = patched(MODEL, "Model.three", "@property\ndef three(self):\n    return 33")
    assert prop["before"].three == 33


def test_nothing_of_ours_stays_in_the_namespace():
    before = patched(MODEL, "Model.value", "def value(self):\n    return 1")
    assert "_put_in_place" not in before


@pytest.fixture
def tested(write_toy, tmp_path, monkeypatch):
    """Hunt one definition of mean_square, in a real kernel."""
    monkeypatch.setattr(mutation_run, "LEAST_LIMIT_S", 0.5)

    def run(source: str):
        assignment = load_assignment(write_toy(samples={}))
        empty = tmp_path / "empty"
        empty.mkdir()
        mutant = Mutant("m", "toy.ipynb", "mean_square", "", 1, 4, source)
        solved = assignment.notebooks["toy.ipynb"]
        with (
            open_suite(assignment) as suite,
            open_session(solved, folder=empty, limits=assignment.limits) as session,
        ):
            (verdict,) = run_mutants(suite, "toy.ipynb", session, [mutant])
            with session.student() as student:
                after = student.mean_square(np.array([3.0]), np.array([1.0]))
        return verdict, after

    return run


def test_a_mutant_is_caught_by_name_and_the_session_keeps_the_original(tested):
    verdict, after = tested("def mean_square(p, y):\n    return ((p - y) ** 2).sum()\n")
    assert (verdict.status, verdict.by) == ("caught", "a, a value")
    assert verdict.detail.startswith("the value is wrong")
    assert after == 4.0


def test_an_endless_mutant_is_caught_by_the_clock(tested):
    verdict, _ = tested("def mean_square(p, y):\n    while True:\n        pass\n")
    assert verdict.status == "timeout"
    assert verdict.caught


def test_the_same_function_in_other_words_is_equivalent(tested):
    verdict, _ = tested("def mean_square(p, y):\n    return ((y - p) ** 2).mean()\n")
    assert verdict.status == "equivalent"


def test_a_mutant_that_differs_only_where_no_check_looks_survives_and_says_where(tested):
    verdict, _ = tested(
        "def mean_square(p, y):\n"
        "    d = p - y\n"
        "    return (d ** 2).mean() if abs(d).max() < 100 else 0.0\n"
    )
    assert verdict.status == "survived"
    assert verdict.detail == "differs at mean_square(...) with extreme arguments"


def test_a_mutant_that_can_not_be_put_in_place_is_our_fault(tested):
    with pytest.raises(GraderFault, match="mutant 'm' can't be put in place"):
        tested("@undefined\ndef mean_square(p, y):\n    return 0\n")


def test_a_counted_function_of_a_check_is_counted_anew_in_each_replay():
    """Else the second replay would meet the limit of calls that the first one used up."""
    f = counted(abs, at_most=2)
    f(1)
    f(2)
    again = _given([f], None)[0]
    assert (again.calls, again.at_most, again(-3)) == (0, 2, 3)
