"""Notebooks that are none, or claim what they are not: graded as what they are, or refused."""

import json

import pytest

MAX = 8.0

NONE = {
    "no JSON": b"I did not do it",
    "half a JSON": b'{"cells": [{"cell_type": "code", "source": "x',
    "JSON of another kind": b'{"name": "package", "version": "1.0"}',
    "a list": b"[]",
    "a number": b"8",
    "NUL bytes alone": bytes(5000),
    "nothing": b"",
    "brackets without end": b"[" * 100_000,
    "a number of a million digits": b'{"cells": ' + b"9" * 10**6 + b"}",
    "a million cells": b'{"cells": [' + b"{}," * 10**6 + b"{}]}",
    "a merge conflict": b'{"cells": [\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n]}',
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a web page": b"<!DOCTYPE html><script>alert(1)</script>",
    "cells that are no list": b'{"cells": {"0": {}}, "metadata": {}}',
}


@pytest.mark.parametrize("content", NONE)
def test_what_is_no_notebook_is_refused_in_one_line(host, content):
    (host.handed_in / "toy.ipynb").write_bytes(NONE[content])
    verdict = host.grade(host.handed_in / "toy.ipynb", host.right(name="honest"))
    assert verdict["toy"]["status"] == "refused"
    assert 10 < len(verdict["toy"]["message"]) < 300
    assert "\n" not in verdict["toy"]["message"]
    assert verdict["honest"]["score"] == MAX


def test_five_hundred_mib_of_output_are_refused_before_they_are_read(host):
    path = host.handed_in / "toy.ipynb"
    with path.open("wb") as out:
        out.write(b'{"cells": [], "metadata": {}, "pad": "')
        out.truncate(500 << 20)
    verdict = host.grade(path, host.right(name="honest"))
    assert "larger than 100 MiB" in verdict["toy"]["message"]
    assert verdict["honest"]["score"] == MAX
    path.unlink()


@pytest.fixture
def changed(host, notebook_text, solution):
    """changed(kind, edit) -> a notebook whose JSON `edit` has changed."""

    def write(kind, edit, name="toy"):
        document = json.loads(notebook_text(solution(kind)))
        document = edit(document) or document
        path = host.handed_in / f"{name}.ipynb"
        path.write_text(json.dumps(document))
        return path

    return write


def outputs(document):
    big = {"output_type": "stream", "name": "stdout", "text": "x" * (20 << 20)}
    document["cells"][0]["outputs"] = [big]


def empty_cells(document):
    document["cells"] += [
        {"cell_type": "code", "source": "", "metadata": {}, "outputs": []} for _ in range(4000)
    ]


def odd_cells(document):
    document["cells"] += [7, None, [], "text", {}, {"cell_type": "code"}, {"source": 9},
                          {"cell_type": "code", "source": ["a = 1", 5], "outputs": 3}]  # fmt: skip


ODD = {
    "20 MiB of stored output": outputs,
    "four thousand empty cells": empty_cells,
    "cells that are none": odd_cells,
    "no metadata": lambda d: d.pop("metadata") and None,
    "metadata that are no object": lambda d: d.update(metadata=[1, 2]),
    "another version": lambda d: d.update(nbformat=99, nbformat_minor="x"),
    "ids that come twice": lambda d: [c.update(id="same") for c in d["cells"]] and None,
    "sources in lists": lambda d: (
        [c.update(source=c["source"].splitlines(True)) for c in d["cells"]] and None
    ),
    "NUL bytes in a source": lambda d: d["cells"].append(
        {"cell_type": "code", "source": "a = '\0'\n\0", "metadata": {}, "outputs": []}
    ),
    "a lone surrogate": lambda d: d["cells"].append(
        {"cell_type": "code", "source": "a = '\ud800'", "metadata": {}, "outputs": []}
    ),
    "a kernelspec that runs a program": lambda d: d.update(
        metadata={"kernelspec": {"name": "evil", "argv": ["touch", "/tmp/MARK"]}}
    ),
    "another language": lambda d: d.update(
        metadata={"kernelspec": {"name": "ir", "language": "R"}, "language_info": {"name": "R"}}
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_around_the_answer_costs_nothing(host, changed, odd):
    assert host.grade(changed("right", ODD[odd]))["toy"]["score"] == MAX


CLAIMS = {
    "points": lambda d: d["metadata"].update(
        grade={"score": 8, "points": 8}, nbgrader={"score": 8}, points=8
    ),
    "points in cells": lambda d: (
        [
            c["metadata"].update(
                nbgrader={"grade": True, "points": 8, "score": 8}, otter={"points": 8}
            )
            for c in d["cells"]
        ]
        and None
    ),
    "another assignment": lambda d: d["metadata"].update(
        grade={"assignment": "pw99", "notebook": "other.ipynb"}
    ),
    "another student": lambda d: d["metadata"].update(
        authors=[{"name": "Somebody Else"}], grade={"students": ["Somebody Else"]}
    ),
    "to be solved": lambda d: (
        [c["metadata"].update(tags=["solution", "skip-execution"]) for c in d["cells"]] and None
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_metadata_claim_decides_nothing(host, changed, claim):
    wrong = changed("wrong", CLAIMS[claim], "wrong")
    right = changed("right", CLAIMS[claim], "right")
    verdict = host.grade(wrong, right)
    assert verdict["wrong"]["score"] == 0.0
    assert verdict["right"]["score"] == MAX
    assert "Somebody" not in str(verdict.report)


def test_a_hundred_thousand_cells_are_refused(host, changed):
    def fill(document):
        document["cells"] += [{"cell_type": "markdown", "source": "#"}] * 100_000

    verdict = host.grade(changed("right", fill), host.right(name="honest"))
    assert "cells" in verdict["toy"]["message"]
    assert verdict["honest"]["score"] == MAX
