"""What fuzzing has found, and a little fuzzing: each target reads its corpus and a few inputs."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.fuzz.targets import BASE_S, TARGETS, Broken, Target

CORPUS = Path(__file__).with_name("corpus")
FOUND = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("file", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_is_read_or_refused(file):
    TARGETS[file.parent.name].run(file.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_inputs_of_each_kind_are_read_or_refused(name):
    @settings(max_examples=20)
    @given(TARGETS[name].strategy)
    def read(data):
        TARGETS[name].run(data)

    read()


def test_every_target_has_inputs_in_the_corpus():
    assert {path.parent.name for path in FOUND} == {*TARGETS}


def test_another_error_than_a_refusal_breaks_a_target():
    target = Target("t", TARGETS["frames"].strategy, lambda data: 1 / 0, (ValueError,))
    with pytest.raises(Broken, match="ZeroDivisionError"):
        target.run(b"")


def test_what_is_slow_for_its_bytes_breaks_a_target():
    def burn(data):
        end = time.process_time() + 2 * BASE_S
        while time.process_time() < end:
            pass

    with pytest.raises(Broken, match="s of processor time for 0 bytes"):
        Target("t", TARGETS["frames"].strategy, burn).run(b"")
