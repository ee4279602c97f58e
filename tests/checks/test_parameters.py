"""Parameters found by their sizes; the models stand here, in the layouts that students choose."""

import numpy as np
import pytest

from grader.checks import find_layers, read_parameters, write_parameters
from grader.errors import CheckFailed, Missing

N, H, K = 7, 5, 4


class Named:
    def __init__(self):
        self.W1, self.b1 = np.full((H, N), 0.1), np.zeros((H, 1))
        self.W2, self.b2 = np.full((K, H), 0.2), np.zeros(K)
        self.n_classes = K


class Listed:
    def __init__(self):
        self.weights = [np.full((N, H), 0.1), np.full((H, K), 0.2)]
        self.biases = {"first": np.zeros(H), "second": np.zeros(K)}


class Dense:
    def __init__(self, n, k):
        self.W, self.b = np.full((k, n), 0.1), np.zeros(k)


class Nested:
    def __init__(self):
        self.activation = np.tanh
        self.layers = (Dense(N, H), Dense(H, K))


class OneOutput:
    def __init__(self):
        self.W1, self.v = np.full((H, N), 0.1), np.full((1, H), 0.2)
        self.b1, self.c = np.zeros(H), 0.0


def test_parameters_are_named_by_where_they_are():
    assert set(read_parameters(Named())) == {"W1", "b1", "W2", "b2"}
    names = {"weights[0]", "weights[1]", "biases['first']", "biases['second']"}
    assert set(read_parameters(Listed())) == names
    names = {"layers[0].W", "layers[0].b", "layers[1].W", "layers[1].b"}
    assert set(read_parameters(Nested())) == names


def test_written_parameters_replace_those_of_their_names_alone():
    model = Listed()
    write_parameters(model, {"weights[1]": np.ones((H, K))})
    assert np.all(model.weights[1] == 1) and np.all(model.weights[0] == 0.1)
    assert isinstance(model.weights, list)
    nested = Nested()
    write_parameters(nested, {"layers[1].b": np.arange(4.0)})
    assert nested.layers[1].b.tolist() == [0, 1, 2, 3] and not nested.layers[0].b.any()


@pytest.mark.parametrize("kind", [Named, Listed, Nested])
def test_layers_are_read_and_written_in_one_layout(kind):
    rng, model = np.random.default_rng(0), kind()
    layers = find_layers(model, (N, H, K))[0]
    arrays = [rng.normal(size=shape) for shape in ((H, N), (H,), (K, H), (K,))]
    layers.write(*arrays)
    for written, read in zip(arrays, layers.read(), strict=True):
        assert np.array_equal(written, read)


def test_of_two_arrays_of_one_size_the_zeros_are_the_bias_first():
    first, other = find_layers(OneOutput(), (N, H, 1))
    assert first.names == ("W1", "b1", "v", "c")
    assert other.names == ("W1", "v", "b1", "c")


def test_a_number_stays_a_number_when_it_is_written():
    model = OneOutput()
    find_layers(model, (N, H, 1))[0].write(np.ones((H, N)), np.ones(H), np.ones((1, H)), np.ones(1))
    assert model.c == 1.0 and type(model.c) is float
    assert model.v.shape == (1, H)


def test_a_model_without_a_bias_is_told_so():
    model = Named()
    del model.b1
    with pytest.raises(Missing, match="no array b1 of shape"):
        find_layers(model, (N, H, K))


def test_a_parameter_that_changed_its_shape_is_told_by_its_name():
    model = Named()
    layers = find_layers(model, (N, H, K))[0]
    model.b1 = np.zeros((H, H))
    with pytest.raises(CheckFailed, match="b1 has changed its shape"):
        layers.read()


class KeptTwice:
    """Each parameter is an attribute, and in a list; the code uses the list."""

    def __init__(self):
        self.W1, self.b1 = np.full((H, N), 0.1), np.zeros(H)
        self.W2, self.b2 = np.full((K, H), 0.2), np.zeros(K)
        self.weights, self.biases = [self.W1, self.W2], [self.b1, self.b2]
        self.momentum = [np.zeros(H), np.zeros(K)]

    def step_in_place(self):
        self.weights[0] -= 1.0
        self.biases[1] -= 2.0

    def step_by_assignment(self):
        self.weights[0] = self.weights[0] - 1.0
        self.biases[1] = self.biases[1] - 2.0


class Copied(KeptTwice):
    def __init__(self):
        super().__init__()
        self.weights = [self.W1.copy(), self.W2.copy()]


@pytest.mark.parametrize("kind", [KeptTwice, Copied])
@pytest.mark.parametrize("step", ["step_in_place", "step_by_assignment"])
def test_parameters_that_are_kept_twice_are_written_and_read_where_the_code_uses_them(kind, step):
    rng, model = np.random.default_rng(0), kind()
    layers = find_layers(model, (N, H, K))[0]
    for _ in range(3):
        weights = [rng.normal(size=s) for s in ((H, N), (H,), (K, H), (K,))]
        layers.write(*weights)
        due = weights[::2] + weights[1::2]
        for kept, right in zip(model.weights + model.biases, due, strict=True):
            np.testing.assert_array_equal(kept, right)
        getattr(model, step)()
        W1, b1, W2, b2 = layers.read()
        np.testing.assert_array_equal(W1, weights[0] - 1)
        np.testing.assert_array_equal(b2, weights[3] - 2)
        np.testing.assert_array_equal(W2, weights[2])
        np.testing.assert_array_equal(b1, weights[1])
        assert not any(velocity.any() for velocity in model.momentum)


def test_an_array_that_is_read_only_is_replaced():
    model = Named()
    model.W1.flags.writeable = False
    write_parameters(model, {"W1": np.ones((H, N))})
    assert np.all(model.W1 == 1)


def test_a_size_that_is_written_as_a_number_is_told_beside_the_arrays_that_are_kept():
    class TwoHundred:
        def __init__(self):
            self.W1, self.b1 = np.zeros((200, N)), np.zeros(200)
            self.W2, self.b2 = np.zeros((K, 200)), np.zeros(K)

    with pytest.raises(CheckFailed, match=r"no array W1 of shape \(5, 7\)") as refused:
        find_layers(TwoHundred(), (N, H, K))
    assert (
        "W1 (200, 7)" in refused.value.hint and "Is 200 written as a number" in refused.value.hint
    )
    assert not isinstance(refused.value, Missing)


def test_a_model_without_any_array_is_one_that_is_not_written_yet():
    with pytest.raises(Missing, match="keeps no array W1"):
        find_layers(type("Empty", (), {})(), (N, H, K))
