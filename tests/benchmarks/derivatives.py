"""Compares gradient checks over many functions, right and wrong gradients: run it by hand.

    python tests/benchmarks/derivatives.py [--seeds 3] [--ours]

The tools: `assert_gradient` of this package, scipy.optimize.check_grad, scipy.differentiate,
and, where they are installed, torch.autograd.gradcheck, jax.test_util.check_vjp and
autograd.test_util.check_grads. Each gets the same function, point, gradient and tolerance
(1e-4, relative); its other options are its own. A tool accepts, refuses, or says that it can't
tell, which is counted apart. It prints one row a tool, and one a family of functions for ours.

Functions: smooth ones at scales of value and argument from 1e-8 to 1e8, 1 to 1e5 parameters,
kinks at and beside the point, ties, float16 and float32, noise, steps, large constants, points
at the edge of the domain. Wrong gradients: a factor 1 + e or one element off by e, e drawn
log-uniformly from 1e-4 to 1; the sign; zero.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks import assert_gradient
from grader.errors import CheckFailed

RTOL = 1e-4
# Above this many parameters a tool that takes two calls an element is not asked.
MOST_ELEMENTS = 2000


@dataclass(frozen=True)
class Case:
    """A function with its right gradient at a point."""

    family: str
    name: str
    f: Callable[[Any], Any]
    gradient: Callable[[Any], Any]
    at: Any


# --- functions --------------------------------------------------------------------------


def sigma(z: Any) -> Any:
    return np.exp(-np.logaddexp(0, -z))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max())
    return e / e.sum()


# name -> (f, gradient), each of a vector; the point is normal unless POSITIVE names it.
SMOOTH: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "square": (lambda x: (x**2).sum(), lambda x: 2 * x),
    "cube": (lambda x: (x**3).sum(), lambda x: 3 * x**2),
    "quartic": (lambda x: (x**4 - x**2).sum(), lambda x: 4 * x**3 - 2 * x),
    "degree 7": (lambda x: (x**7 / 7 - x**3).sum(), lambda x: x**6 - 3 * x**2),
    "sin": (lambda x: np.sin(x).sum(), np.cos),
    "sin 20 x": (lambda x: np.sin(20 * x).sum(), lambda x: 20 * np.cos(20 * x)),
    "exp": (lambda x: np.exp(x).sum(), np.exp),
    "gauss": (lambda x: np.exp(-(x**2)).sum(), lambda x: -2 * x * np.exp(-(x**2))),
    "tanh": (lambda x: np.tanh(x).sum(), lambda x: 1 - np.tanh(x) ** 2),
    "softplus": (lambda x: np.logaddexp(0, x).sum(), sigma),
    "sigmoid": (lambda x: sigma(x).sum(), lambda x: sigma(x) * (1 - sigma(x))),
    "arctan": (lambda x: np.arctan(x).sum(), lambda x: 1 / (1 + x**2)),
    "root": (lambda x: np.sqrt(1 + x**2).sum(), lambda x: x / np.sqrt(1 + x**2)),
    "cauchy": (lambda x: (1 / (1 + x**2)).sum(), lambda x: -2 * x / (1 + x**2) ** 2),
    "log-sum-exp": (lambda x: x.max() + np.log(np.exp(x - x.max()).sum()), softmax),
    "norm": (lambda x: np.sqrt((x**2).sum()), lambda x: x / np.sqrt((x**2).sum())),
    "mean square": (lambda x: (x**2).mean() / 2, lambda x: x / x.size),
    "variance": (lambda x: x.var(), lambda x: 2 * (x - x.mean()) / x.size),
    "chain": (
        lambda x: ((x[1:] - x[:-1] ** 2) ** 2).sum() + ((1 - x) ** 2).sum(),
        lambda x: (
            np.append(0, 2 * (x[1:] - x[:-1] ** 2))
            - np.append(4 * x[:-1] * (x[1:] - x[:-1] ** 2), 0)
            - 2 * (1 - x)
        ),
    ),
    "log": (lambda x: np.log(x).sum(), lambda x: 1 / x),
    "entropy": (lambda x: (x * np.log(x)).sum(), lambda x: np.log(x) + 1),
    "power": (lambda x: (x**2.5).sum(), lambda x: 2.5 * x**1.5),
    "reciprocal": (lambda x: (1 / x).sum(), lambda x: -1 / x**2),
}
POSITIVE = {"log", "entropy", "power", "reciprocal"}


def point_of(name: str, d: int, rng: np.random.Generator) -> Any:
    return rng.uniform(0.2, 3, size=d) if name in POSITIVE else rng.normal(size=d)


def scaled(name: str, v: float, s: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    f, g = SMOOTH[name]
    return (lambda x: v * f(x / s)), (lambda x: v * g(x / s) / s)


class Network:
    """A cost of a model over data, with its gradient by hand."""

    def __init__(self, rng: np.random.Generator, m: int, d: int, features: float = 1.0) -> None:
        self.X = rng.normal(size=(m, d)) * features
        self.y = 1.0 * (rng.random(m) < 0.4)
        self.m, self.v = m, rng.normal(size=4)

    def logistic(self, w: Any) -> Any:
        z = self.X @ w
        return np.mean(np.logaddexp(0, z) - self.y * z)

    def logistic_gradient(self, w: Any) -> Any:
        return self.X.T @ (sigma(self.X @ w) - self.y) / self.m

    def guarded(self, w: Any) -> Any:
        p = sigma(self.X @ w)
        return -np.mean(self.y * np.log(p + 1e-9) + (1 - self.y) * np.log(1 - p + 1e-9))

    def squares(self, w: Any) -> Any:
        return np.mean((self.X @ w - self.y) ** 2) / 2

    def squares_gradient(self, w: Any) -> Any:
        return self.X.T @ (self.X @ w - self.y) / self.m

    def hinge(self, w: Any) -> Any:
        return np.mean(np.maximum(0, 1 - (2 * self.y - 1) * (self.X @ w)))

    def hinge_gradient(self, w: Any) -> Any:
        t = 2 * self.y - 1
        return -self.X.T @ (t * (t * (self.X @ w) < 1)) / self.m

    def relu(self, w: Any) -> Any:
        return np.mean(np.maximum(self.X @ w.reshape(-1, 4), 0) @ self.v)

    def relu_gradient(self, w: Any) -> Any:
        return (self.X.T @ ((self.X @ w.reshape(-1, 4) > 0) * self.v) / self.m).reshape(-1)

    def biased(self, w: Any) -> Any:
        return np.mean((self.X @ w[:-1] + w[-1] - self.y) ** 2) / 2

    def biased_gradient(self, w: Any) -> Any:
        off = (self.X @ w[:-1] + w[-1] - self.y) / self.m
        return np.append(self.X.T @ off, off.sum())


def smooth_cases(rng: np.random.Generator) -> Iterator[Case]:
    for name in SMOOTH:
        for d in (2, 30):
            yield Case("smooth", f"{name}, {d}", *SMOOTH[name], point_of(name, d, rng))
    for i, name in enumerate(SMOOTH):
        # Each function at two of the scales of value, and at two of the scales of argument.
        for v, s in ((10.0 ** (8 - 4 * (i % 5)), 1.0), (1.0, 10.0 ** (-8 + 4 * (i % 5)))):
            if (v, s) == (1.0, 1.0):
                continue
            x = s * point_of(name, 12, rng)
            yield Case("scales", f"{name}, v={v:g}, s={s:g}", *scaled(name, v, s), x)
    for d, names in (
        (1, ("square", "sin", "exp", "log")),
        (784, ("square", "tanh", "log-sum-exp", "softplus", "entropy")),
        (10_000, ("square", "sin", "softplus", "mean square")),
        (100_000, ("square", "sigmoid", "root")),
    ):
        for name in names:
            yield Case("sizes", f"{name}, {d}", *SMOOTH[name], point_of(name, d, rng))


def model_cases(rng: np.random.Generator) -> Iterator[Case]:
    for m, d in ((20, 5), (60, 40), (50, 784), (300, 10)):
        n, w = Network(rng, m, d), 0.3 * rng.normal(size=d) / np.sqrt(d / 10)
        yield Case("models", f"logistic, {d}", n.logistic, n.logistic_gradient, w)
        yield Case("models", f"guarded logarithm, {d}", n.guarded, n.logistic_gradient, w)
        yield Case("models", f"least squares, {d}", n.squares, n.squares_gradient, w)
        yield Case("kinks", f"hinge, {d}", n.hinge, n.hinge_gradient, w)
        W = rng.normal(size=4 * d) / np.sqrt(d)
        yield Case("kinks", f"relu network, {d}", n.relu, n.relu_gradient, W)
    for features in (1e2, 1e4):
        n = Network(rng, 40, 9, features)
        w = rng.normal(size=10) / features
        yield Case("scales", f"bias beside {features:g}", n.biased, n.biased_gradient, w)


def kink_cases(rng: np.random.Generator) -> Iterator[Case]:
    x = rng.normal(size=12)
    for name, f, g in (
        ("abs", lambda x: np.abs(x).sum(), np.sign),
        ("relu", lambda x: np.maximum(x, 0).sum(), lambda x: 1.0 * (x > 0)),
        ("leaky relu", lambda x: np.where(x > 0, x, x / 10).sum(),
         lambda x: np.where(x > 0, 1.0, 0.1)),
        ("huber", lambda x: np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5).sum(),
         lambda x: np.clip(x, -1, 1)),
        ("elastic", lambda x: np.abs(x).sum() + (x**2).sum(), lambda x: np.sign(x) + 2 * x),
        ("max", lambda x: x.max(), lambda x: 1.0 * (np.arange(x.size) == x.argmax())),
        ("clip", lambda x: np.clip(x, -1, 1).sum(), lambda x: 1.0 * (np.abs(x) < 1)),
    ):  # fmt: skip
        yield Case("kinks", name, f, g, x)
        yield Case("kinks", f"{name}, near", f, g, np.where(np.arange(12) % 3, x, 3e-5))
        yield Case("ties", f"{name}, at zero", f, g, np.where(np.arange(12) % 3, x, 0.0))


def precision_cases(rng: np.random.Generator) -> Iterator[Case]:
    def in_dtype(f: Callable[[Any], Any], dtype: Any) -> Callable[[Any], Any]:
        return lambda x: f(x.astype(dtype))

    for name in ("square", "sin", "tanh", "softplus", "exp", "log", "log-sum-exp", "cauchy"):
        f, g = SMOOTH[name]
        x = point_of(name, 10, rng)
        yield Case("float32", f"{name}, cost", in_dtype(f, np.float32), g, x)
        yield Case("float32", f"{name}, gradient", f, lambda x, g=g: g(x.astype(np.float32)), x)
        yield Case("float16", f"{name}, cost", in_dtype(f, np.float16), g, x)
        yield Case(
            "float32", f"{name}, hidden",
            lambda x, f=f: float(f(x.astype(np.float32))), g, x,
        )  # fmt: skip


def doubtful_cases(rng: np.random.Generator) -> Iterator[Case]:
    noise = np.random.default_rng(1)
    for name in ("square", "softplus", "sin"):
        f, g = SMOOTH[name]
        x = point_of(name, 10, rng)
        for c in (1e4, 1e7, 1e9, 1e12):
            yield Case("constants", f"{c:g} + {name}", lambda x, f=f, c=c: c + f(x), g, x)
        for size in (1e-12, 1e-8, 1e-4):
            rough = lambda x, f=f, s=size: f(x) + s * np.sin(1e13 * x.sum())  # noqa: E731
            yield Case("noise", f"{name}, rough {size:g}", rough, g, x)
            drawn = lambda x, f=f, s=size: f(x) + s * noise.normal()  # noqa: E731
            yield Case("noise", f"{name}, random {size:g}", drawn, g, x)
        for k in (3, 6):
            rounded = lambda x, f=f, k=k: np.round(f(x), k)  # noqa: E731
            yield Case("noise", f"{name}, {k} decimals", rounded, g, x)
    for name, at in (("log", 1e-7), ("entropy", 1e-9), ("power", 0.0), ("reciprocal", 1e-3)):
        x = np.append(rng.uniform(0.5, 2, size=3), at)
        yield Case("edges", f"{name} at {at:g}", *SMOOTH[name], x)
    yield Case(
        "edges", "arcsin", lambda x: np.arcsin(x).sum(), lambda x: 1 / np.sqrt(1 - x**2),
        np.array([0.2, -0.9, 1 - 1e-6]),
    )  # fmt: skip
    yield Case(
        "edges", "log-barrier", lambda x: -np.log(1 - x).sum() - np.log(x).sum(),
        lambda x: 1 / (1 - x) - 1 / x, np.array([1e-5, 0.5, 1 - 1e-8]),
    )  # fmt: skip


def all_cases(rng: np.random.Generator) -> list[Case]:
    parts = (smooth_cases, model_cases, kink_cases, precision_cases, doubtful_cases)
    return [case for part in parts for case in part(rng)]


# --- wrong gradients --------------------------------------------------------------------


def wrong_gradient(case: Case, rng: np.random.Generator) -> tuple[float, Callable[[Any], Any]]:
    """Return how far off it is in an element at least, relative, and the gradient."""
    e = float(10 ** rng.uniform(-4, 0))
    kind = rng.choice(["factor", "element", "sign", "zero"], p=[0.45, 0.35, 0.1, 0.1])
    g = np.asarray(case.gradient(case.at), dtype=float)
    if kind == "element" and g.size > 1:
        # An element that counts: one that is nearly 0 beside the others can't be told by any.
        i = int(rng.choice(np.flatnonzero(np.abs(g) >= 1e-2 * np.abs(g).max())))
        change = np.zeros(g.size)
        change[i] = e
        return e, lambda x: case.gradient(x) * (1 + change)
    if kind == "sign":
        return 2.0, lambda x: -case.gradient(x)
    if kind == "zero":
        return 1.0, lambda x: 0 * case.gradient(x)
    return e, lambda x: (1 + e) * case.gradient(x)


# --- tools ------------------------------------------------------------------------------

Verdict = str  # "accepts", "refuses", "can't tell"


def ours(case: Case, grad: Callable[[Any], Any]) -> Verdict:
    try:
        assert_gradient(case.f, grad, at=case.at, rng=np.random.default_rng(0), rtol=RTOL)
    except CheckFailed as failure:
        blamed = "gradient" in failure.problem
        return "refuses" if blamed else "can't tell"
    return "accepts"


def check_grad(case: Case, grad: Callable[[Any], Any]) -> Verdict:
    from scipy.optimize import check_grad

    error = check_grad(lambda x: float(case.f(x)), grad, case.at)
    size = float(np.linalg.norm(case.gradient(case.at)))
    return "accepts" if error <= RTOL * size else "refuses"


def scipy_differentiate(case: Case, grad: Callable[[Any], Any]) -> Verdict:
    from scipy.differentiate import jacobian

    def f(x: Any) -> Any:
        return np.apply_along_axis(case.f, 0, x)

    found = jacobian(f, np.asarray(case.at, dtype=float), tolerances={"rtol": RTOL / 10})
    if not np.all(found.success):
        return "can't tell"
    g = np.asarray(grad(case.at))
    near = np.abs(found.df - g) <= RTOL * np.abs(found.df) + found.error
    return "accepts" if near.all() else "refuses"


def torch_gradcheck(case: Case, grad: Callable[[Any], Any]) -> Verdict:
    import torch

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.tensor(float(case.f(x.detach().numpy())), dtype=torch.float64)

        @staticmethod
        def backward(ctx: Any, up: Any) -> Any:
            (x,) = ctx.saved_tensors
            return up * torch.from_numpy(np.asarray(grad(x.numpy()), dtype=float))

    x = torch.tensor(case.at, dtype=torch.float64, requires_grad=True)
    good = torch.autograd.gradcheck(Function.apply, (x,), rtol=RTOL, raise_exception=False)
    return "accepts" if good else "refuses"


def jax_check_vjp(case: Case, grad: Callable[[Any], Any]) -> Verdict:
    import jax
    from jax.test_util import check_vjp

    jax.config.update("jax_enable_x64", True)

    def f(x: Any) -> Any:
        return np.float64(case.f(np.asarray(x, dtype=float)))

    def f_vjp(x: Any) -> Any:
        g = np.asarray(grad(np.asarray(x, dtype=float)), dtype=float)
        return f(x), lambda up: (np.asarray(up) * g,)

    try:
        check_vjp(f, f_vjp, (case.at,), rtol=RTOL)
    except AssertionError:
        return "refuses"
    return "accepts"


def autograd_check(case: Case, grad: Callable[[Any], Any]) -> Verdict:
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    f = primitive(lambda x: float(case.f(np.asarray(x))))
    defvjp(f, lambda value, x: lambda up: up * np.asarray(grad(x), dtype=float))
    try:
        check_grads(f, modes=["rev"], order=1)(case.at)
    except AssertionError:
        return "refuses"
    return "accepts"


TOOLS: dict[str, tuple[str, Callable[[Case, Callable[[Any], Any]], Verdict], bool]] = {
    # name -> (module that it needs, tool, whether it takes calls for each element)
    "assert_gradient": ("numpy", ours, False),
    "scipy check_grad": ("scipy", check_grad, True),
    "scipy.differentiate": ("scipy", scipy_differentiate, True),
    "torch gradcheck": ("torch", torch_gradcheck, True),
    "JAX check_vjp": ("jax", jax_check_vjp, False),
    "autograd check_grads": ("autograd", autograd_check, False),
}


@dataclass
class Tally:
    """Verdicts of one tool."""

    right: Counter[str]
    wrong: Counter[str]
    worst: float = 0.0  # the largest error that was accepted
    asked: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ours", action="store_true", help="only assert_gradient, case by case")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    tools = {n: t for n, t in TOOLS.items() if importlib.util.find_spec(t[0])}
    if arguments.ours:
        tools = {"assert_gradient": tools["assert_gradient"]}
    tallies = {name: Tally(Counter(), Counter()) for name in tools}
    families: dict[str, Tally] = {}
    cases = []
    for seed in range(arguments.seeds):
        rng = np.random.default_rng(seed)
        cases = all_cases(rng)
        for case in cases:
            size, wrong = wrong_gradient(case, rng)
            for name, (_, tool, by_element) in tools.items():
                if by_element and np.size(case.at) > MOST_ELEMENTS:
                    continue
                verdicts = []
                for grad in (case.gradient, wrong):
                    try:
                        verdicts.append(tool(case, grad))
                    except (ArithmeticError, ValueError, TypeError):
                        verdicts.append("can't tell")
                of_family = families.setdefault(case.family, Tally(Counter(), Counter()))
                for tally in [tallies[name], *([of_family] if tool is ours else [])]:
                    tally.asked += 1
                    tally.right[verdicts[0]] += 1
                    tally.wrong[verdicts[1]] += 1
                    if verdicts[1] == "accepts":
                        tally.worst = max(tally.worst, size)
                if arguments.ours and (verdicts[0] != "accepts" or verdicts[1] == "accepts"):
                    print(seed, case.family, case.name, f"right {verdicts[0]}; "
                          f"wrong by {size:.2g} {verdicts[1]}")  # fmt: skip
    print(f"{len(cases)} functions, {arguments.seeds} seeds, tolerance {RTOL:g}\n")
    head = "right refused | right: can't tell | wrong accepted | wrong: can't tell | largest error"
    for title, rows in (("check", tallies), ("family (assert_gradient)", families)):
        print(f"| {title} | asked | {head} accepted |\n|---|---|---|---|---|---|---|")
        for name, t in rows.items():
            share = [t.right["refuses"], t.right["can't tell"], t.wrong["accepts"],
                     t.wrong["can't tell"]]  # fmt: skip
            cells = " | ".join(f"{100 * n / max(t.asked, 1):.1f} %" for n in share)
            print(f"| {name} | {t.asked} | {cells} | {t.worst:.2g} |")
        print()


if __name__ == "__main__":
    main()
