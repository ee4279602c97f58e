"""docs/values.md and docs/asserts.md: every example runs, every function is there as it is."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import grader.checks
from grader.session.proxies import Live, Remote
from grader.session.replies import Observation
from grader.session.student import Student

DOCS = Path(__file__).resolve().parents[2] / "docs"
VALUES = (DOCS / "values.md").read_text(encoding="utf-8")
ASSERTS = (DOCS / "asserts.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python(?P<for> [\w ]+)?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
SECTION = re.compile(
    r"^### (?P<name>\w+)\n\n```text\n(?P<signature>.*?)^```\n\n(?P<sentence>[^\n]+)\n\n"
    r"```python(?P<for> torch)?\n(?P<example>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)

FIGURES = """
def figures_of_the_test():
    x = np.linspace(0, 6, 61)
    halves = np.where(np.linspace(-1, 1, 20) > 0, 1.0, 0.0) * np.ones((20, 1))
    def axes(**parts):
        kept = dict(title="", xlabel="", ylabel="", xscale="linear", yscale="linear", legend=[],
                    lines=[], images=[], extents=[], contours=[], bars=np.zeros((0, 3)), points=[])
        return {**kept, **parts}
    sine = axes(title="Sine", xlabel="x", ylabel="sin(x)", legend=["sine"],
                lines=[dict(x=x, y=np.sin(x), label="sine")])
    bars = np.stack([np.arange(4.0), np.arange(4.0) + 1, np.array([1.0, 3.0, 4.0, 2.0])], 1)
    regions = axes(images=[halves], extents=[np.array([-1.0, 1.0, -1.0, 1.0])])
    image = axes(images=[np.eye(8)], extents=[np.array([-0.5, 7.5, 7.5, -0.5])])
    return [dict(cell=4, axes=[one]) for one in (sine, axes(bars=bars), image, regions)]
"""


def blocks(page, kind):
    return [b["text"] for b in BLOCK.finditer(page) if (b["for"] or "").strip() == kind]


def run(text, student, **names):
    scope = {"student": student, "np": np, **names}
    exec(compile(text, "<page>", "exec"), scope)
    return scope


@pytest.fixture
def on_values(student_of):
    (notebook,) = blocks(VALUES, "notebook")
    return student_of(notebook)


@pytest.mark.parametrize("number", range(len(blocks(VALUES, ""))))
def test_an_example_about_values_runs(on_values, number):
    run(blocks(VALUES, "")[number], on_values)


def functions_of(owner):
    return [name for name in vars(owner) if not name.startswith("_")]


@pytest.mark.parametrize("owner", [Student, Remote, Live, Observation], ids=lambda o: o.__name__)
def test_all_that_can_be_done_is_on_the_page(owner):
    own = {*functions_of(owner), *getattr(owner, "__dataclass_fields__", {})}
    # `close` is the fixture's.
    for name in own - {"close"}:
        assert re.search(rf"\b{name}\b", VALUES), (
            f"{owner.__name__}.{name} is not in docs/values.md"
        )


# --- each check ---------------------------------------------------------------------------------

SECTIONS = {section["name"]: section for section in SECTION.finditer(ASSERTS)}
FUNCTIONS = [
    name for name in grader.checks.__all__ if inspect.isfunction(getattr(grader.checks, name))
]


@pytest.fixture(scope="module")
def preamble():
    return blocks(ASSERTS, "")[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_check_stands_there_with_its_parameters_and_its_sentence(name):
    assert name in SECTIONS, f"docs/asserts.md lacks {name}"
    function = getattr(grader.checks, name)
    section = SECTIONS[name]
    told = " ".join(section["signature"].split())
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        due = parameter.name
        if parameter.default is not parameter.empty:
            due = f"{parameter.name}={parameter.default!r}"
        assert re.search(rf"[(* ]{re.escape(due)}[,)]", told), f"{name} has {due}"
    assert told.count(",") + 1 >= len(parameters)
    sentence = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    assert section["sentence"] == sentence


def test_nothing_stands_there_that_is_gone():
    assert set(SECTIONS) == set(FUNCTIONS)


@pytest.fixture
def on_asserts(student_of):
    (notebook,) = blocks(ASSERTS, "notebook")
    return student_of(notebook + FIGURES)


@pytest.mark.parametrize("name", [n for n in SECTIONS if not SECTIONS[n]["for"]])
def test_the_example_of_a_check_runs(on_asserts, preamble, name):
    if "pandas" in SECTIONS[name]["example"]:
        pytest.importorskip("pandas")
    assert re.search(rf"\b{name}\(", SECTIONS[name]["example"])
    run(preamble + SECTIONS[name]["example"], on_asserts, figures=on_asserts.figures)


@pytest.mark.parametrize("name", [n for n in SECTIONS if SECTIONS[n]["for"]])
def test_the_example_of_a_check_of_torch_runs(student_of, preamble, name):
    pytest.importorskip("torch")
    (notebook,) = blocks(ASSERTS, "notebook torch")
    run(preamble + SECTIONS[name]["example"], student_of(notebook))
