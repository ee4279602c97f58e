"""What is taken out of a cell that can't run."""

import pytest

from grader.session.extraction import extract, salvaged


def names(source: str, from_line: int = 1) -> list[str]:
    return [name for piece in extract(source, from_line=from_line) for name in piece.names]


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("import numpy as np", ["np"]),
        ("import scipy.special", ["scipy"]),
        ("from math import pi, e as E", ["pi", "E"]),
        ("from math import *", ["*"]),
        ("def f(x): return x", ["f"]),
        ("async def f(x): return x", ["f"]),
        ("@vectorize\ndef f(x): return x", ["f"]),
        ("@dataclass\nclass C: ...", ["C"]),
        ("f = lambda x: x", ["f"]),
        ("ALPHA = 0.5", ["ALPHA"]),
        ("a, b = 1, 2", ["a", "b"]),
        ("n: int = 28 * 28", ["n"]),
        ("sizes = [784, 100, 10]", ["sizes"]),
        ("names = {0: 'MSE', 1: 'CE'}", ["names"]),
        ("x0 = np.array([1.0, 2.0]) * np.pi", ["x0"]),
        ("rng = np.random.default_rng(0)", ["rng"]),
        ("Point = namedtuple('Point', 'x y')", ["Point"]),
        ("g = functools.partial(f, 2)", ["g"]),
        ("device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')", ["device"]),
        ("Model.predict = predict", ["Model"]),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", ["torch", "torch"]),
        ("if DEBUG:\n    alpha = 1\nelse:\n    alpha = 2", ["alpha", "alpha"]),
    ],
)
def test_an_import_definition_or_constant_is_taken(source: str, bound: list[str]) -> None:
    assert names(source) == bound


@pytest.mark.parametrize(
    "source",
    [
        "model = GradientDescent(data, 0.5)",
        "x, y = fetch_openml('mnist_784', return_X_y=True)",
        "data = np.load('data.npz')",
        "w = torch.load('w.pt')",
        "print(1)",
        "main()",
        "for i in range(3): x = i",
        "while True: pass",
        "with open('f') as f: pass",
        "if __name__ == '__main__':\n    x = 1",
        "n = int(input())",
        "try:\n    train()\nexcept: pass",
        "x = [f(i) for i in range(10)]",
        "del x",
        "builtins.len = lambda x: 0",
        "np.all = always",
    ],
)
def test_what_works_or_waits_is_left(source: str) -> None:
    assert extract(source) == []


def test_a_path_that_imports_need_is_extended() -> None:
    assert [p.kind for p in extract("sys.path.append('src')\nimport layers")] == ["import"] * 2


def test_only_what_ends_at_the_line_or_later_is_taken() -> None:
    source = "def f(x):\n    return x\ny = 1/0\ndef g(x):\n    return x"
    assert names(source, from_line=3) == ["y", "g"]


def test_a_piece_keeps_its_line_numbers() -> None:
    (piece,) = extract("\n\ntrain()\n@once\ndef f(x):\n    return x  # here")
    assert (piece.line, piece.end_line) == (4, 6)
    assert piece.source.split("\n")[3:] == ["@once", "def f(x):", "    return x  # here"]


def test_a_statement_behind_a_semicolon_is_taken_alone() -> None:
    pieces = extract("a = 1; train(); b = 'é'; c = 2")
    assert [p.source for p in pieces] == ["a = 1", "b = 'é'", "c = 2"]


def test_one_broken_function_does_not_cost_the_others() -> None:
    source = "def a(x):\n    return x\n\ndef b(x:\n    return x\n\ndef c(x):\n    return x"
    assert names(source) == ["a", "c"]


def test_the_lines_of_what_is_left_hold() -> None:
    source = "def b(x:\n    return x\n\ndef c(x):\n    return x"
    assert extract(source)[0].line == 4
    assert salvaged(source).count("\n") == source.count("\n")


def test_a_decorator_stays_with_its_function() -> None:
    assert names("x = = 1\n@staticmethod\n@other\ndef f(x):\n    return x") == ["f"]


def test_else_stays_with_its_if() -> None:
    assert names("x = = 1\nif A:\n    b = 1\nelse:\n    b = 2") == ["b", "b"]


def test_a_table_without_indentation_is_one_block() -> None:
    assert names("x = = 1\ntable = [\n1, 2,\n3, 4,\n]\ndef f(x): return x") == ["table", "f"]


def test_a_string_without_indentation_is_one_block() -> None:
    assert names('x = = 1\ntext = """\nfirst line\nsecond line\n"""') == ["text"]


def test_a_magic_behind_an_open_bracket_does_not_cost_its_block() -> None:
    assert names("print((1)\n%matplotlib inline\ndef f(x): return x") == ["f"]


def test_a_class_keeps_its_sound_methods() -> None:
    source = (
        "class C:\n"
        "    def one(self):\n        return 1\n"
        "    def two(self)\n        return 2\n"
        "    def three(self):\n        return 3\n"
    )
    (piece,) = extract(source)
    assert "def one" in piece.source
    assert "\n    def three" in piece.source
    assert "#     def two" in piece.source


def test_a_class_without_a_sound_method_still_is_a_class() -> None:
    assert names("class C(Base):\n    def one(self)\n        return 1") == ["C"]


def test_a_class_whose_first_line_is_broken_is_lost_alone() -> None:
    assert names("class C(:\n    def one(self): return 1\ndef f(x): return x") == ["f"]


def test_a_stub_without_a_body_is_lost_alone() -> None:
    source = (
        "def f(x):\n    ### START YOUR CODE ###\n\n    ### END YOUR CODE ###\n\ndef g(x): return x"
    )
    assert names(source) == ["g"]


def test_an_empty_cell_has_nothing_to_take() -> None:
    assert extract("") == []
    assert extract("# a comment") == []


def test_prose_has_nothing_to_take() -> None:
    assert extract("The gradient of this function is:\n  see above!\n") == []
