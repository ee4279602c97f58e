"""Assignment 1 of ECSE 552 through the whole command: what earns everything, and what must not."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat

from grader.notebook import replace_region

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "reference"
MLP, RINGS, NLL = (f"ecse552-a1-{question}.ipynb" for question in ("q1", "q2", "q3"))


def notebook(name):
    return nbformat.read(REFERENCE / "ecse552" / name, as_version=4)


def filled(name, regions):
    """The solved notebook with these regions filled in anew."""
    made = notebook(name)
    for region, body in regions.items():
        changed = [
            (cell, source)
            for n, cell in enumerate(made.cells)
            if cell.cell_type == "code"
            for source in [replace_region(cell.source, region, body, cell=n)]
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


def grade(*arguments, cwd=None):
    """Run the command; return what its JSON says of the (one) submission."""
    command = [sys.executable, "-m", "grader.cli", *map(str, arguments), "--json", "-"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (submission,) = json.loads(done.stdout)["submissions"]
    return submission


def graded(path, made):
    """Return what the submission of one notebook scores."""
    nbformat.write(made, path)
    return grade(path, "--assignments", REFERENCE)


def lost(submission, question):
    """The question's exercises that lost points, each with the messages of its failed checks."""
    return {
        exercise["id"]: "\n".join(c["message"] for c in exercise["checks"])
        for exercise in submission["exercises"]
        if exercise["id"].startswith(question) and exercise["points"] < exercise["max_points"]
    }


def test_a_zip_of_solved_notebooks_earns_every_point(tmp_path):
    solved = {name: notebook(name) for name in (MLP, RINGS, NLL)}
    submission = grade(as_zip(tmp_path / "Curie_Marie.zip", solved), "--assignments", REFERENCE)
    assert submission["students"] == ["Marie Curie"]
    assert lost(submission, "q") == {}
    assert (submission["score"], submission["max_score"]) == (100.0, 100.0)
    assert submission["notes"] == []


def test_a_zip_of_the_bare_stubs_runs_and_scores_nothing(tmp_path):
    folder = ROOT / "student_templates" / "ecse552"
    stubs = {name: nbformat.read(folder / name, as_version=4) for name in (MLP, RINGS, NLL)}
    submission = grade(as_zip(tmp_path / "Curie_Marie.zip", stubs), "--assignments", REFERENCE)
    assert (submission["score"], submission["max_score"]) == (0.0, 100.0)
    assert {e["status"] for e in submission["exercises"]} == {"missing"}
    assert {n["kind"] for n in submission["notes"]} <= {"cell_error"}


def test_the_loss_without_one_half_loses_nothing(tmp_path):
    right = {
        "sse": "    loss = np.sum((y - y_hat) ** 2)",
        "backward": """
    delta3 = 2 * (y_hat - y) * y_hat * (1 - y_hat)
    grads["W3"], grads["b3"] = np.outer(h2, delta3), delta3
""",
    }
    assert lost(graded(tmp_path / MLP, filled(MLP, right)), "q1") == {}


def test_a_lost_slope_costs_its_own_layer_and_is_named(tmp_path):
    wrong = {
        "backward": """
    delta3 = y_hat - y
    grads["W3"], grads["b3"] = np.outer(h2, delta3), delta3
"""
    }
    messages = lost(graded(tmp_path / MLP, filled(MLP, wrong)), "q1")
    assert set(messages) == {"q1-output-gradients"}
    assert "in the output layer the slope sigma' is lost" in messages["q1-output-gradients"]


def test_a_circle_in_place_of_a_network_is_told_from_its_boundary(tmp_path):
    wrong = {"RingClassifier.predict": "        labels = (np.hypot(*X.T) > 2.5).astype(int)"}
    messages = lost(graded(tmp_path / RINGS, filled(RINGS, wrong)), "q2")
    assert set(messages) == {"q2-classifier", "q2-lines"}
    assert "bends where none of the lines passes" in messages["q2-lines"]


def test_a_likelihood_that_overflows_and_a_lost_inner_derivative_are_named(tmp_path):
    wrong = {
        "nll": "    value = -np.log(1 / (1 + np.exp(-(2 * y - 1) * z)))",
        "nll_prime": "    slope = sigmoid((2 * y - 1) * z) - 1",
    }
    messages = lost(graded(tmp_path / NLL, filled(NLL, wrong)), "q3")
    assert set(messages) == {"q3-nll", "q3-nll-prime"}
    assert "not finite" in messages["q3-nll"]
    assert "the inner derivative 2y - 1 is lost" in messages["q3-nll-prime"]


def test_a_students_copy_gives_the_verdicts_of_the_public_checks(tmp_path):
    template = ROOT / "student_templates" / "ecse552"
    copy = tmp_path / "ecse552"
    for file in (file for file in template.rglob("*") if file.is_file()):
        target = copy / file.relative_to(template)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    nbformat.write(filled(NLL, {"nll": "    value = np.logaddexp(0.0, -y * z)"}), copy / NLL)
    submission = grade(NLL, cwd=copy)
    checks = [check for exercise in submission["exercises"] for check in exercise["checks"]]
    assert checks and not any(check["hidden"] for check in checks)
    assert "y is taken for 2y - 1" in lost(submission, "q3-nll")["q3-nll"]
