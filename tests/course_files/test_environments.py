"""An assignment's own Python: what is built, where notebooks run, what a kept result depends on.

Nothing comes over the network: the packages are wheels made here, and the rest is inherited.
"""

import hashlib
import json
import subprocess
import sys
import zipfile

import pytest

import grader
from grader import cli, environments
from grader.assignment import load_assignment
from grader.batch import cache_key
from grader.environments import building
from grader.errors import AssignmentError
from grader.records import Options

from .conftest import CHECKS, TOML, notebook, write, write_course, zipped

VERSION = '''

@pytest.mark.exercise("mean", points=0)
def test_the_version(student):
    """What the notebook imports is not what this process has."""
    with pytest.raises(ImportError):
        import gradedemo
    assert int(student.version()) == {version}
'''
USES = "import gradedemo\n\n\ndef version():\n    return gradedemo.VERSION\n"
OWN = '\n[environment]\nwheels = "wheels"\ninherit = true\nrequirements = ["{}"]\n'
FIRST = OWN.format("gradedemo==1")


def wheel(folder, version, name="gradedemo", code="VERSION = {}\n"):
    """Make a wheel by hand: a module, and what pip asks of a distribution."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    contents = {
        f"{name}.py": code.format(version),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: here\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    contents[f"{info}/RECORD"] = "".join(f"{n},,\n" for n in [*contents, f"{info}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in contents.items():
            archive.writestr(zipfile.ZipInfo(inside, (2020, 1, 1, 0, 0, 0)), text)
    return path


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course with an environment of its own, and an empty store; returns its writer."""
    monkeypatch.setenv("GRADE_ENVIRONMENTS", str(tmp_path / "store"))
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    monkeypatch.chdir(tmp_path)

    def make(environment=FIRST, root="course", version=1, checks=True):
        more = {"test_lab.py": CHECKS + VERSION.format(version=version)} if checks else {}
        folder = write_course(tmp_path / root, toml=_in_front(environment), more=more)
        for one in (1, 2):
            wheel(folder / "wheels", one)
        return folder

    return make


def _in_front(environment):
    head, _, rest = TOML.partition("[[notebooks]]")
    return f"{head}{environment}\n[[notebooks]]{rest}"


def built(folder, **options):
    assignment = load_assignment(folder)
    options = {"tell": lambda text: None} | options
    return environments.build(assignment.environment, folder, assignment.id, **options)


def kept_under(folder):
    return cache_key.key(Options(str(folder)), "here")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('python = "3"', "must be a version such as"),
        ('python = "2.7"', "must be a version such as"),
        ('python = "3.6"', "must be 3.10 or newer"),
        ('requirements = ["--index-url x"]', "options of pip have no place here"),
        ('requirements = ["numpy"]\nlock = "pylock.toml"', "exclude each other"),
        ("", "it asks for nothing"),
        ('pyton = "3.12"', "did you mean `python`"),
    ],
)
def test_a_table_that_cannot_be_meant_is_told(course, table, told):
    folder = course(f"[environment]\n{table}\n")
    with pytest.raises(AssignmentError, match=told):
        load_assignment(folder)


def test_what_is_not_built_is_told_in_one_line_before_anything_runs(course, tmp_path, capsys):
    course()
    zipped(tmp_path / "a.zip", {"lab.ipynb": notebook(USES)})
    assert cli.run(["a.zip", "--assignments", "course/reference"]) == 2
    told = capsys.readouterr()
    assert told.err == ("grade: the environment of lab isn't built here: grade env build lab\n")
    assert told.out == ""


def test_a_lock_that_is_not_there_is_told(course):
    folder = course('[environment]\nlock = "pylock.toml"\n')
    with pytest.raises(AssignmentError, match=r"there is no pylock\.toml in this folder"):
        built(folder)


def test_what_inherits_has_the_graders_own_python(course):
    folder = course('[environment]\ninherit = true\npython = "3.99"\n')
    with pytest.raises(AssignmentError, match="leave `python` out"):
        built(folder)


@pytest.mark.slow
def test_two_assignments_run_with_two_versions_of_one_package(course, tmp_path):
    for version in (1, 2):
        root = tmp_path / f"course{version}"
        own = OWN.format(f"gradedemo=={version}")
        folder = course(own, root=root.name, version=version)
        assert f"gradedemo {version}" in built(folder).packages
    for version in (1, 2):  # a batch of each, by workers, while both are there
        root = tmp_path / f"course{version}"
        for name in "abc":
            write(root / "class", {f"{name}/lab.ipynb": notebook(USES)})
        command = [sys.executable, "-m", "grader", "class", "--jobs", "2", "--json", "-"]
        done = subprocess.run(
            [*command, "--assignments", "reference"],
            cwd=root, capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout)["submissions"]
        assert [r["score"] for r in results] == [2.0] * 3
        outcomes = {c["outcome"] for r in results for e in r["exercises"] for c in e["checks"]}
        assert outcomes == {"passed"}


@pytest.mark.slow
def test_an_environment_is_built_once_listed_and_removed(course, tmp_path, capsys):
    folder = course()
    arguments = ["--assignments", "course/reference"]
    assert cli.run(["env", "list", *arguments]) == 0
    assert "lab: not built: grade env build lab" in capsys.readouterr().out
    assert cli.run(["env", "build", "lab", *arguments]) == 0
    assert "lab: built: Python 3." in capsys.readouterr().out
    made = (tmp_path / "store").stat().st_mtime_ns
    assert cli.run(["env", "build", *arguments]) == 0
    assert "was built already" in capsys.readouterr().out
    assert (tmp_path / "store").stat().st_mtime_ns == made
    assert cli.run(["env", "list", *arguments]) == 0
    assert "lab: Python 3." in capsys.readouterr().out
    assert cli.run(["env", "remove", "other"]) == 2
    assert cli.run(["env", "remove", "lab"]) == 0
    assert [*(tmp_path / "store").iterdir()] == []
    assert environments.find(load_assignment(folder).environment, folder) is None


@pytest.mark.slow
def test_what_is_installed_is_part_of_what_a_kept_result_depends_on(course):
    folder = course(OWN.format("gradedemo>=1"))
    (folder / "wheels/gradedemo-2-py3-none-any.whl").unlink()
    unbuilt = kept_under(folder)
    first = built(folder)
    with_one = kept_under(folder)
    assert "gradedemo 1" in first.packages
    assert len({unbuilt, with_one, kept_under(folder)}) == 2
    # The same recipe may give another version on another day: so may an index.
    told = json.loads((first.folder / "grade.json").read_text())
    told["packages"] = ["gradedemo 2"]
    (first.folder / "grade.json").write_text(json.dumps(told))
    assert kept_under(folder) not in {unbuilt, with_one}


@pytest.mark.slow
def test_without_uv_it_is_made_by_venv_and_pip(course, monkeypatch):
    monkeypatch.setattr(building, "find_uv", lambda: "")
    assert "gradedemo 1" in built(course()).packages


@pytest.mark.slow
@pytest.mark.parametrize("uv", [True, False])
def test_a_lock_installs_what_it_pins_and_refuses_another_file(course, monkeypatch, uv):
    if not uv:
        monkeypatch.setattr(building, "find_uv", lambda: "")
    elif not building.find_uv():
        pytest.skip("uv is not here")
    folder = course(OWN.replace('requirements = ["{}"]', 'lock = "pylock.toml"'))
    file = folder / "wheels/gradedemo-1-py3-none-any.whl"
    lock = (
        'lock-version = "1.0"\ncreated-by = "hand"\n[[packages]]\nname = "gradedemo"\n'
        'version = "1"\n[[packages.wheels]]\nname = "gradedemo-1-py3-none-any.whl"\n'
        'path = "wheels/gradedemo-1-py3-none-any.whl"\nhashes = {sha256 = "%s"}\n'
    )
    write(folder, {"pylock.toml": lock % hashlib.sha256(file.read_bytes()).hexdigest()})
    assert "gradedemo 1" in built(folder).packages
    write(folder, {"pylock.toml": lock % ("0" * 64)})
    with pytest.raises(
        AssignmentError, match=r"the environment of lab can't be built: .*(?i:hash)"
    ):
        built(folder)
    assert len(environments.all_built()) == 1


@pytest.mark.slow
def test_what_cannot_be_installed_leaves_nothing_and_says_what_the_installer_said(course, tmp_path):
    folder = course(OWN.format("gradedemo==7"))
    with pytest.raises(
        AssignmentError, match=r"the environment of lab can't be built: .*gradedemo"
    ):
        built(folder)
    assert [*(tmp_path / "store").iterdir()] == []


@pytest.mark.slow
def test_the_checks_stay_in_the_graders_own_python(course, tmp_path):
    """The check of `course` imports the package in vain; here the notebook names both places."""
    built(course())
    where = "import sys\nplace = sys.prefix\n"
    zipped(tmp_path / "a.zip", {"lab.ipynb": notebook(USES, where)})
    result = grader.grade([tmp_path / "a.zip"], assignments=tmp_path / "course/reference").results[
        0
    ]
    assert (result.score, [c.outcome for c in result.exercises[0].checks]) == (2.0, ["passed"] * 3)


@pytest.mark.slow
def test_verify_runs_in_the_environment(course, tmp_path, capsys):
    folder = course()
    write(folder, {"lab.ipynb": notebook(USES)})
    built(folder)
    told = ["--no-mutants", "--seeds", "2", "--assignments", "course/reference"]
    assert cli.run(["verify", "lab", *told]) == 0, capsys.readouterr().out


def test_students_get_the_table_and_the_lock_without_the_instructors_wheels(course, tmp_path):
    lock = '[environment]\nwheels = "wheels"\nlock = "pylock.toml"\n'
    folder = course(lock)
    write(folder, {"pylock.toml": 'lock-version = "1.0"\n'})
    assert cli.run(["stubs", "--assignments", "course/reference"]) == 0
    copy = load_assignment(tmp_path / "course/student_templates/lab/checks")
    assert copy.environment is not None
    assert (copy.environment.lock, copy.environment.wheels) == ("pylock.toml", "")
    assert (copy.folder / "pylock.toml").is_file()
