"""The terminal report: it fits, it says what matters, it is plain where colour is unwanted."""

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from grader.records import ExerciseScore, Note, Outcome, Report, Result
from grader.report import terminal
from grader.report.wording import complaints


def shown(report, *, width=80, **options):
    file = io.StringIO()
    terminal.show(report, Console(file=file, width=width), **options)
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("which", ["report", "several", "hostile"])
def test_no_line_is_wider_than_the_terminal(which, width, request):
    text = shown(request.getfixturevalue(which), width=width)
    assert max(cell_len(line) for line in text.split("\n")) <= width


def test_wide_characters_in_names_and_messages_still_fit(result):
    result = replace(result, students=("王小明" * 20,), path="作业" * 60 + ".zip")
    text = shown(Report("pw02", "", 0, (result,)), width=60)
    assert max(cell_len(line) for line in text.split("\n")) <= 60


def test_the_students_their_points_and_the_total_are_told(report):
    text = shown(report)
    assert "Anne Dupont · Jean-Luc Meier" in text
    assert re.search(r"3b-cost .*3\.5 / 6 .* partial", text)
    assert "Total 7.5 / 24 points (31 %)" in text
    assert "10 points are open: a person grades them" in text
    assert "seed 0" in text


def test_a_failed_check_shows_its_whole_message_and_what_it_cost(report):
    text = shown(report)
    assert "cross entropy matches the definition  -2.5" in text
    assert "│ the mean of y log p is negative: is the minus sign missing?" in text


def test_checks_with_the_same_message_are_told_once(report):
    assert shown(report).count("is still the template's") == 1
    assert "w moves; b moves  -4" in shown(report)


def test_a_check_that_could_not_run_here_is_not_shown_as_lost_points(report):
    line = next(line for line in shown(report).split("\n") if line.strip() == "shapes")
    assert "-5" not in line
    assert re.search(r"3e-torch .* – / 5 .* not gradable", shown(report))


def test_a_bar_is_full_only_for_everything_and_empty_only_for_nothing():
    def bar_of(points):
        exercise = ExerciseScore("1", "One", points, 1000.0, "partial")
        result = Result(
            "a.zip", (), "graded", score=points, max_score=1000.0, exercises=(exercise,)
        )
        line = next(t for t in shown(Report("a", "", 0, (result,))).split("\n") if "One" in t)
        return line.count("━"), line.count("─")

    assert bar_of(0.0) == (0, 10)
    assert bar_of(1.0) == (1, 9)
    assert bar_of(999.0) == (9, 1)
    assert bar_of(1000.0) == (10, 0)


def test_nearly_everything_is_not_called_100_percent():
    result = Result(
        "a.zip",
        (),
        "graded",
        score=99.9,
        max_score=100.0,
        exercises=(ExerciseScore("1", "One", 99.9, 100.0, "partial"),),
    )
    assert "(99 %)" in shown(Report("a", "", 0, (result,)))


def test_points_that_a_rule_took_are_told_beside_the_exercise():
    check = Outcome("1", "values", "passed", 1.0, 4.0)
    exercise = ExerciseScore("1", "One", 0.0, 4.0, "failed", (check,))
    result = Result("a.zip", (), "graded", max_score=4.0, exercises=(exercise,))
    assert "4 points deducted for a broken rule" in shown(Report("a", "", 0, (result,)))


def test_notes_of_a_kind_stand_together_and_stay_short(result):
    notes = tuple(Note("cell_error", f"error {n}", n, "a.ipynb") for n in range(30))
    text = shown(Report("pw02", "", 0, (replace(result, notes=notes),)))
    assert text.count("Cells that raised an error") == 1
    assert "a.ipynb, cell 3: error 3" in text
    assert "error 4" not in text
    assert "and 26 more" in text


@pytest.mark.parametrize(
    ("note", "told"),
    [
        (Note("x", "no markers", 4, "a.ipynb"), "a.ipynb, cell 4: no markers"),
        (Note("x", "cell 4: no markers", 4, "a.ipynb"), "a.ipynb, cell 4: no markers"),
        (Note("x", "cell 4 stopped", 4, "a.ipynb"), "a.ipynb: cell 4 stopped"),
        (Note("x", "cell 44: seen", 4, "a.ipynb"), "a.ipynb, cell 4: cell 44: seen"),
        (Note("x", "a.ipynb is b.ipynb", notebook="a.ipynb"), "│ a.ipynb is b.ipynb"),
        (Note("x", "nothing"), "│ nothing"),
    ],
)
def test_a_note_tells_its_place_once(result, note, told):
    assert told in shown(Report("pw02", "", 0, (replace(result, notes=(note,)),)))


def test_a_long_message_is_cut_to_a_few_lines(result):
    check = Outcome("1", "values", "failed", 0.0, 1.0, message="\n".join(map(str, range(100))))
    exercise = ExerciseScore("1", "One", 0.0, 1.0, "failed", (check,))
    text = shown(Report("a", "", 0, (replace(result, exercises=(exercise,), notes=()),)))
    assert "│ 15\n      │ …\n" in text


def test_an_exercises_id_is_whole_where_there_is_room(result):
    exercise = ExerciseScore("q3-finite-difference", "By differences " * 5, 1.0, 1.0, "passed")
    report = Report("a", "", 0, (replace(result, exercises=(exercise,), notes=()),))
    assert "✓ q3-finite-difference By differences" in shown(report)
    assert "✓ q3-finite-dif… " in shown(report, width=40)


def test_a_refused_submission_says_why(refused):
    assert "refused: the zip is cut off: hand it in again" in shown(Report("a", "", 0, (refused,)))


def test_several_submissions_end_in_a_summary(several):
    summary = shown(several).partition("▌ Summary")[2]
    assert re.search(r"Anne Dupont, Jean-Luc Meier 7\.5 / 24 .* 31 %", summary)
    assert re.search(r"broken\.zip .* refused", summary)
    assert re.search(r"Zoé Ng .* grader fault", summary)
    assert "  1 of 3 submissions graded, 1 open\n" in summary


def test_a_traceback_of_ours_is_shown_only_on_demand():
    note = Note("traceback", "Traceback (most recent call last):\n  File ...\nKeyError: 3")
    report = Report("a", "", 0, (Result("a.zip", (), "grader_fault", "KeyError", notes=(note,)),))
    assert "most recent call" not in shown(report)
    assert "  KeyError: 3" in shown(report, tracebacks=True)


def test_nothing_that_a_student_writes_reaches_the_terminal_as_a_command(hostile):
    text = shown(hostile)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "[bold red]markup[/]" in text
    assert "\\u202eevil\\u2066\\u2069" in text


def test_no_line_begins_with_student_text_since_ci_services_obey_some(result):
    command = "::add-mask::passed"
    check = Outcome("1", "values", "failed", 0.0, 1.0, message=f"{command}\n{command}")
    result = replace(
        result,
        students=(command,),
        path=command,
        exercises=(ExerciseScore("1", "One", 0.0, 1.0, "failed", (check,)),),
        notes=(Note("cell_error", command, 1),),
    )
    lines = shown(Report("a", "", 0, (result, result))).split("\n")
    assert not [line for line in lines if line.lstrip().startswith("::")]


def test_colour_is_used_on_a_terminal_and_left_out_where_it_is_unwanted(report, monkeypatch):
    def written(**options):
        file = io.StringIO()
        terminal.show(report, Console(file=file, width=80, **options))
        return file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[32m" in written(force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", written(force_terminal=True))
    assert "\x1b" not in written()


def test_an_ascii_terminal_gets_ascii_marks_and_bars(report):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    terminal.show(report, Console(file=file, width=80))
    file.flush()
    text = raw.getvalue().decode("ascii")
    assert re.search(r"\+ 2a-sigmoid .* ########## ", text)


def test_a_progress_line_says_nothing_where_there_is_no_terminal():
    file = io.StringIO()
    with terminal.progress_line(Console(file=file)) as tell:
        tell("running cell 3")
    assert file.getvalue() == ""


def test_a_progress_line_on_a_terminal_shows_harmless_text(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    file = io.StringIO()
    with terminal.progress_line(Console(file=file, force_terminal=True, width=60)) as tell:
        tell("[red]running\x1b]0;title\x07 a.zip\u202e" + "x" * 200)
    assert "\x1b]0;" not in file.getvalue()
    assert "\u202e" not in file.getvalue()


def test_of_a_whole_class_the_summary_alone_is_shown(result):
    twenty = [replace(result, path=f"{n}.zip") for n in range(20)]
    assert shown(Report("pw02", "", 0, tuple(twenty))).count("Total 7.5") == 20
    text = shown(Report("pw02", "", 0, (*twenty, result)))
    assert "Total 7.5" not in text
    assert text.count("7.5 / 24") == 21
    assert "21 of 21 submissions graded" in text
    assert "grade results latest --student NAME" in text


def test_the_instructor_reads_which_known_mistake_answers_the_same():
    from io import StringIO

    from rich.console import Console

    from grader.records import ExerciseScore, Outcome, Report, Result
    from grader.report import terminal

    outcome = Outcome("a", "value", "failed", 0.0, 2.0, message="wrong", known="f: `a` -> `-a`")
    exercise = ExerciseScore("a", "A", 0.0, 2.0, "failed", (outcome,))
    result = Result("p", (), "graded", max_score=2.0, exercises=(exercise,))
    out = StringIO()
    terminal.show(Report("t", "T", 0, (result,)), Console(file=out, width=100))
    assert "for the instructor: f: `a` -> `-a`" in out.getvalue()


def test_against_an_earlier_report_what_changed_is_shown_and_the_total_before(report):
    was, first = report.results[0], report.results[0].exercises[0]
    now = replace(
        was,
        score=was.score + 1.0,
        exercises=(replace(first, points=first.points + 1.0), *was.exercises[1:]),
    )
    text = shown(replace(report, results=(now,)), before=report)
    assert first.id in text
    assert not [e.id for e in was.exercises[1:] if e.id in text]
    assert "Total 8.5 / 24 points (35 %) before: 7.5" in text


def test_that_nothing_has_changed_is_said_whatever_time_it_took(report):
    result = report.results[0]
    slower = tuple(
        replace(e, checks=tuple(replace(c, seconds=c.seconds + 1) for c in e.checks))
        for e in result.exercises
    )
    text = shown(replace(report, results=(replace(result, exercises=slower),)), before=report)
    assert text.split("\n")[0] == "  Nothing has changed"
    assert "Total 7.5 / 24 points" in text


def test_a_refusal_after_a_verdict_is_shown_whole(report):
    refused = replace(report.results[0], status="refused", message="no notebook", exercises=())
    assert "no notebook" in shown(replace(report, results=(refused,)), before=report)


def test_whose_checks_ran_and_from_where_is_told_once(report, several, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path.resolve() / "reference" / "pw02"
    for one in (report, several):
        assert "checks of" not in shown(one)
        assert shown(replace(one, checks_from=str(folder))).count("checks of reference/pw02") == 1
    elsewhere = replace(report, checks_from="/home/me/other/reference/pw02")
    assert "checks of /home/me/other/reference/pw02" in shown(elsewhere)


def test_a_folder_of_checks_that_is_found_by_a_link_is_told_as_it_is_called_here(
    report, tmp_path, monkeypatch
):
    (tmp_path / "course" / "reference" / "pw02").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "reference").symlink_to(tmp_path / "course" / "reference")
    monkeypatch.chdir(tmp_path / "here")
    folder = str((tmp_path / "course" / "reference" / "pw02").resolve())
    assert "checks of reference/pw02\n" in shown(replace(report, checks_from=folder))


def test_advice_is_given_once_in_an_exercise_and_what_was_seen_each_time():
    advice = "Compute it by hand."
    checks = [
        Outcome("a", name, "failed", 0.0, 1.0, message=message)
        for name, message in [
            ("one", f"f(1) is wrong\nexpected 2\n{advice}"),
            ("two", f"f(2) is wrong\nexpected 2\n{advice}"),
            ("three", f"f(3) is wrong\n{advice}\nexpected 2"),
            ("four", advice),
        ]
    ]
    assert [one.message for one in complaints(checks)] == [
        f"f(1) is wrong\nexpected 2\n{advice}",
        "f(2) is wrong\nexpected 2",
        f"f(3) is wrong\n{advice}\nexpected 2",
        advice,
    ]
