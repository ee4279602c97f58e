"""The hunt: a mutant's definition takes the original's place, in one fork."""

import numpy as np

from grader.verify.hunt import patch_source
from grader.verify.mutants import Mutant


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
