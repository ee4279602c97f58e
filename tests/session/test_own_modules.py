"""Modules that were handed in and need a package that is not installed: the rest of them runs."""

import pytest

HELPERS = """
import math, nowhere_to_be_found
import nowhere_to_be_found.data as data

print("once")


class Rows(data.Dataset):
    pass


table = Rows
device = "gpu" if nowhere_to_be_found.has_gpu() else "cpu"


def double(x):
    return 2 * math.fabs(x)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "helpers.py").write_text(HELPERS)
    return tmp_path


def test_what_does_not_need_the_package_is_defined(run, folder):
    session = run("import helpers\ndef f(x):\n    return helpers.double(x)", folder=folder)
    with session.student() as student:
        assert student.f(-4.0) == 8.0


def test_what_needs_the_package_is_not_defined_and_the_cell_says_so(run, folder):
    session = run("import helpers", "helpers.table", folder=folder)
    first, second = session.run.cells
    text = "".join(str(output.get("text", "")) for output in first.outputs)
    assert "No module named 'nowhere_to_be_found'" in text
    assert "Not defined: Rows, data, device, nowhere_to_be_found, table" in text
    assert text.count("once") == 1
    assert (first.status, second.status) == ("ok", "error")


def test_a_module_in_a_folder_that_was_handed_in_is_read_the_same_way(run, folder):
    (folder / "tools").mkdir()
    (folder / "tools" / "more.py").write_text(HELPERS)
    session = run("from tools.more import double", folder=folder)
    with session.student() as student:
        assert student.double(-1.0) == 2.0


def test_an_annotation_that_is_never_evaluated_needs_no_package(run, folder):
    source = "import nowhere_to_be_found as nn\n\ndef third(x: nn.Tensor):\n    return x / 3\n"
    (folder / "noted.py").write_text("from __future__ import annotations\n" + source)
    with run("from noted import third", folder=folder).student() as student:
        assert student.third(6.0) == 2.0


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import lost.part", "ModuleNotFoundError"),  # a file of the submission itself
        ("import nowhere_to_be_found\nprint(never_set)", "NameError"),
        ("import nowhere_to_be_found\n1 / 0", "ZeroDivisionError"),
    ],
)
def test_other_errors_stop_the_import_as_always(run, folder, source, error):
    (folder / "lost").mkdir()
    (folder / "broken.py").write_text(source)
    session = run("import broken", folder=folder)
    assert session.run.cells[0].status == "error"
    assert error in str(session.run.cells[0])
