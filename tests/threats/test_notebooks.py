"""Notebooks that are none, or claim what they are not: graded as what they are, or refused."""

import json

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0
HALF = 5.0

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


@pytest.fixture(scope="module")
def none(toy, graded_together):
    """The verdicts on files that are no notebooks."""
    paths = {}
    for n, (title, content) in enumerate(NONE.items()):
        paths[title] = toy.handed_in / f"none-{n}.ipynb"
        paths[title].write_bytes(content)
    return graded_together(toy, paths)


@pytest.mark.parametrize("content", NONE)
def test_what_is_no_notebook_is_refused_in_one_line(none, content):
    assert none[content]["status"] == "refused"
    assert 10 < len(none[content]["message"]) < 300
    assert "\n" not in none[content]["message"]


def test_five_hundred_mib_of_output_are_refused_before_they_are_read(host):
    path = host.handed_in / "toy.ipynb"
    with path.open("wb") as out:
        out.write(b'{"cells": [], "metadata": {}, "pad": "')
        out.truncate(500 << 20)
    verdict = host.grade(path, host.right(name="honest"))
    assert "larger than 100 MiB" in verdict["toy"]["message"]
    assert verdict["honest"]["score"] == MAX
    path.unlink()


@pytest.fixture(scope="module")
def changed(toy, notebook_text, solution):
    """changed(kind, edit, name) -> a notebook whose JSON `edit` has changed."""

    def write(kind, edit, name):
        document = json.loads(notebook_text(solution(kind)))
        document = edit(document) or document
        path = toy.handed_in / f"{name}.ipynb"
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


@pytest.fixture(scope="module")
def odd_ones(toy, changed, graded_together):
    """The verdicts on right answers with something odd around them."""
    paths = {odd: changed("right", edit, f"odd-{n}") for n, (odd, edit) in enumerate(ODD.items())}
    return graded_together(toy, paths)


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_around_the_answer_costs_nothing(odd_ones, odd):
    assert odd_ones[odd]["score"] == MAX


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


@pytest.fixture(scope="module")
def claiming(toy, changed, graded_together):
    """The verdicts on half-right answers whose metadata claim something."""
    paths = {
        claim: changed("half", edit, f"claim-{n}") for n, (claim, edit) in enumerate(CLAIMS.items())
    }
    return graded_together(toy, paths)


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_metadata_claim_decides_nothing(claiming, claim):
    assert claiming[claim]["score"] == HALF
    assert "Somebody" not in str(claiming[claim])


def test_a_hundred_thousand_cells_are_refused(toy, changed, graded_together):
    def fill(document):
        document["cells"] += [{"cell_type": "markdown", "source": "#"}] * 100_000

    verdict = graded_together(toy, {"many": changed("right", fill, "many")})["many"]
    assert "cells" in verdict["message"]
