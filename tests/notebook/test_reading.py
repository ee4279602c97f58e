"""Reading: notebooks of every age and every damage; scripts."""

import json
import warnings

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import SubmissionError
from grader.notebook import parse_notebook, read_notebook
from grader.notebook import reading as module


def v4(*sources, **more):
    cells = [
        {"cell_type": "code", "source": s, "metadata": {}, "outputs": [], "execution_count": None}
        for s in sources
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4} | more


def parse(document, name="a.ipynb"):
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_notebook(raw, name=name)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


@pytest.mark.parametrize("minor", range(6))
def test_every_nbformat_4_is_read(minor):
    assert sources(parse(v4("x = 1", nbformat_minor=minor))) == ["x = 1"]


def test_nbformat_3_is_upgraded():
    sheet = {
        "cells": [
            {"cell_type": "heading", "level": 2, "source": "Sigmoid", "metadata": {}},
            {
                "cell_type": "code",
                "input": "x = 1",
                "outputs": [
                    {"output_type": "pyout", "prompt_number": 1, "text": "1", "metadata": {}}
                ],
                "language": "python",
                "prompt_number": 1,
                "metadata": {},
                "collapsed": False,
            },
        ],
        "metadata": {},
    }
    notebook = parse({"worksheets": [sheet], "metadata": {}, "nbformat": 3, "nbformat_minor": 0})
    assert sources(notebook) == ["## Sigmoid", "x = 1"]
    assert notebook.cells[1].outputs[0]["output_type"] == "execute_result"


def test_a_damaged_nbformat_3_still_gives_its_code():
    sheet = {"cells": [{"cell_type": "code", "input": ["x = 1\n", "y = 2"], "outputs": 7}]}
    notebook = parse({"worksheets": [sheet, None], "nbformat": 3})
    assert sources(notebook) == ["x = 1\ny = 2"]


def test_sources_are_strings_or_lists_of_lines():
    assert sources(parse(v4("a\nb", ["a\n", "b"], None, 3))) == ["a\nb", "a\nb", "", ""]


def test_what_the_schema_forbids_is_read_without_a_warning():
    document = v4("x = 1", "y = 2", nbformat_minor=5, metadata={"kernelspec": {"name": 3}})
    for cell in document["cells"]:
        cell |= {"id": "twice", "colab": {"x": 1}, "metadata": None}
    document["cells"] += [None, "text", {"cell_type": "unknown", "source": "z"}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notebook = parse(document)
    assert sources(notebook) == ["x = 1", "y = 2", "", "", "z"]
    assert [cell.kind for cell in notebook.cells] == ["code", "code", "raw", "raw", "raw"]


def test_pasted_pictures_are_kept_and_what_is_none_is_left_out():
    deep = []
    for _ in range(200):
        deep = [deep]
    attachments = {
        "a.png": {"image/png": "AAAA", "image/jpeg": ["BB", "BB"], "text/html": deep},
        "b": deep,
        "c": None,
    }
    cell = {"cell_type": "markdown", "source": "", "metadata": {}, "attachments": attachments}
    (read,) = parse(v4(cells=[cell])).cells
    assert read.attachments == {"a.png": {"image/png": "AAAA", "image/jpeg": "BBBB"}}


def test_a_kernelspec_is_data_and_no_more():
    spec = {"name": "conda-env-dl", "argv": ["sh", "-c", "touch /tmp/pwned"]}
    notebook = parse(v4("x = 1", metadata={"kernelspec": spec}))
    assert notebook.metadata["kernelspec"] == spec


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_editors_are_read(encoding):
    raw = json.dumps(v4("name = 'Zoë'"), ensure_ascii=False).encode(encoding)
    assert sources(parse(raw)) == ["name = 'Zoë'"]


def test_nul_bytes_and_raw_control_characters_are_survived():
    raw = json.dumps(v4("x = 1\0\ndef f(): pass")).replace("\\n", "\n").encode() + b"\0\0"
    notebook = parse(raw)
    assert "f" in notebook.definitions


def test_lone_surrogates_are_replaced_and_pairs_joined():
    raw = json.dumps(v4("x")).replace('"x"', '"a = \\ud83d\\ude00 \\ud800"').encode()
    text = sources(parse(raw))[0]
    assert text == "a = \N{GRINNING FACE} \ufffd"
    assert text.encode()


def refusal(raw, name="a.ipynb"):
    with pytest.raises(SubmissionError) as caught:
        parse(raw, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "empty"),
        (b"\0\0\0\0", "empty"),
        (b"not json", "not a notebook: its JSON breaks at line 1"),
        (b'{"cells": [', "not a notebook"),
        (b"[1, 2]", "JSON but not a notebook"),
        (b'{"a": 1}', "JSON but not a notebook"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"cells": [], "x": ' + b"9" * 5000 + b"}", "not a notebook"),
        (b'<<<<<<< HEAD\n{"cells": []}\n>>>>>>> x\n', "merge conflict"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(raw, what):
    assert what in refusal(raw)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(raw):
    try:
        parse(raw)
    except SubmissionError as error:
        assert "\n" not in str(error)


_KEYS = st.sampled_from(
    ["cells", "cell_type", "source", "metadata", "outputs", "worksheets", "nbformat", "input"]
)
_WORDS = st.sampled_from(["code", "markdown", "def f(:\n", "### START YOUR CODE ###", "\ud800"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(_JSON)
def test_any_json_is_a_notebook_or_refused_in_one_line(value):
    try:
        notebook = parse(json.dumps({"cells": value} if type(value) is list else value).encode())
    except SubmissionError as error:
        assert "\n" not in str(error)
    else:
        assert all(type(cell.source) is str for cell in notebook.cells)


_SOUND = json.dumps(
    {"cells": [{"cell_type": "code", "source": "def f(x):\n    return x", "outputs": [],
                "metadata": {}}], "metadata": {}, "nbformat": 4}
).encode()  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(_SOUND) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_notebook_is_read_or_refused_in_one_line(changes):
    raw = bytearray(_SOUND)
    for place, byte in changes:
        raw[place] = byte
    try:
        parse(bytes(raw))
    except SubmissionError as error:
        assert "\n" not in str(error)


def test_a_notebook_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(v4("x = 1" * 1000)))
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    with pytest.raises(SubmissionError, match="clear its outputs"):
        read_notebook(path)


def test_too_many_cells_and_too_many_values_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_CELLS", 10)
    assert "11 cells" in refusal(json.dumps(v4(*["x"] * 11)).encode())
    monkeypatch.setattr(module, "MAX_JSON_ITEMS", 1000)
    assert "millions of values" in refusal(b'{"cells": [' + b"[]," * 1000 + b"[]]}")


def test_a_megabyte_of_code_is_refused():
    assert "move data out" in refusal(json.dumps(v4("x = 1\n" * 200_000)).encode())


def test_stored_outputs_beyond_the_limit_are_left_out_with_a_note(monkeypatch):
    monkeypatch.setattr(module, "MAX_OUTPUT_CHARS", 1000)
    document = v4("a", "b", "c")
    for cell, size in zip(document["cells"], (10, 5000, 10), strict=True):
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * size}]
    notebook = parse(document)
    assert [len(cell.outputs) for cell in notebook.cells] == [1, 0, 0]
    assert [note.kind for note in notebook.notes] == ["outputs_dropped"]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SubmissionError, match="can't be read"):
        read_notebook(tmp_path / "gone.ipynb")


def test_the_name_in_reports_may_be_another_than_the_files(tmp_path):
    (tmp_path / "a.ipynb").write_text(json.dumps(v4("x")))
    assert read_notebook(tmp_path / "a.ipynb", name="pw02/a.ipynb").name == "pw02/a.ipynb"


def test_what_nbformat_itself_writes_is_read():
    cells = [nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("x = 1")]
    text = nbformat.writes(nbformat.v4.new_notebook(cells=cells))
    assert [cell.kind for cell in parse(text.encode()).cells] == ["markdown", "code"]


# --- scripts ------------------------------------------------------------------------------------


def script(text):
    return parse_notebook(text.encode(), name="hw1-q2.py")


def test_a_script_is_one_code_cell():
    notebook = script("import utils\n\n\ndef f():\n    return 1\n")
    assert sources(notebook) == ["import utils\n\n\ndef f():\n    return 1"]
    assert list(notebook.definitions) == ["f"]


def test_percent_cells_are_parted():
    notebook = script("# %% [markdown]\n# # Title\n# text\n\n# %%\nx = 1\n\n# %% plot\ny = 2\n")
    assert sources(notebook) == ["# Title\ntext", "x = 1", "y = 2"]
    assert [cell.kind for cell in notebook.cells] == ["markdown", "code", "code"]


def test_exported_cells_are_parted():
    notebook = script("#!/usr/bin/env python\n\n# In[1]:\n\n\nx = 1\n\n\n# In[ ]:\n\n\ny = 2\n")
    assert sources(notebook) == ["#!/usr/bin/env python", "x = 1", "y = 2"]


def test_a_script_that_parting_would_break_stays_whole():
    text = "def f():\n# %%\n    return 1"
    assert sources(script(text)) == [text]


def test_a_scripts_declared_encoding_holds():
    raw = "# -*- coding: latin-1 -*-\nname = 'Zoë'".encode("latin-1")
    assert sources(parse_notebook(raw, name="a.py"))[0].endswith("name = 'Zoë'")
    assert sources(parse_notebook("name = 'Zoë'".encode("cp1252"), name="a.py")) == ["name = 'Zoë'"]
