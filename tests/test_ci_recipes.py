"""The recipes of docs/continuous-integration.md, each in a repository as the page says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "continuous-integration.md").read_text(encoding="utf-8")
RECIPES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def commands(name):
    """The grade commands of the recipe that has a job of this name."""
    (recipe,) = [r for r in RECIPES if name in r.get("jobs", {})]
    steps = [step.get("run", "") for step in recipe["jobs"][name]["steps"]]
    return [step for step in steps if step.startswith("grade ")]


@pytest.fixture
def runner(tmp_path):
    """Run a command in a repository, on a machine that is new."""
    repository = tmp_path / "repository"
    repository.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "GITHUB_ACTIONS": "true",
    }

    def run(command, code=0):
        done = subprocess.run(
            command, shell=True, cwd=repository, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.repository = repository
    return run


def copied(runner, *names):
    for name in names:
        shutil.copytree(
            ROOT / name,
            runner.repository / name,
            ignore=shutil.ignore_patterns("__pycache__", "hw1", "ecse552", "ift6390"),
        )


def test_every_recipe_installs_one_version_of_the_wheel_and_no_clone():
    installed = re.findall(r"pip install (\S+)", PAGE.partition("## The instructors")[2])
    assert set(installed) == {"numgrade==0.2.0"}
    assert len(installed) == len(RECIPES)


def test_the_instructors_templates_are_up_to_date(runner):
    copied(runner, "reference", "student_templates")
    check, verify = commands("verify")
    assert "up to date" in runner(check)
    assert verify == "grade verify --samples-only"  # a quarter of an hour: nox -s verify


def test_a_students_push_is_checked_by_the_public_checks(runner):
    template = ROOT / "student_templates" / "pw02"
    shutil.copytree(template, runner.repository, dirs_exist_ok=True)
    (command,) = commands("check")
    told = runner(command)
    assert "graded by the public checks beside the notebook" in told
    assert "not filled in yet" in told
    assert "<failure" in (runner.repository / "report.xml").read_text()


def test_a_class_is_graded_and_gated(runner):
    copied(runner, "reference")
    work = runner.repository / "submissions"
    work.mkdir()
    shutil.copy(ROOT / "student_templates" / "pw02" / "sigmoid.ipynb", work / "Curie_Marie.ipynb")
    (command,) = commands("grade")
    told = runner(command, code=1)
    assert "1 of 1 under 60 %" in told
    report = json.loads((runner.repository / "report.json").read_text())
    assert [s["score"] for s in report["submissions"]] == [0]
    assert list((runner.repository / "pages").glob("*.html"))


def test_gitlab_runs_the_same_command():
    (gitlab,) = [r for r in RECIPES if "script" in r.get("grade", {})]
    assert gitlab["grade"]["script"][1:] == commands("grade")
