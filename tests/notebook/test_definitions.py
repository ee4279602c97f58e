"""Definitions: what a notebook defines, also in cells that don't parse."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.notebook import assembled, what_breaks, why_not_defined
from grader.notebook.definitions import find_definitions, owner_of, parseable, spans, statements
from grader.records import Cell


def definitions(*sources):
    return find_definitions([Cell(index=n, kind="code", source=s) for n, s in enumerate(sources)])


def test_functions_methods_and_classes_have_qualified_names():
    source = (
        "def f():\n"
        "    def inner(): pass\n"
        "\n"
        "class A:\n"
        "    def g(self): pass\n"
        "    class B:\n"
        "        def h(self): pass"
    )
    assert list(definitions(source)) == ["f", "f.inner", "A", "A.g", "A.B", "A.B.h"]


def test_the_last_definition_of_a_name_wins():
    found = definitions("def f(): return 1", "x = 1\ndef f(): return 2")
    assert (found["f"].cell, found["f"].line) == (1, 2)
    assert found["f"].source == "def f(): return 2"


def test_a_methods_source_is_dedented_with_its_decorators():
    found = definitions(
        "class A:\n    @staticmethod\n    def g(x):\n        '''A\n  text'''\n        return x"
    )
    assert found["A.g"].source == "@staticmethod\ndef g(x):\n    '''A\n  text'''\n    return x"
    assert found["A.g"].line == 2


def test_definitions_under_if_and_try_count():
    found = definitions(
        "if True:\n    def f(): pass\ntry:\n    def g(): pass\nexcept OSError:\n    def h(): pass"
    )
    assert set(found) == {"f", "g", "h"}


@pytest.mark.parametrize(
    "later",
    [
        "sigmoid = lambda z: 1 / (1 + np.exp(-z))",
        "sigmoid = my_sigmoid",
    ],
)
def test_a_function_assigned_later_is_the_definition(later):
    found = definitions("def my_sigmoid(z): return z\ndef sigmoid(z): pass", later)
    assert found["sigmoid"].source == later


def test_a_method_assigned_to_its_class_is_the_definition():
    found = definitions("class A:\n    def f(self): pass", "def g(self): return 1\nA.f = g")
    assert found["A.f"].source == "A.f = g"


def test_a_name_that_becomes_a_number_is_no_definition():
    found = definitions("def cost(x): return x", "cost = cost(3)")
    assert found["cost"].cell == 0


def test_a_class_written_anew_loses_the_methods_of_the_old_one():
    found = definitions(
        "class A:\n    def f(self): pass\n    def g(self): pass", "class A:\n    def f(self): pass"
    )
    assert set(found) == {"A", "A.f"}


def test_a_class_that_inherits_from_itself_keeps_its_methods():
    found = definitions("class A:\n    def f(self): pass", "class A(A):\n    def g(self): pass")
    assert set(found) == {"A", "A.f", "A.g"}


# --- cells that don't parse ---------------------------------------------------------------------


def test_one_broken_function_costs_itself_alone():
    found = definitions("def f():\n    return 1\n\ndef g(:\n    pass\n\ndef h():\n    return 3\n")
    assert set(found) == {"f", "h"}
    assert found["h"].line == 7


def test_one_broken_method_costs_itself_alone():
    source = (
        "class A(B):\n"
        "    def f(self):\n"
        "        return 1\n"
        "\n"
        "    def g(self):\n"
        "        x = = 2\n"
        "\n"
        "    def h(self):\n"
        "        return '''\n"
        "x'''\n"
    )
    assert set(definitions(source)) == {"A", "A.f", "A.h"}


def test_a_stub_with_an_empty_body_costs_itself_alone():
    source = (
        "class A:\n"
        "    def f(self):\n"
        "        ### START YOUR CODE ###\n"
        "\n"
        "        ### END YOUR CODE ###\n"
        "\n"
        "    def g(self):\n"
        "        return 1\n"
    )
    assert set(definitions(source)) == {"A", "A.g"}


def test_an_else_goes_with_its_if():
    found = definitions("if x:\n    y = 1\nelse:\n    def f(): pass\n\nthis is no python\n")
    assert set(found) == {"f"}


def test_nul_bytes_and_line_ends_do_not_matter():
    assert set(definitions("def f():\r\n    return 1\0\r\n")) == {"f"}


def test_a_cell_indented_as_a_whole_is_read():
    assert set(definitions("    def f():\n        return 1\n\n    x = f()")) == {"f"}


@pytest.mark.parametrize(
    "line",
    [
        "%matplotlib inline",
        "!pip install numpy",
        "pip install numpy",
        "files = !ls",
        "t = %timeit -o f()",
        "np.dot?",
        "?np.dot",
        "%time x = 1",
        "%%time",
        "%load_ext autoreload",
    ],
)
def test_what_ipython_alone_understands_is_replaced_line_for_line(line):
    source = f"{line}\ndef f():\n    pass"
    assert parseable(source).count("\n") == source.count("\n")
    assert spans(source)[0].line == 2


def test_magics_inside_suites_keep_the_suite():
    assert ast.parse(parseable("if x:\n    %time f()\n    !ls\nelse:\n    %matplotlib inline"))


def test_a_line_that_goes_on_with_a_string_format_is_left_alone():
    source = "print('%d of %d'\n      %(epochs, total))"
    assert parseable(source) == source


def test_text_in_strings_is_left_alone():
    source = "text = '''\n!ls\n%matplotlib inline\n'''"
    assert parseable(source) == source


def test_the_body_of_a_foreign_cell_magic_is_no_python():
    assert definitions("%%bash\ndef f():\n  ls") == {}


def test_a_statement_that_a_magic_times_still_defines():
    assert "import sklearn" in parseable("%time import sklearn\nx = ")


@given(st.text(max_size=300))
def test_no_text_makes_it_raise(text):
    definitions(text)
    parseable(text)
    assert all(isinstance(node, ast.stmt) for node in statements(text))


@given(
    st.lists(
        st.sampled_from(
            [
                "def f():",
                "class A:",
                "    def g(self):",
                "        x = 1",
                "    @dec",
                "else:",
                "%time x",
                ")",
                "'''",
                "  if y:",
                "\tz",
                "@",
                "#",
                "### START YOUR CODE ###",
                "",
            ]
        ),
        max_size=15,
    )
)
def test_no_order_of_python_lines_makes_it_raise(lines):
    definitions("\n".join(lines))


@pytest.mark.parametrize(
    "source", ["(" * 5000, "-" * 50_000 + "1", "[" * 300 + "]" * 300, "x=1;" * 200_000]
)
def test_hostile_nesting_and_size_raise_nothing(source):
    assert definitions(source) == {}


# --- what encloses a line -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "owner"),
    [(1, "A"), (3, "A.f"), (4, "A.f"), (5, "A.f"), (6, "A"), (7, "")],
)
def test_a_line_is_owned_by_the_definition_around_it_comments_included(line, owner):
    source = (
        "class A:\n"
        "    def f(self):\n"
        "# at the margin\n"
        "        return 1\n"
        "        # at the end\n"
        "    # of the class\n"
        "x = 1"
    )
    assert owner_of(source, line)[0] == owner


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("%matplotlib inline\nx = 1", ""),
        (
            "# '\\d' is no escape\nx = '\\d'\ndef f(:",
            "a.py, cell 1 doesn't compile: invalid syntax, line 3",
        ),
        ("(" * 10_000, "a.py, cell 1"),
        ("x = 1\0", ""),
    ],
)
def test_the_first_cell_that_does_not_parse_is_named(source, told):
    cells = [Cell(0, "markdown", "def ("), Cell(1, "code", source), Cell(2, "code", "def (")]
    said = what_breaks(assembled(cells[:2] if not told else cells, name="a.py"))
    assert said.startswith(told) if told else said == ""


def test_a_name_in_a_cell_that_does_not_compile_is_told_with_the_reason():
    source = "def f(x):\n    return x\n\nclass A:\n    def g(self):\n        return (1\n"
    notebook = assembled([Cell(0, "code", "def h(): pass"), Cell(1, "code", source)], name="a.py")
    why = "cell 1 doesn't compile: '(' was never closed, line 6"
    assert why_not_defined(notebook, "A.g") == why
    assert why_not_defined(notebook, "A.g.inner") == why
    assert [why_not_defined(notebook, name) for name in ("f", "h", "other")] == ["", "", ""]
