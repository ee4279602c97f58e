"""Random generators travel as their state, and a state that is none is refused."""

import copy
import random

import numpy as np
import pytest

from grader.in_kernel import codec
from grader.in_kernel.codec import forms

BIT_GENERATORS = [
    np.random.MT19937,
    np.random.PCG64,
    np.random.PCG64DXSM,
    np.random.Philox,
    np.random.SFC64,
]


def travel(value):
    return codec.decode_bytes(b"".join(codec.encode(value)))


@pytest.mark.parametrize("source", BIT_GENERATORS, ids=lambda kind: kind.__name__)
def test_a_generator_draws_the_same_wherever_it_is(source):
    generator = np.random.Generator(source(3))
    generator.integers(5, dtype=np.uint32)  # half of a word is left over
    arrived = travel({"rng": [generator]})["rng"][0]
    assert arrived is not generator
    assert np.array_equal(arrived.normal(size=99), copy.deepcopy(generator).normal(size=99))


def test_a_random_state_and_pythons_own_draw_the_same():
    state = np.random.RandomState(3)
    state.normal()
    ours = random.Random(3)
    ours.gauss(0, 1)
    there, python = travel((state, ours))
    assert there.normal() == state.normal() and there.rand() == state.rand()
    assert python.gauss(0, 1) == ours.gauss(0, 1) and python.random() == ours.random()


@pytest.mark.parametrize(
    "generator",
    [
        np.random.Generator(type("Own", (np.random.PCG64,), {})(1)),
        type("OwnRandom", (random.Random,), {})(1),
        np.random.RandomState(np.random.PCG64(1)),
    ],
    ids=["bit generator", "subclass", "other source"],
)
def test_one_of_another_class_stays_where_it_is(generator):
    assert forms.apart(generator) is None


def state_of(source):
    name, state = forms.apart(np.random.Generator(source(1)))[1]
    return name, copy.deepcopy(state)


def changed(state, path, value):
    for key in path[:-1]:
        state = state[key]
    state[path[-1]] = value


LIES = {
    "a position beyond the words": (np.random.MT19937, ("state", "pos"), 625),
    "a negative position": (np.random.MT19937, ("state", "pos"), -1),
    "a position that is a bool": (np.random.MT19937, ("state", "pos"), True),
    "too few words": (np.random.MT19937, ("state", "key"), np.zeros(3, np.uint32)),
    "words of another kind": (np.random.MT19937, ("state", "key"), np.zeros(624)),
    "a state beyond 128 bits": (np.random.PCG64, ("state", "state"), 1 << 128),
    "a leftover that is none": (np.random.PCG64, ("has_uint32",), 2),
    "a leftover beyond 32 bits": (np.random.PCG64, ("uinteger",), 1 << 32),
    "a position beyond the buffer": (np.random.Philox, ("buffer_pos",), 5),
    "a buffer that is too short": (np.random.Philox, ("buffer",), np.zeros(1, np.uint64)),
    "no dict within": (np.random.SFC64, ("state",), 3),
    "one key more": (np.random.SFC64, ("more",), 3),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_state_that_is_none_is_refused(lie):
    source, path, value = lie
    name, state = state_of(source)
    assert isinstance(forms.built("Generator", [name, state]), np.random.Generator)
    changed(state, path, value)
    with pytest.raises(codec.MalformedFrame):
        forms.built("Generator", [name, state])


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("Generator", ["Own", {}]),
        ("Generator", 3),
        ("RandomState", {}),
        ("Random", [[0] * 625, "x"]),
        ("Random", [[0] * 3, None]),
        ("Random", [[0] * 624 + [700], None]),
        ("Random", [[-1] * 625, None]),
        ("nothing of the kind", 3),
        (3, 3),
    ],
)
def test_what_is_no_generator_is_refused(name, contents):
    with pytest.raises(codec.MalformedFrame):
        forms.built(name, contents)
