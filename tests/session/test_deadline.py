"""When a process has had its time: by clocks and counters that are set by hand."""

import pytest

from grader.session.deadline import Deadline


class Process:
    """A process and a process whose times are set by hand."""

    def __init__(self, monkeypatch):
        self.wall, self.cpu, self.waited = 100.0, 7.0, None
        self.own_work, self.own_wait = 2.0, 3.0  # the grader's own
        self.stopped = False
        monkeypatch.setattr("grader.session.deadline.time.monotonic", lambda: self.wall)
        monkeypatch.setattr("grader.session.deadline.time.thread_time", lambda: self.own_work)
        monkeypatch.setattr(
            "grader.session.processes.own_awake", lambda: (self.own_work, self.own_wait)
        )

    def cpu_s(self):
        return self.cpu

    def waited_s(self):
        return self.waited

    def resume(self):
        stopped, self.stopped = self.stopped, False
        return stopped

    def spend(self, deadline, wall, cpu, *, waited=0.0, own_work=0.0, own_wait=0.0):
        """Whether the deadline is spent at the end of a call that took so long."""
        deadline.start()
        self.wall += wall
        self.own_work += own_work
        self.own_wait += own_wait
        self.waited = None if self.waited is None else self.waited + waited
        self.cpu = None if cpu is None else self.cpu + cpu
        spent = deadline.expired()
        deadline.stop()
        return spent


def begun(process):
    """A deadline of a second that has looked at what its process used before."""
    deadline = Deadline(1.0, process)
    assert not process.spend(deadline, wall=0.06, cpu=0.0)
    return deadline


def test_a_deadline_counts_the_time_of_calls_and_not_between_them(monkeypatch):
    process = Process(monkeypatch)
    deadline = begun(process)
    assert not process.spend(deadline, wall=0.6, cpu=0.6)
    process.wall += 1000
    assert not process.spend(deadline, wall=0.3, cpu=0.3)
    assert process.spend(deadline, wall=0.2, cpu=0.2)


def test_a_process_that_gets_no_processor_is_let_off_up_to_four_times_the_limit(monkeypatch):
    process = Process(monkeypatch)
    deadline = begun(process)
    assert not process.spend(deadline, wall=2.5, cpu=0.2)
    assert not process.spend(deadline, wall=1.4, cpu=0.7)
    assert process.spend(deadline, wall=0.2, cpu=0.0)


def test_a_process_that_sleeps_has_its_limit_and_no_more(monkeypatch):
    process = Process(monkeypatch)
    process.waited = 3.0
    deadline = begun(process)
    assert not process.spend(deadline, wall=0.9, cpu=0.0)
    assert not process.spend(deadline, wall=1.0, cpu=0.1, waited=0.9)  # starved meanwhile
    assert process.spend(deadline, wall=0.2, cpu=0.0)


def test_a_process_that_waits_for_a_starved_grader_does_not_sleep(monkeypatch):
    process = Process(monkeypatch)
    process.waited = 3.0
    deadline = begun(process)
    assert not process.spend(deadline, wall=2.0, cpu=0.1, own_wait=1.5)
    assert not process.spend(deadline, wall=7.5, cpu=0.1, own_wait=7.5)
    assert process.spend(deadline, wall=0.7, cpu=0.0)


def test_a_deadline_does_not_count_a_time_in_which_the_grader_stood_still(monkeypatch):
    process = Process(monkeypatch)
    process.waited = 3.0
    deadline = begun(process)
    deadline.start()
    deadline.wait_s()
    process.wall += 600.0
    deadline.stop()
    assert not process.spend(
        deadline, wall=0.04, cpu=0.0
    )  # of it, the wait that was asked for counts
    assert process.spend(deadline, wall=0.1, cpu=0.0)


def test_two_busy_cores_convict_nobody_before_the_process_does(monkeypatch):
    process = Process(monkeypatch)
    deadline = begun(process)
    assert not process.spend(deadline, wall=0.7, cpu=1.4)  # two cores
    assert process.spend(deadline, wall=0.4, cpu=0.0)


def test_where_processor_time_is_unknown_four_times_the_limit_decide(monkeypatch):
    process = Process(monkeypatch)
    deadline = begun(process)
    assert not process.spend(deadline, wall=3.9, cpu=None)
    assert process.spend(deadline, wall=0.2, cpu=None)


def test_what_a_process_used_before_its_deadline_began_does_not_count(monkeypatch):
    process = Process(monkeypatch)
    process.cpu, process.waited = 900.0, 900.0
    deadline = begun(process)
    assert not process.spend(deadline, wall=1.5, cpu=0.8, waited=0.5)
    assert process.spend(deadline, wall=0.3, cpu=0.3)


def test_a_process_that_keeps_the_grader_at_work_has_an_end_all_the_same(monkeypatch):
    process = Process(monkeypatch)
    deadline = begun(process)
    assert not process.spend(deadline, wall=3.0, cpu=0.1, own_work=3.0)
    assert process.spend(deadline, wall=2.0, cpu=0.1, own_work=2.0)


def test_a_grader_that_wakes_late_since_it_was_at_work_did_not_stand_still(monkeypatch):
    process = Process(monkeypatch)
    deadline = begun(process)
    deadline.start()
    deadline.wait_s()
    process.wall += 9.0
    process.own_work += 9.0
    assert deadline.expired()


def test_a_check_that_works_by_itself_wins_the_process_no_time(monkeypatch):
    process = Process(monkeypatch)
    process.waited = 3.0
    deadline = begun(process)
    process.wall += 50.0  # between two calls
    process.own_work += 50.0
    assert process.spend(deadline, wall=1.1, cpu=0.0)


def test_a_deadline_goes_on_with_the_process_that_takes_the_place_of_a_dead_one(monkeypatch):
    process = Process(monkeypatch)
    process.waited = 3.0
    deadline = begun(process)
    assert not process.spend(deadline, wall=0.6, cpu=0.6)
    deadline.follow_new_process()
    process.cpu = process.waited = 0.0
    assert not process.spend(deadline, wall=0.06, cpu=0.0)
    assert not process.spend(deadline, wall=0.9, cpu=0.1, waited=0.8)
    assert process.spend(deadline, wall=0.4, cpu=0.4)


@pytest.mark.parametrize("ends", ["stop", "expired"])
def test_a_standstill_is_left_out_whoever_looks_first(monkeypatch, ends):
    process = Process(monkeypatch)
    deadline = begun(process)
    deadline.start()
    deadline.wait_s(0.02)
    process.wall += 600.0
    getattr(deadline, ends)()
    assert not deadline.expired()


def test_a_process_that_somebody_stopped_goes_on_once_and_has_its_time_anew(monkeypatch):
    process = Process(monkeypatch)
    process.waited = 3.0
    deadline = begun(process)
    process.stopped = True
    assert not process.spend(deadline, wall=30.0, cpu=0.1)
    assert not process.stopped
    assert not process.spend(deadline, wall=0.06, cpu=0.0)
    assert not process.spend(deadline, wall=0.8, cpu=0.8)
    process.stopped = True
    assert process.spend(deadline, wall=1.2, cpu=0.1)


def test_a_process_that_computed_for_its_limit_wins_nothing_by_being_stopped(monkeypatch):
    process = Process(monkeypatch)
    deadline = begun(process)
    process.stopped = True
    assert process.spend(deadline, wall=1.2, cpu=1.1)
