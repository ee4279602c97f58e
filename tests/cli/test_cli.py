"""The command: what it prints, what it writes, how it exits. A made-up pipeline grades."""

import importlib
import json
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import pytest

import grader
from grader import cli
from grader.errors import AssignmentError, GraderFault, SubmissionError
from grader.records import ExerciseScore, Outcome, Report, Result


def graded(path="a.zip", score=3.0):
    check = Outcome("1", "values", "failed", score / 4, 4.0, message="the sign is wrong")
    exercise = ExerciseScore("1", "One", score, 4.0, "partial", (check,))
    return Result(path, ("Ann Bee",), "graded", score=score, max_score=4.0, exercises=(exercise,))


REFUSED = Result("b.zip", (), "refused", "the zip is cut off")
FAULT = Result("c.zip", (), "grader_fault", "the kernel did not start")


@pytest.fixture
def pipeline(monkeypatch):
    """The module that the command imports; `calls` keeps what it was asked."""
    fake = ModuleType("grader.pipeline")
    fake.calls = []
    fake.results = (graded(),)
    fake.error = None
    fake.files = []

    def grade(paths, request, *, held=None):
        options = vars(request) | {"held": held}
        fake.calls.append((list(map(str, paths)), options))
        if fake.error is not None:
            raise fake.error
        watch = options["progress"]
        watch.begin("pw02", "Gradient descent", options["seed"], [r.path for r in fake.results])
        for number, result in enumerate(fake.results):
            watch.doing(number, "running cell 1", 1)
            watch.done(number, result, False)
        return Report("pw02", "Gradient descent", options["seed"], tuple(fake.results))

    def write_stubs(ids, **options):
        fake.calls.append((list(ids), options))
        return fake.files

    fake.grade = grade
    monkeypatch.setattr("grader.authoring.templates.write_stubs", write_stubs)
    fake.cores = lambda: 4
    monkeypatch.setitem(sys.modules, "grader.pipeline", fake)
    monkeypatch.setattr(grader, "pipeline", fake, raising=False)
    return fake


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a.zip in it."""
    (tmp_path / "a.zip").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("GRADE_TRACEBACK", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


# --- grading ----------------------------------------------------------------------------------


def test_a_path_alone_is_graded_with_the_defaults(pipeline, folder, capsys):
    assert cli.run(["a.zip"]) == 0
    paths, options = pipeline.calls[0]
    assert paths == ["a.zip"]
    del options["progress"]
    assert options == {
        "assignment": None,
        "assignments": None,
        "only": (),
        "checks": (),
        "public": False,
        "seed": 0,
        "sandbox": "auto",
        "jobs": 4,
        "dask": None,
        "keep": True,
        "regrade": False,
        "part_of": None,
        "from_answers": False,
        "shard": None,
        "held": None,
        "apart": False,
        "share_cells": False,
        "split": None,
        "evidence": False,
    }
    assert "Total 3 / 4 points (75 %)" in capsys.readouterr().out


def test_every_option_reaches_the_pipeline_wherever_it_stands(pipeline, folder):
    arguments = "--seed 7 a.zip --only 1 --public --assignment pw02 --only 2 --assignments ."
    arguments += " --sandbox strict --jobs 3 --regrade --html pages"
    assert cli.run(arguments.split()) == 0
    _, options = pipeline.calls[0]
    assert options["seed"] == 7
    assert options["only"] == ("1", "2")
    assert options["public"] is True
    assert options["assignment"] == "pw02"
    assert options["sandbox"] == "strict"
    assert options["jobs"] == 3
    assert options["regrade"] is options["evidence"] is True
    assert str(options["assignments"]) == "."


def test_a_folder_named_like_a_command_is_graded_by_its_path(pipeline, folder):
    (folder / "stubs").mkdir()
    assert cli.run(["./stubs"]) == 0
    assert pipeline.calls[0][0] == ["stubs"]


def test_reports_are_written_where_they_are_asked_for(pipeline, folder):
    arguments = "a.zip --json out/scores.json --junit out/report.xml --html out/pages"
    assert cli.run(arguments.split()) == 0
    assert json.loads((folder / "out/scores.json").read_text())["schema"] == 1
    assert ElementTree.parse(folder / "out/report.xml").getroot().tag == "testsuites"
    assert "the sign is wrong" in (folder / "out/pages/a.html").read_text(encoding="utf-8")


def test_json_on_standard_output_has_it_for_itself(pipeline, folder, capsys):
    assert cli.run(["a.zip", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["submissions"][0]["score"] == 3.0
    assert "Total 3 / 4" in captured.err


def test_junit_on_standard_output_has_it_for_itself(pipeline, folder, capsys):
    assert cli.run(["a.zip", "--junit", "-"]) == 0
    assert ElementTree.fromstring(capsys.readouterr().out.encode()).tag == "testsuites"


@pytest.mark.parametrize(("environment", "told"), [("true", 1), ("", 0), ("false", 0)])
def test_in_github_actions_alone_what_failed_is_annotated(
    pipeline, folder, capsys, monkeypatch, environment, told
):
    monkeypatch.setenv("GITHUB_ACTIONS", environment)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    assert cli.run(["a.zip"]) == 0
    command = "::error file=a.zip,line=1,title=1 3 / 4::values: the sign is wrong"
    assert capsys.readouterr().out.splitlines().count(command) == told
    assert (folder / "summary.md").exists() == bool(told)
    assert pipeline.calls[0][1]["evidence"] is bool(told)
    # Standard output is for the report, where one goes there.
    cli.run(["a.zip", "--json", "-"])
    json.loads(capsys.readouterr().out)


# --- exit codes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "arguments", "code"),
    [
        ([graded()], "", 0),
        ([graded(score=0.0)], "", 0),
        ([graded()], "--fail-under 75", 0),
        ([graded()], "--fail-under 75.1", 1),
        ([graded(score=4.0), graded()], "--fail-under 80", 1),
        ([graded(score=3.2 - 1e-12)], "--fail-under 80", 0),
        ([graded(), REFUSED], "", 0),
        ([graded(), REFUSED], "--fail-under 10", 1),
        ([REFUSED], "", 2),
        ([REFUSED, REFUSED], "--fail-under 10", 2),
        ([], "", 2),
        ([graded(), FAULT], "", 3),
        ([FAULT, REFUSED], "--fail-under 10", 3),
    ],
)
def test_the_exit_code_is_the_gravest_that_happened(pipeline, folder, results, arguments, code):
    pipeline.results = results
    assert cli.run(["a.zip", *arguments.split()]) == code


def test_a_gate_that_closes_says_so(pipeline, folder, capsys):
    pipeline.results = [graded(), graded(score=4.0), REFUSED]
    cli.run(["a.zip", "--fail-under", "80"])
    assert capsys.readouterr().err.splitlines()[-1] == "grade: 2 of 3 under 80 %"


def test_a_submission_of_manual_items_alone_is_under_no_gate(pipeline, folder):
    pipeline.results = [Result("a.zip", (), "graded", manual_points=10.0)]
    assert cli.run(["a.zip", "--fail-under", "100"]) == 0


def test_a_refusal_is_one_clear_line_beside_the_others(pipeline, folder, capsys):
    pipeline.results = [graded(), REFUSED]
    cli.run(["a.zip"])
    assert "refused: the zip is cut off\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("missing.zip", "'missing.zip' does not exist"),
        ("", "Usage: grade"),
        ("a.zip --fail-under -1", "-1"),
        ("a.zip --fail-under 101", "101"),
        ("a.zip --fail-under nan", "nan is not a percentage"),
        ("a.zip --seed -1", "-1"),
        ("a.zip --seed x", "'x'"),
        ("a.zip --jobs 0", "0"),
        ("a.zip --jobs 2 --dask tcp://x:8786", "--dask for a cluster"),
        ("a.zip --assignments nowhere", "'nowhere' does not exist"),
        ("a.zip --sed 1", "--seed"),
        ("a.zip --json - --junit -", "can't both go to standard output"),
        ("a.zip --json out --junit ./out", "can't both go to out"),
        ("a.zip --html -", "--html takes a folder"),
        ("a.zip --json=", "A report needs a name"),
        ("a.zip --html=", "A report needs a name"),
        ("a.zip --json .", "Can't write .: it is a folder"),
        ("a.zip --json a.zip/x.json", "Can't write a.zip/x.json"),
        ("a.zip --junit a.zip/x.xml", "Can't write a.zip/x.xml"),
        ("a.zip --html a.zip", "Can't write a.zip: it is not a folder"),
        ("verfiy pw02", "'verfiy' does not exist. Did you mean `grade verify`?"),
        ("verify --seeds 0", "0"),
        ("verify --write-known --samples-only", "--write-known needs the mutants"),
        ("verify --write-known --no-mutants", "--write-known needs the mutants"),
        ("verify --write-known --watch", "what --watch looks at"),
        ("stubs --no-such", "--no-such"),
    ],
)
def test_a_mistake_in_the_usage_is_told_before_anything_is_graded(
    pipeline, folder, capsys, arguments, told
):
    assert cli.run(arguments.split()) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert "Traceback" not in captured.err
    assert pipeline.calls == []


@pytest.mark.parametrize("error", [AssignmentError, SubmissionError])
def test_what_the_user_must_put_right_is_one_line(pipeline, folder, capsys, error):
    pipeline.error = error("there is no assignment 'pw2'; did you mean pw02?")
    assert cli.run(["a.zip"]) == 2
    assert capsys.readouterr().err == "grade: there is no assignment 'pw2'; did you mean pw02?\n"


def test_student_text_in_an_error_is_harmless(pipeline, folder, capsys):
    pipeline.error = SubmissionError("\x1b]0;title\x07 \u202e.zip: not a zip\n::error::x")
    cli.run(["a.zip"])
    assert capsys.readouterr().err == "grade: \\u202e.zip: not a zip ::error::x\n"


# --- faults of ours ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("surprise"), "a fault of the grader: KeyError: 'surprise'"),
        (GraderFault("no kernel starts"), "a fault of the grader: no kernel starts"),
    ],
)
def test_a_fault_of_ours_is_one_line_and_a_file(pipeline, folder, capsys, error, told):
    pipeline.error = error
    assert cli.run(["a.zip"]) == 3
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert told in line
    (kept,) = folder.glob("grade-fault-*.txt")
    assert str(kept) in line
    assert "Traceback (most recent call last)" in kept.read_text()


def test_a_machine_without_a_process_left_is_told_with_what_to_do(pipeline, folder, capsys):
    pipeline.error = RuntimeError("can't start new thread")
    assert cli.run(["a.zip"]) == 3
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "the limit of processes is reached (`ulimit -u`" in line
    assert "call the command again" in line
    assert not list(folder.glob("grade-fault-*"))


def test_the_traceback_is_shown_when_it_is_asked_for(pipeline, folder, capsys, monkeypatch):
    pipeline.error = KeyError("surprise")
    assert cli.run(["a.zip", "--traceback"]) == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    monkeypatch.setenv("GRADE_TRACEBACK", "1")
    assert cli.run(["a.zip"]) == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert not list(folder.glob("grade-fault-*"))


def test_an_interrupt_ends_in_one_line_and_130(pipeline, folder, capsys):
    pipeline.error = KeyboardInterrupt()
    assert cli.run(["a.zip"]) == 130
    assert capsys.readouterr().err.strip() == "grade: interrupted"


def test_main_exits_with_the_code(pipeline, folder):
    pipeline.results = [REFUSED]
    with pytest.raises(SystemExit) as exit:
        cli.main(["a.zip"])
    assert exit.value.code == 2


# --- the other commands -----------------------------------------------------------------------


def test_stubs_names_what_it_wrote(pipeline, folder, capsys):
    pipeline.files = ["student_templates/pw02/sigmoid.ipynb"]
    assert cli.run(["stubs", "pw02"]) == 0
    assert pipeline.calls == [
        (["pw02"], {"assignments": None, "check": False, "yes_publish": False})
    ]
    assert capsys.readouterr().out == "student_templates/pw02/sigmoid.ipynb\n"


def test_stubs_check_fails_on_what_is_out_of_date(pipeline, folder, capsys):
    assert cli.run(["stubs", "--check"]) == 0
    assert capsys.readouterr().out == "up to date\n"
    pipeline.files = ["a.ipynb"]
    assert cli.run(["stubs", "--check"]) == 1
    assert "out of date: a.ipynb" in capsys.readouterr().out


@pytest.fixture
def verification(monkeypatch):
    """What `grade verify` imports."""
    fake = SimpleNamespace(calls=[], reports=[SimpleNamespace(passed=True, name="pw02")])

    def verify_assignments(ids, **options):
        fake.calls.append((list(ids), options))
        return fake.reports

    def render(console, report):
        console.print(f"[bold]{report.name}[/bold] holds")

    module = ModuleType("grader.verify")
    module.verify_assignments, module.render = verify_assignments, render
    module.as_json = lambda reports: json.dumps([report.name for report in reports])
    monkeypatch.setitem(sys.modules, "grader.verify", module)
    monkeypatch.setattr(grader, "verify", module, raising=False)
    return fake


def test_verify_shows_its_report_and_exits_by_its_verdict(verification, folder, capsys):
    assert cli.run(["verify", "pw02"]) == 0
    assert capsys.readouterr().out == "pw02 holds\n"
    verification.reports.append(SimpleNamespace(passed=False, name="hw1"))
    assert cli.run(["verify"]) == 1


@pytest.mark.parametrize(
    ("arguments", "seeds", "mutants"),
    [("", 50, True), ("--seeds 9 --no-mutants", 9, False), ("--samples-only", 0, False)],
)
def test_verify_passes_on_how_much_to_do(verification, folder, arguments, seeds, mutants):
    cli.run(["verify", *arguments.split()])
    _, options = verification.calls[0]
    assert (options["seeds"], options["mutants"]) == (seeds, mutants)


def test_verify_writes_json(verification, folder, capsys):
    assert cli.run(["verify", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == ["pw02"]
    assert captured.err == "pw02 holds\n"


FAKED = """
import sys
from types import ModuleType
from grader import cli
from grader.records import Report, Result
import grader
fake = ModuleType('grader.pipeline')
result = Result('a.zip', ('Zoé 王',), 'refused', 'no')
fake.grade = lambda paths, request, *, held=None: Report('a', '', 0, (result,) * 2000)
fake.cores = lambda: 1
sys.modules['grader.pipeline'] = grader.pipeline = fake
cli.main()
"""


def shell(command, folder, **environment):
    """Run a command line of bash in which $GRADE is `grade` over a pipeline that reads nothing."""
    (folder / "faked.py").write_text(FAKED, encoding="utf-8")
    environment = {**os.environ, "GRADE": f"{sys.executable} faked.py", **environment}
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )


def test_a_reader_that_has_enough_costs_no_file_and_is_no_verdict(folder):
    done = shell("$GRADE a.zip --json a.json | head -1; exit ${PIPESTATUS[0]}", folder)
    assert (done.returncode, done.stderr) == (cli.PIPE_CLOSED, "")
    assert done.stdout.count("\n") == 1
    assert len(json.loads((folder / "a.json").read_text())["submissions"]) == 2000


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "0<&- 1>&- 2>&-"])
def test_streams_that_are_closed_keep_nothing_from_its_end(folder, closed):
    done = shell(f"$GRADE a.zip --json a.json {closed}", folder)
    assert done.returncode == cli.WRONG_INPUT
    assert (folder / "a.json").exists()


def test_a_terminal_without_a_width_shows_the_report(folder):
    assert "Zoé" in shell("$GRADE a.zip", folder, COLUMNS="0").stdout


def test_a_folder_of_data_that_is_not_there_is_told(pipeline, folder, monkeypatch, capsys):
    monkeypatch.setenv("GRADE_DATA", "nowhere")
    assert cli.run(["a.zip"]) == 0
    assert "$GRADE_DATA names nowhere, which is not a folder" in capsys.readouterr().err
    assert cli.run(["a.zip", "--dask", "tcp://elsewhere:8786"]) == 0
    assert "GRADE_DATA" not in capsys.readouterr().err


def test_a_damaged_data_set_is_told_before_anything_is_graded(
    pipeline, folder, monkeypatch, capsys
):
    (folder / "mnist.npz").write_text("cut off")
    monkeypatch.setenv("GRADE_DATA", ".")
    assert cli.run(["a.zip"]) == 2
    assert "mnist.npz is damaged, or no npz file: import it again" in capsys.readouterr().err
    assert pipeline.calls == []


# --- how a command is chosen ------------------------------------------------------------------


def completions(line):
    """Return what the shell would be offered after this line; its last word is begun."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_GRADE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-c", "from grader.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("grade verify --se", ["plain,--seeds"]),
        ("grade --se", ["plain,--seed"]),
        ("grade a.zip --ju", ["plain,--junit"]),
        ("grade --seed 7 a.zip --sandbox s", ["plain,strict"]),
        ("grade ver", ["file,ver", "plain,verify"]),
        ("grade data im", ["plain,import"]),
        ("grade --traceback res", ["file,res", "plain,results"]),
        ("grade a", ["file,a"]),
        ("grade some", ["file,some"]),
        ("grade a.zip som", ["file,som"]),
    ],
)
def test_the_shell_completes_commands_options_and_paths(line, offered):
    assert completions(line) == offered


def test_options_of_the_group_may_stand_before_a_command(pipeline, folder):
    assert cli.run(["--traceback", "stubs", "pw02"]) == 0
    assert pipeline.calls[0][0] == ["pw02"]


@pytest.mark.parametrize("arguments", ["--traceback stubs", "stubs --traceback"])
def test_a_command_shows_its_traceback_wherever_that_is_asked_for(
    pipeline, folder, capsys, monkeypatch, arguments
):
    monkeypatch.setattr("grader.authoring.templates.write_stubs", lambda ids, **options: 1 / 0)
    assert cli.run(arguments.split()) == 3
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", ["-- -odd.zip", "--public -- -odd.zip", "--seed 3 -- -odd.zip"]
)
def test_a_path_that_looks_like_an_option_is_graded_after_two_dashes(pipeline, folder, arguments):
    (folder / "-odd.zip").write_bytes(b"")
    assert cli.run(arguments.split()) == 0
    assert pipeline.calls[0][0] == ["-odd.zip"]


def test_usage_lines_name_the_command_once(pipeline, folder, capsys):
    cli.run(["a.zip", "--seed", "x"])
    # click before 8.2 says: Try 'grade -h'
    assert "Usage: grade [OPTIONS] PATH...\nTry 'grade -" in capsys.readouterr().err
    cli.run(["verify", "--seeds", "x"])
    assert "Usage: grade verify [OPTIONS]" in capsys.readouterr().err


def test_every_command_is_a_file_that_defines_it():
    for name, module in cli.COMMANDS.items():
        assert importlib.import_module(module).command.name == name


def test_python_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "grader", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"grade, version {grader.__version__}\n"


# --- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["--help", "-h", "stubs --help", "verify -h", "doctor -h"])
def test_help_fits_80_columns_and_documents_the_exit_codes(capsys, arguments, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run(arguments.split()) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.split("\n"))) <= 80
    for code in ("0  graded", "1  under --fail-under", "2  the input", "3  a fault of the grader"):
        assert code in text


def test_help_of_grade_names_the_other_commands(capsys):
    cli.run(["--help"])
    text = capsys.readouterr().out
    listed = [
        line.split()[0] for line in text.split("\nCommands:\n")[1].split("\n\n")[0].split("\n")
    ]
    assert listed == list(cli.COMMANDS)
    assert text.startswith("Usage: grade [OPTIONS] PATH...\n")


def test_help_imports_nothing_of_weight():
    script = (
        "import sys\n"
        "from grader import cli\n"
        "cli.run(['--help'])\n"
        "heavy = {'numpy', 'nbclient', 'nbformat', 'jupyter_client', 'pytest', 'sklearn', 'rich',"
        " 'jinja2', 'pygments', 'matplotlib'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_the_version_is_the_packages(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"grade, version {grader.__version__}\n"


def test_a_report_survives_a_terminal_that_cannot_show_it(folder):
    script = (
        "import sys\n"
        "from types import ModuleType\n"
        "from grader import cli\n"
        "from grader.records import Report, Result\n"
        "import grader\n"
        "fake = ModuleType('grader.pipeline')\n"
        "result = Result('a.zip', ('Zoé 王',), 'refused', 'no')\n"
        "fake.grade = lambda paths, request, *, held=None: Report('a', '', 0, (result,))\n"
        "fake.cores = lambda: 1\n"
        "sys.modules['grader.pipeline'] = grader.pipeline = fake\n"
        "sys.exit(cli.run(['a.zip']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        cwd=folder,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        check=False,
    )
    assert done.returncode == 2
    assert b"Zo\\xe9 \\u738b" in done.stdout
