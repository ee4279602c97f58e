"""What a batch shows while it goes on."""

import io

from rich.console import Console

from grader.records import Result
from grader.report.live_table import LiveTable
from grader.report.progress_lines import ProgressLines

PATHS = ["in/Ann.zip", "in/Bea.zip", "in/Cem.zip"]
GRADED = Result("in/Ann.zip", ("Ann",), "graded", score=3.0, max_score=4.0)
REFUSED = Result("in/Bea.zip", ("Bea",), "refused", "the zip is\ncut off")


class Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


def table(paths=PATHS):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    made = LiveTable(console, clock=Clock())
    made.begin("pw02", "Descent", 0, paths)
    return made


def text_of(made):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(made.render())
    return console.file.getvalue()


def test_the_table_tells_how_far_it_is_how_fast_and_how_long_it_takes():
    made = table([f"{n}.zip" for n in range(10)])
    made.done(0, GRADED, True)
    made.clock.seconds += 60
    for number in (1, 2, 3):
        made.done(number, GRADED, False)
    made.done(4, REFUSED, False)
    assert made.headline() == "5 of 10 · 1 kept · 1 not graded · 3 a minute · 2 min left"
    made.close()


def test_what_is_refused_at_the_start_promises_no_end():
    made = table()
    made.clock.seconds += 1
    made.done(1, REFUSED, False)
    assert made.headline() == "1 of 3 · 1 not graded"
    made.close()


def test_the_table_tells_what_each_worker_does():
    made = table()
    made.doing(0, "toy.ipynb: cell 2/9", 1)
    made.doing(2, "reading", 2)
    text = text_of(made)
    assert "1 Ann.zip toy.ipynb: cell 2/9" in text
    assert "2 Cem.zip reading" in text
    made.done(0, GRADED, False)
    assert "Ann.zip" not in text_of(made)
    made.close()


def test_what_went_wrong_stays_as_one_line():
    made = table()
    made.done(1, REFUSED, False)
    made.done(0, GRADED, False)
    made.close()
    written = made.live.console.file.getvalue()
    assert written.count("Bea refused: the zip is cut off") == 1
    assert "Ann 3" not in written


def test_a_single_submission_shows_what_is_being_done():
    made = table(PATHS[:1])
    made.doing(0, "toy.ipynb: cell 2/9", 0)
    assert text_of(made).strip() == "toy.ipynb: cell 2/9"
    made.close()


def test_names_that_students_chose_are_text():
    made = table(["[red]\x1b[2Jx.zip", "b.zip"])
    made.doing(0, "[link=http://x]cell", 1)
    text = text_of(made)
    assert "[red]x.zip [link=http://x]cell" in text
    assert "\x1b[2J" not in text
    made.close()


def test_a_log_has_a_line_a_submission():
    lines = []
    log = ProgressLines(lines.append)
    log.begin("pw02", "Descent", 0, PATHS)
    log.doing(0, "reading", 1)
    log.done(1, REFUSED, False)
    log.done(0, GRADED, True)
    log.warn("no result is kept: disk full")
    assert lines == [
        "1/3 Bea refused: the zip is cut off",
        "2/3 Ann 3 / 4 (75 %), kept from an earlier run",
        "grade: no result is kept: disk full",
    ]


def test_a_log_says_nothing_of_a_single_submission():
    lines = []
    log = ProgressLines(lines.append)
    log.begin("pw02", "Descent", 0, PATHS[:1])
    log.done(0, GRADED, False)
    assert lines == []
