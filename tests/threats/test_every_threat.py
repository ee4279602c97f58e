"""SECURITY.md's table names each threat's tests: none gets lost, and none is missing there."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_user

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "SECURITY.md"
# What is no threat of a submission's: the other side, and this very file.
OTHER = {
    "test_honest.py",
    "test_faults_of_ours.py",
    "test_every_threat.py",
    "test_killed_runs.py",
    "test_injected_faults.py",
    "test_machines.py",
}


def rows():
    """{number of the threat: the modules that test it}"""
    lines = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
    return {int(number): re.findall(r"`(test_\w+\.py)`", cell) for number, cell in lines}


def test_the_table_has_every_threat():
    numbers = [*rows()]
    assert numbers == sorted(set(numbers))
    assert {*range(1, 23)} <= set(numbers)


@pytest.mark.parametrize("number", rows())
def test_each_threat_has_tests(number):
    modules = rows()[number]
    assert modules
    for module in modules:
        assert re.search(r"^def test_", (HERE / module).read_text(), re.MULTILINE), module


def test_each_module_of_tests_stands_in_the_table():
    named = {module for modules in rows().values() for module in modules}
    assert {path.name for path in HERE.glob("test_*.py")} == named | OTHER


def test_every_module_named_on_the_page_is_there():
    for module in re.findall(r"`(test_\w+\.py)`", PAGE.read_text()):
        assert (HERE / module).is_file(), module


def inputs():
    """[(where an input is bounded, the test)] of the table of all that a student controls."""
    _, _, rest = PAGE.read_text().partition("## What a student controls")
    table, _, _ = rest.partition("\n## ")
    return [tuple(line.split(" | ")[1:3]) for line in table.splitlines() if line.startswith("| ")][
        1:
    ]


def test_the_table_of_inputs_is_read():
    assert len(inputs()) > 20


@pytest.mark.parametrize(("bounded", "test"), inputs())
def test_each_input_is_bounded_where_the_page_says_by_a_test_that_is_there(bounded, test):
    for place in re.findall(r"`([\w/]+(?:\.py|/))`", bounded):
        assert (PAGE.parent / "grader" / place).exists(), place
    file, _, name = test.strip(" |`").partition("::")
    text = (HERE.parent / file).read_text()
    assert re.search(rf"^def {name or 'test_'}", text, re.MULTILINE), test
