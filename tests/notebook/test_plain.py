"""Sources become plain Python, and every line stays where it was."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.notebook.plain import normalise, parsed, without_main_guard


def plain(source: str) -> str:
    return normalise(source).source


def code_of(source: str) -> str:
    """The statements that are left, without comments and `pass`."""
    tree = ast.parse(plain(source))
    return "\n".join(ast.unparse(n) for n in tree.body if not isinstance(n, ast.Pass))


@pytest.mark.parametrize(
    "magic",
    [
        "%matplotlib inline",
        "%matplotlib notebook",
        "  %matplotlib widget",
        "%load_ext autoreload",
        "%autoreload 2",
        "%config InlineBackend.figure_format = 'svg'",
        "%pip install numpy",
        "%timeit sum(range(10))",
        "%cd /content/drive/My Drive",
        "%reset -f",
        "!ls -l",
        "!!ls",
        "!pip install torch==1.9 \\\n   torchvision",
        "pip install numpy",
        "pip3 install --upgrade numpy",
        "conda install -c conda-forge numpy",
        "python -m pip install numpy",
        "np.linspace?",
        "np.linspace??",
        "?np.linspace",
        "%%time",
        "%%capture out",
    ],
)
def test_a_magic_or_command_becomes_nothing(magic: str) -> None:
    assert code_of(magic) == ""


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nx = 1",
        "x = 1\n!ls \\\n  -l\ny = 2",
        "%%writefile a.py\nx = 1\n\ny = 2",
        "%%bash\nls\nls",
        "x = 1\r\ny = 2\r\n",
        "%%time\n\nx = 1",
        "def f():\n\t%time x = 1\n        return x",
    ],
)
def test_no_line_is_added_or_dropped(source: str) -> None:
    assert plain(source).count("\n") == source.count("\n")


def test_line_numbers_of_later_code_hold() -> None:
    tree = ast.parse(plain("%matplotlib inline\n!ls\n\nx = 1"))
    assert [n.lineno for n in tree.body if isinstance(n, ast.Assign)] == [4]


def test_a_format_that_goes_on_in_the_next_line_is_no_magic() -> None:
    source = "print('epoch %d: %f'\n%(epochs, cost))\ns = 'a %d' \\\n%(3)"
    assert plain(source) == source


def test_a_name_after_a_percent_within_brackets_is_no_magic() -> None:
    source = "x = (7\n%m\n%time)"
    assert plain(source) == source


def test_text_in_a_triple_quoted_string_is_no_magic() -> None:
    source = 'text = """\n%matplotlib inline\n!ls\npip install x\nwhat?\n"""'
    assert plain(source) == source


def test_a_bracket_in_a_string_or_comment_does_not_hide_a_magic() -> None:
    source = "x = '('  # [\ny = \"it's (\"\n%matplotlib inline"
    assert code_of(source) == "x = '('\ny = \"it's (\""


def test_an_escaped_quote_does_not_end_a_string() -> None:
    source = "x = 'it\\'s'\n%matplotlib inline\ny = r'\\'\nz = 1"
    assert plain(source).split("\n")[1].startswith("pass")


def test_a_magic_within_a_function_keeps_its_indentation() -> None:
    assert parsed(plain("def f():\n    %matplotlib inline\n")) is not None


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("%time x = f(3)", "x = f(3)"),
        ("x = %time f(3)", "x = f(3)"),
        ("x = %timeit -o f(3)", "x = None"),
        ("files = !ls", "files = []"),
        ("a, b = !ls", "a, b = []"),
        ("%%time\nx = 1", "x = 1"),
        ("# a title\n%%timeit\nx = 1", "x = 1"),
        ("%run helpers.py", "exec(compile(__import__('pathlib').Path('helpers.py')"),
    ],
)
def test_a_magic_that_runs_code_leaves_the_code(source: str, code: str) -> None:
    assert code_of(source).startswith(code)


def test_pylab_brings_its_names() -> None:
    assert "import numpy as np" in code_of("%pylab inline")


def test_a_cell_in_another_language_becomes_nothing() -> None:
    assert code_of("%%bash\necho hello\nls") == ""
    assert code_of("%%html\n<b>x</b>") == ""


def test_writefile_writes_its_body() -> None:
    code = code_of("%%writefile helpers.py\ndef f(x):\n    return x")
    assert code.startswith("with open('helpers.py', 'w', encoding='utf-8')")
    assert repr("def f(x):\n    return x\n") in code


@pytest.mark.parametrize(
    "source", ["x = a % b", "x %= 3", "x != 3", "if not x: pass", "ls = 3\nls"]
)
def test_python_that_looks_like_a_command_stays(source: str) -> None:
    assert plain(source) == source


def test_a_question_in_a_comment_stays() -> None:
    assert plain("# why?\nx = 1") == "# why?\nx = 1"


def test_commands_that_do_not_run_are_named_with_their_line() -> None:
    assert normalise("x = 1\n!unzip data.zip").not_run == ("line 2: `!unzip data.zip`",)


def test_a_plotting_magic_is_nothing_to_name() -> None:
    assert normalise("%matplotlib inline").not_run == ()


def test_nul_bytes_are_dropped() -> None:
    assert plain("x\0 = 1\0") == "x = 1"


def test_a_byte_order_mark_is_dropped() -> None:
    assert plain("\ufeffx = 1") == "x = 1"


def test_every_kind_of_line_end_counts_once() -> None:
    assert plain("a = 1\r\nb = 2\rc = 3\n") == "a = 1\nb = 2\nc = 3\n"


def test_pasted_no_break_spaces_become_blanks() -> None:
    assert parsed(plain("def f(x):\n\u00a0\u00a0\u00a0\u00a0return x")) is not None


def test_no_break_spaces_in_a_string_stay_where_the_cell_parses() -> None:
    assert plain("x = 'a\u00a0b'") == "x = 'a\u00a0b'"


def test_tabs_between_blanks_become_blanks() -> None:
    assert parsed(plain("def f(x):\n        y = x\n\treturn y")) is not None


def test_tabs_that_parse_stay() -> None:
    assert plain("def f(x):\n\treturn x") == "def f(x):\n\treturn x"


def test_a_cell_that_is_indented_as_a_whole_is_dedented() -> None:
    assert plain("    x = 1\n    y = 2") == "x = 1\ny = 2"


def test_a_lone_surrogate_is_replaced() -> None:
    assert plain("x = '\ud800'").encode("utf-8")


def test_code_that_does_not_parse_comes_back_as_it_is() -> None:
    assert plain("def f(x:\n    return x") == "def f(x:\n    return x"


def test_top_level_await_parses() -> None:
    assert parsed("await f()") is not None


def test_deep_nesting_does_not_parse_and_does_not_raise() -> None:
    assert parsed("(" * 10**5) is None


@given(st.text(alphabet="%!?x=( )'\"\\\n#\t\0:[]a1", max_size=60))
def test_any_text_keeps_its_lines_and_python_keeps_its_meaning(source: str) -> None:
    result = plain(source)
    assert result.count("\n") == source.count("\n")
    before = parsed(source)
    if before is not None and not any(c in source for c in "%!?\0\\"):
        after = parsed(result)
        assert after is not None
        assert ast.dump(after) == ast.dump(before)


def test_a_main_guard_does_not_run() -> None:
    source = "def main(): ...\nif __name__ == '__main__':\n    main()\n"
    assert without_main_guard(source) == "def main(): ...\nif False:\n    main()\n"


def test_a_main_guard_written_the_other_way_round_does_not_run() -> None:
    assert without_main_guard('if "__main__" == __name__: main()') == "if False: main()"


@pytest.mark.parametrize("call", ["main()", "sys.exit(main())", "main(\n    3,\n)"])
def test_a_call_of_main_does_not_run(call: str) -> None:
    tree = ast.parse(without_main_guard(f"x = 1\n{call}\ny = 2"))
    assert [ast.unparse(n) for n in tree.body] == ["x = 1", "None", "y = 2"]
    assert tree.body[2].lineno == 3 + call.count("\n")


def test_a_main_guard_after_letters_of_several_bytes_is_found() -> None:
    assert without_main_guard("é = 'ü'; main()") == "é = 'ü'; None"


def test_a_guard_over_two_lines_still_parses() -> None:
    source = "if (__name__ ==\n        '__main__'):\n    main()"
    tree = ast.parse(without_main_guard(source))
    assert ast.unparse(tree.body[0]).startswith("if False")


def test_a_script_that_does_not_parse_is_left_alone() -> None:
    assert without_main_guard("def f(:\nmain()") == "def f(:\nmain()"
