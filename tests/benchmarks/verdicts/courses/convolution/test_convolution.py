"""Convolution by hand. The truth is written out in index sums."""

import numpy as np
import pytest

from grader.checks import assert_close, call_unchanging


def correlation(x, k):
    h, w = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1
    return np.array(
        [[np.sum(x[i:, j:][: k.shape[0], : k.shape[1]] * k) for j in range(w)] for i in range(h)]
    )


@pytest.mark.exercise("sizes", points=2)
def test_output_size(student):
    for n, k, p, s in [(7, 3, 0, 1), (8, 3, 1, 2), (28, 5, 2, 1), (9, 4, 0, 3), (31, 6, 3, 4)]:
        expected = (n + 2 * p - k) // s + 1
        called = f"output_size({n}, {k}, {p}, {s})"
        assert_close(student.output_size(n, k, p, s), expected, called=called, factors={"s": s})


@pytest.mark.exercise("sizes", points=2)
def test_pad(student, rng):
    for shape, p in [((4, 5), 2), ((3, 6), 1), ((5, 2), 3)]:
        x = rng.normal(size=shape)
        expected = np.pad(x, p)
        got = call_unchanging(student.pad, x, p, called="pad(x, p)", names=("x", "p"))
        assert_close(got, expected, called="pad(x, p)", inputs={"x": x})


@pytest.mark.exercise("images", points=3)
def test_correlate(student, rng):
    for shape, kernel in [((6, 7), (3, 3)), ((8, 5), (3, 3)), ((5, 5), (2, 2)), ((6, 8), (2, 3))]:
        x, k = rng.normal(size=shape), rng.normal(size=kernel)
        got = call_unchanging(student.correlate, x, k, called="correlate(x, k)", names=("x", "k"))
        assert_close(got, correlation(x, k), called="correlate(x, k)", inputs={"x": x, "k": k})


@pytest.mark.exercise("images", points=3)
def test_convolve(student, rng):
    for shape, kernel in [((6, 7), (3, 3)), ((8, 5), (3, 3)), ((6, 8), (2, 3))]:
        x, k = rng.normal(size=shape), rng.normal(size=kernel)
        got = call_unchanging(student.convolve, x, k, called="convolve(x, k)", names=("x", "k"))
        expected = correlation(x, np.rot90(k, 2))
        assert_close(got, expected, called="convolve(x, k)", inputs={"x": x, "k": k})


def layer(x, w, b, stride):
    planes = [
        [sum(correlation(image[c], kernel[c]) for c in range(len(image))) for kernel in w]
        for image in x
    ]
    return np.array(planes)[:, :, ::stride, ::stride] + b[:, None, None]


def some_layer(rng):
    return rng.normal(size=(3, 2, 7, 6)), rng.normal(size=(4, 2, 3, 2)), rng.normal(size=4)


@pytest.mark.exercise("layer", points=4)
def test_conv_forward(student, rng):
    x, w, b = some_layer(rng)
    called = "conv_forward(x, w, b, stride)"
    for stride in (1, 2):
        got = call_unchanging(
            student.conv_forward, x, w, b, stride, called=called, names=("x", "w", "b")
        )
        assert_close(got, layer(x, w, b, stride), called=called, terms={"b": b[:, None, None]})


@pytest.mark.exercise("layer", points=4)
def test_conv_backward(student, reference, rng):
    x, w, b = some_layer(rng)
    d_out = rng.normal(size=layer(x, w, b, 1).shape)
    expected = reference.conv_backward(d_out, x, w)
    got = student.conv_backward(d_out, x, w)
    factors = {"n": len(x), "places": d_out[0, 0].size}
    for name, mine, theirs in zip(("d_x", "d_w", "d_b"), got, expected, strict=True):
        assert_close(mine, theirs, called="conv_backward(d_out, x, w)", noun=name, factors=factors)


@pytest.mark.exercise("pooling", points=2)
def test_max_pool(student, rng):
    for shape, size in [((4, 6), 2), ((6, 9), 3), ((8, 4), 4)]:
        x = rng.normal(size=shape)
        rows, columns = shape[0] // size, shape[1] // size
        blocks = x.reshape(rows, size, columns, size)
        got = call_unchanging(student.max_pool, x, size, called="max_pool(x, size)", names=("x",))
        assert_close(got, blocks.max(axis=(1, 3)), called="max_pool(x, size)", inputs={"x": x})


@pytest.mark.exercise("pooling", points=3)
def test_max_pool_backward(student, reference, rng):
    for shape, size in [((4, 6), 2), ((6, 9), 3)]:
        x = rng.normal(size=shape)
        d_out = rng.normal(size=(shape[0] // size, shape[1] // size))
        expected = reference.max_pool_backward(d_out, x, size)
        got = student.max_pool_backward(d_out, x, size)
        assert_close(got, expected, called="max_pool_backward(d_out, x, size)")
