"""Practical work 02 through the whole command: what must earn everything, and what must not."""

import shutil

import nbformat

COURSE = "pw02"
PERCEPTRON, SIGMOID = "MNIST_binary_classifier_stud.ipynb", "sigmoid.ipynb"


def test_a_zip_of_solved_notebooks_earns_every_automatic_point(course):
    solved = {name: course.solved(name) for name in course.names}
    submission = course.grade(course.zipped("Curie_Marie- Noether_Emmy.zip", solved))
    assert submission["students"] == ["Marie Curie", "Emmy Noether"]
    assert course.lost(submission) == {}
    assert course.points(submission) == (90.0, 90.0, 10.0)


def test_wrong_costs_and_gradients_lose_exactly_their_exercises_and_are_told_why(course):
    wrong = {
        "GradientDescent.cost_funct": """
            cost = np.mean((y_pred - y) ** 2) / 2
        else:
            p = np.clip(y_pred, 1e-12, 1 - 1e-12)
            cost = np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
""",
        "GradientDescent.grad_cost": """
        delta = y_pred - y
        if self.cost_function == cost_MSE:
            delta = delta * y_pred * (1 - y_pred)
        grad_w = delta.T @ x
        grad_b = np.sum(delta)
""",
    }
    path = course.written(PERCEPTRON, course.filled(PERCEPTRON, wrong))
    messages = course.lost(course.grade(path), "3")
    assert set(messages) == {"3b-cost", "3b-grad"}
    assert "minus" in messages["3b-cost"]
    assert "times too large" in messages["3b-grad"]
    assert "mean" in messages["3b-grad"]


def test_right_answers_of_another_shape_lose_nothing(course):
    right = {
        "GradientDescent.normalise_data": """
        mean, std = self.data["x_train"].mean(), self.data["x_train"].std()
        for part in ("x_train", "x_test"):
            self.data[part] = (self.data[part] - mean) / std
""",
        "GradientDescent.cost_funct": """
            cost = np.sum((y_pred - y) ** 2) / len(y)
        else:
            p = np.clip(y_pred, 1e-12, 1 - 1e-12)
            cost = -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) / len(y)
""",
        "GradientDescent.grad_cost": """
        delta = y_pred - y
        if self.cost_function == cost_MSE:
            delta = 2 * delta * y_pred * (1 - y_pred)
        grad_w = np.einsum("ij,ik->jk", x, delta) / len(x)
        grad_b = np.array([np.sum(delta) / len(x)])
""",
    }
    path = course.written(PERCEPTRON, course.filled(PERCEPTRON, right))
    assert course.lost(course.grade(path), "3") == {}


def test_broken_cells_cost_no_function_that_is_right(course, tmp_path):
    broken = course.solved(SIGMOID)
    code = nbformat.v4.new_code_cell
    broken.cells[0:0] = [
        code("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"),
        code("def half(x:\n    return x / 2"),
    ]
    broken.cells.append(code("while True:\n    pass"))
    assignments = tmp_path / "reference"
    own = shutil.copytree(course.reference, assignments / COURSE)
    toml = own / "assignment.toml"
    lines = [x for x in toml.read_text().splitlines() if not x.startswith(("cell_s", "notebook_s"))]
    toml.write_text("\n".join(lines).replace("[limits]", "[limits]\ncell_s = 4") + "\n")
    submission = course.grade(course.written(SIGMOID, broken), assignments=assignments)
    assert course.lost(submission, "2") == {}
    assert {"cell_crash", "cell_timeout"} <= {note["kind"] for note in submission["notes"]}


def test_a_zip_of_the_bare_stubs_runs_and_scores_nothing(course):
    stubs = {name: course.bare(name) for name in course.names}
    submission = course.grade(course.zipped("Curie_Marie.zip", stubs))
    assert course.points(submission) == (0.0, 90.0, 10.0)
    assert {e["status"] for e in submission["exercises"]} == {"missing", "manual"}
    assert [n for n in submission["notes"] if n["kind"] == "cell_crash"] == []


def test_a_renamed_notebook_without_markers_is_recognised_and_graded(course):
    renamed = course.solved(SIGMOID)
    renamed.metadata.pop("grade", None)
    for cell in renamed.cells:
        lines = cell.source.splitlines()
        cell.source = "\n".join(x for x in lines if "YOUR CODE" not in x and "# STUB" not in x)
    submission = course.grade(course.written("my work (final).ipynb", renamed))
    assert course.lost(submission, "2") == {}
    assert submission["score"] == 30.0


def test_a_students_copy_gives_the_same_verdicts_without_a_reference(course):
    copy = course.students_copy()
    wrong = course.filled(SIGMOID, {"softplus": "value = np.logaddexp(0.0, -z)"})
    nbformat.write(wrong, copy / SIGMOID)
    at_home = course.without_times(course.grade_at_home(copy, SIGMOID))
    at_school = course.without_times(course.grade(copy / SIGMOID, "--public"))
    assert "2c-softplus" in course.lost(at_home)
    assert not any(c["hidden"] for e in at_school["exercises"] for c in e["checks"])
    course.assert_same_at_home(at_home, at_school)


def test_a_student_at_work_on_one_notebook_hears_of_no_other(course):
    copy = course.students_copy()
    nbformat.write(course.solved(SIGMOID), copy / SIGMOID)
    submission = course.grade_at_home(copy, SIGMOID)
    assert {exercise["id"][0] for exercise in submission["exercises"]} == {"2"}
    assert course.points(submission) == (23.0, 23.0, 0.0)
    notes = {note["kind"]: note["message"] for note in submission["notes"]}
    assert "numpy-tutorial-stud.ipynb" in notes["other_notebooks"]
    assert notes["public"] == "hidden checks give 7 more points: your instructor runs them"


def test_a_notebook_that_is_handed_in_alone_is_not_the_whole_work(course):
    paths = [course.written(name, course.solved(SIGMOID)) for name in ("ann.ipynb", "bob.ipynb")]
    assert course.points(course.grade(paths[0])) == (30.0, 90.0, 10.0)
    assert [one["max_score"] for one in course.grade_all(paths, "--public")] == [67.0, 67.0]


def test_the_same_seed_gives_the_same_report(course):
    wrong = course.filled(SIGMOID, {"sigmoid_prime": "ds = sigmoid(z)"})
    path = course.written(SIGMOID, wrong)
    first, again = (course.without_times(course.grade(path, "--seed", 7)) for _ in range(2))
    assert first == again
