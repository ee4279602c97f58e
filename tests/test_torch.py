"""What needs torch itself: `pip install -e '.[dev,torch]'`, then `pytest tests/test_torch.py`."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from grader import records
from grader.checks import (
    assert_gradients_reach,
    assert_mode,
    assert_module,
    assert_parameter_count,
    module_buffers,
    module_gradients,
    module_parameters,
    put_parameters,
)
from grader.errors import CheckFailed
from grader.notebook import parse_notebook, replace_region
from grader.session import open_session

pytest.importorskip("torch", reason="the extra [torch] is not installed")

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
SOURCE = """
import torch
from torch import nn

warm = nn.Linear(3, 2)
warm(torch.ones(4, 3)).sum().backward()

def slope(x):
    x = x.clone().requires_grad_()
    (x ** 3).sum().backward()
    return {"x": x, "slope": [x.grad], "half": x.detach().to(torch.bfloat16)}

def sparse():
    return torch.eye(2).to_sparse()

def kind(x):
    return str(x.dtype), tuple(x.shape), type(x).__name__
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    script = parse_notebook(SOURCE.encode(), name="models.py")
    folder = tmp_path_factory.mktemp("models")
    with open_session(script, folder=folder, limits=records.Limits()) as opened:
        yield opened


@pytest.fixture
def student(session):
    with session.student() as opened:
        yield opened


def test_arrays_become_tensors_of_their_type_and_shape(student):
    for array in (np.ones((2, 3), np.float32), np.zeros(2), np.array([1, 2]), np.array(True)):
        kind, shape, name = student.kind(student.tensor(array))
        assert (kind.removeprefix("torch."), shape, name) == (
            str(array.dtype),
            array.shape,
            "Tensor",
        )


def test_tensors_come_back_as_arrays_of_their_values_wherever_they_stand(student):
    back = student.slope(student.tensor(np.array([1.0, 2.0, -3.0])))
    assert back["x"].tolist() == [1.0, 2.0, -3.0]
    assert back["slope"][0].tolist() == [3.0, 12.0, 27.0]
    assert back["half"].dtype == np.float32 and back["half"].tolist() == [1.0, 2.0, -3.0]


def test_a_tensor_without_an_array_of_its_values_stays_behind_a_handle(student):
    assert student.sparse().type_name == "Tensor"


def test_gradients_are_computed_in_each_fork_of_a_process_that_has_computed_some(session):
    for n in range(3):
        with session.student() as student:
            model = student.torch.nn.Linear(3, 2)
            state = model.state_dict()
            assert state["weight"].shape == (2, 3) and state["weight"].dtype == np.float32
            values = {k: student.tensor(np.full_like(v, n)) for k, v in state.items()}
            model.load_state_dict(values)
            out = model(student.tensor(np.ones((1, 3), np.float32)))
            assert out.tolist() == [[4.0 * n, 4.0 * n]]
            assert student.slope(student.tensor(np.ones(1)))["slope"][0].tolist() == [3.0]


# --- question 4 of hw1, through the whole command ---


def grade(path):
    command = [sys.executable, "-m", "grader", str(path), "--json", "-"]
    command += ["--assignments", str(REFERENCE), "--assignment", "hw1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (submission,) = json.loads(done.stdout)["submissions"]
    return {e["id"]: e for e in submission["exercises"] if e["id"].startswith("q4")}


def solved():
    return nbformat.read(REFERENCE / "hw1" / "hw1-q4.ipynb", as_version=4)


def test_a_gradient_that_is_never_cleared_loses_its_check_and_is_told(tmp_path):
    made = solved()
    body = (
        "loss = criterion(model(X), y)\nloss.backward()\noptimizer.step()\nloss_value = loss.item()"
    )
    (cell,) = [c for c in made.cells if "def train_batch" in c.source]
    cell.source = replace_region(cell.source, "train_batch", body)
    nbformat.write(made, tmp_path / "hw1-q4.ipynb")
    exercises = grade(tmp_path / "hw1-q4.ipynb")
    assert exercises["q4-step"]["points"] == 4.5
    assert any("zero_grad" in check["message"] for check in exercises["q4-step"]["checks"])
    assert exercises["q4-network"]["status"] == exercises["q4-logistic"]["status"] == "passed"


def test_a_script_that_lacks_its_utils_scores_as_the_notebook(tmp_path):
    cells = [cell.source for cell in solved().cells if cell.cell_type == "code"]
    defined = [source for source in cells if "def " in source]
    head = "import argparse\nimport torch\nfrom torch import nn\nimport numpy as np\nimport utils\n"
    head += "from matplotlib import pyplot as plt\n"
    main = "def main():\n    utils.configure_seed(seed=argparse.ArgumentParser().parse_args())\n"
    text = "\n\n".join([head, *defined, main, "if __name__ == '__main__':\n    main()\n"])
    (tmp_path / "hw1-q4.py").write_text(text)
    exercises = grade(tmp_path / "hw1-q4.py")
    assert {e["status"] for e in exercises.values()} == {"passed"}
    assert sum(e["points"] for e in exercises.values()) == 25.0


# --- modules ------------------------------------------------------------------------------------

MODULES = """
class Net(nn.Module):
    def __init__(self, hidden=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
        self.head = nn.Linear(hidden, 1)
        self.spare = nn.Linear(2, 2)
    def forward(self, x): return self.head(self.body(x))

class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 2)
    def forward(self, x): return self.lin(x)

class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 2)]

def learn(net, x):
    net(x).sum().backward()

def dead(net, x):
    (0 * net(x)).sum().backward()
"""


@pytest.fixture
def torch_student(tmp_path):
    script = parse_notebook((SOURCE + MODULES).encode(), name="models.py")
    with (
        open_session(script, folder=tmp_path, limits=records.Limits()) as opened,
        opened.student() as student,
    ):
        yield student


def test_a_module_is_held_against_numpy_for_parameters_that_are_put_in(torch_student):
    rng = np.random.default_rng(0)
    line = torch_student.Line()
    W, b, x = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=(5, 3))
    put_parameters(line, {"lin.weight": W, "lin.bias": b}, torch_student.tensor)
    np.testing.assert_allclose(module_parameters(line)["lin.weight"], W, rtol=1e-6)
    x = x.astype(np.float32)
    assert_module(
        line,
        lambda known, x: x @ known["lin.weight"].T + known["lin.bias"],
        x,
        tensor=torch_student.tensor,
    )
    with pytest.raises(CheckFailed):
        assert_module(line, lambda known, x: x @ W.T, x, tensor=torch_student.tensor)
    with pytest.raises(CheckFailed, match="has no parameter 'w'"):
        put_parameters(line, {"w": W}, torch_student.tensor)
    with pytest.raises(CheckFailed, match="has shape"):
        put_parameters(line, {"lin.weight": W.T}, torch_student.tensor)


def test_gradients_that_are_none_are_told_from_those_that_are_0(torch_student):
    net = torch_student.Net()
    x = torch_student.tensor(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    with pytest.raises(CheckFailed, match="no gradient reaches") as caught:
        assert_gradients_reach(net)
    assert "backward" in caught.value.hint
    torch_student.learn(net, x)
    assert module_gradients(net)["spare.weight"] is None
    with pytest.raises(CheckFailed, match=r"no gradient reaches spare.weight, spare.bias"):
        assert_gradients_reach(net)
    # A bias before a batch norm is lost in the mean.
    spare = ["spare.weight", "spare.bias"]
    blind = ["body.0.bias", "body.0.weight", "body.1.weight", "body.1.bias"]
    assert_gradients_reach(net, frozen=spare, zero=blind)
    with pytest.raises(CheckFailed, match=r"head.bias has a gradient, but it should be frozen"):
        assert_gradients_reach(net, frozen=[*spare, "head.bias"], zero=blind)
    dead = torch_student.Net()
    torch_student.dead(dead, x)
    with pytest.raises(CheckFailed, match="is 0 everywhere"):
        assert_gradients_reach(dead, frozen=spare)


def test_parameters_buffers_and_modes_of_a_module(torch_student):
    net = torch_student.Net()
    assert_parameter_count(net, 3 * 4 + 4 + 4 + 4 + 4 + 1 + 6)
    with pytest.raises(CheckFailed, match="35 parameters, expected 34"):
        assert_parameter_count(net, 34)
    with pytest.raises(CheckFailed, match="Are the layers in a list"):
        assert_parameter_count(torch_student.Hidden(), 8)
    assert module_buffers(net)["body.1.running_mean"].tolist() == [0, 0, 0, 0]
    assert_mode(net, training=True)
    net.eval()
    assert_mode(net, training=False)
    net.body.train()
    with pytest.raises(CheckFailed, match="its part 'body' is in train mode"):
        assert_mode(net, training=False)
