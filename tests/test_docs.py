"""The page for instructors, followed to the letter: its files written, its commands run."""

import dataclasses
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import grader.checks
from grader.records import Exercise, Limits, Rules
from grader.verify.samples import KEYS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "writing-an-assignment.md").read_text(encoding="utf-8")
FOLDER = "/home/me/course"  # where the page's author stood

BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.M)


def steps():
    """Yield what a reader does, in order: ("file", name, text) or ("command", command, output)."""
    for block in BLOCK.finditer(PAGE):
        if block["file"]:
            yield "file", block["file"], block["text"]
        elif block["kind"] == "console":
            for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield "command", command, output


def run(command, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = dict(os.environ, PATH=path, COLUMNS="80", NO_COLOR="1")
    for name in ("GRADE_ASSIGNMENTS", "GRADE_DATA"):
        environment.pop(name, None)
    # What earlier runs on this machine have kept is not the reader's.
    environment["GRADE_RESULTS"] = "none"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    return done.stdout.replace(str(folder), FOLDER)


def without_times(text):
    """Return the lines with seconds blanked: the `time` row, the last column of the table."""
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    lines = [re.sub(r"^(time +)\d+ s$", r"\1... s", line) for line in lines]
    # Where the machine is busy, a mutant may run out of time before its value is judged.
    lines = [re.sub(r" \(\d+ by the clock\)", "", line) for line in lines]
    return [re.sub(r"(\d+/\d+) +\d+\.\d\d$", r"\1 ...", line) for line in lines]


@pytest.mark.slow
def test_the_page_leads_from_a_solved_notebook_to_a_verified_assignment(tmp_path):
    done = 0
    for kind, name, text in steps():
        if kind == "file":
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
            continue
        done += 1
        assert without_times(run(name, tmp_path)) == without_times(text), name
    assert done >= 7
    assert (tmp_path / "pages" / "Lovelace_Ada.html").is_file()


# --- the tables -----------------------------------------------------------------------------


def rows(*, below):
    """Return the first table below this line of the page, as lists of cells, without its head."""
    lines = PAGE.split(f"\n{below}\n", 1)[1].lstrip("\n").split("\n")
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table[2:]


def names(table):
    return [name for row in table for name in re.findall(r"`([^`]+)`", row[0])]


def table_of_checks():
    """Return the table of grader.checks: each function with its docstring's first sentence."""
    lines = ["| function | what it does |", "|---|---|"]
    for name in grader.checks.__all__:
        function = getattr(grader.checks, name)
        if inspect.isfunction(function):
            sentence = inspect.getdoc(function).split("\n\n")[0].replace("\n", " ")
            lines.append(f"| `{name}` | {sentence.replace('|', '&#124;')} |")
    return "\n".join(lines)


def test_the_table_of_checks_is_what_the_package_offers():
    assert table_of_checks() in PAGE, f"put this table into the page:\n{table_of_checks()}"


def test_the_table_of_limits_has_each_limit_with_its_default():
    defaults = {f.name: f"`{f.default}`" for f in dataclasses.fields(Limits)}
    assert {names([row])[0]: row[2] for row in rows(below="Limits:")} == defaults


def test_the_tables_of_rules_and_exercises_have_each_key():
    assert names(rows(below="Rules:")) == [f.name for f in dataclasses.fields(Rules)]
    told = names(rows(below="An exercise:"))
    assert sorted(told) == sorted(f.name for f in dataclasses.fields(Exercise))


def test_the_table_of_samples_has_each_key():
    told = [name.strip("[]") for name in names(rows(below=SAMPLES))]
    assert sorted(told) == sorted(KEYS)


SAMPLES = "`samples/<name>.toml` holds one sample, a change of one solved notebook:"


def test_the_survivor_that_it_quotes_is_a_real_one():
    (block,) = [b for b in BLOCK.finditer(PAGE) if b["kind"] == "toml" and not b["file"]]
    quoted = tomllib.loads(block["text"])
    real = tomllib.loads((ROOT / "reference" / "pw02" / "survivors.toml").read_text())
    for notebook, explained in quoted.items():
        assert explained.items() <= real[notebook].items()


def test_the_readme_leads_to_the_page():
    assert "docs/writing-an-assignment.md" in (ROOT / "README.md").read_text()
