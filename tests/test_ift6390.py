"""IFT6390, homework 3, through the whole command: what must earn everything, and what must not."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat

from grader.notebook import replace_region

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "reference"
TEMPLATES = ROOT / "student_templates" / "ift6390"
FUNCTIONS, GRADIENTS, NETWORK = (f"ift6390-hw3-q{n}.ipynb" for n in (1, 2, 3))


def filled(name, regions=()):
    """The solved notebook, with these regions filled in anew."""
    made = nbformat.read(REFERENCE / "ift6390" / name, as_version=4)
    for region, body in dict(regions).items():
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


def lost(submission, question=""):
    """The exercises of a question that lost points, each with the messages of its failed checks."""
    return {
        exercise["id"]: "\n".join(c["message"] for c in exercise["checks"])
        for exercise in submission["exercises"]
        if exercise["id"].startswith(question) and exercise["points"] < exercise["max_points"]
    }


def points(submission):
    return submission["score"], submission["max_score"], submission["manual_points"]


def test_a_zip_of_solved_notebooks_earns_every_point(tmp_path):
    solved = {name: filled(name) for name in (FUNCTIONS, GRADIENTS, NETWORK)}
    archive = as_zip(tmp_path / "Curie_Marie- Noether_Emmy.zip", solved)
    submission = grade(archive, "--assignments", REFERENCE)
    assert lost(submission) == {}
    assert points(submission) == (100.0, 100.0, 0.0)
    assert submission["notes"] == []


def test_a_zip_of_the_bare_stubs_runs_and_scores_nothing(tmp_path):
    folder = TEMPLATES
    stubs = {
        name: nbformat.read(folder / name, as_version=4) for name in (FUNCTIONS, GRADIENTS, NETWORK)
    }
    submission = grade(as_zip(tmp_path / "Curie_Marie.zip", stubs), "--assignments", REFERENCE)
    assert points(submission) == (0.0, 100.0, 0.0)
    assert {e["status"] for e in submission["exercises"]} == {"missing"}
    assert submission["notes"] == []


def test_mistakes_in_single_derivatives_lose_exactly_their_exercises_and_are_told_why(tmp_path):
    functions = filled(
        FUNCTIONS,
        {
            "log_sigmoid": "e = np.exp(-np.asarray(x, dtype=float))\nvalue = -e / e.sum()",
            "sign": "value = np.sign(x)",
        },
    )
    gradients = filled(
        GRADIENTS,
        {
            "grad_W2": "d_W2 = np.outer(hs, d_oa)",
            "grad_b1": "d_b1 = np.ones(len(d_ha))",
            "grad_elastic": "d_W = l1 * np.sign(W) + l2 * W",
        },
    )
    archive = as_zip(tmp_path / "a_b.zip", {FUNCTIONS: functions, GRADIENTS: gradients})
    submission = grade(archive, "--assignments", REFERENCE)
    messages = lost(submission, "q1") | lost(submission, "q2")
    words = {
        "q1-log-sigmoid": "softmax is taken for softplus",
        "q1-sign": "`np.sign` is not allowed here",
        "q2-grad-W2": "It is transposed",
        "q2-grad-b1": "it is taken as 1",
        "q2-grad-elastic": "the L2 term is half as large",
    }
    assert set(messages) == set(words)
    for exercise, message in messages.items():
        assert words[exercise] in message


def test_a_gradient_summed_over_the_minibatch_is_told_from_a_mean(tmp_path):
    wrong = filled(
        NETWORK,
        {
            "NeuralNet.bprop_loop": """
        gradients = [self.bprop(X[i : i + 1], y[i : i + 1]) for i in range(len(X))]
        grad_W1, grad_b1, grad_W2, grad_b2 = [sum(g) for g in zip(*gradients)]
"""
        },
    )
    nbformat.write(wrong, tmp_path / NETWORK)
    submission = grade(tmp_path / NETWORK, "--assignments", REFERENCE)
    messages = lost(submission, "q3")
    assert set(messages) == {"q3-bprop-loop"}
    assert "10 times too large" in messages["q3-bprop-loop"]
    assert "1/K" in messages["q3-bprop-loop"]
    assert submission["score"] == 46.0  # one example is right: 2 of 6


def test_a_students_copy_gives_the_same_verdicts_without_a_reference(tmp_path):
    copy = tmp_path / "ift6390"
    for file in TEMPLATES.rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(TEMPLATES)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    transposed = filled(GRADIENTS, {"grad_W2": "d_W2 = np.outer(hs, d_oa)"})
    nbformat.write(transposed, copy / GRADIENTS)
    at_home = grade(GRADIENTS, cwd=copy)
    at_school = grade(copy / GRADIENTS, "--assignments", REFERENCE, "--public")
    assert set(lost(at_home, "q2")) == {"q2-grad-W2"}
    assert "It is transposed" in lost(at_home)["q2-grad-W2"]
    for submission in (at_home, at_school):
        for exercise in submission["exercises"]:
            for check in exercise["checks"]:
                assert not check["hidden"]
                check["seconds"] = 0.0
    assert at_home["exercises"] == at_school["exercises"]
