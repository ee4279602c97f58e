"""One verdict, however it is come to: warm or cold, one process, eight, or a cluster."""

import json
from pathlib import Path

import pytest

from .conftest import Class

pytestmark = pytest.mark.slow

# No process to fork kernels from: each starts by itself, as on macOS.
COLD = "from grader import pipeline; pipeline.start_fork_server = lambda *_: None"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A class in which nearly everything happens, and its report by a single process."""
    klass = Class(tmp_path_factory.mktemp("mixed"))
    klass.limit("cell_s", 2)
    klass.limit("check_s", 2)
    klass.hand_in("Right_Ann")
    klass.hand_in("Wrong_Bea", mean_square="return ((p - y) ** 2).sum()")
    klass.hand_in("Raises_Cem", more="1 / 0", double="return undefined")
    klass.hand_in("Hangs_Dan", more="while True: pass")
    klass.hand_in("Hangs_Eve", double="while True: pass")
    klass.hand_in("Dies_Fay", more="import os; os._exit(3)")
    klass.hand_in("Dies_Gus", mean_square="import os; os._exit(3)")
    klass.hand_in("Parses_Not", more="def (")
    klass.hand_in("Random_Hal", double="return 2 * x + np.random.normal()")
    klass.hand_in("Prints_Ida", more="print('x' * 10**6); import matplotlib; 1")
    klass.hand_in("Empty_Jan", mean_square="pass", double="pass")
    klass.hand_in("Broken_Zip").write_bytes(b"PK\3\4 cut off")
    (klass.handed_in / "Nothing_In.zip").write_bytes(b"")
    folder = klass.handed_in / "Noether_Emmy"
    folder.mkdir()
    (folder / "toy.ipynb").write_text((klass.reference / "toy" / "toy.ipynb").read_text())
    (folder / "link").symlink_to("toy.ipynb")
    report, _ = klass.grade("--jobs", "1", "--regrade")
    return klass, report


def test_the_class_is_as_mixed_as_it_should_be(mixed):
    _, report = mixed
    submissions = json.loads(report)["submissions"]
    assert {Path(s["path"]).stem: s["score"] for s in submissions if s["status"] == "graded"} == {
        "Right_Ann": 6, "Wrong_Bea": 2, "Raises_Cem": 4, "Hangs_Dan": 6, "Hangs_Eve": 4,
        "Dies_Fay": 6, "Dies_Gus": 2, "Parses_Not": 6, "Random_Hal": 4, "Prints_Ida": 6,
        "Empty_Jan": 0, "Noether_Emmy": 6,
    }  # fmt: skip
    refused = {Path(s["path"]).stem for s in submissions if s["status"] == "refused"}
    assert refused == {"Broken_Zip", "Nothing_In"}


@pytest.mark.parametrize(
    ("options", "first"),
    [(["--jobs", "8"], ""), (["--jobs", "1"], COLD), (["--dask"], "")],
    ids=["eight processes", "cold", "a cluster"],
)
def test_every_way_to_grade_gives_the_same_report(mixed, options, first, request, without_times):
    klass, report = mixed
    if options == ["--dask"]:
        options = ["--dask", str(request.getfixturevalue("dask").file)]
    other, _ = klass.grade(*options, "--regrade", first=first)
    assert without_times(other) == without_times(report)
