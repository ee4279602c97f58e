"""A class that is graded in parts, on as many machines, is the class that one machine grades."""

import json
import subprocess
import sys

import pytest

from .conftest import regrade_with_another_check


def results(klass, *options, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "grader", "results", *map(str, options)],
        env=klass.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def in_parts(klass):
    """Five submissions in three parts, the results of each in a file of its own."""
    klass.fill(5)
    parts, kept = klass.root / "parts", klass.results
    parts.mkdir()
    found = []
    for number in (1, 2, 3):
        klass.results = parts / f"part-{number}.sqlite"
        report, _ = klass.grade("--jobs", "1", "--shard", f"{number}/3")
        found.append([one["path"] for one in json.loads(report)["submissions"]])
    klass.results = kept
    return found


def test_the_parts_are_disjoint_and_joined_they_are_the_class(klass, in_parts, without_times):
    whole, _ = klass.grade("--jobs", "1")
    paths = sorted(path for part in in_parts for path in part)
    assert paths == sorted(one["path"] for one in json.loads(whole)["submissions"])
    stdout, said = results(klass, "--merge", klass.root / "parts", "--json", "-")
    filled = sum(bool(part) for part in in_parts)
    assert f"5 submissions of {filled} parts are one run, the latest" in said

    def by_path(text):
        return sorted(json.loads(without_times(text))["submissions"], key=lambda one: one["path"])

    assert by_path(stdout) == by_path(whole)


def test_parts_that_were_graded_otherwise_or_twice_are_not_joined(klass, in_parts):
    part = klass.root / "parts" / "again.sqlite"
    klass.results, kept = part, klass.results
    klass.grade("--jobs", "1")
    klass.results = kept
    _, said = results(klass, "--merge", klass.root / "parts", code=2)
    assert "is in again.sqlite and in part-" in said
    part.unlink()
    klass.results = part
    klass.grade("--jobs", "1", "--seed", "3")
    klass.results = kept
    _, said = results(klass, "--merge", klass.root / "parts", code=2)
    assert "parts of one class are graded alike" in said
    assert not kept.exists()


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "-1/2", "1/0"])
def test_a_part_that_there_is_not_is_refused(klass, shard):
    klass.fill(1)
    _, said = klass.grade("--shard", shard, code=2)
    assert "is not a part such as 3/16" in said


@pytest.mark.slow
def test_a_class_of_parts_is_graded_again_without_a_notebook(klass, in_parts):
    results(klass, "--merge", klass.root / "parts")
    assert "5 submissions: 5 from kept answers" in regrade_with_another_check(klass)
