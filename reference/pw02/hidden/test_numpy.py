"""Hidden checks of exercise 1: images as arrays. Students get none of this file."""

import numpy as np
import pytest
from test_numpy import assert_image, mirrored, random_image, turned_left, upside_down

from grader.checks import call_unchanging


@pytest.mark.exercise("1-flip", points=1, hidden=True, shares=True)
def test_flips_work_for_every_shape(student, rng):
    """Both flips are right for wide, high and one-row images."""
    for shape in [(2, 9), (9, 2), (1, 4), (4, 1)]:
        img = random_image(rng, *shape)
        vertical = call_unchanging(student.flip_vertical, img, called="flip_vertical(img)")
        assert_image(vertical, upside_down(img), called="flip_vertical(img)")
        horizontal = call_unchanging(student.flip_horizontal, img, called="flip_horizontal(img)")
        assert_image(horizontal, mirrored(img), called="flip_horizontal(img)")


@pytest.mark.exercise("1-rotate", points=1, hidden=True, shares=True)
def test_four_quarter_turns_give_the_image_back(student, rng):
    """Each of four turns is right, and the fourth gives the image back."""
    start = img = random_image(rng, 3, 8)
    for _ in range(4):
        turned = call_unchanging(student.rotate_90, img, called="rotate_90(img)")
        assert_image(turned, turned_left(img), called="rotate_90(img)")
        img = np.asarray(turned)
    assert_image(img, start, called="rotate_90, four times")
