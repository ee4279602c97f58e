"""Where a derivation's text is found, and the process of its own that follows it."""

from dataclasses import replace
from pathlib import Path

import pytest

from grader.derivation.answers import Job, derivations_of, followed_in_process, text_of
from grader.records import (
    Assignment,
    Cell,
    DerivationTarget,
    DerivationTask,
    Exercise,
    Notebook,
)

SHEET = {"symbols": {"z": "real"}, "given": [r"\sigma(z) = \frac{1}{1+e^{-z}}"]}
TARGET = DerivationTarget(r"\sigma(z)(1-\sigma(z))", of=r"\sigma'(z)", least=2, points=3)
RIGHT = r"$$\sigma'(z) = \frac{e^{-z}}{(1+e^{-z})^2} = \sigma(z)(1-\sigma(z))$$"
SLIP = r"$$\sigma'(z) = -\sigma(z)(1-\sigma(z))$$"


def notebook(*cells: str, tags: tuple[str, ...] = ()) -> Notebook:
    return Notebook(
        "a.ipynb",
        tuple(
            Cell(n, "markdown", text, metadata={"tags": list(tags)}) for n, text in enumerate(cells)
        ),
    )


STUB = notebook("## 1", "#### Answer 1", "## 2")


def assignment(task: DerivationTask, *, headings: tuple[str, ...] = ()) -> Assignment:
    exercise = Exercise(
        "1", "Sigmoid", 3, "a.ipynb", manual=True, answer_cells=headings, derivation=task
    )
    return Assignment("toy", "Toy", Path(), (exercise,), ("a.ipynb",), (), stubs={"a.ipynb": STUB})


def test_cells_under_the_heading_are_the_text_and_lines_are_counted_within_them(tmp_path):
    handed_in = notebook("## 1", "#### Answer 1", "Two lines\nand\n" + SLIP, "## 2", SLIP)
    sheet = assignment(DerivationTask(SHEET), headings=("Answer 1",))

    found = derivations_of(sheet, {"a.ipynb": handed_in}, tmp_path)["1"]

    assert [(s.cell, s.line, s.verdict) for s in found.steps] == [(2, 3, "differs")]


def test_cells_with_the_tag_are_the_text(tmp_path):
    handed_in = notebook(RIGHT, tags=("derivation-1",))
    sheet = assignment(DerivationTask(SHEET, tag="derivation-1"))

    found = derivations_of(sheet, {"a.ipynb": handed_in}, tmp_path)["1"]

    assert [s.verdict for s in found.steps] == ["follows", "follows"]


@pytest.mark.parametrize(
    ("name", "heading", "after"),
    [("work.md", "## 1", "## 2"), ("Work.TEX", r"\section{1}", r"\section{2}")],
)
def test_a_section_of_a_file_is_the_text(tmp_path, name, heading, after):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / name).write_text(
        f"{heading}\n{RIGHT}\n{after}\n{SLIP}\n", encoding="utf-8"
    )
    task = DerivationTask(SHEET, (TARGET,), file=name.casefold())
    sheet = assignment(task, headings=("1",))

    found = derivations_of(sheet, {}, tmp_path)["1"]

    assert [(s.line, s.verdict) for s in found.steps] == [(2, "follows"), (2, "follows")]
    assert found.suggested == 3


def test_a_link_in_what_was_handed_in_is_not_followed(tmp_path):
    secret = tmp_path / "secret.md"
    secret.write_text(RIGHT, encoding="utf-8")
    folder = tmp_path / "handed_in"
    folder.mkdir()
    (folder / "work.md").symlink_to(secret)

    sheet = assignment(DerivationTask(SHEET, file="work.md"))

    assert text_of(sheet.exercises[0], sheet, {}, folder).text == ""


def test_nothing_written_is_said_and_what_must_be_reached_stays_open(tmp_path):
    sheet = assignment(DerivationTask(SHEET, (TARGET,)), headings=("Answer 1",))

    found = derivations_of(sheet, {"a.ipynb": STUB}, tmp_path)["1"]

    assert "nothing is written" in found.note
    assert [(r.found, r.points) for r in found.reached] == [(False, 3)]
    assert found.suggested == 0


def test_a_doubt_on_the_way_suggests_no_points(tmp_path):
    lost = r"$$\sigma'(z) = \frac{e^{z}}{(1+e^{-z})^2}"
    text = lost + r" = \frac{e^{-z}}{(1+e^{-z})^2} = \sigma(z)(1-\sigma(z))$$"
    (found,) = followed_in_process([Job(text, SHEET, (replace(TARGET, least=1),))])

    assert found.reached[0].found
    assert found.reached[0].doubtful
    assert found.suggested == 0


def test_each_text_comes_back_in_its_place():
    found = followed_in_process([Job(RIGHT, SHEET), Job("no formula", SHEET), Job(SLIP, SHEET)])

    assert [len(one.steps) for one in found] == [2, 0, 1]


def test_a_declaration_that_cannot_be_read_is_said_and_costs_nothing():
    (found,) = followed_in_process([Job(RIGHT, {"symbols": {"z": "imaginary"}})])

    assert "what the assignment declares can't be read" in found.note
    assert found.steps == ()


def test_texts_that_a_dead_process_leaves_are_not_followed(monkeypatch):
    import subprocess

    def dies(*args, **kwargs):
        return subprocess.CompletedProcess(args, -9, stdout=b"", stderr=b"")

    monkeypatch.setattr(subprocess, "run", dies)

    found = followed_in_process([Job(RIGHT, SHEET), Job(SLIP, SHEET)])

    assert [one.note for one in found] == ["the process that follows it was stopped"] * 2
