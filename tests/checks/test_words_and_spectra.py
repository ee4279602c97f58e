"""What a text says, the numbers in it, and a spectrum's convention."""

import numpy as np
import pytest

from grader.checks import assert_says, assert_spectrum, assert_tells, numbers_in
from grader.errors import CheckFailed


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("about 3 of 4", [3, 4]),
        ("-1.5e-3 and +2.", [-0.0015, 2]),
        ("1,000,000 people, 12 %, 3.5%", [1e6, 0.12, 0.035]),
        ("\u22124 degrees", [-4]),
        ("three of Twelve", [3, 12]),
        ("version1.2 x86 and .5", [0.5]),
        ("no number at all.", []),
        ("e-5, ., %, -, 1-2", [5, 1, 2]),
    ],
)
def test_numbers_are_found_in_digits_and_in_words(text, due):
    found = numbers_in(text)
    assert np.allclose(np.abs(found), np.abs(due))
    if "e-5" not in text:
        assert found == pytest.approx(due)


def test_a_text_says_what_is_due_whatever_its_case_and_accents():
    text = "L'erreur  d\u00e9cro\u00eet\nas O(h^2)."
    assert_says(text, "decroit", "O(h^2)", ("quadratically", "erreur"))
    with pytest.raises(CheckFailed, match="lacks 1 of 2 required things"):
        assert_says(text, "erreur", ("linear", "cubic"))
    with pytest.raises(CheckFailed, match="wrong here"):
        assert_says(text, never=["decroit"])
    with pytest.raises(CheckFailed, match="lacks 1 of 1"):
        assert_says("convergences", "convergence")
    with pytest.raises(CheckFailed, match="It is empty"):
        assert_says("", "x")
    with pytest.raises(CheckFailed, match="returned None, expected a text"):
        assert_says(None, "x")


def test_a_text_tells_numbers_to_a_tolerance():
    assert_tells("The accuracy is 91.3 % after ten epochs", 0.913, 10)
    assert_tells("It is 91.3 per cent", 91.3)
    with pytest.raises(CheckFailed, match="lacks 1 of 2 numbers") as caught:
        assert_tells("3 and 4", 3, 5)
    assert (caught.value.expected, caught.value.got) == ("5", "3, 4")


@pytest.fixture
def signal():
    return np.random.default_rng(0).normal(size=9)


def test_the_transform_passes_in_the_convention_that_is_due(signal):
    assert_spectrum(np.fft.fft(signal), signal)
    assert_spectrum(np.fft.fft(signal, norm="ortho"), signal, norm="ortho")
    assert_spectrum(np.fft.rfft(signal), signal, half=True)
    assert_spectrum(np.fft.fftshift(np.fft.fft(signal)), signal, shifted=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda x: np.fft.ifft(x) * len(x), "the sign of the exponent"),
        (lambda x: np.fft.fft(x) / len(x), "has the factor 1/n where it is none"),
        (lambda x: np.fft.fft(x, norm="ortho"), "has the factor 1/sqrt"),
        (np.fft.rfft, "has no negative frequencies"),
        (lambda x: np.fft.fftshift(np.fft.fft(x)), "has frequency 0 in its middle"),
        (lambda x: np.abs(np.fft.fft(x)), "its magnitude alone"),
        (lambda x: np.abs(np.fft.fft(x)) ** 2, "is the power"),
        (lambda x: np.fft.fft(x).real, "lacks its imaginary part"),
        (lambda x: np.fft.fft(x) + 1, "wrong"),
        (lambda x: np.fft.fft(x)[:3], "shape"),
        (lambda x: None, "returned None"),
    ],
)
def test_another_convention_has_a_name(signal, change, problem):
    with pytest.raises(CheckFailed, match=problem):
        assert_spectrum(change(signal), signal)
