"""`--watch`: again on each save, once a save, and never on half a file."""

import os
import threading

import pytest

from grader.cli import grading_again, watching_files
from grader.errors import NotHeld
from grader.records import Report, Result


class Watch:
    """`watched` in a thread: the texts that it worked on, and a Ctrl-C."""

    def __init__(self, file, until):
        self.file, self.until = file, until
        self.seen = []
        self.code = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        self.after(1)

    def run(self):
        self.code = watching_files.watched(
            self.work, self.places, ready=lambda: grading_again.is_whole(self.file)
        )

    def work(self):
        self.seen.append(self.file.read_text())
        return len(self.seen)

    def places(self):
        return [self.file]

    def after(self, runs):
        self.until(lambda: len(self.seen) >= runs)
        return self.seen

    def end(self):
        self.stopped.set()
        self.thread.join()
        return self.code


@pytest.fixture
def watch(tmp_path, monkeypatch, until):
    file = tmp_path / "a.ipynb"
    file.write_text('{"n": 0}')
    made = []

    def rest(seconds):
        if made and made[0].stopped.is_set():
            raise KeyboardInterrupt
        threading.Event().wait(seconds / 20)

    monkeypatch.setattr(watching_files, "_rest", rest)
    monkeypatch.setattr(watching_files, "_PATIENCE_S", 0.5)
    made.append(Watch(file, until))
    yield made[0]
    made[0].end()


def test_it_works_again_on_a_save(watch):
    watch.file.write_text('{"n": 1}')
    assert watch.after(2)[-1] == '{"n": 1}'


def test_an_editors_rename_is_a_save_though_size_and_time_stay(watch):
    status = watch.file.stat()
    other = watch.file.with_suffix(".tmp")
    other.write_text('{"n": 2}')
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(watch.file)
    assert watch.after(2)[-1] == '{"n": 2}'


def test_half_a_notebook_is_waited_for(watch):
    watch.file.write_text('{"n": ')
    threading.Event().wait(0.2)
    watch.file.write_text('{"n": 3}')
    assert watch.after(2)[1] == '{"n": 3}'


def test_what_stays_half_written_is_told_after_a_while(watch):
    watch.file.write_text('{"n": ')
    assert watch.after(2)[1] == '{"n": '


def test_a_file_that_is_gone_for_a_moment_is_waited_for(watch):
    watch.file.unlink()
    threading.Event().wait(0.1)
    watch.file.write_text('{"n": 4}')
    assert watch.after(2)[1] == '{"n": 4}'


def test_ctrl_c_ends_it_with_the_last_exit_code(watch):
    watch.file.write_text('{"n": 5}')
    watch.after(2)
    assert watch.end() == 2


# --- what one run has in common with the next -----------------------------------------------


def result(path="a.ipynb", score=1.0, status="graded"):
    return Result(path, (), status, score=score, max_score=2.0)


def test_each_run_is_shown_against_the_last_that_was_graded(monkeypatch):
    shown = []
    reports = [(result(score=1.0),), (result(status="refused"),), (result(score=2.0),)]

    def once(held, before=None):
        shown.append(before and before.results[0].score)
        return Report("toy", "Toy", 0, reports[len(shown) - 1]), 0

    again = grading_again._Again(once, "auto")
    for _ in reports:
        again.grade()
    assert shown == [None, 1.0, 1.0]


def test_what_is_held_and_does_not_fit_is_let_go_of():
    class Held:
        alive = True
        closed = False

        def close(self):
            self.closed = True

    held, asked = Held(), []

    def once(given, before=None):
        asked.append(given)
        if given is not None:
            raise NotHeld("the assignment has changed")
        return Report("toy", "Toy", 0, (result(),)), 0

    again = grading_again._Again(once, "auto")
    again._held = held
    assert again.grade() == 0
    assert asked == [held, None]
    assert held.closed
