"""GitHub Actions: annotations and the job summary."""

import json
import re
from dataclasses import replace

import pytest

from grader.cli import output
from grader.records import Evidence, Region, Report
from grader.report import github


def annotations_of(report):
    found = github.Annotations()
    for result in report.results:
        found.add(result)
    return found


def commands_of(report):
    return annotations_of(report).commands()


def notebook_of(folder, cells):
    document = {
        "cells": [
            {"cell_type": "code", "metadata": {}, "outputs": [], "source": ['"cell_type": 1']}
            for _ in range(cells)
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    file = folder / "work.ipynb"
    file.write_text(json.dumps(document, indent=1))
    return file


def test_each_exercise_that_lost_points_is_an_error_at_its_cell(result, tmp_path):
    file = notebook_of(tmp_path, 4)
    failed = next(e for e in result.exercises if e.status == "partial")
    region = Region("f", 2, "x", "filled")
    seen = replace(
        result,
        path=str(file),
        exercises=(failed,),
        evidence=Evidence(regions={failed.id: (region,)}),
    )
    (command,) = commands_of(Report("a", "", 0, (seen,)))
    found = re.fullmatch(r"::error file=(.*),line=(\d+),title=(.*?)::(.*)", command)
    assert found, command
    assert found[1] == str(file)
    assert '"cell_type": "code"' in file.read_text().split("\n")[int(found[2]) - 1]
    assert int(found[2]) == github.line_of_cell(file, 2) > github.line_of_cell(file, 1) > 1
    assert found[3].startswith(failed.id)
    assert found[4].startswith("cross entropy matches the definition: cost_funct(p, y): the value")
    assert "%0Aexpected 0.693147%0Agot -0.693147" in found[4]


def test_what_passed_or_is_open_is_no_annotation(result):
    kept = tuple(e for e in result.exercises if e.status in ("passed", "manual"))
    assert kept
    assert commands_of(Report("a", "", 0, (replace(result, exercises=kept),))) == []


def test_a_refusal_is_an_annotation_and_stands_in_the_summary(refused):
    report = Report("a", "", 0, (refused,))
    (command,) = commands_of(report)
    assert command == (
        "::error file=broken.zip,line=1,title=refused::the zip is cut off: hand it in again"
    )
    assert "refused: the zip is cut off: hand it in again" in github.summary(report)


def test_ten_annotations_are_all_and_the_gravest_come_first(result):
    commands = commands_of(Report("a", "", 0, (result,) * 30))
    assert len(commands) == 10
    assert len(set(commands)) == 1  # the same exercise of thirty


def test_a_hidden_checks_message_is_not_shown_where_students_read(result):
    report = Report("a", "", 0, (result,))
    hidden = [c.message for e in result.exercises for c in e.checks if c.hidden and c.message]
    assert hidden
    text = github.summary(report) + "\n".join(commands_of(report))
    assert not [message for message in hidden if message.split("\n")[0] in text]
    assert "a hidden check" in text


@pytest.mark.parametrize(
    "written",
    [
        "x\n::error::pwned",
        "a,line=9::b%0A::stop-commands::t",
        "| a | b |\n# title\n<img src=x onerror=y> [l](http://e) @team ![i](u) `c` **b** _e_",
        "\r::set-output name=a::b",
    ],
)
def test_nothing_of_a_student_is_a_command_or_markdown(written_everywhere, written):
    report = written_everywhere(written)
    commands = commands_of(report)
    assert all(line.startswith("::error file=") for line in commands)
    assert all("\n" not in line and "\r" not in line for line in commands)
    assert all(line.count("::") >= 2 and "\n::" not in line for line in commands)
    properties = commands[0].removeprefix("::error ").partition("::")[0]
    assert properties.count(",") == 2
    text = github.summary(report)
    bare = re.sub(r"&#\d+;|<br>", "", text)
    assert not re.search(r"<|\[|@|`|!\[", bare)
    rows = [line for line in bare.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {5}


def test_a_class_has_its_summary_and_a_row_a_submission(several):
    text = github.summary(several)
    assert "- 1 of 3 submissions graded, 1 open\n" in text
    assert "| broken.zip | | | refused |" in text
    assert "| 7.5 / 24 | 10 | 31 % |" in text


def test_a_summary_too_long_for_a_step_ends_in_a_sentence(result):
    text = github.summary(Report("a", "", 0, (result,) * 30_000))
    assert len(text.encode()) < 2**20
    assert text.endswith("see --html or --json.\n")


def test_a_step_gets_its_commands_and_the_summary_is_added_to_the_file(
    report, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "summary.md"
    file.write_text("earlier\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    output.write_for_github(report, annotations_of(report), stderr=False)
    assert file.read_text() == "earlier\n" + github.summary(report)
    assert capsys.readouterr().out.splitlines() == commands_of(report)
    output.write_for_github(report, annotations_of(report), stderr=True)
    assert capsys.readouterr().out == ""


def test_a_summary_that_cannot_be_written_is_told_and_costs_nothing(
    report, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "file"))
    output.write_for_github(report, annotations_of(report), stderr=False)
    assert "the job summary can't be written" in capsys.readouterr().err


def test_the_summary_says_whose_checks_ran(report):
    assert "checks of" not in github.summary(report)
    seen = replace(report, checks_from="/home/me/reference/pw02")
    assert "checks of /home/me/reference/pw02" in github.summary(seen)
