"""Random generators are sent as their state, even if student code changed numpy.random.

    Generator      [class of its bit generator, state]
    RandomState    state
    Random         [625 ints, the next gauss or None]

A state is numpy's own dict. Its form is checked before numpy gets it: numpy does not check the
position, and would read memory beyond its words.
"""

from __future__ import annotations

import builtins
import random
from collections.abc import Callable
from typing import Any, Final

from numpy import dtype, ndarray
from numpy.random import (
    MT19937,
    PCG64,
    PCG64DXSM,
    SFC64,
    Generator,
    Philox,
    RandomState,
)

globals()["__builtins__"] = dict(vars(builtins))

_Random = random.Random
_setstate, _getstate = _Random.setstate, _Random.getstate
_BIT_GENERATORS: Final = {
    kind.__name__: kind for kind in (MT19937, PCG64, PCG64DXSM, SFC64, Philox)
}
_NAMES: Final[dict[Any, str]] = {kind: name for name, kind in _BIT_GENERATORS.items()}
_MT_WORDS: Final = 624


def _whole(below: int) -> Callable[[Any], bool]:
    return lambda claimed: type(claimed) is int and 0 <= claimed < below


def _words(count: int, bits: int) -> Callable[[Any], bool]:
    layout = dtype(f"u{bits // 8}")
    return lambda claimed: (
        type(claimed) is ndarray and claimed.dtype == layout and claimed.shape == (count,)
    )


_TAIL: Final = {"has_uint32": _whole(2), "uinteger": _whole(1 << 32)}
_PCG: Final = {"state": {"state": _whole(1 << 128), "inc": _whole(1 << 128)}, **_TAIL}
_MT: Final = {"state": {"key": _words(_MT_WORDS, 32), "pos": _whole(_MT_WORDS + 1)}}
_STATES: Final[dict[str, dict[str, Any]]] = {
    "PCG64": _PCG,
    "PCG64DXSM": _PCG,
    "MT19937": _MT,
    "SFC64": {"state": {"state": _words(4, 64)}, **_TAIL},
    "Philox": {
        "state": {"counter": _words(4, 64), "key": _words(2, 64)},
        "buffer": _words(4, 64),
        "buffer_pos": _whole(5),
        **_TAIL,
    },
}


def _checked(claimed: Any, form: dict[str, Any]) -> dict[str, Any]:
    """Return the state after a check of its form. Raises ValueError."""
    if type(claimed) is not dict or claimed.keys() != form.keys():
        raise ValueError("another form")
    for key, is_sound in form.items():
        if type(is_sound) is dict:
            _checked(claimed[key], is_sound)
        elif not is_sound(claimed[key]):
            raise ValueError("another form")
    return claimed


def _generator_apart(generator: Generator) -> Any:
    source = generator.bit_generator
    name = _NAMES[type(source)]  # KeyError: one that is not numpy's gets a handle
    state = dict(source.state)
    del state["bit_generator"]
    return [name, state]


def _generator(contents: Any) -> Generator:
    name, state = contents
    source: Any = _BIT_GENERATORS[name](0)
    source.state = {"bit_generator": name, **_checked(state, _STATES[name])}
    return Generator(source)


def _random_state_apart(generator: RandomState) -> Any:
    state = dict(generator.get_state(legacy=False))
    if state.pop("bit_generator") != "MT19937":
        raise ValueError("another bit generator")
    return state


def _random_state(contents: Any) -> RandomState:
    form = {**_MT, "has_gauss": _whole(2), "gauss": lambda claimed: type(claimed) is float}
    generator = RandomState(0)
    generator.set_state({"bit_generator": "MT19937", **_checked(contents, form)})
    return generator


def _python_apart(generator: random.Random) -> Any:
    _, words, gauss = _getstate(generator)
    return [list(words), gauss]


def _python(contents: Any) -> random.Random:
    words, gauss = contents
    if not (gauss is None or type(gauss) is float) or not all(map(_whole(1 << 32), words)):
        raise ValueError("another form")
    generator = _Random(0)
    _setstate(generator, (3, tuple(words), gauss))  # checks the count and the position
    return generator


APART: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    Generator: ("Generator", _generator_apart),
    RandomState: ("RandomState", _random_state_apart),
    _Random: ("Random", _python_apart),
}
BUILT: Final[dict[str, Callable[[Any], Any]]] = {
    "Generator": _generator,
    "RandomState": _random_state,
    "Random": _python,
}
