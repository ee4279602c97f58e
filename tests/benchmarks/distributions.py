"""Prints how often each check of drawn numbers refuses right ones: run it by hand.

python tests/benchmarks/distributions.py [--draws 20000] [--level 0.01]
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from grader.checks import (
    assert_drawn,
    assert_frequencies,
    assert_mean,
    assert_uniform,
    assert_variance,
)
from grader.errors import CheckFailed

SHARES = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}


def refused(draw: Callable[[Any], Any], check: Callable[[Any], None], draws: int) -> float:
    count = 0
    for seed in range(draws):
        try:
            check(draw(np.random.default_rng(seed)))
        except CheckFailed:
            count += 1
    return count / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--level", type=float, default=0.01)
    options = parser.parse_args()
    level = options.level
    print(f"{options.draws} right draws, false_fail = {level:g}: share refused\n")
    print(
        "| numbers | drawn | uniform | mean | variance | frequencies |\n|---|---|---|---|---|---|"
    )
    for n in (12, 60, 400):
        cases: list[tuple[Callable[[Any], Any], Callable[[Any], None]]] = [
            (lambda r, n=n: r.normal(0.1, 0.1, n),
             lambda v: assert_drawn(v, mean=0.1, std=0.1, false_fail=level)),
            (lambda r, n=n: r.uniform(-1, 1, n),
             lambda v: assert_uniform(v, -1, 1, false_fail=level)),
            (lambda r, n=n: r.normal(3, 2, n), lambda v: assert_mean(v, 3, false_fail=level)),
            (lambda r, n=n: r.normal(3, 2, n), lambda v: assert_variance(v, 4, false_fail=level)),
        ]  # fmt: skip
        if n >= 60:
            cases.append((
                lambda r, n=n: r.choice(4, size=n, p=list(SHARES.values())),
                lambda v: assert_frequencies(v, SHARES, false_fail=level),
            ))  # fmt: skip
        cells = [f"{refused(draw, check, options.draws):.4f}" for draw, check in cases]
        print(f"| {n} | " + " | ".join([*cells, *["-"] * (5 - len(cells))]) + " |")


if __name__ == "__main__":
    main()
