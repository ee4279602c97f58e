"""Plugins: what an installed package may add, and that a submission can't."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from grader import plugins
from grader.errors import PluginError

EXAMPLE = Path(__file__).parents[1] / "example_plugin" / "grade_example"
TOML = """\
id = "toy"
title = "Toy"
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "a"
title = "A"
points = 2
notebook = "toy.ipynb"
functions = ["f"]
"""
CHECKS = """\
import numpy as np
import pytest

@pytest.mark.exercise("a", points=2)
def test_f(student, grid):
    assert np.array_equal(student.f(grid), 2 * grid)
"""
CODE = (
    "def f(x):\n    ### START YOUR CODE ###\n    return {factor} * x\n    ### END YOUR CODE ###\n"
)


def notebook(factor):
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": None, "outputs": []}
    cell["source"] = CODE.format(factor=factor)
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def write_metadata(folder, module, name="grade_example"):
    """What an installer writes beside a package that has the entry point."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[grade.plugins]\nexample = {module}\n")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python that has this package, all that it needs, and the example plugin."""
    folder = tmp_path_factory.mktemp("with plugin")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    ours = [sysconfig.get_path("purelib"), str(Path(plugins.__file__).parents[1])]
    (packages / "ours.pth").write_text("\n".join(ours))
    shutil.copytree(EXAMPLE, packages / "grade_example")
    write_metadata(packages, "grade_example")
    return python


@pytest.fixture
def course(tmp_path):
    toy = tmp_path / "reference" / "toy"
    toy.mkdir(parents=True)
    (toy / "assignment.toml").write_text(TOML)
    (toy / "toy.ipynb").write_text(notebook(2))
    (toy / "test_toy.py").write_text(CHECKS)
    return tmp_path


def run(python, course, *arguments, code=0, cwd=None):
    done = subprocess.run(
        [str(python), "-m", "grader", *map(str, arguments)],
        cwd=cwd or course,
        env=dict(os.environ, GRADE_RESULTS="none", TMPDIR=str(course)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done


def test_a_plugin_s_export_fixture_and_report_work_through_the_command(python, course):
    (course / "class.box").write_text(
        json.dumps({"Ann Meier": notebook(2), "Bob Roe": notebook(3)})
    )
    done = run(python, course, "class.box", "--report", "lines=-", "--jobs", "2")
    assert done.stdout == "Ann Meier: 2 of 2\nBob Roe: 0 of 2\n"


def test_a_plugin_s_importer_makes_the_notebook_of_a_new_assignment(python, course):
    (course / "solved.cells").write_text("import numpy as np\n---\n" + CODE.format(factor=2))
    run(python, course, "new", "hw", "--from", "solved.cells")
    written = course / "reference" / "hw" / "solved.ipynb"
    assert "return 2 * x" in written.read_text()


def test_a_report_that_no_plugin_has_is_refused_before_anything_is_graded(python, course):
    (course / "a.ipynb").write_text(notebook(2))
    done = run(python, course, "a.ipynb", "--report", "cvs=out", code=2)
    assert "There is no report 'cvs'; there is gradescope, " in done.stderr
    assert ", lines.\n" in done.stderr
    done = run(python, course, "a.ipynb", "--report", "lines", code=2)
    assert "--report takes NAME=FILE, not 'lines'." in done.stderr


def test_a_submission_can_not_supply_a_plugin(python, course):
    handed_in = course / "evil"
    handed_in.mkdir()
    (handed_in / "toy.ipynb").write_text(notebook(2))
    ran = course / "it ran"
    for module in ("grade_evil", "grade_example"):  # one of its own, and the installed one's name
        (handed_in / f"{module}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    write_metadata(handed_in, "grade_evil", name="grade_evil")
    done = run(
        python, course, ".", "--json", "-", "--report", f"lines={course / 'l'}", cwd=handed_in
    )
    assert json.loads(done.stdout)["submissions"][0]["score"] == 2
    assert (course / "l").read_text() == "evil: 2 of 2\n"
    assert not ran.exists()


@pytest.fixture
def one_plugin(tmp_path, monkeypatch):
    """Install a module as the only plugin there is."""

    def install(text):
        (tmp_path / "grade_single.py").write_text(text)
        write_metadata(tmp_path, "grade_single")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(plugins, "_own_folders", lambda: [str(tmp_path)])
        monkeypatch.delitem(sys.modules, "grade_single", raising=False)
        plugins._manager.cache_clear()

    yield install
    plugins._manager.cache_clear()


def test_a_plugin_that_does_not_load_is_named(one_plugin):
    one_plugin("import no_such_module")
    with pytest.raises(
        PluginError, match=r"the plugin grade_example: example can't be loaded \(Mod"
    ):
        plugins.reporters()


def test_a_hook_that_does_not_exist_is_a_mistake_that_is_named(one_plugin):
    one_plugin("from grader.plugins import hookimpl\n@hookimpl\ndef grade_reprters(): return []")
    with pytest.raises(PluginError, match="grade_reprters"):
        plugins.reporters()


def test_a_plugin_that_fails_is_no_fault_of_a_submission(one_plugin):
    one_plugin("from grader.plugins import hookimpl\n@hookimpl\ndef grade_export(path): 1 / 0")
    with pytest.raises(PluginError, match=r"a plugin failed in grade_export \(ZeroDivisionError"):
        plugins.take_export_apart(Path("a"), Path("b"))


def test_without_plugins_there_is_nothing(one_plugin, tmp_path):
    assert plugins.take_export_apart(tmp_path, tmp_path) is None
    assert plugins.import_notebook(tmp_path) is None
