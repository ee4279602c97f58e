"""Hostile LaTeX in a written derivation is "not read", in bounded work, and costs no points."""

import json

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0

DERIVATION = r"""
[[exercises]]
id = "written"
title = "The derivative of the sigmoid, written"
kind = "derivation"
points = 2

[exercises.derivation]
file = "work.md"
symbols = { z = "real", x = "real" }
given = ['\sigma(z) = \frac{1}{1 + e^{-z}}']

[[exercises.derivation.reach]]
last = '\sigma(z)(1 - \sigma(z))'
points = 2
"""

HOSTILE = {
    "tower": r"$$2^{9^{9^{9}}} = 1$$",
    "tower-of-e": "$$" + "e^{" * 60 + "z" + "}" * 60 + " = 1$$",
    "letters": "$$" + "x z " * 200 + "= 1$$",
    "braces": "$$" + "{" * 1_000_000 + "$$",
    "sums": ("$$" + r"\sum_{k=1}^{200} " * 8 + "x = 1$$\n\n") * 40,
    "readings": ("$$" + r"\frac{d}{dx} x z \log x z " * 30 + "= 1$$\n\n") * 40,
    "openings": "\\begin{align}$" * 200_000,
    "nothing but nul": "\x00" * 1_000_000,
}
RIGHT = r"$$\sigma'(z) = \frac{e^{-z}}{(1+e^{-z})^2} = \sigma(z)(1-\sigma(z))$$"


@pytest.fixture
def written(host):
    """The host, whose assignment asks for a derivation as well."""
    file = host.assignments / "toy" / "assignment.toml"
    file.write_text(file.read_text() + DERIVATION)
    return host


def derivation_of(submission):
    return next(e for e in submission["exercises"] if e["id"] == "written")["derivation"]


def test_hostile_latex_is_not_read_and_costs_no_points(written):
    zips = [written.right(name=name, files={"work.md": text}) for name, text in HOSTILE.items()]
    honest = written.right(name="honest", files={"work.md": RIGHT})

    graded = written.grade(*zips, honest)

    for name in HOSTILE:
        assert graded[name]["score"] == MAX, name
        counts = derivation_of(graded[name])["counts"]
        assert counts["differs"] == counts["follows"] == 0, name
    assert derivation_of(graded["honest"])["suggested_points"] == 2


def test_markup_in_a_derivation_is_text_on_the_page(written):
    evil = (
        r"$$\sigma(z) = \text{<script>document.title='CANARY'</script>}$$"
        r" $$\href{javascript:x}{z} = z$$"
    )
    page = written.root / "pages"

    written.run(written.right(files={"work.md": evil}), options=("--html", str(page)))

    shown = "".join(path.read_text() for path in page.rglob("*.html"))
    assert "<script" not in shown
    assert 'href="javascript' not in shown


def test_a_derivation_is_no_way_out_of_what_was_handed_in(written):
    graded = written.grade(written.right(files={"deep/work.md": RIGHT, "work.md/x": "y"}))

    text = json.dumps(graded.report)
    assert "KEEP-secret-OUT" not in text
    assert graded["right"]["score"] == MAX
