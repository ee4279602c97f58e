"""Checks of Fourier transforms, which name the convention of a wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite, assert_shape
from grader.checks.closeness import assert_close
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed

_SCALES = {"backward": "none", "ortho": "1/sqrt(n)", "forward": "1/n"}


def assert_spectrum(
    got: object,
    signal: Any,
    *,
    norm: str = "backward",
    half: bool = False,
    shifted: bool = False,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    called: str = "",
    noun: str = "the spectrum",
) -> None:
    """Accept the discrete Fourier transform of a signal, in the expected convention.

    signal : (n,); norm : as np.fft has it: "backward" (no factor), "ortho", "forward" (1/n)
    half : whether only frequencies from 0 up are expected; shifted : whether 0 is in the middle
    Raises CheckFailed, which names another convention: the sign of the exponent, the factor, the
    half, the shift, the magnitudes alone.
    """
    x = np.asarray(signal)
    expected = _spectrum(x, norm, half, shifted)
    array = as_array(got, called=called, dtype_kind="fiubc")
    room = atol + rtol * float(np.abs(expected).max(initial=0.0))
    if array.shape == expected.shape:
        assert_finite(array, called=called)
        if np.allclose(array, expected, rtol=rtol, atol=room):
            return
    for words, hint, other in _others(x, norm, half, shifted):
        if array.shape == other.shape and np.allclose(array, other, rtol=rtol, atol=room):
            raise CheckFailed(f"{noun} {words}", hint=hint, called=called)
    assert_shape(array, expected.shape, called=called)
    assert_close(array, expected, rtol=rtol, atol=room, called=called, noun=noun)


def _spectrum(x: Array, norm: Any, half: bool, shifted: bool) -> Array:
    full = np.fft.fft(x, norm=norm)
    if half:
        return full[: len(x) // 2 + 1]
    return np.fft.fftshift(full) if shifted else full


def _others(x: Array, norm: str, half: bool, shifted: bool) -> list[tuple[str, str, Array]]:
    expected = _spectrum(x, norm, half, shifted)
    others = [
        (
            "has the sign of the exponent of the inverse transform",
            "It is exp(-2 pi i j k / n).",
            _spectrum(np.conj(x), norm, half, shifted).conj(),
        ),
        ("is its magnitude alone", "The exercise needs the phase as well.", np.abs(expected)),
        ("is the power, the squares of its magnitude", "", np.abs(expected) ** 2),
        ("lacks its imaginary part", "Is it cast to float?", expected.real),
    ]
    for other, factor in _SCALES.items():
        if other != norm:
            words = f"has the factor {factor} where it is {_SCALES[norm]}"
            others.append((words, "", _spectrum(x, other, half, shifted)))
    if half:
        others.append(("has negative frequencies too", "", _spectrum(x, norm, False, False)))
    else:
        others.append(("has no negative frequencies", "", _spectrum(x, norm, True, False)))
        words = "has frequency 0 at its start" if shifted else "has frequency 0 in its middle"
        others.append((words, "See np.fft.fftshift.", _spectrum(x, norm, False, not shifted)))
    others.append(("is in reverse order", "", expected[::-1]))
    return others
