"""The examples of the README and of pages that it leads to, run: a reader gets what they show."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nbformat
import pytest

from grader.notebook import replace_region

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = "".join(
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("continuous-integration.md", "data-sets.md", "json-report.md")
)
PERCEPTRON = "MNIST_binary_classifier_stud.ipynb"
WRONG = {
    "GradientDescent.cost_funct": """
            cost = np.mean((y_pred - y) ** 2) / 2
        else:
            cost = np.mean(y * np.log(y_pred) + (1 - y) * np.log(1 - y_pred))
""",
    "GradientDescent.grad_cost": """
        delta = y_pred - y
        if self.cost_function == cost_MSE:
            delta = delta * y_pred * (1 - y_pred)
        grad_w = delta.T @ x
        grad_b = np.sum(delta)
""",
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README + PAGES, re.DOTALL | re.MULTILINE)


def sessions():
    """The commands of the console blocks, each with what it prints."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.fixture
def desk(tmp_path):
    """A folder that looks like the repository's, with the submission the README speaks of."""
    for name in ("reference", "student_templates"):
        (tmp_path / name).symlink_to(ROOT / name)
    made = nbformat.read(ROOT / "reference" / "pw02" / PERCEPTRON, as_version=4)
    for region, body in WRONG.items():
        for n, cell in enumerate(made.cells):
            if cell.cell_type == "code":
                cell.source = replace_region(cell.source, region, body, cell=n) or cell.source
    with zipfile.ZipFile(tmp_path / "Mueller_Anna- Rossi_Luca.zip", "w") as archive:
        archive.writestr(PERCEPTRON, nbformat.writes(made))
    return tmp_path


def run(command, cwd):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Tables of known mistakes that this user has made before would name them.
    state = str(cwd / "state")
    environment = dict(os.environ, PATH=path, COLUMNS="80", NO_COLOR="1", XDG_STATE_HOME=state)
    environment.pop("GRADE_ASSIGNMENTS", None)
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("command, output", list(sessions()))
def test_a_console_example_prints_what_the_readme_shows(command, output, desk):
    done = run(command, desk)
    assert done.stdout.rstrip() == output.rstrip(), done.stderr


def test_the_first_commands_make_a_zip_that_earns_everything(desk):
    (commands,) = [b for b in blocks("sh") if "zipfile" in b]
    done = run(commands, desk)
    assert done.returncode == 0, done.stderr
    assert "Total 90 / 90 points (100 %)" in done.stdout


def test_the_json_example_has_the_shape_of_a_real_report(desk):
    (example,) = (json.loads(block) for block in blocks("json"))
    done = run('grade "Mueller_Anna- Rossi_Luca.zip" --only 3b-cost --json -', desk)
    real = json.loads(done.stdout)

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [shape(value[0])] if value else []
        return float if isinstance(value, (int, float)) else type(value)

    real["submissions"][0]["notes"] = example["submissions"][0]["notes"]
    assert shape(example) == shape(real)
    assert list(example["submissions"][0]) == list(real["submissions"][0])


def test_every_option_that_the_readme_names_exists():
    said = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(blocks("yaml") + blocks("sh"))))
    known = ""
    for command in ("", "stubs", "verify", "results", "doctor", "data", "data import", "new"):
        known += run(f"grade {command} --help", ROOT).stdout
    assert said
    assert {option for option in said if option not in known} == set()


def test_the_files_it_points_to_are_there():
    for name in re.findall(r"`((?:grader|tests|reference|student_templates)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / name).exists(), name


def test_the_readme_is_read_in_one_sitting():
    assert len(README.splitlines()) <= 150


def test_the_assignment_example_is_valid_toml():
    for block in blocks("toml"):
        assert tomllib.loads(block)
