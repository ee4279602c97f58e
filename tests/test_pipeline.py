"""The flow from paths to a report, without a kernel: a made-up session runs the cells in here."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from grader import grading_class, pipeline
from grader.assignment import load_assignment
from grader.batch.progress import Progress
from grader.errors import AssignmentError, GraderFault, Interrupted, NotDefined
from grader.grading import grade_notebooks
from grader.notebook import parse_notebook
from grader.records import Isolation, Options, Run
from grader.request import Request
from grader.session import Kernels

TOML = """\
id = "toy"
title = "Toy"
{rules}
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "a"
title = "Double"
points = 2
notebook = "toy.ipynb"
functions = ["double"]
[[exercises]]
id = "b"
title = "Name"
points = 4
notebook = "toy.ipynb"
functions = ["name"]
"""
PUBLIC = """\
import pytest

@pytest.mark.exercise("a", points=2)
def test_double(student):
    assert student.double(3) == 6

@pytest.mark.exercise("b", points=1)
def test_name(student):
    assert int(student.name(7)) == 7
"""
HIDDEN = """\
import pytest

@pytest.mark.exercise("b", points=3)
def test_hidden_name(student):
    assert int(student.name(41)) == 41
"""
CELLS = """\
def double(x):
    ### START YOUR CODE ###
    # STUB: return None
    {double}
    ### END YOUR CODE ###
#---
def name(x):
    ### START YOUR CODE ###
    # STUB: return None
    {name}
    ### END YOUR CODE ###
#---
{more}
"""
RIGHT = {"double": "return 2 * x", "name": "return str(x)", "more": ""}


def notebook(**bodies):
    sources = CELLS.format(**(RIGHT | bodies)).split("#---\n")
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
         "outputs": [], "source": source}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


class FakeSession:
    """Runs the cells here; whatever isn't there is missed as in a real one."""

    run = Run(())
    isolation = Isolation()

    def __init__(self, notebook):
        self.space = {}
        self.closed = False
        for cell in notebook.cells:
            exec(cell.source, self.space)

    @contextmanager
    def student(self, *, limit_s, reply_mib=None):
        assert not self.closed
        yield FakeStudent(self.space)

    def begin_end(self):
        self.closed = True

    def close(self):
        self.closed = True


class FakeStudent:
    def __init__(self, space):
        self._space = space

    def __getattr__(self, name):
        if name not in self._space:
            raise NotDefined(name)
        return self._space[name]


class Course:
    """The assignment, who handed it in, and the sessions that were opened."""

    def __init__(self, root):
        self.root = root
        self.toy = root / "reference" / "toy"
        self.handed_in = root / "handed in"
        self.tmp = root / "tmp"
        for folder in (self.toy / "hidden", self.handed_in, self.tmp):
            folder.mkdir(parents=True)
        self.write()
        self.sessions = []
        self.opened_with = []
        self.fails = lambda folder: None  # raises where a session can't be opened

    def write(self, *, rules="", public=PUBLIC, hidden=HIDDEN, **solved):
        (self.toy / "assignment.toml").write_text(TOML.format(rules=rules))
        (self.toy / "toy.ipynb").write_text(notebook(**solved))
        (self.toy / "test_toy.py").write_text(public)
        (self.toy / "hidden" / "test_hidden.py").write_text(hidden)

    def hand_in(self, student, **bodies):
        folder = self.handed_in / student
        folder.mkdir()
        (folder / "toy.ipynb").write_text(notebook(**bodies))
        return folder

    def open_session(self, notebook, *, folder, **options):
        self.fails(str(folder))
        session = FakeSession(notebook)
        self.sessions.append((str(folder), session))
        self.opened_with.append(options)
        return session

    def grade(self, *paths, **options):
        options.setdefault("assignment", "toy")
        found = paths or sorted(self.handed_in.iterdir())
        return pipeline.grade(found, Request(assignments=self.toy.parent, **options))


def with_fork_server(monkeypatch, start):
    for module in (pipeline, grading_class):
        monkeypatch.setattr(module, "start_fork_server", start)


@pytest.fixture
def course(tmp_path, monkeypatch):
    made = Course(tmp_path)
    with_fork_server(monkeypatch, lambda *_: None)
    monkeypatch.setattr("grader.session.kernels.open_session", made.open_session)
    monkeypatch.setenv("TMPDIR", str(made.tmp))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("GRADE_RESULTS", str(tmp_path / "results.sqlite"))
    return made


def checks(result):
    return {check.name: check for exercise in result.exercises for check in exercise.checks}


# --- the flow ---------------------------------------------------------------------------------


def test_each_submission_has_its_points_in_the_order_of_the_input(course):
    course.hand_in("Ann", double="return x")
    course.hand_in("Bea")
    report = course.grade()
    assert [(r.path.rpartition("/")[2], r.score, r.max_score) for r in report.results] == [
        ("Ann", 4.0, 6.0),
        ("Bea", 6.0, 6.0),
    ]
    assert all(session.closed for _, session in course.sessions)
    assert list(course.tmp.iterdir()) == []


def test_the_assignment_is_recognised_from_the_first_that_can_be_read(course):
    (course.handed_in / "Aa.zip").write_bytes(b"PK\3\4 cut off")
    course.hand_in("Bea")
    report = course.grade(assignment=None)
    assert report.assignment == "toy"
    assert [r.status for r in report.results] == ["refused", "graded"]


def test_where_nothing_is_recognised_everybody_stands_in_the_report(course):
    (course.handed_in / "Aa.zip").write_bytes(b"PK\3\4 cut off")
    (course.handed_in / "Bb.py").write_text("x = 1\n")
    report = course.grade(assignment=None)
    assert report.assignment == ""
    assert [r.status for r in report.results] == ["refused", "refused"]


def test_an_error_while_one_is_read_stays_with_it_while_the_assignment_is_recognised(
    course, monkeypatch
):
    from grader.submission import incoming

    read = incoming.read_notebook

    def deep(path, **options):
        if "Aa" in path.read_text():
            raise RecursionError("maximum recursion depth exceeded")
        return read(path, **options)

    monkeypatch.setattr(incoming, "read_notebook", deep)
    course.hand_in("Ann", more="'Aa'")
    course.hand_in("Bea")
    report = course.grade(assignment=None)
    assert [r.status for r in report.results] == ["grader_fault", "graded"]
    assert "maximum recursion depth" in report.results[0].message


def test_an_error_that_all_have_still_gives_a_result_each(course, monkeypatch):
    def deep(*arguments):
        raise RecursionError("too deep")

    monkeypatch.setattr("grader.choosing.recognise_assignment", deep)
    course.hand_in("Ann")
    course.hand_in("Bea")
    report = course.grade(assignment=None)
    assert [r.status for r in report.results] == ["grader_fault", "grader_fault"]


def test_a_session_that_can_not_be_opened_costs_that_submission_its_grading_alone(course):
    def fails(folder):
        if "/1" in folder:
            raise OSError(28, "No space left on device")

    course.fails = fails
    for student in ("Ann", "Bea", "Cem"):
        course.hand_in(student)
    report = course.grade()
    assert [(r.status, r.score) for r in report.results] == [
        ("graded", 6.0),
        ("grader_fault", 0.0),
        ("graded", 6.0),
    ]


def test_ctrl_c_says_what_stands(course):
    def fails(folder):
        if "/1" in folder:
            raise KeyboardInterrupt

    course.fails = fails
    course.hand_in("Ann")
    course.hand_in("Bea")
    with pytest.raises(
        Interrupted, match="interrupted: 1 of 2 were graded, and none of it is kept"
    ):
        course.grade()
    assert list(course.tmp.iterdir()) == []


def test_what_is_unpacked_lies_in_one_folder_that_goes_with_the_run(course):
    zipped = shutil.make_archive(str(course.root / "Ann"), "zip", course.hand_in("Ann"))
    (result,) = course.grade(Path(zipped), split=False).results
    folder, _ = course.sessions[0]
    assert result.score == 6.0
    assert Path(folder).relative_to(course.tmp).parts[0].startswith("grade-")


def test_the_sandbox_that_is_asked_for_is_required_first(course, monkeypatch):
    required = []
    monkeypatch.setattr(pipeline, "require_sandbox", required.append)
    course.hand_in("Ann")
    course.grade(sandbox="none")
    assert required == ["none"]


def test_each_session_has_the_runs_seed_and_tells_its_cells(course):
    course.hand_in("Ann")
    heard = Heard()
    course.grade(seed=3, progress=heard)
    (options,) = course.opened_with
    assert options["seed"] == 3
    options["on_cell"](2, 5)
    assert heard.steps[-1] == (0, "toy.ipynb: cell 2/5")


# --- what is heard, and who grades ------------------------------------------------------------


class Heard(Progress):
    """Keeps what it hears."""

    def __init__(self):
        self.begun, self.steps, self.ended, self.warned = [], [], [], []

    def begin(self, *arguments):
        self.begun.append(arguments)

    def doing(self, number, text, worker):
        self.steps.append((number, text))

    def done(self, number, result, kept):
        self.ended.append((number, result.score, kept))

    def warn(self, text):
        self.warned.append(text)


def test_the_progress_hears_each_submission_by_its_number(course):
    paths = [str(course.hand_in(student)) for student in ("Ann", "Bea")]
    heard = Heard()
    report = course.grade(progress=heard, seed=3)
    assert heard.begun == [("toy", "Toy", 3, paths, str(course.toy.resolve()))]
    assert [n for n, text in heard.steps if text == "reading"] == [0, 1]
    assert sorted({n for n, _ in heard.steps}) == [0, 1]
    assert heard.ended == [(0, 6.0, False), (1, 6.0, False)]
    assert (report.assignment, report.title, report.seed) == ("toy", "Toy", 3)
    assert report.checks_from == str(course.toy.resolve())


def test_what_no_assignment_answers_is_heard_as_well(course):
    (course.handed_in / "Bb.py").write_text("x = 1\n")
    heard = Heard()
    report = course.grade(assignment=None, progress=heard, seed=5)
    assert heard.begun == [("", "", 5, [str(course.handed_in / "Bb.py")])]
    assert heard.ended == [(0, 0.0, False)]
    assert (report.assignment, report.title, report.seed) == ("", "", 5)


def test_what_student_code_was_not_closed_in_by_is_in_the_report(course, monkeypatch):
    isolation = Isolation(("files",), {"seccomp": "not on this machine"})
    monkeypatch.setattr(FakeSession, "isolation", isolation)
    course.hand_in("Ann")
    course.hand_in("Bea")
    assert "seccomp" in course.grade().isolation
    monkeypatch.setattr(FakeSession, "isolation", Isolation())
    assert course.grade().isolation == ""


class FakeForkServer:
    def __init__(self, sandbox, python=None):
        self.started_for = (sandbox, python)
        self.closed = False

    def preload(self, *arguments, **options):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def fork_servers(monkeypatch):
    started = []

    def start(*arguments):
        started.append(FakeForkServer(*arguments))
        return started[-1]

    with_fork_server(monkeypatch, start)
    return started


def test_a_fork_server_is_started_once_and_closed(course, fork_servers):
    course.hand_in("Ann")
    course.grade(sandbox="none")
    (server,) = fork_servers
    assert (server.started_for, server.closed) == (("none", None), True)


def test_a_notebook_with_an_interpreter_of_its_own_has_a_fork_server_of_it(
    course, fork_servers, monkeypatch
):
    python = course.root / "python"
    monkeypatch.setattr(grading_class, "python_of", lambda assignment: python)
    course.hand_in("Ann")
    course.grade()
    assert [server.started_for for server in fork_servers] == [("auto", None), ("auto", python)]
    assert all(server.closed for server in fork_servers)


def test_without_a_fork_server_it_goes_on_more_slowly(course, monkeypatch):
    def fails(*arguments):
        raise GraderFault("no process left")

    with_fork_server(monkeypatch, fails)
    course.hand_in("Ann")
    heard = Heard()
    (result,) = course.grade(progress=heard).results
    assert result.score == 6.0
    assert heard.warned == ["no process left: grading goes on without it, more slowly"]


@pytest.fixture
def workers(monkeypatch):
    """Workers that only say what they were given."""
    made = []

    class FakeWorkers:
        def __init__(self, options, *, count, fork_server, serve, kept):
            self.options, self.count, self.fork_server = options, count, fork_server
            made.append(self)

        def run(self, jobs, collector):
            self.jobs = list(jobs)
            for job in self.jobs:
                collector.lost(job.number, "not graded here", "")

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

    monkeypatch.setattr(grading_class, "Workers", FakeWorkers)
    for module in ("request", "grading_class"):
        monkeypatch.setattr(f"grader.{module}.cores", lambda: 8)
    return made


def test_several_processes_share_the_cores_and_get_each_submission(course, workers):
    for student in ("Ann", "Bea", "Cem"):
        course.hand_in(student)
    options = {"only": ["b"], "public": True, "seed": 4, "sandbox": "none"}
    report = course.grade(jobs=2, **options)
    (made,) = workers
    assert (made.count, made.fork_server) == (2, None)
    assert made.options == Options(
        str(course.toy.resolve()), ("b",), True, 4, "none", evidence=False, figures="none",
        kernels=4, alone=False, shared=made.options.shared, try_mistakes=("toy.ipynb",),
    )  # fmt: skip
    assert [(job.number, job.path, job.input_hash) for job in made.jobs] == [
        (n, str(course.handed_in / student), "") for n, student in enumerate(("Ann", "Bea", "Cem"))
    ]
    assert [r.status for r in report.results] == ["grader_fault"] * 3


def test_there_are_no_more_processes_than_submissions(course, workers):
    for student in ("Ann", "Bea", "Cem"):
        course.hand_in(student)
    course.grade(jobs=16, evidence=True)
    (made,) = workers
    assert (made.count, made.options.kernels) == (3, 2)
    assert (made.options.evidence, made.options.figures) == (True, "all")


def test_one_submission_is_graded_in_this_process(course, workers):
    course.hand_in("Ann")
    (result,) = course.grade(jobs=8).results
    assert (result.score, workers) == (6.0, [])


@pytest.fixture
def cluster(monkeypatch):
    made = []

    class FakeCluster:
        environment = "theirs"

        def __init__(self, address):
            self.address, self.closed = address, False
            made.append(self)

        def find_environment(self, warn):
            warn("a cluster")

        def run(self, options, jobs, collector):
            self.options, self.jobs = options, list(jobs)
            for job in self.jobs:
                collector.lost(job.number, "not graded here", "")

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            self.closed = True

    monkeypatch.setattr("grader.batch.cluster.Cluster", FakeCluster)
    return made


def test_a_cluster_grades_instead_and_no_fork_server_starts(course, cluster, fork_servers):
    pytest.importorskip("distributed")
    course.hand_in("Ann")
    heard = Heard()
    report = course.grade(dask="tcp://one:1", jobs=4, progress=heard)
    (made,) = cluster
    assert (made.address, made.closed) == ("tcp://one:1", True)
    assert [job.number for job in made.jobs] == [0]
    assert (made.options.alone, made.options.folder) == (True, str(course.toy.resolve()))
    assert heard.warned == ["a cluster"]
    assert fork_servers == course.sessions == []
    assert [r.status for r in report.results] == ["grader_fault"]


def test_what_people_mark_has_its_figures_and_its_points_apart(course, workers):
    with (course.toy / "assignment.toml").open("a") as file:
        file.write('[[exercises]]\nid = "c"\ntitle = "Words"\npoints = 5\nmanual = true\n')
        file.write('notebook = "toy.ipynb"\n')
    ann, bea = course.hand_in("Ann"), course.hand_in("Bea")
    (result,) = course.grade(ann).results
    assert (result.score, result.max_score, result.manual_points) == (6.0, 6.0, 5.0)
    course.grade(ann, bea, jobs=2)
    assert workers[0].options.figures == "answers"


def test_what_is_kept_comes_from_a_course_that_is_known(course, monkeypatch):
    asked = []

    def require(chosen, assignments, warn):
        asked.append((chosen.id, assignments))

    monkeypatch.setattr("grader.request.require_known_course", require)
    course.hand_in("Ann")
    course.grade()
    assert asked == []
    course.grade(keep=True)
    assert asked == [("toy", course.toy.parent)]


def test_what_is_kept_is_graded_again_where_that_is_wanted(course):
    course.hand_in("Ann")
    course.grade(keep=True)
    heard = Heard()
    course.grade(keep=True, regrade=True, progress=heard)
    course.grade(keep=True, progress=heard)
    assert heard.ended == [(0, 6.0, False), (0, 6.0, True)]


# --- what is refused --------------------------------------------------------------------------


def refusal(course, student, name, text):
    folder = course.handed_in / student
    folder.mkdir()
    (folder / name).write_text(text)
    (result,) = course.grade(folder).results
    assert result.status == "refused"
    return result.message


def test_what_holds_nothing_of_the_assignment_is_refused_with_what_was_looked_for(course):
    assert refusal(course, "Ann", "other.py", "x = 1\n") == (
        "nothing of assignment toy is in it: neither its notebooks (toy.ipynb) nor enough of their "
        "functions"
    )


def test_all_notebooks_that_were_looked_for_are_named(course):
    toml = course.toy / "assignment.toml"
    more = '[[notebooks]]\nfile = "more.ipynb"\n[[exercises]]'
    toml.write_text(toml.read_text().replace("[[exercises]]", more, 1))
    (course.toy / "more.ipynb").write_text(notebook())
    assert "neither its notebooks (toy.ipynb, more.ipynb) nor" in refusal(
        course, "Ann", "other.py", "x = 1\n"
    )


def test_other_work_under_the_notebooks_name_is_refused_as_such(course):
    other = (
        notebook(double="return 1", name="return 2")
        .replace("double", "load")
        .replace("name(x)", "learn(x)")
    )
    assert refusal(course, "Ann", "toy.ipynb", other) == (
        "nothing of assignment toy is in it: toy.ipynb has a name of the sheet's, and defines none "
        "of what the sheet asks for (double, name, ...): is it of another year, or of another "
        "sheet?"
    )


def test_a_class_in_one_folder_is_refused_with_what_to_do(course):
    folder = course.handed_in / "all"
    folder.mkdir()
    for n in range(7):
        (folder / f"toy_{n}.ipynb").write_text(notebook())
    (result,) = course.grade(folder, split=False).results
    assert result.status == "refused"
    assert "put each student's work into a folder" in result.message


# --- notebooks that were not handed in --------------------------------------------------------


@pytest.fixture
def kernels(course):
    with Kernels(load_assignment(course.toy), None) as opened:
        yield opened


def at_work(**bodies):
    return {"toy.ipynb": parse_notebook(notebook(**bodies).encode(), name="toy.ipynb")}


def test_a_notebook_at_work_has_the_verdict_of_one_that_was_handed_in(course, kernels):
    result = grade_notebooks(kernels, at_work(double="return None"), folder=course.root)
    assert (result.status, result.score, result.max_score) == ("graded", 4.0, 6.0)
    assert (result.path, result.students) == ("", ())
    assert checks(result)["double"].message == "not filled in yet: `double`"
    assert {folder for folder, _ in course.sessions} >= {str(course.root)}
    assert course.opened_with[0]["seed"] == 0


def test_of_a_notebook_at_work_only_some_exercises_and_public_checks_may_be_run(course, kernels):
    result = grade_notebooks(kernels, at_work(), folder=course.root, only=["b"], public=True)
    assert [(e.id, e.max_points) for e in result.exercises] == [("b", 1.0)]


def test_a_session_that_is_open_is_used_and_left_open(course, kernels):
    session = FakeSession(at_work()["toy.ipynb"])
    session.space["double"] = lambda x: 6
    sessions = {"toy.ipynb": session}
    result = grade_notebooks(
        kernels, at_work(double="return 0"), folder=course.root, sessions=sessions
    )
    assert (result.score, session.closed) == (6.0, False)


# --- what the instructor must put right -------------------------------------------------------


@pytest.mark.parametrize(
    ("public", "said"),
    [
        ("import no_such_module", "a check file can't be loaded: test_toy.py, line 1"),
        ("def test_double(:", "a check file can't be loaded: test_toy.py, line 1: SyntaxError"),
        (PUBLIC.replace("points=2", "points=1"), "exercise a: its checks sum to 1 points"),
        (PUBLIC.replace('"a"', '"c"'), "assignment.toml has no exercise c; it has: a, b"),
        (
            PUBLIC.replace("assert student.double(3) == 6", "raise NotImplementedError('later')"),
            "test_double is not written yet: later",
        ),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_a_slip_in_the_checks_is_one_line_before_anything_is_opened(course, public, said, keep):
    course.hand_in("Ann")
    course.write(public=public)
    with pytest.raises(AssignmentError) as error:
        course.grade(keep=keep)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert course.sessions == []
    assert list(course.tmp.iterdir()) == []


def test_an_exercise_that_does_not_exist_is_said_before_anything_is_opened(course):
    course.hand_in("Ann")
    with pytest.raises(AssignmentError, match="toy has no exercise 'c'; it has: a, b"):
        course.grade(only=["c"])
    assert course.sessions == []


# --- suspects, held against the solved notebook -----------------------------------------------


def test_a_check_that_accepts_the_solution_met_a_value_that_it_could_not_use(course):
    course.hand_in("Ann", name="return 'Zwingli'")
    (result,) = course.grade().results
    public = checks(result)["name"]
    assert (public.outcome, public.fault) == ("failed", False)
    assert public.message.startswith("the check could not use the returned value\nValueError: ")
    assert "Zwingli" in public.message
    assert result.score == 2.0


def test_of_a_hidden_check_that_broke_nothing_is_said_of_its_value(course):
    course.hand_in("Ann", name="return 'Zwingli'")
    (result,) = course.grade().results
    hidden = checks(result)["hidden name"]
    assert (hidden.outcome, hidden.hidden) == ("failed", True)
    assert hidden.message == "the check could not use the returned value"


def test_a_function_of_the_checks_that_the_students_code_calls_wrongly_is_told_as_such(course):
    course.write(
        public=PUBLIC.replace(
            "    assert student.double(3) == 6",
            "    from grader.errors import PassedOn\n"
            "    if student.double(3) != 6:\n"
            "        own = PassedOn('double(f)', 'ZeroDivisionError', 'x')\n"
            "        raise ZeroDivisionError('x') from own",
        )
    )
    course.hand_in("Ann", double="return 0")
    (result,) = course.grade().results
    told = checks(result)["double"]
    assert (told.outcome, told.fault, told.points) == ("failed", False, 0.0)
    assert told.message.startswith(
        "your code calls a function of the check with arguments that it can't take\ndouble(f)"
    )


def test_a_check_that_breaks_on_the_solution_too_costs_nobody_a_point(course):
    course.write(public=PUBLIC.replace("student.double(3) == 6", "student.double(3).nothing"))
    course.hand_in("Ann", double="return x")
    course.hand_in("Bea")
    report = course.grade()
    assert [r.status for r in report.results] == ["grader_fault", "grader_fault"]
    assert "check 'double': AttributeError" in report.results[0].message
    assert all(session.closed for _, session in course.sessions)


def test_a_name_that_the_solution_lacks_too_is_the_check_s_fault(course):
    course.write(public=PUBLIC.replace("student.double(3)", "student.duoble(3)"))
    course.hand_in("Ann")
    (result,) = course.grade().results
    assert result.status == "grader_fault"
    assert "`duoble` is not defined, in the solved notebook neither" in result.message


def test_a_name_that_only_the_student_lacks_is_missing(course):
    course.hand_in("Ann", more="del double")
    (result,) = course.grade().results
    outcome = checks(result)["double"]
    assert (outcome.outcome, outcome.missing, outcome.suspect) == ("failed", True, False)
    assert outcome.not_defined == "double"
    assert outcome.message.startswith("`double` is not defined")


def test_the_solved_notebook_is_opened_once_for_all_that_break_the_same_check(course):
    for student in ("Ann", "Bea", "Cem"):
        course.hand_in(student, name="return 'x'")
    course.grade()
    solved = [session for _, session in course.sessions if session.space["name"](7) == "7"]
    assert len(solved) == 1


@pytest.mark.parametrize("fault", [False, True])
def test_a_fault_ends_the_sessions_on_the_solved_notebook_and_they_are_opened_anew(course, fault):
    def fails(folder):
        if fault and "/1" in folder:
            raise OSError(28, "No space left on device")

    course.fails = fails
    course.write(public=PUBLIC.replace("student.double(3) == 6", "int(student.double(3)) == 6"))
    course.hand_in("Ann", name="return 'x'")
    course.hand_in("Bea")
    course.hand_in("Cem", double="return 'x'")
    report = course.grade()
    assert [r.status for r in report.results] == [
        "graded", "grader_fault" if fault else "graded", "graded",
    ]  # fmt: skip
    solved = [folder for folder, _ in course.sessions if Path(folder).parent == course.tmp]
    assert len(solved) == (2 if fault else 1)


# --- what is in a result ----------------------------------------------------------------------


def test_an_exercise_that_was_not_filled_in_is_missing_and_none_of_its_checks_run(course):
    course.hand_in("Ann", double="return None")
    (result,) = course.grade().results
    assert [(e.id, e.status, e.points) for e in result.exercises] == [
        ("a", "missing", 0.0),
        ("b", "passed", 4.0),
    ]
    assert checks(result)["double"].message == "not filled in yet: `double`"


def test_a_public_run_says_how_many_points_the_hidden_checks_give(course):
    course.hand_in("Ann")
    (result,) = course.grade(public=True).results
    assert (result.score, result.max_score) == (3.0, 3.0)
    assert [note.message for note in result.notes if note.kind == "public"] == [
        "hidden checks give 3 more points: your instructor runs them"
    ]
    (whole,) = course.grade().results
    assert not [note for note in whole.notes if note.kind == "public"]


def test_one_assignment_that_cannot_be_read_is_named_and_the_others_are_graded(course):
    broken = course.toy.parent / "half-written"
    broken.mkdir()
    (broken / "assignment.toml").write_text('id = "half-written"\ntitel = "x"\n')
    told = []
    progress = Progress()
    progress.warn = told.append
    report = course.grade(course.hand_in("Ann"), assignment=None, progress=progress)
    assert [(result.score, result.status) for result in report.results] == [(6.0, "graded")]
    (line,) = told
    assert line.startswith("left out, until it is repaired: ")
    assert str(broken / "assignment.toml") in line
    (course.toy / "assignment.toml").write_text("id = 3")
    with pytest.raises(AssignmentError, match="half-written"):
        course.grade(assignment=None)


def test_a_broken_rule_is_noted_and_takes_its_share_of_that_exercise(course):
    course.write(rules='[rules]\nforbidden_calls = ["sorted"]\ndeduction = 0.5')
    course.hand_in("Ann", double="sorted([x]); return 2 * x")
    (result,) = course.grade().results
    assert [exercise.points for exercise in result.exercises] == [1.0, 4.0]
    (note,) = [note for note in result.notes if note.kind == "forbidden"]
    assert "`sorted` is not allowed here: `double`" in note.message


def test_only_the_wanted_exercises_are_checked_and_scored(course):
    course.hand_in("Ann", double="return x")
    (result,) = course.grade(only=["b"]).results
    assert [exercise.id for exercise in result.exercises] == ["b"]
    assert (result.score, result.max_score) == (4.0, 4.0)


def test_the_evidence_holds_the_gaps_as_they_were_filled_in(course):
    course.hand_in("Ann", double="return x + x")
    seen = []

    class Seen(Progress):
        def done(self, number, result, kept):
            seen.append(result)

    course.grade(evidence=True, progress=Seen())
    (region,) = seen[0].evidence.regions["a"]
    assert (region.name, region.status) == ("double", "filled")
    assert "return x + x" in region.source
    assert set(seen[0].evidence.runs) == {"toy.ipynb"}


# --- what is kept -----------------------------------------------------------------------------


def test_nothing_is_opened_for_what_is_kept_and_a_moved_result_shows_its_new_path(course):
    old = course.hand_in("Ann")
    course.grade(keep=True)
    opened = len(course.sessions)
    new = course.root / "late"
    new.mkdir()
    moved = old.rename(new / "Ann")
    (result,) = course.grade(moved, keep=True).results
    assert len(course.sessions) == opened
    assert (result.path, result.score) == (str(moved), 6.0)


def test_a_changed_check_is_graded_again(course):
    course.hand_in("Ann", double="return x + 3")
    course.grade(keep=True)
    course.write(public=PUBLIC.replace("double(3) == 6", "double(5) == 10"))
    (result,) = course.grade(keep=True).results
    assert result.score == 4.0
