"""Where kernels are forked from, SciPy's import adds no tables to docstrings."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from grader.in_kernel import docstrings
with docstrings.as_written({imports}):
    before = "scipy" in sys.modules
    import scipy.stats
from scipy._lib import _array_api, _docscrape
own = getattr(_array_api, "FunctionDoc", None)
print(before, own in (None, _docscrape.FunctionDoc), scipy.stats.zscore([1.0, 3.0]).tolist())
print(scipy.stats.zscore.__doc__.strip())
"""


def told(imports):
    """Whether SciPy was imported before it was asked for, and a docstring of it."""
    program = [sys.executable, "-c", PROGRAM.format(imports=imports)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    first, _, text = done.stdout.partition("\n")
    before, own, values = first.split(" ", 2)
    assert (own, values) == ("True", "[-1.0, 1.0]")
    return before == "True", text


def test_a_docstring_of_scipy_stays_as_its_author_wrote_it():
    _, plain = told([])
    if "Array API" not in plain:
        pytest.skip("this release of SciPy adds no tables")
    _, text = told(["numpy", "sklearn.datasets"])
    assert text.startswith("Compute the z score.\n")
    assert "Examples" in text
    assert "Array API" not in text


def test_scipy_is_not_imported_for_its_docstrings_where_no_notebook_needs_it():
    assert [told(imports)[0] for imports in (["numpy", "sklearning"], ["scipy.stats"])] == [
        False,
        True,
    ]
