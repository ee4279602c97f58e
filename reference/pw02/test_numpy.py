"""Exercise 1: images as arrays, and broadcasting. The truth is written out index by index."""

import numpy as np
import pytest

from grader.checks import (
    assert_close,
    assert_dtype,
    assert_vectorised,
    call_unchanging,
)
from grader.errors import CheckFailed


def random_image(rng, h=7, w=5):
    return rng.integers(0, 256, size=(h, w, 3), dtype=np.uint8)


def assert_image(got, expected, *, called, **known):
    assert_close(got, expected, called=called, noun="the image", **known)
    assert_dtype(got, "int", called=called)


def assert_broadcasts(function, small, large, expected, *, called, **known):
    """Hold the values first, then the Python steps: a loop takes more for a larger array."""
    assert_close(call_unchanging(function, *small, called=called), expected, called=called, **known)
    steps = [function.observe(*inputs, steps=True).steps for inputs in (small, large)]
    assert_vectorised(*steps, called=called)


def upside_down(img):
    return np.array([img[len(img) - 1 - i] for i in range(len(img))])


def mirrored(img):
    return np.array([upside_down(row) for row in img])


def turned_left(img):
    h, w = img.shape[:2]
    return np.array([[img[i, w - 1 - j] for i in range(h)] for j in range(w)])


@pytest.mark.exercise("1-channels", points=2, shares=True)
def test_split_channels_keeps_one_channel_in_each(student, rng):
    """Each of the three images keeps its own channel, the others are 0."""
    img = random_image(rng)
    parts = call_unchanging(student.split_channels, img, called="split_channels(img)")
    if not isinstance(parts, (tuple, list, np.ndarray)) or len(parts) != 3:
        raise CheckFailed("it should return three images", called="split_channels(img)")
    for channel, part in enumerate(parts):
        expected = img * (np.arange(3) == channel).astype(np.uint8)
        alone = {"the channel comes alone, without its two zero channels": img[..., channel]}
        called = f"split_channels(img)[{channel}]"
        assert_image(part, expected, called=called, mistakes=alone, inputs={"img": img})


@pytest.mark.exercise("1-flip", points=1, shares=True)
def test_flip_vertical_turns_upside_down(student, rng):
    """The first row becomes the last."""
    img = random_image(rng)
    got = call_unchanging(student.flip_vertical, img, called="flip_vertical(img)")
    known = {
        "it is mirrored left to right": mirrored(img),
        "both axes are flipped": img[::-1, ::-1],
    }
    assert_image(got, upside_down(img), called="flip_vertical(img)", mistakes=known)


@pytest.mark.exercise("1-flip", points=1, shares=True)
def test_flip_horizontal_mirrors(student, rng):
    """The first column becomes the last."""
    img = random_image(rng)
    got = call_unchanging(student.flip_horizontal, img, called="flip_horizontal(img)")
    known = {"it is turned upside down": upside_down(img), "both axes are flipped": img[::-1, ::-1]}
    assert_image(got, mirrored(img), called="flip_horizontal(img)", mistakes=known)


@pytest.mark.exercise("1-rotate", points=1, shares=True)
def test_rotate_90_turns_counter_clockwise(student, rng):
    """The last column becomes the first row."""
    img = random_image(rng)
    got = call_unchanging(student.rotate_90, img, called="rotate_90(img)")
    left = turned_left(img)
    known = {"it turns clockwise": left[::-1, ::-1], "the axes are swapped alone": left[::-1]}
    assert_image(got, left, called="rotate_90(img)", mistakes=known)


@pytest.mark.exercise("1-broadcast", points=1, shares=True)
def test_add_to_rows_adds_the_vector_to_each_row(student, rng):
    """x_ij + v_j, without a Python loop."""
    x, v = rng.normal(size=(4, 3)), rng.normal(size=3)
    expected = np.array([[x[i, j] + v[j] for j in range(3)] for i in range(4)])
    large = rng.normal(size=(80, 60)), rng.normal(size=60)
    assert_broadcasts(student.add_to_rows, (x, v), large, expected, called="add_to_rows(x, v)")


@pytest.mark.exercise("1-broadcast", points=1, shares=True)
def test_add_to_columns_adds_the_vector_to_each_column(student, rng):
    """x_ij + w_i, without a Python loop."""
    x, w = rng.normal(size=(4, 3)), rng.normal(size=4)
    expected = np.array([[x[i, j] + w[i] for j in range(3)] for i in range(4)])
    large = rng.normal(size=(80, 60)), rng.normal(size=80)
    called = "add_to_columns(x, w)"
    assert_broadcasts(student.add_to_columns, (x, w), large, expected, called=called)


@pytest.mark.exercise("1-broadcast", points=1, shares=True)
def test_outer_gives_all_products(student, rng):
    """v_i w_j, without a Python loop."""
    v, w = rng.normal(size=4), rng.normal(size=3)
    expected = np.array([[v[i] * w[j] for j in range(3)] for i in range(4)])
    large = rng.normal(size=80), rng.normal(size=60)
    assert_broadcasts(student.outer, (v, w), large, expected, called="outer(v, w)")
