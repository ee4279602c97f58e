"""Measures how often a wrong answer gets a hint: random ones, and ones with a true cause.

    python tests/benchmarks/diagnosis.py [--rounds 400]

The first table counts answers that are wrong for no simple reason: how many got an explanation
all the same (it should be none). The second counts answers with one true cause each: how many
were told, and how many got another explanation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from grader.checks import diagnose

Rng = np.random.Generator
# -> got, expected, and what the check lets `diagnose` know.
Made = tuple[Any, Any, dict[str, Any]]


def shape_of(rng: Rng) -> tuple[int, ...]:
    shapes = ((5,), (30,), (7, 1), (3, 4), (10, 5), (2, 6), (6, 2), (1, 8))
    return shapes[rng.integers(len(shapes))]


def known(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "factors": {"m": int(rng.integers(5, 200)), "alpha": float(rng.uniform(0.01, 0.9))},
        "terms": {"regulariser": 0.1 * rng.normal(size=shape)},
        "inputs": {"x": rng.normal(size=shape)},
    }


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# --- wrong for no simple reason ---------------------------------------------------------


def other_numbers(rng: Rng) -> Made:
    shape = shape_of(rng)
    return rng.normal(size=shape), rng.normal(size=shape), known(rng, shape)


def other_number(rng: Rng) -> Made:
    return rng.uniform(0, 2), rng.uniform(0, 2), known(rng, ())


def delta_of_an_outer_product(rng: Rng) -> Made:
    k = int(rng.integers(2, 6))
    x, p, q = rng.normal(size=7), softmax(rng.normal(size=k)), softmax(rng.normal(size=k))
    y = np.eye(k)[rng.integers(k)]
    return np.outer(q - y, x), np.outer(p - y, x), known(rng, (k, 7))


def number_for_a_delta(rng: Rng) -> Made:
    x, d, other = rng.normal(size=7), rng.normal(size=(2, 4)), None
    return np.outer(d[0], x), np.outer(d[1], x), known(rng, (4, 7)) | {"dummy": other}


def pair_of_classes(rng: Rng) -> Made:
    p, q = rng.uniform(size=2)
    return np.array([q, -q]), np.array([p, -p]), known(rng, (2,))


def pairs_of_classes(rng: Rng) -> Made:
    p, q = rng.uniform(size=(2, 9))
    return np.stack([q, -q], axis=1), np.stack([p, -p], axis=1), known(rng, (9, 2))


def other_activation(rng: Rng) -> Made:
    z = rng.normal(size=(6, 4))
    pairs = [np.tanh, np.arctan, np.sin, lambda v: v / (1 + np.abs(v)), lambda v: np.tanh(2 * v)]
    a, b = rng.choice(len(pairs), size=2, replace=False)
    return pairs[a](z), pairs[b](z), known(rng, z.shape)


def gradient_of_other_weights(rng: Rng) -> Made:
    X, y, w = rng.normal(size=(40, 6)), rng.normal(size=40), rng.normal(size=6)
    off = rng.normal(size=6)
    return X.T @ (X @ (w + off) - y) / 40, X.T @ (X @ w - y) / 40, known(rng, (6,))


def one_wrong_element(rng: Rng) -> Made:
    right = rng.normal(size=(4, 5))
    wrong = right.copy()
    wrong[rng.integers(1, 3), rng.integers(1, 4)] += rng.normal()
    return wrong, right, known(rng, right.shape)


def loose_single_number(rng: Rng) -> Made:
    return rng.uniform(0, 2), rng.uniform(0, 2), known(rng, ()) | {"rtol": 1e-3}


def noisy_gradient(rng: Rng) -> Made:
    right = rng.normal(size=3)
    wrong = rng.normal(size=3)
    return wrong, right, known(rng, (3,)) | {"rtol": 1e-4, "atol": 1e-5}


WITHOUT_CAUSE: list[Callable[[Rng], Made]] = [
    other_numbers, other_number, delta_of_an_outer_product, number_for_a_delta, pair_of_classes,
    pairs_of_classes, other_activation, gradient_of_other_weights, one_wrong_element,
    loose_single_number, noisy_gradient,
]  # fmt: skip


# --- true causes ------------------------------------------------------------------------


def causes(rng: Rng) -> dict[str, tuple[Made, str]]:
    """Return for each cause a wrong answer and a word that its explanation must hold."""
    right = rng.normal(size=(6, 4))
    m, alpha = int(rng.integers(9, 200)), float(rng.uniform(0.01, 0.9))
    term = 0.1 * rng.normal(size=right.shape)
    slope = rng.uniform(0.1, 0.9, size=right.shape)
    z = 3 * rng.normal(size=right.shape)
    k: dict[str, Any] = {"factors": {"m": m, "alpha": alpha}}
    x, delta = rng.normal(size=7), rng.normal(size=4)
    outer = np.outer(delta, x)
    p, y = rng.uniform(0.1, 0.9, size=(2, m))
    mean_square = np.mean((p - y) ** 2)
    pairs = np.mean((p[:, None] - y[None, :]) ** 2)
    return {
        "sign": ((-right, right, k), "sign"),
        "factor 2": ((2 * right, right, k), "twice"),
        "mean missing": ((m * right, right, k), "times too large"),
        "mean twice": ((right / m, right, k), "times too small"),
        "rate missing": ((right / alpha, right, k), "times too large"),
        "sign of an outer product": ((-outer, outer, k), "sign"),
        "mean missing, outer product": ((m * outer, outer, k), "times too large"),
        "mean missing, one number": ((m * mean_square, mean_square, k), "times too large"),
        "other constant": ((3.7 * right, right, k), "3.7 times"),
        "log10": ((right / np.log(10), right, k), "2.303 times"),
        "transposed": ((right.T, right, k), "transposed"),
        "term missing": ((right, right + term, k | {"terms": {"decay": term}}), "decay"),
        "term twice": ((right + 2 * term, right + term, k | {"terms": {"decay": term}}), "decay"),
        "slope missing": (
            (right, right * slope, {"factors": {"sigma'(z)": slope}}), "sigma'(z) is missing"),
        "rows in another order": ((right[[1, 0, 2, 3, 5, 4]], right, k), "another order"),
        "flipped": ((right[::-1], right, k), "flipped"),
        "turned": ((np.rot90(right), right, k), "turned by 90"),
        "offset": ((right + 1, right, k), "by 1"),
        "wrong axis": ((right / right.sum(axis=1, keepdims=True), right, k), "each row"),
        "last row": ((np.vstack([right[:-1], 0 * right[-1:]]), right, k), "last row"),
        "branch": ((np.where(z < 0, right + z, right), right, k | {"inputs": {"z": z}}), "z < 0"),
        "all pairs": ((pairs, mean_square, k | {"broadcast": (p, y)}), "pairs"),
        "zero": ((0 * right, right, k), "is 0"),
        "integers": ((np.trunc(3 * right), 3 * right, k), "cut off"),
        "input returned": ((z, right, k | {"inputs": {"z": z}}), "unchanged input"),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    print(
        f"| wrong for no simple reason | answers | explained | first explanation |\n{'|---' * 4}|"
    )
    for make in WITHOUT_CAUSE:
        told = []
        for seed in range(rounds):
            got, expected, how = make(np.random.default_rng(seed))
            found = diagnose(got, expected, **how)
            if found is not None:
                told.append(f"{found.problem}. {found.hint}")
        name = make.__name__.replace("_", " ")
        print(
            f"| {name} | {rounds} | {100 * len(told) / rounds:.2f} % | {told[0] if told else ''} |"
        )
    print(f"\n| true cause | answers | named | another explanation |\n{'|---' * 4}|")
    counts: dict[str, list[int]] = {}
    for seed in range(rounds):
        for name, ((got, expected, how), word) in causes(np.random.default_rng(seed)).items():
            found = diagnose(got, expected, **how)
            right, other = counts.setdefault(name, [0, 0])
            named = found is not None and word in f"{found.problem}. {found.hint}"
            counts[name] = [right + named, other + (found is not None and not named)]
    for name, (right, other) in counts.items():
        print(
            f"| {name} | {rounds} | {100 * right / rounds:.1f} % | {100 * other / rounds:.1f} % |"
        )
    named, misled = (sum(c[i] for c in counts.values()) for i in (0, 1))
    total = rounds * len(counts)
    print(f"| together | {total} | {100 * named / total:.1f} % | {100 * misled / total:.1f} % |")


if __name__ == "__main__":
    main()
