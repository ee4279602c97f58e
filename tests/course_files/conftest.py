"""A small course whose sheet comes with a table, a helper module and a package."""

import json
import zipfile
from pathlib import Path

TOML = """\
id = "lab"
title = "Lab"
files = ["data/*.csv", "lab_helpers.py", "layers/"]

[[notebooks]]
file = "lab.ipynb"

[[exercises]]
id = "mean"
title = "Mean"
points = 2
notebook = "lab.ipynb"
functions = ["mean_of_table"]
"""
HELPERS = '''\
"""Reads what lies beside it."""

from pathlib import Path


def rows():
    return Path(__file__).with_name("data").joinpath("table.csv").read_text().split()
'''
LAYERS = {
    "layers/__init__.py": "from .dense import scale\n",
    "layers/dense.py": "from .numbers_used import FACTOR\n\nscale = FACTOR.__mul__\n",
    "layers/numbers_used.py": "FACTOR = 10.0\n",
}
TABLE = "1\n2\n6\n"
CELLS = (
    "import numpy as np\nimport lab_helpers\nfrom layers import scale\n",
    'table = np.loadtxt("data/table.csv")\n',
    "def mean_of_table():\n"
    "    ### START YOUR CODE ###\n"
    "    # STUB: return None\n"
    "    return {body}\n"
    "    ### END YOUR CODE ###\n",
)
RIGHT = 'scale(np.mean([float(row) for row in open("data/table.csv")]))'
CHECKS = '''\
import numpy as np
import pytest
from lab_helpers import rows
from layers import scale


@pytest.mark.exercise("mean", points=1)
def test_mean_of_the_table(student, files):
    """The value, of the table that the check opens itself."""
    table = np.loadtxt(files / "data/table.csv")
    assert student.mean_of_table() == pytest.approx(scale(table.mean()))


@pytest.mark.exercise("mean", points=1)
def test_mean_of_the_rows(student):
    """The same, by the course's own helper."""
    assert student.mean_of_table() == pytest.approx(10 * np.mean([float(row) for row in rows()]))
'''


def notebook(*before, body=RIGHT, cells=CELLS):
    sources = [*before, *(cell.replace("{body}", body) for cell in cells)]
    return json.dumps(
        {
            "cells": [
                {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
                 "outputs": [], "source": source}
                for n, source in enumerate(sources)
            ],
            "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
        }
    )  # fmt: skip


def write(folder, files):
    for name, content in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)
    return Path(folder)


def write_course(root, *, toml=TOML, table=TABLE, more=()):
    """Write root/reference/lab; return that folder."""
    files = {
        "assignment.toml": toml,
        "lab.ipynb": notebook(),
        "lab_helpers.py": HELPERS,
        "data/table.csv": table,
        "test_lab.py": CHECKS,
        **LAYERS,
        **dict(more),
    }
    return write(root / "reference" / "lab", files)


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
