"""Restores names that libraries have removed, so that answers from earlier years still run.

It also replaces modules that exist only on the students' machines.

install()   provides these, without a warning:
    numpy         the aliases in NUMPY_NAMES, asscalar, and TRAPEZOID's old names
    collections   Iterator, Mapping and the other abstract classes (now collections.abc)
    time.clock, inspect.getargspec, fractions.gcd
    matplotlib    styles named 'seaborn-...'; matplotlib.cm.get_cmap; use() keeps our backend;
                  savefig() into a folder that exists only on the student's machine writes nothing
    scipy.misc    logsumexp, factorial, comb
    tqdm          if it is not installed: a progress bar that only iterates
    google.colab  drive.mount, files.upload and others, which do nothing
    past.builtins the names of Python 2 (xrange, basestring, ...), if `future` is not installed
"""

from __future__ import annotations

import collections
import collections.abc
import fractions
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import io
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

# Old name: its meaning.
NUMPY_NAMES: dict[str, Any] = {
    "float": float, "int": int, "bool": bool, "object": object, "str": str, "complex": complex,
    "long": int, "unicode": str, "float_": np.float64, "complex_": np.complex128,
    "string_": np.bytes_, "unicode_": np.str_, "Inf": np.inf, "Infinity": np.inf,
    "infty": np.inf, "PINF": np.inf, "NINF": -np.inf, "PZERO": 0.0, "NZERO": -0.0, "NaN": np.nan,
    "product": np.prod, "cumproduct": np.cumprod, "sometrue": np.any, "alltrue": np.all,
    "round_": np.round, "row_stack": np.vstack, "in1d": np.isin, "mat": np.asmatrix,
}  # fmt: skip
# Some versions still have these names, with a deprecation warning.
WARNED_OF = ("row_stack", "in1d", "product", "cumproduct", "sometrue", "alltrue", "round_")
BACKEND = "module://grader.in_kernel.figures"


def install() -> None:
    """Install all shims; those for a library that is not imported yet wait for its import."""
    _restore_numpy()
    for name in collections.abc.__all__:
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    _restore(time, "clock", time.perf_counter)
    _restore(fractions, "gcd", math.gcd)
    _restore(inspect, "getargspec", _getargspec)
    after_import("matplotlib", _patch_matplotlib)
    after_import("matplotlib.pyplot", _patch_pyplot)
    after_import("matplotlib.figure", _patch_figure)
    after_import("matplotlib.style", _patch_style)
    after_import("matplotlib.cm", _patch_cm)
    after_import("scipy.misc", lambda module: vars(module).update(_scipy_misc()))
    sys.meta_path.append(_StandIns())


def after_import(name: str, patch: Callable[[ModuleType], None]) -> None:
    """Call patch(module) when the named module has run; at once if it has run already.

    A later call for the same module replaces an earlier patch that still waits.
    """
    sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, "patched_name", None) != name]
    if name in sys.modules:
        patch(sys.modules[name])
    else:
        sys.meta_path.insert(0, _AfterImport(name, patch))


class _AfterImport(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, patch: Callable[[ModuleType], None]) -> None:
        self.patched_name = name
        self.patch = patch

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.patched_name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loader, patch = spec.loader, self.patch
            run = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                patch(module)

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _restore(module: ModuleType, name: str, value: object) -> None:
    if not hasattr(module, name):
        setattr(module, name, value)


def _restore_numpy() -> None:
    present = vars(np)  # hasattr would warn for a deprecated name, and raise for a removed one
    for name, value in NUMPY_NAMES.items():
        if name not in present:
            setattr(np, name, value)
    if "asscalar" not in present:
        setattr(np, "asscalar", lambda a: a.item())  # noqa: B010
    if "trapezoid" in present:
        # np.trapz warns since 2.0.
        setattr(np, "trapz", np.trapezoid)  # noqa: B010  (numpy's type stubs lack it)
    for name in WARNED_OF:
        setattr(np, name, NUMPY_NAMES[name])


def _getargspec(function: Callable[..., Any]) -> tuple[Any, ...]:
    spec = inspect.getfullargspec(function)
    return (spec.args, spec.varargs, spec.varkw, spec.defaults)


# --- matplotlib -------------------------------------------------------------------------


def _patch_matplotlib(matplotlib: ModuleType) -> None:
    """Keep our backend when a notebook selects another one, such as TkAgg."""
    matplotlib.use = lambda *args, **kwargs: None  # type: ignore[attr-defined]


def _patch_pyplot(pyplot: ModuleType) -> None:
    switch = pyplot.switch_backend

    def switch_backend(newbackend: object = None) -> None:
        switch(BACKEND)

    pyplot.switch_backend = switch_backend  # type: ignore[attr-defined]


def _patch_figure(figure: ModuleType) -> None:
    save = figure.Figure.savefig

    def savefig(self: Any, fname: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(fname, str | os.PathLike):
            path = pathlib.Path(fname)
            if not path.parent.is_dir():
                kwargs.setdefault("format", path.suffix.lstrip(".") or None)
                fname = io.BytesIO()
        return save(self, fname, *args, **kwargs)

    figure.Figure.savefig = savefig


def _patch_style(style: ModuleType) -> None:
    use = style.use

    def tolerant_use(name: Any) -> None:
        use(_new_style(name))

    style.use = tolerant_use  # type: ignore[attr-defined]


def _new_style(name: Any) -> Any:
    """Return the name of a style since matplotlib 3.6: 'seaborn-v0_8-...' for 'seaborn-...'."""
    if isinstance(name, list | tuple):
        return [_new_style(part) for part in name]
    if isinstance(name, str) and name.startswith("seaborn") and "v0_8" not in name:
        return "seaborn-v0_8" + name.removeprefix("seaborn")
    return name


def _patch_cm(cm: ModuleType) -> None:
    def get_cmap(name: Any = None, lut: int | None = None) -> Any:
        from matplotlib import pyplot

        return pyplot.get_cmap(name, lut)

    _restore(cm, "get_cmap", get_cmap)


# --- modules that are not here ----------------------------------------------------------


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder: it gets only modules that no other finder has found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _CONTENTS:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        for name, value in _CONTENTS[module.__name__]().items():
            setattr(module, name, value)


def _do_nothing(*args: object, **kwargs: object) -> None: ...


class _Progress:
    """tqdm's interface: iterates, and shows no progress."""

    def __init__(self, iterable: Any = (), *args: object, **kwargs: object) -> None:
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterable)

    def __len__(self) -> int:
        return len(self.iterable)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *args: object) -> None: ...

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _do_nothing

    write = staticmethod(print)


def _tqdm() -> dict[str, Any]:
    return {
        "tqdm": _Progress,
        "tqdm_notebook": _Progress,
        "trange": lambda *args, **kwargs: _Progress(range(*args)),
        "tnrange": lambda *args, **kwargs: _Progress(range(*args)),
    }


def _scipy_misc() -> dict[str, Any]:
    special = importlib.import_module("scipy.special")
    return {name: getattr(special, name) for name in ("logsumexp", "factorial", "comb")}


def _past_builtins() -> dict[str, Any]:
    """Return the names of Python 2 that `past.builtins` has, for old exercise sheets."""
    return {
        "xrange": range, "basestring": str, "unicode": str, "long": int, "raw_input": input,
        "reduce": functools.reduce, "range": lambda *args: list(range(*args)),
    }  # fmt: skip


_CONTENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "tqdm": _tqdm,
    "tqdm.notebook": _tqdm,
    "tqdm.auto": _tqdm,
    "scipy.misc": _scipy_misc,
    "past": dict,
    "past.builtins": _past_builtins,
    "google": dict,
    "google.colab": dict,
    "google.colab.drive": lambda: {"mount": _do_nothing, "flush_and_unmount": _do_nothing},
    "google.colab.files": lambda: {"upload": lambda *a, **k: {}, "download": _do_nothing},
    "google.colab.patches": lambda: {"cv2_imshow": _do_nothing},
    "google.colab.auth": lambda: {"authenticate_user": _do_nothing},
    "google.colab.output": lambda: {"clear": _do_nothing, "eval_js": _do_nothing},
    "google.colab.userdata": lambda: {"get": lambda *a, **k: ""},
}
