"""Mutants: what is changed, what is left alone, how each is named."""

import ast
import textwrap

import numpy as np

from grader.records import Cell, Definition, Notebook
from grader.verify.mutants import draws, make_mutants, mutate, region_lines


def texts(source: str, **options) -> list[str]:
    return [change.text for change in mutate(textwrap.dedent(source), **options)]


def sources(source: str) -> list[str]:
    """The changed bodies' last lines, as ast writes them."""
    changed = [change.source for change in mutate(textwrap.dedent(source))]
    return [ast.unparse(ast.parse(text)).splitlines()[-1].strip() for text in changed]


def test_a_lost_divisor_is_made():
    made = sources("def f(x, m):\n    return x.sum() / m\n")
    assert "return x.sum()" in made
    assert "return x.mean() / m" in made


def test_a_flipped_sign_and_a_swapped_difference_are_made():
    made = sources("def f(p, y):\n    return p - y\n")
    assert {"return p + y", "return y - p"} <= set(made)


def test_a_transposed_product_and_a_dropped_transpose_are_made():
    made = sources("def f(x, d):\n    return x.T @ d\n")
    assert {"return x @ d", "return (x.T @ d).T", "return d @ x.T", "return x.T @ d.T"} <= set(made)


def test_a_bias_is_dropped():
    assert "return x @ w" in sources("def predict(x, w, b):\n    return x @ w + b\n")


def test_an_axis_is_swapped_and_dropped():
    made = sources("def f(x):\n    return np.mean(x, axis=0)\n")
    assert {"return np.mean(x, axis=1)", "return np.mean(x)", "return np.sum(x, axis=0)"} <= set(
        made
    )


def test_ranges_slices_and_indices_are_off_by_one():
    made = sources("def f(x, n):\n    return [x[i + 1:n] for i in range(n)]\n")
    assert "return [x[i + 1:n - 1] for i in range(n)]" in made
    assert "return [x[i + 1:n] for i in range(n - 1)]" in made
    assert "return [x[i + 2:n] for i in range(n)]" in made


def test_a_copy_is_dropped_and_a_rebinding_becomes_a_change_in_place():
    assert "return x" in sources("def f(x):\n    return x.copy()\n")
    changed = [c.source for c in mutate("def f(x):\n    x = x * 2\n    return x\n")]
    assert any("x *= 2" in text for text in changed)


def test_the_sign_under_an_exponential_is_lost():
    made = sources("def f(z):\n    return 1 / (1 + np.exp(-z))\n")
    assert "return 1 / (1 + np.exp(z))" in made
    assert "return 1 / (1 + -z)" in made


def test_every_mutant_of_a_function_computes_something_else_or_raises():
    source = "def f(p, y, m):\n    return ((p - y) ** 2).sum() / (2 * m)\n"
    p, y = np.array([0.3, 0.9, 0.2]), np.array([1.0, 0.0, 0.0])
    # By hand: (0.49 + 0.81 + 0.04) / 6.
    right = 1.34 / 6
    unchanged = []
    for change in mutate(source):
        space: dict = {}
        exec(change.source, space)
        try:
            value = space["f"](p, y, 3)
        except Exception:
            continue
        if value is not None and np.shape(value) == () and abs(value - right) < 1e-12:
            unchanged.append(change.text)
    # A square forgets the order of a difference.
    assert unchanged == ["`p - y` -> `y - p`"]


def test_the_whole_function_lost_is_always_the_first_mutant():
    changes = mutate('def f(x):\n    """Doc."""\n    y = x\n    return y\n')
    assert changes[0].text == "lost: it raises"
    assert changes[0].source.splitlines()[2] == "    raise NotImplementedError"


def test_changes_stay_inside_the_lines_of_the_region():
    source = "def f(x):\n    y = x + 1\n    z = y - 2\n    return z * 3\n"
    assert {change.line for change in mutate(source, lines={3})} == {3}


def test_the_templates_own_condition_is_left_alone_when_the_region_starts_inside_it():
    source = "def f(x, a):\n    if a > 0:\n        y = x + 1\n    else:\n        y = x - 1\n"
    assert {change.line for change in mutate(source, lines={3, 4, 5})} == {3, 5}


def test_prints_plots_messages_docstrings_and_errors_are_left_alone():
    source = '''
        def f(x):
            """One plus 1."""
            print(x + 1)
            plt.plot(x, 2 * x)
            if x is None:
                raise ValueError("x < 0" + str(x))
            return x
    '''
    told = " ".join(texts(source))
    for word in ("print", "plot", "Value", "One plus"):
        assert word not in told


def test_a_string_inside_an_f_string_is_never_cut_apart():
    for change in mutate('def f(x):\n    y = f"{x + 1} and {x - 1}"\n    return x - 1, y\n'):
        assert 'f"{x + 1} and {x - 1}"' in change.source or "lost" in change.text


def test_letters_that_take_two_bytes_do_not_move_the_change():
    made = sources('def f(θ):\n    é = "é"; return θ - 1\n')
    assert "return θ + 1" in made


def test_mutants_that_are_the_same_code_are_made_once():
    changes = mutate("def f(x):\n    return x - 0\n")
    trees = [ast.dump(ast.parse(change.source)) for change in changes]
    assert len(trees) == len(set(trees))


def test_line_numbers_after_a_change_on_one_line_stay():
    source = "def f(x):\n    y = x - 1\n    return y\n"
    for change in mutate(source, lines={2}):
        assert len(change.source.splitlines()) == 3


def test_region_lines_are_those_between_the_markers():
    source = "a = 1\n### START YOUR CODE ###\nb = 2\n### END YOUR CODE ###\nc = 3\n"
    assert region_lines(source) == {3}


CELL = """\
import numpy as np

def given(x):
    return x + 1

class Model:
    def predict(self, x):
        ### START YOUR CODE ###
        return helper(x) + self.b
        ### END YOUR CODE ###

    def show(self, x):
        ### START YOUR CODE ###
        plt.plot(x - 1)
        ### END YOUR CODE ###

### START YOUR CODE ###
def helper(x):
    return given(x) * 2

def unused(x):
    return x - 5
### END YOUR CODE ###
"""


def toy_notebook() -> Notebook:
    definitions = {}
    lines = CELL.splitlines(keepends=True)

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                text = textwrap.dedent("".join(lines[child.lineno - 1 : child.end_lineno]))
                definitions[name] = Definition(name, 3, child.lineno, text)
                visit(child, f"{name}.")

    visit(ast.parse(CELL), "")
    return Notebook("toy.ipynb", (Cell(3, "code", CELL),), definitions)


def test_mutants_are_made_of_regions_and_of_the_helpers_that_they_call():
    mutants = make_mutants(toy_notebook(), ["Model.predict", "Model.show"])
    assert {mutant.function for mutant in mutants} == {"Model.predict", "helper"}


def test_a_mutant_is_named_by_function_and_change_and_placed_by_cell_and_line():
    mutants = {m.id: m for m in make_mutants(toy_notebook(), ["Model.predict"])}
    mutant = mutants["Model.predict: dropped `+ self.b` in `helper(x) + self.b`"]
    assert mutant.place == "toy.ipynb, cell 3, line 9"
    assert mutant.kind == "dropped term"


def test_equal_changes_of_one_function_are_numbered():
    cell = (
        "### START YOUR CODE ###\ndef f(x, y):\n    x = x + 1\n    x = x + 1\n    return x\n"
        "### END YOUR CODE ###\n"
    )
    source = "".join(cell.splitlines(keepends=True)[1:5])
    notebook = Notebook("n", (Cell(0, "code", cell),), {"f": Definition("f", 0, 2, source)})
    ids = [mutant.id for mutant in make_mutants(notebook, ["f"])]
    assert "f: dropped `+ 1` in `x + 1`" in ids
    assert "f: dropped `+ 1` in `x + 1` (2)" in ids
    assert len(ids) == len(set(ids))


def test_a_function_that_draws_is_recognised():
    assert draws(ast.parse("def f(x):\n    plt.plot(x)\n"))
    assert not draws(ast.parse("def f(x):\n    return x.plot\n"))
