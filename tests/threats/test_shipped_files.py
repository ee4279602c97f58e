"""Files that tools read by themselves are just files when a submission ships them."""

import sys
import zipfile

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0

# Whatever runs this says so where the tester looks: a file that bears the test's mark.
SHOUT = """
import os
for place in ("/tmp", "/var/tmp", os.path.expanduser("~")):
    try: open(os.path.join(place, "MARK-" + NAME), "w").close()
    except OSError: pass
"""
PYTHON = (
    "conftest.py", "sitecustomize.py", "usercustomize.py", "numpy.py", "numpy/__init__.py",
    "pytest.py", "_pytest/__init__.py", "grader/__init__.py", "grader/cli.py", "json.py",
    "random.py", "ipykernel_launcher.py", "ipykernel/__init__.py", "IPython/__init__.py",
    "click.py", "test_toy.py", "toy.py", "setup.py", "noxfile.py", "ipython_config.py",
    "jupyter_config.py", "jupyter_kernel_config.py", "ipython_kernel_config.py",
    ".ipython/profile_default/startup/00.py", "profile_default/startup/00.py",
    "matplotlib/__init__.py", "python3/__init__.py", "__pycache__/numpy.cpython-311.py",
    "lib/python3.11/site-packages/sitecustomize.py", "encodings/__init__.py", "_grade_streams.py",
    "checks/test_toy.py", "checks/conftest.py",
)  # fmt: skip
OTHER = {
    "pytest.ini": "[pytest]\naddopts = --no-such-option\n",
    "tox.ini": "[pytest]\naddopts = --no-such-option\n",
    "setup.cfg": "[tool:pytest]\naddopts = --no-such-option\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--no-such-option'\n",
    "assignment.toml": "id = 'toy'\n",
    "checks/assignment.toml": "id = 'toy'\npublic = true\n",
    "reference/toy/assignment.toml": "id = 'toy'\n",
    "evil.pth": "import os; os.system('touch /tmp/MARK-pth')\n",
    "python311._pth": ".\nimport site\n",
    "pyvenv.cfg": "home = /nowhere\n",
    "matplotlibrc": "backend: module://conftest\n",
    ".matplotlibrc": "backend: module://conftest\n",
    "kernels/python3/kernel.json": '{"argv": ["touch", "/tmp/MARK-kernelspec"], '
    '"display_name": "x", "language": "python"}',
    "kernel.json": '{"argv": ["touch", "/tmp/MARK-kernelspec"]}',
    ".git/hooks/post-checkout": "#!/bin/sh\ntouch /tmp/MARK-hook\n",
    ".git/config": "[core]\nfsmonitor = touch /tmp/MARK-git\n",
    ".bashrc": "touch /tmp/MARK-bashrc\n",
    ".env": "GRADE_ASSIGNMENTS=.\n",
    "PYTHONSTARTUP": "conftest.py",
    ".coveragerc": "[run]\nplugins = conftest\n",
    ".jupyter/jupyter_config.json": '{"x": 1}',
    "numpy.so": b"\x7fELF nothing",
    "numpy.cpython-311-x86_64-linux-gnu.so": b"\x7fELF nothing",
    "python": "#!/bin/sh\ntouch /tmp/MARK-python\n",
}


def shipped(mark):
    files = {
        name: SHOUT.replace("MARK", mark).replace("NAME", repr(name.replace("/", "_")))
        for name in PYTHON
    }
    for name, text in OTHER.items():
        files[name] = text.replace("MARK", mark) if isinstance(text, str) else text
    return files


LIBRARIES = ("numpy", "json", "random", "matplotlib", "sklearn")
HELPER = "import numpy as np\ndef mean(x): return np.mean(x * x)\n"


@pytest.fixture(scope="module")
def verdicts(toy, graded_together):
    files = shipped(toy.mark)
    toy.write_assignment(cell_s=20, check_s=20)  # sklearn is slow to import the first time
    paths = {
        "right": toy.right(files=files),
        "wrong": toy.wrong(files=files),
        "helper": toy.right(
            "import my_helper",
            name="helper",
            files={"my_helper.py": HELPER},
            mean_square="return my_helper.mean(x)",
        ),
    }
    for library in LIBRARIES:
        tell = f'import {library}\nraise RuntimeError(f"it is {{{library}.__file__}}")'
        paths[library] = toy.right(
            name=f"with-{library}", files={f"{library}.py": "mine = 1\n"}, mean_square=tell
        )
    return graded_together(toy, paths)


def test_nothing_that_is_shipped_runs_or_decides(verdicts):
    assert verdicts["right"]["score"] == MAX
    assert verdicts["wrong"]["score"] == 0.0


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_file_named_like_a_library_does_not_stand_in_for_it(verdicts, messages, library):
    said = messages(verdicts[library])["square"]
    assert "it is " in said
    assert f"work/{library}.py" not in said


def test_a_module_of_its_own_is_imported_in_its_own_process(verdicts):
    assert verdicts["helper"]["score"] == MAX


def test_nor_from_a_folder_in_which_the_command_is_called(host):
    """The student's own folder, unpacked, is where the teacher stands."""
    folder = host.handed_in / "unpacked"
    folder.mkdir()
    with zipfile.ZipFile(host.right(files=shipped(host.mark))) as archive:
        archive.extractall(folder)
    inside = f"import os, sys; os.chdir({str(folder)!r}); os.execv(sys.argv[1], sys.argv[1:])"
    # -P is what an installed `grade` has: a script's folder is on the path, the current is not.
    verdict = host.grade(
        folder,
        wrap=[sys.executable, "-I", "-c", inside],
        environment={"PYTHONSAFEPATH": "1"},
    )
    (submission,) = verdict.submissions.values()
    assert submission["score"] == MAX
