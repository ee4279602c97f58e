"""`grade review`, the command: the address it prints opens, and Ctrl-C ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from grader.cli.commands import run as run_command
from grader.errors import ReviewError
from grader.review.rights import RIGHTS, USUAL, read_graders


@pytest.fixture
def command(klass, tmp_path):
    """command(*options) -> a process of `grade review` over a class of three."""
    made = klass(3)
    started = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "grader", "review", *map(str, options)],
            env={**os.environ, "GRADE_RESULTS": str(made.file)},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_it_prints_an_address_that_opens_and_ends_by_ctrl_c(command):
    process = command()
    assert process.stdout.readline() == "Toy: run 1, 3 submissions\n"
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    with urlopen(address, timeout=60) as answer:
        assert "SameSite=Strict" in answer.headers["set-cookie"]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "all marks are kept" in said
    assert "Traceback" not in said
    assert "no solution is shown" in said  # the assignment isn't found from here


def test_each_grader_of_the_file_gets_an_address(command, tmp_path):
    (tmp_path / "g.toml").write_text('[[graders]]\nname = "ann"\n[[graders]]\nname = "ben"\n')
    process = command("--graders", "g.toml")
    process.stdout.readline()
    lines = [process.stdout.readline() for _ in range(2)]
    assert [line.partition(": http")[0] for line in lines] == ["ann", "ben"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("99",), "There is no run '99'; there is: latest, 1"),
        (("--port", "99999"), "99999"),
        (("--graders", "none.toml"), "does not exist"),
    ],
)
def test_a_slip_is_told_in_a_line(command, options, told):
    process = command(*options)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told in said and "Traceback" not in said


def test_a_port_that_is_taken_is_told(command):
    first = command()
    first.stdout.readline()
    port = first.stdout.readline().split(":")[2].partition("/")[0]
    second = command("--port", port)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"port {port} of 127.0.0.1 can't be opened" in said


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("grader.cli.review.find_spec", lambda name: None)
    assert run_command(["review"]) == 2
    assert "pip install 'numgrade[review]'" in capsys.readouterr().err


def test_plain_grade_loads_nothing_of_the_pages():
    code = "import sys, grader.cli.commands, grader.cli.results\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"starlette", "uvicorn", "grader.review", "jinja2"} & set(loaded)


# --- the file of rights -------------------------------------------------------------------------


def graders(tmp_path, text):
    file = tmp_path / "graders.toml"
    file.write_text(text)
    return read_graders(Path(file))


def test_rights_are_those_of_the_file_and_the_usual_ones_without(tmp_path):
    ann, ben = graders(tmp_path, '[[graders]]\nname="ann"\nmay=["mark"]\nexercises=["a"]\n'
                                 '[[graders]]\nname="ben"\n')  # fmt: skip
    assert (ann.may, ann.exercises) == ({"mark"}, {"a"})
    assert ben.may == set(USUAL) < set(RIGHTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "missing required field `graders`"),
        ('[[graders]]\nname=""', "needs a name"),
        ('[[graders]]\nname="a"\nmay=["dance"]', "a may 'dance': the rights are mark, rubric"),
        ('[[graders]]\nname="a"\n[[graders]]\nname="A"', "no two graders the same"),
        ('[[graders]]\nname="a"\nright=1', "right"),
        ("graders = []", "at least one grader"),
        ("[[graders", "TOML"),
    ],
)
def test_a_mistake_in_the_rights_is_told(tmp_path, text, told):
    with pytest.raises(ReviewError) as caught:
        graders(tmp_path, text)
    assert told.lower() in str(caught.value).lower()


# --- killed -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_that_is_killed_has_lost_and_doubled_no_change():
    """Four graders at once, then kill -9; the script of docs/reviewing.md, for a small class."""
    script = Path(__file__).parents[1] / "benchmarks" / "review_load.py"
    done = subprocess.run(
        [sys.executable, script, "--seconds", "5", "--students", "24", "--questions", "6"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lost 0, doubled 0, from nowhere 0" in done.stdout
    changes = int(done.stdout.partition(" changes in")[0].rpartition("\n")[2])
    assert changes > 20
