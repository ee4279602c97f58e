"""The jobs that .ci/run and the workflow of .github call are those of the noxfile."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOXFILE = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
SCRIPT = (ROOT / ".ci/run").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def constant(name):
    """The value that the noxfile gives such a name."""
    (value,) = (
        node.value
        for node in NOXFILE.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    return ast.literal_eval(value)


PYTHONS = constant("PYTHONS")
BY_DEFAULT = constant("nox.options.sessions")


def sessions():
    """The names by which nox knows its jobs."""
    for function in (node for node in NOXFILE.body if isinstance(node, ast.FunctionDef)):
        marks = [ast.unparse(decorator) for decorator in function.decorator_list]
        if any(mark.startswith("nox.session(python=PYTHONS") for mark in marks):
            yield from (f"{function.name}-{python}" for python in PYTHONS)
        elif any(mark.startswith("nox.session") for mark in marks):
            yield function.name


def called_by(job):
    """The jobs of nox that a job of the workflow runs, for each Python of its matrix."""
    pythons = job.get("strategy", {}).get("matrix", {}).get("python", [""])
    for step in job["steps"]:
        if (found := re.match(r"nox -s (.+)", step.get("run", ""))) is not None:
            for python in pythons:
                words = re.sub(r"\$\{\{ matrix\.python \}\}", python, found[1])
                yield from words.replace('"', "").split()


@pytest.mark.parametrize("job", WORKFLOW["jobs"])
def test_each_job_of_the_workflow_runs_jobs_that_nox_has(job):
    called = [*called_by(WORKFLOW["jobs"][job])]
    assert called
    assert set(called) <= set(sessions())


def test_the_workflow_runs_all_that_each_change_must_pass():
    called = {name for job in WORKFLOW["jobs"].values() for name in called_by(job)}
    tests = {f"pythons-{python}" for python in PYTHONS}
    assert called >= {*BY_DEFAULT, *tests} - {"tests"}


def test_the_script_runs_all_that_each_change_must_pass():
    (loop,) = re.findall(r"^for job in (.+); do$", SCRIPT, re.MULTILINE)
    assert set(BY_DEFAULT) <= set(loop.split()) <= set(sessions())
    assert {*re.findall(r"-s (\w+)", SCRIPT)} <= set(sessions())


def test_each_python_that_is_promised_is_tested():
    words = "Programming Language :: Python :: "
    promised = [
        line.removeprefix(words)
        for line in PROJECT["project"]["classifiers"]
        if re.fullmatch(rf"{words}3\.\d+", line)
    ]
    assert promised
    assert set(promised) <= set(PYTHONS)
    assert WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]["python"] == PYTHONS
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"
