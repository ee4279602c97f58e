"""Comparison: what was filled, what was changed outside the gaps."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.notebook import compare_with_stub, region_of


@pytest.fixture
def compared(notebook, template):
    """Return a function that holds sources against the template."""

    def compare(*sources, functions=()):
        return compare_with_stub(notebook(*sources), notebook(*template), functions=functions)

    return compare


def states(compared_notebook):
    return {name: region.status for name, region in compared_notebook.regions.items()}


def messages(compared_notebook, kind="changed_outside_region"):
    return [note.message for note in compared_notebook.notes if note.kind == kind]


def edited(template, *pairs):
    """Return the template's sources with texts replaced; each must be there."""
    sources = list(template)
    for old, new in pairs:
        assert any(old in source for source in sources), old
        sources = [source.replace(old, new) for source in sources]
    return sources


ALL_UNTOUCHED = {
    "Model.cost_funct": "untouched",
    "Model.predict": "untouched",
    "sigmoid": "untouched",
    "cell 4": "untouched",
}
PREDICT = ("y_pred = np.zeros((x.shape[0], 1))", "y_pred = x @ self.w")


def test_the_template_itself_is_untouched(compared, template):
    found = compared(*template)
    assert states(found) == ALL_UNTOUCHED
    assert found.notes == ()


def test_each_gap_that_was_filled_is_filled(compared, template):
    found = compared(
        *edited(template, PREDICT, ("    pass\n", "    return z\n")),
    )
    assert states(found) == ALL_UNTOUCHED | {"Model.predict": "filled", "sigmoid": "filled"}
    assert found.regions["Model.predict"].source == "y_pred = x @ self.w"
    assert found.notes == ()


def test_comments_blank_lines_and_formatting_fill_nothing(compared, template):
    found = compared(
        *edited(
            template,
            (
                "y_pred = np.zeros((x.shape[0], 1))",
                "# nothing\n\n        y_pred = np.zeros(\n            (x.shape[0], 1),\n        )",
            ),
            ("'''A perceptron.'''", '"""Mine."""'),
            ("def error_rate(self, y_pred, y):", "def error_rate( self,y_pred,y ):  # given"),
        )
    )
    assert states(found) == ALL_UNTOUCHED
    assert found.notes == ()


def test_a_gap_in_an_if_and_its_else_is_compared_too(compared, template):
    found = compared(
        *edited(
            template,
            ("            cost = 0.0\n        else", "            cost = 1.0\n        else"),
        )
    )
    assert states(found)["Model.cost_funct"] == "filled"
    assert found.notes == ()


@pytest.mark.parametrize(
    "later",
    [
        "def my_predict(self, x): return x\nModel.predict = my_predict",
        "Model.predict = lambda self, x: x",
        "setattr(Model, 'predict', my_predict)",
        "class Better(Model): pass\nModel = Better",
        "class Model(Model):\n    def predict(self, x): return x",
        "def f(): pass\nModel.predict, x = f, 1\nModel.predict = f",
    ],
)
def test_a_method_bound_anew_later_is_filled(compared, template, later):
    assert states(compared(*template, later))["Model.predict"] == "filled"


@pytest.mark.parametrize(
    "later",
    [
        "sigmoid = lambda z: 1 / (1 + np.exp(-z))",
        "from mine import sigmoid",
        "sigmoid = np.vectorize(sigmoid)",
        "globals()['sigmoid'] = f",
        "def sigmoid(z): return z",
        "try:\n    def sigmoid(z): return z\nexcept Exception: pass",
    ],
)
def test_a_function_bound_anew_later_is_filled(compared, template, later):
    assert states(compared(*template, later))["sigmoid"] == "filled"


def test_a_function_bound_before_its_definition_is_not(compared, template):
    assert states(compared("sigmoid = abs", *template))["sigmoid"] == "untouched"


def test_code_beside_the_gap_in_the_same_function_counts_as_filled(compared, template):
    found = compared(*edited(template, ("        return y_pred\n", "        return x @ self.w\n")))
    assert states(found)["Model.predict"] == "filled"
    assert messages(found) == [
        "cell 1: `Model.predict` differs from the template, first at `return x @ self.w`"
    ]


def test_a_missing_definition_is_missing(compared, template):
    found = compared(template[0], template[1], template[3], template[4])
    assert states(found)["sigmoid"] == "missing"


def test_a_function_that_no_longer_parses_is_filled_and_not_missing(compared, template):
    found = compared(*edited(template, ("    pass\n", "    return 1 +\n")))
    assert states(found)["sigmoid"] == "filled"
    assert found.regions["sigmoid"].source == "return 1 +"


def without_markers(source):
    return "\n".join(line for line in source.split("\n") if "YOUR CODE" not in line)


def test_deleted_markers_make_the_definition_the_region(compared, template):
    sources = [without_markers(source) for source in edited(template, PREDICT)]
    found = compared(*sources)
    assert states(found) == ALL_UNTOUCHED | {"Model.predict": "filled"}
    assert found.regions["Model.predict"].source.startswith("def predict(self, x):")
    assert len(messages(found, "markers_missing")) == 4
    assert messages(found) == []


def test_moved_and_inserted_cells_are_no_change(compared, template):
    sources = [*template, "print('mine')", "x = 3\ny = x"]
    random.Random(0).shuffle(sources)
    found = compared(*sources)
    assert messages(found) == []
    assert states(found) == ALL_UNTOUCHED


def test_a_region_outside_definitions_follows_its_cell(compared, template):
    sources = edited(template, ("CODE ###\npass\n", "CODE ###\nanswer = 42\n"))
    found = compared("mine = 1", "more = 2", *sources)
    assert found.regions["cell 4"].status == "filled"
    assert found.regions["cell 4"].cell == 6
    assert found.regions["cell 4"].source == "answer = 42"


def test_a_given_method_that_was_changed_is_noted_with_its_cell(compared, template):
    found = compared(*edited(template, ("return np.mean((y_pred > 0.5) != y)", "return 0")))
    assert messages(found) == [
        "cell 1: `Model.error_rate` differs from the template, first at `return 0`"
    ]
    assert [note.cell for note in found.notes] == [1]
    assert [note.notebook for note in found.notes] == ["a.ipynb"]


def test_a_given_method_that_is_replaced_later_is_noted(compared, template):
    found = compared(*template, "Model.error_rate = lambda self, p, y: 0.0")
    assert messages(found) == ["cell 5: `Model.error_rate` of the template is replaced"]


def test_a_given_method_that_is_gone_is_noted(compared, template):
    cut = template[1][: template[1].index("    def error_rate")]
    found = compared(template[0], cut, *template[2:])
    assert messages(found) == ["`Model.error_rate` of the template is gone"]


def test_a_changed_default_and_a_changed_attribute_are_noted(compared, template):
    found = compared(*edited(template, ("alpha=0.5", "alpha=0.1")))
    assert len(messages(found)) == 1
    assert "`Model.__init__` differs" in messages(found)[0]
    found = compared(*edited(template, ("class Model:", "class Model(Base):")))
    assert "`Model` differs" in messages(found)[0]


def test_code_moved_out_of_its_loop_is_a_change(notebook):
    stub = notebook("def f():\n    for i in a:\n        b()\n        c()")
    found = compare_with_stub(notebook("def f():\n    for i in a:\n        b()\n    c()"), stub)
    assert len(messages(found)) == 1


def test_a_changed_exploration_cell_is_one_note(compared, template):
    found = compared(*edited(template, ("model.optimise(100)", "model.optimise(5000)")))
    assert messages(found) == ["cell 3: the template's `model.optimise(100)` was changed"]


def test_lines_added_to_a_given_cell_are_no_note(compared, template):
    found = compared(
        *edited(template, ("plt.plot(model.cost)", "plt.plot(model.cost)\nplt.show()"))
    )
    assert found.notes == ()


def test_a_cell_split_in_two_is_no_note(compared, template):
    found = compared(
        *template[:3],
        "model = Model(data)",
        "model.optimise(100)\nplt.plot(model.cost)",
        template[4],
    )
    assert messages(found) == []


def test_a_cell_that_is_gone_is_noted(compared, template):
    found = compared(*template[:3], template[4])
    assert messages(found) == [
        "the template's cell 3 is gone: `model = Model(data)` and 2 more lines"
    ]


def test_another_notebook_altogether_gives_few_notes(notebook):
    stub = notebook(*(f"def f{n}():\n    return {n}" for n in range(100)))
    assert len(compare_with_stub(notebook("x = 1"), stub).notes) == 41


# --- functions that are asked for ---------------------------------------------------------------


def test_a_function_without_a_gap_is_filled_or_missing(compared, template):
    found = compared(*template, functions=["Model.error_rate", "gone"])
    assert found.regions["Model.error_rate"].status == "filled"
    assert found.regions["gone"].status == "missing"


def test_a_class_is_untouched_while_all_its_gaps_are(compared, template):
    assert compared(*template, functions=["Model"]).regions["Model"].status == "untouched"
    changed = compared(*edited(template, PREDICT), functions=["Model"])
    assert [r.name for r in region_of(changed, "Model")] == ["Model.cost_funct", "Model.predict"]
    assert {r.status for r in region_of(changed, "Model")} == {"untouched", "filled"}


def test_a_definition_that_a_gap_holds_is_compared_as_a_whole(notebook):
    gap = "### START YOUR CODE ###\ndef f(x):\n    {}\n### END YOUR CODE ###"
    stub = notebook(gap.format("pass"))
    same = compare_with_stub(notebook(gap.format("pass")), stub, functions=["f"])
    assert same.regions["f"].status == "untouched"
    assert same.notes == ()
    filled = compare_with_stub(notebook(gap.format("return x")), stub, functions=["f"])
    assert filled.regions["f"].status == "filled"
    assert filled.notes == ()


def test_of_two_gaps_in_one_function_each_has_its_own_status(notebook):
    gap = "    ### START YOUR CODE ###\n    {}\n    ### END YOUR CODE ###\n"
    stub = notebook("def f():\n" + gap.format("a = 0") + "    b = 1\n" + gap.format("c = 0"))
    mine = notebook("def f():\n" + gap.format("a = 5") + "    b = 1\n" + gap.format("c = 0"))
    found = compare_with_stub(mine, stub)
    assert states(found) == {"f": "filled", "f#2": "untouched"}
    assert len(region_of(found, "f")) == 2


def test_comparing_twice_says_everything_once(compared, notebook, template):
    changed = edited(template, ("return np.mean((y_pred > 0.5) != y)", "return 0"))
    once = compared(*changed)
    assert compare_with_stub(once, notebook(*template)) == once


def test_hostile_cells_are_compared_without_an_exception(compared, template):
    compared(
        *template, "(" * 5000, "x = '''", "\0", "def f(:\n  pass", "\tx\n  y", "-" * 10_000 + "1"
    )


# --- whatever was handed in ---------------------------------------------------------------------

LINES = st.sampled_from(
    [
        "class Model:",
        "    def cost_funct(self, y_pred, y):",
        "    def predict(self, x):",
        "def sigmoid(z):",
        "sigmoid = lambda z: z",
        "Model.predict = sigmoid",
        "import numpy as np",
        "        ### START YOUR CODE ###",
        "    ### START YOUR CODE ###",
        "### START YOUR CODE ###",
        "        ### END YOUR CODE ###",
        "    ### END YOUR CODE ###",
        "### END YOUR CODE ###",
        "    pass",
        "        cost = 0.0",
        "        return y_pred",
        "        else:",
        "'''",
        '"""',
        "(",
        "%time x",
        "\\",
        "\t x = 1",
        "\x0c",
        "\0",
        "x = = 1",
        "\u2028y = 2",
    ]
)
FUNCTIONS = ("Model.predict", "Model.cost_funct", "sigmoid", "nothing", "Model.error_rate")


@given(
    st.lists(
        st.lists(LINES, max_size=14).map("\n".join) | st.text(max_size=40) | st.integers(0, 4),
        max_size=5,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # both only read
def test_any_cells_are_held_against_the_template(compared, template, cells):
    """A number stands for one of the template's own cells."""
    sources = [template[cell] if isinstance(cell, int) else cell for cell in cells]
    found = compared(*sources, functions=FUNCTIONS)
    for function in FUNCTIONS:
        for region in region_of(found, function):
            assert region.status in ("filled", "untouched", "missing")
    assert all("\n" not in note.message for note in found.notes)


# --- cells that don't parse, gaps that hold nothing ---------------------------------------------

BROKEN = ("        y_pred = np.zeros", "        x = np.dot((1, 2)\n        y_pred = np.zeros")


def test_of_a_cell_that_does_not_parse_nothing_is_said_to_be_changed(compared, template):
    found = compared(*edited(template, BROKEN))
    assert messages(found) == []
    assert states(found)["Model.predict"] == "filled"
    assert states(found)["Model.cost_funct"] == "untouched"


def test_loose_code_in_a_cell_that_does_not_parse_is_not_said_to_be_gone(compared, template):
    found = compared(*edited(template, ("model.optimise(100)", "model.optimise(100")))
    assert messages(found) == []


def test_a_change_beside_what_does_not_parse_is_still_noted(compared, template):
    found = compared(*edited(template, BROKEN, ("> 0.5) != y", "> 0.5) == y")))
    (said,) = messages(found)
    assert said.startswith("cell 1: `Model.error_rate` differs from the template")


@pytest.mark.parametrize(
    "body", ["raise NotImplementedError", "raise NotImplementedError('to do')", "...", "# nothing"]
)
def test_a_gap_that_holds_nothing_yet_is_untouched_in_whatever_words(compared, template, body):
    found = compared(*edited(template, ("y_pred = np.zeros((x.shape[0], 1))", body)))
    assert states(found) == ALL_UNTOUCHED
    without = [without_markers(source) for source in template]
    lost = edited(without, ("    pass\n", "    '''Later.'''\n    raise NotImplementedError\n"))
    assert states(compared(*lost))["sigmoid"] == "untouched"


def test_an_empty_gap_is_filled_where_the_answer_stands_beside_it(compared, template):
    answer = ("        return y_pred", "        y_pred = x @ self.w\n        return y_pred")
    found = compared(*edited(template, ("y_pred = np.zeros((x.shape[0], 1))", "pass"), answer))
    assert states(found)["Model.predict"] == "filled"
