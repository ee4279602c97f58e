"""Tables of errors over step lengths, for the notebook."""

import numpy as np


def halvings(n, count):
    """Return n, 2n, 4n, ..., `count` of them, an array."""
    return n * 2 ** np.arange(count)


def show_errors(title, h, errors):
    """Print step lengths, errors, and the factor from each error to the next."""
    print(title)
    before = None
    for step, error in zip(h, errors, strict=True):
        factor = f"{before / error:8.2f}" if before and error else ""
        print(f"  h = {step:.2e}   error = {error:.2e} {factor}")
        before = error
