"""Practical work 02 through the whole command: what must earn everything, and what must not."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat

from grader.notebook import replace_region

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "reference"
PERCEPTRON, SIGMOID = "MNIST_binary_classifier_stud.ipynb", "sigmoid.ipynb"
NAMES = ("numpy-tutorial-stud.ipynb", SIGMOID, PERCEPTRON)


def notebook(name):
    return nbformat.read(REFERENCE / "pw02" / name, as_version=4)


def filled(name, **bodies):
    """The solved notebook with the regions of these functions (or methods) filled in anew."""
    made, owner = notebook(name), "GradientDescent." if name == PERCEPTRON else ""
    for region, body in bodies.items():
        changed = [
            (cell, source)
            for n, cell in enumerate(made.cells)
            if cell.cell_type == "code"
            for source in [replace_region(cell.source, owner + region, body, cell=n)]
            if source is not None
        ]
        ((cell, source),) = changed
        cell.source = source
    return made


def as_zip(path, notebooks):
    with zipfile.ZipFile(path, "w") as archive:
        for name, made in notebooks.items():
            archive.writestr(name, nbformat.writes(made))
    return path


def grade(*arguments, cwd=None, code=0):
    """Run the command; return what its JSON says of the (one) submission."""
    command = [sys.executable, "-m", "grader.cli", *map(str, arguments), "--json", "-"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    (submission,) = json.loads(done.stdout)["submissions"]
    return submission


def lost(submission, prefix=""):
    """The exercises of a part that lost points, each with the messages of its failed checks."""
    return {
        exercise["id"]: "\n".join(c["message"] for c in exercise["checks"])
        for exercise in submission["exercises"]
        if exercise["id"].startswith(prefix)
        and exercise["status"] != "manual"
        and exercise["points"] < exercise["max_points"]
    }


def automatic(submission):
    return submission["score"], submission["max_score"], submission["manual_points"]


def test_a_zip_of_solved_notebooks_earns_every_automatic_point(tmp_path):
    archive = as_zip(tmp_path / "Curie_Marie- Noether_Emmy.zip", {n: notebook(n) for n in NAMES})
    submission = grade(archive, "--assignments", REFERENCE)
    assert submission["students"] == ["Marie Curie", "Emmy Noether"]
    assert lost(submission) == {}
    assert automatic(submission) == (90.0, 90.0, 10.0)


def test_wrong_costs_and_gradients_lose_exactly_their_exercises_and_are_told_why(tmp_path):
    wrong = filled(
        PERCEPTRON,
        cost_funct="""
            cost = np.mean((y_pred - y) ** 2) / 2
        else:
            p = np.clip(y_pred, 1e-12, 1 - 1e-12)
            cost = np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
""",
        grad_cost="""
        delta = y_pred - y
        if self.cost_function == cost_MSE:
            delta = delta * y_pred * (1 - y_pred)
        grad_w = delta.T @ x
        grad_b = np.sum(delta)
""",
    )
    nbformat.write(wrong, tmp_path / PERCEPTRON)
    messages = lost(grade(tmp_path / PERCEPTRON, "--assignments", REFERENCE), "3")
    assert set(messages) == {"3b-cost", "3b-grad"}
    assert "minus" in messages["3b-cost"]
    assert "times too large" in messages["3b-grad"]
    assert "mean" in messages["3b-grad"]


def test_right_answers_of_another_shape_lose_nothing(tmp_path):
    right = filled(
        PERCEPTRON,
        normalise_data="""
        mean, std = self.data["x_train"].mean(), self.data["x_train"].std()
        for part in ("x_train", "x_test"):
            self.data[part] = (self.data[part] - mean) / std
""",
        cost_funct="""
            cost = np.sum((y_pred - y) ** 2) / len(y)
        else:
            p = np.clip(y_pred, 1e-12, 1 - 1e-12)
            cost = -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) / len(y)
""",
        grad_cost="""
        delta = y_pred - y
        if self.cost_function == cost_MSE:
            delta = 2 * delta * y_pred * (1 - y_pred)
        grad_w = np.einsum("ij,ik->jk", x, delta) / len(x)
        grad_b = np.array([np.sum(delta) / len(x)])
""",
    )
    nbformat.write(right, tmp_path / PERCEPTRON)
    assert lost(grade(tmp_path / PERCEPTRON, "--assignments", REFERENCE), "3") == {}


def test_broken_cells_cost_no_function_that_is_right(tmp_path):
    broken = notebook(SIGMOID)
    code = nbformat.v4.new_code_cell
    broken.cells[0:0] = [
        code("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"),
        code("def half(x:\n    return x / 2"),
    ]
    broken.cells.append(code("while True:\n    pass"))
    assignments = tmp_path / "reference"
    (assignments / "pw02").mkdir(parents=True)
    for file in (REFERENCE / "pw02").iterdir():
        if file.is_file():
            (assignments / "pw02" / file.name).write_bytes(file.read_bytes())
    toml = assignments / "pw02" / "assignment.toml"
    lines = [x for x in toml.read_text().splitlines() if not x.startswith(("cell_s", "notebook_s"))]
    toml.write_text("\n".join(lines).replace("[limits]", "[limits]\ncell_s = 4") + "\n")
    nbformat.write(broken, tmp_path / SIGMOID)
    submission = grade(tmp_path / SIGMOID, "--assignments", assignments)
    assert lost(submission, "2") == {}
    assert {"cell_crash", "cell_timeout"} <= {note["kind"] for note in submission["notes"]}


def test_a_zip_of_the_bare_stubs_runs_and_scores_nothing(tmp_path):
    folder = ROOT / "student_templates" / "pw02"
    stubs = {name: nbformat.read(folder / name, as_version=4) for name in NAMES}
    submission = grade(as_zip(tmp_path / "Curie_Marie.zip", stubs), "--assignments", REFERENCE)
    assert automatic(submission) == (0.0, 90.0, 10.0)
    assert {e["status"] for e in submission["exercises"]} == {"missing", "manual"}
    assert [n for n in submission["notes"] if n["kind"] == "cell_crash"] == []


def test_a_renamed_notebook_without_markers_is_recognised_and_graded(tmp_path):
    renamed = notebook(SIGMOID)
    renamed.metadata.pop("grade", None)
    for cell in renamed.cells:
        lines = cell.source.splitlines()
        cell.source = "\n".join(x for x in lines if "YOUR CODE" not in x and "# STUB" not in x)
    nbformat.write(renamed, tmp_path / "my work (final).ipynb")
    submission = grade(tmp_path / "my work (final).ipynb", "--assignments", REFERENCE)
    assert lost(submission, "2") == {}
    assert submission["score"] == 30.0


def test_a_students_copy_gives_the_same_verdicts_without_a_reference(tmp_path):
    copy = tmp_path / "pw02"
    for file in (ROOT / "student_templates" / "pw02").rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(ROOT / "student_templates" / "pw02")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    wrong = filled(SIGMOID, softplus="value = np.logaddexp(0.0, -z)")
    nbformat.write(wrong, copy / SIGMOID)
    at_home = grade(SIGMOID, cwd=copy)
    at_school = grade(copy / SIGMOID, "--assignments", REFERENCE, "--public")
    assert "2c-softplus" in lost(at_home)
    for submission in (at_home, at_school):
        for exercise in submission["exercises"]:
            for check in exercise["checks"]:
                assert not check["hidden"]
                check["seconds"] = 0.0
    assert at_home["exercises"] == at_school["exercises"]


def test_the_same_seed_gives_the_same_report(tmp_path):
    wrong = filled(SIGMOID, sigmoid_prime="ds = sigmoid(z)")
    nbformat.write(wrong, tmp_path / SIGMOID)
    arguments = tmp_path / SIGMOID, "--assignments", REFERENCE, "--seed", 7
    first, again = grade(*arguments), grade(*arguments)
    for submission in (first, again):
        for exercise in submission["exercises"]:
            for check in exercise["checks"]:
                check["seconds"] = 0.0
    assert first == again
