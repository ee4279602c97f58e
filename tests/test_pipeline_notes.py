"""What the flow says beside the points, and what each part of it is handed on."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from grader import grading_class, pipeline
from grader.assignment import load_assignment
from grader.batch import cache_key
from grader.batch.progress import Progress
from grader.batch.serialization import Results, pack
from grader.batch.store import open_store
from grader.building_on import FOLLOWED
from grader.errors import NotHeld
from grader.grading import Grader, _followed
from grader.records import ExerciseScore, Options, Outcome, Report, Result
from grader.request import Request
from grader.session import Kernels
from grader.submission.incoming import find_incoming
from grader.suite import Suite, open_suite

from .test_pipeline import FakeForkServer, Heard, course, fork_servers, notebook, workers

__all__ = ["course", "fork_servers", "workers"]


def notes(result):
    return [(note.kind, note.message) for note in result.notes]


# --- notes --------------------------------------------------------------------------------------


def test_checks_that_were_cut_short_are_noted(course, monkeypatch):
    monkeypatch.setattr(Suite, "time_line", lambda self, job: "the checks took too long")
    course.hand_in("Ann")
    (result,) = course.grade().results
    assert ("time_budget", "the checks took too long") in notes(result)


def scored(exercise, *messages):
    checks = tuple(
        Outcome(exercise, f"c{n}", "failed", 0.0, 1.0, message=m) for n, m in enumerate(messages)
    )
    return ExerciseScore(exercise, exercise, 0.0, 1.0, "partial", checks)


def test_points_that_follow_another_answer_are_noted_once_an_exercise():
    line = f"is right {FOLLOWED} of a"
    found = _followed(
        [
            scored("b", f"{line}\nmore", f"{line}\nother words"),
            scored("a", "wrong"),
            scored("c", line),
        ]
    )
    assert [(note.kind, note.message) for note in found] == [
        ("follow_through", f"b {line}"), ("follow_through", f"c {line}"),
    ]  # fmt: skip


HALF = """\

@pytest.mark.exercise("a", points=1)
def test_half(student):
    from grader.checks import assert_close
    assert_close(student.half(4), 2.0, called="half(4)")
"""


def test_a_function_of_an_exercise_that_is_not_filled_in_is_told_as_missing(course):
    toml, checks = course.toy / "assignment.toml", course.toy / "test_toy.py"
    toml.write_text(toml.read_text().replace('["double"]', '["double", "half"]'))
    checks.write_text(checks.read_text().replace("points=2", "points=1") + HALF)
    opened = "def half(x):\n    ### START YOUR CODE ###\n    # STUB: return 0.0\n"
    more = f"{opened}    {{}}\n    ### END YOUR CODE ###"
    (course.toy / "toy.ipynb").write_text(notebook(more=more.format("return x / 2")))
    untouched = course.hand_in("Ann", more=more.replace("# STUB: ", "").format(""))
    wrong = course.hand_in("Bea", more=more.format("return x"))
    messages = {}
    for folder in (untouched, wrong):
        (result,) = course.grade(folder).results
        (check,) = [c for c in result.exercises[0].checks if c.name == "half"]
        messages[folder.name] = check
    ann, bea = messages.values()
    assert (ann.missing, ann.outcome) == (True, "failed")
    assert ann.message == ann.for_students == "not filled in yet: `half`"
    assert not bea.missing
    assert "half(4)" in bea.message


def test_one_notebook_at_work_is_graded_like_a_folder_of_it(course):
    folder = course.hand_in("Ann", name="return 'x'")
    (at_work,) = course.grade(folder / "toy.ipynb", public=True).results
    (handed_in,) = course.grade(folder, public=True).results
    assert (at_work.status, at_work.score) == (handed_in.status, handed_in.score) == ("graded", 2.0)


def test_a_notebook_that_needs_what_is_not_installed_is_not_opened_and_says_so(course):
    toml = course.toy / "assignment.toml"
    needs = 'file = "toy.ipynb"\nrequires = ["no_such_package"]'
    toml.write_text(toml.read_text().replace('file = "toy.ipynb"', needs))
    course.hand_in("Ann")
    (result,) = course.grade().results
    assert course.sessions == []
    assert "pip install no_such_package" in f"{result.message}{result.exercises}"


def test_other_work_of_the_notebooks_name_is_noted_beside_the_work_that_is_graded(course):
    folder = course.hand_in("Ann")
    (folder / "toy.ipynb").rename(folder / "mine.ipynb")
    others = "".join(f"def other{n}(x):\n    return x\n" for n in range(8))
    document = json.loads(notebook())
    document["cells"] = [document["cells"][0] | {"source": others}]
    (folder / "toy.ipynb").write_text(json.dumps(document))
    (result,) = course.grade().results
    assert result.score == 6.0
    told = [kind for kind, text in notes(result) if "is it of another year" in text]
    assert told == ["wrong_name"]


def test_what_lies_among_the_submissions_and_is_none_is_told(course):
    for student in ("Ann", "Bea", "Cem"):
        course.hand_in(student)
    (course.handed_in / "report.pdf").write_bytes(b"%PDF")
    heard = Heard()
    course.grade(course.handed_in, progress=heard)
    assert heard.warned == [f"1 in {course.handed_in}, no submission, and not graded: report.pdf"]


def test_only_a_wrong_answer_is_explained(course):
    folders = [course.hand_in("Ann"), course.hand_in("Bea", double="return 3 * x")]
    told = []

    def explain(result):
        told.append(result.path)
        return result

    def traced(job, outcomes):
        return [o if o.credit else replace(o, trace="what it answered") for o in outcomes]

    options = Options(str(course.toy), (), False, 0, "auto")
    assignment = load_assignment(course.toy)
    with (
        Kernels(assignment, None) as kernels,
        open_suite(assignment) as suite,
        Grader(suite, kernels, options) as grader,
    ):
        grader.explain = explain
        grader.tracer.traced = traced
        found, _ = find_incoming(folders, course.tmp)
        scores = [grader.grade(incoming).score for incoming in found]
    assert scores == [6.0, 4.0]
    assert told == [str(folders[1])]


def test_only_the_wanted_exercises_derivations_are_read(course, monkeypatch):
    wanted = []

    def derivations_of(assignment, notebooks, folder, *, only, rendered):
        wanted.append(only)
        return {}

    monkeypatch.setattr("grader.grading.derivations_of", derivations_of)
    course.hand_in("Ann")
    course.grade(only=["b"])
    assert wanted == [{"b"}]


# --- what is handed on --------------------------------------------------------------------------


def test_after_a_class_a_table_of_known_mistakes_is_made_and_its_making_is_heard(
    course, monkeypatch
):
    made = []

    def build(chosen, tables, unnamed, **options):
        made.append((chosen.id, tables))
        options["doing"](0, "which known mistakes?")

    monkeypatch.setattr(grading_class.known_builder, "CLASS", 2)
    monkeypatch.setattr(grading_class.known_builder, "build", build)
    monkeypatch.setattr(grading_class, "explainer_of", lambda *_, **__: (None, "tables"))
    course.hand_in("Ann")
    heard = Heard()
    course.grade(keep=True, progress=heard)
    assert made == []
    course.hand_in("Bea")
    course.grade(keep=True, regrade=True, progress=heard)
    assert made == [("toy", "tables")]
    assert heard.steps[-1] == (0, "which known mistakes?")


def test_assignments_are_found_from_where_the_command_runs(course, monkeypatch):
    folder = course.hand_in("Ann")
    monkeypatch.chdir(course.root)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    report = pipeline.grade([folder], Request())
    assert (report.assignment, report.results[0].score) == ("toy", 6.0)


def test_an_assignment_that_lies_in_what_is_graded_is_not_the_one(course, monkeypatch):
    folder = course.hand_in("Eve")
    shutil.copytree(course.toy, folder / "reference" / "toy")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    report = pipeline.grade([folder], Request())
    assert report.checks_from == str(course.toy.resolve())


def test_workers_serve_with_the_checks_that_were_collected(course, workers, monkeypatch):
    given = []
    monkeypatch.setattr("grader.batch.worker.serve_with", lambda *of: given.append(of))
    course.hand_in("Ann")
    course.hand_in("Bea")
    course.grade(jobs=2)
    ((suite, assignment),) = given
    assert isinstance(suite, Suite)
    assert assignment.id == "toy"


class HeldForkServer(FakeForkServer):
    alive = True


class FakeHeld:
    suite = None

    def __init__(self, refuses=""):
        self.refuses, self.asked, self.servers = refuses, [], []

    def require(self, chosen, sandbox):
        self.asked.append((chosen.id, sandbox))
        if self.refuses:
            raise NotHeld(self.refuses)

    def fork_server(self):
        self.servers.append(HeldForkServer("held"))
        return self.servers[-1]


def graded_with(held, course, **options):
    request = Request(assignments=course.toy.parent, assignment="toy", **options)
    return pipeline.grade(sorted(course.handed_in.iterdir()), request, held=held)


def test_what_is_held_is_asked_whether_it_fits_and_forked_once(course, fork_servers):
    course.hand_in("Ann")
    held = FakeHeld()
    (result,) = graded_with(held, course, sandbox="none").results
    assert (result.score, result.message) == (6.0, "")
    assert held.asked == [("toy", "none")]
    assert [server.closed for server in held.servers] == [True]
    assert fork_servers == []


def test_the_checks_that_are_held_are_run_and_not_collected_again(course, monkeypatch):
    course.hand_in("Ann")
    held = FakeHeld()
    with open_suite(load_assignment(course.toy)) as suite:
        held.suite = suite
        monkeypatch.setattr("grader.suite.open_suite", None)
        (result,) = graded_with(held, course).results
    assert result.score == 6.0


def test_what_is_held_and_does_not_fit_grades_nothing(course, fork_servers):
    course.hand_in("Ann")
    held = FakeHeld("the assignment has changed")
    with pytest.raises(NotHeld, match="the assignment has changed"):
        graded_with(held, course)
    assert course.sessions == []
    assert all(server.closed for server in held.servers)


def test_a_fork_server_goes_to_the_workers(course, workers, fork_servers):
    course.hand_in("Ann")
    course.hand_in("Bea")
    course.grade(jobs=2)
    (made,) = workers
    assert made.fork_server is fork_servers[0]
    assert made.options.shared == ""


def test_a_kept_run_says_where_the_submissions_lay(course, monkeypatch):
    course.hand_in("Ann")
    monkeypatch.chdir(course.root)
    request = Request(assignments=course.toy.parent, assignment="toy", keep=True, split=True)
    report = pipeline.grade([Path("handed in")], request)
    with open_store(course.root / "results.sqlite") as store:
        (run,) = store.runs()
    assert run.id == report.run
    assert run.about["paths"] == [str(course.handed_in)]
    assert (run.about["split"], run.about["shard"]) == (True, None)


def test_kernels_are_sandboxed_and_draw_as_was_asked(course, monkeypatch):
    made = []

    def kernels(assignment, fork_server, **options):
        made.append((assignment.sandbox, options))
        return Kernels(assignment, fork_server, **options)

    monkeypatch.setattr(grading_class, "Kernels", kernels)
    course.hand_in("Ann")
    course.hand_in("Bea")
    course.grade(sandbox="none", evidence=True)
    course.grade(share_cells=True)
    (first, drawn), (second, plain) = made
    assert (first, second) == ("none", "auto")
    assert (drawn["draw"], drawn["share_cells"], drawn["preloaded"]) == (True, False, False)
    assert (plain["draw"], plain["share_cells"]) == (False, True)


@pytest.mark.parametrize(("cores", "students", "each"), [(2, 3, 1), (8, 5, 1), (8, 4, 2)])
def test_each_grading_process_may_keep_its_share_of_the_cores_busy_and_one_at_least(
    course, workers, monkeypatch, cores, students, each
):
    monkeypatch.setattr(grading_class, "cores", lambda: cores)
    for number in range(students):
        course.hand_in(f"{number}")
    course.grade(jobs=students)
    assert (workers[0].count, workers[0].options.kernels) == (students, each)


def export(course, *names, file, text):
    """What Moodle gives out of all that was handed in."""
    path = course.root / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"{name}_{number + 1001}_assignsubmission_file_/{file}", text)
    return path


@pytest.mark.parametrize("assignment", ["toy", None])
def test_the_learning_platform_s_keys_stand_beside_each_result(course, assignment):
    """Where nothing in it answers an assignment, too."""
    file, text = ("toy.ipynb", notebook()) if assignment else ("other.py", "x = 1\n")
    path = export(course, "Ann Lee", "Bea Mai", file=file, text=text)
    results = course.grade(path, assignment=assignment).results
    assert [(r.origin.platform, r.origin.name, r.students) for r in results] == [
        ("moodle", "Ann Lee", ("Ann Lee",)),
        ("moodle", "Bea Mai", ("Bea Mai",)),
    ]
    assert {r.status for r in results} == ({"graded"} if assignment else {"refused"})


# --- what is asked for --------------------------------------------------------------------------


def options_of(course, *, alone=False, **asked):
    from grader.assignment import load_assignment

    return Request(**asked).options(load_assignment(course.toy), alone=alone)


def test_what_is_shown_or_kept_has_evidence_and_what_is_shown_has_figures(course):
    plain, shown, kept = (
        options_of(course, **asked) for asked in ({}, {"evidence": True}, {"keep": True})
    )
    assert [(o.evidence, o.figures) for o in (plain, shown, kept)] == [
        (False, "none"), (True, "all"), (True, "none"),
    ]  # fmt: skip


def test_cells_are_shared_in_a_class_alone(course):
    assert options_of(course, share_cells=True).share_cells
    assert not options_of(course, share_cells=True, alone=True).share_cells
    assert not options_of(course).share_cells
    assert options_of(course, alone=True).alone


def test_without_a_file_of_results_no_assignment_is_known_from_before():
    assert Request().kept_assignments({}, []) == {}
    assert Request(keep=True, dask="tcp://one:1").kept_assignments({}, []) == {}


def test_what_an_earlier_run_has_graded_is_asked_by_the_bytes_that_were_handed_in(
    course, monkeypatch
):
    from grader.assignment import load_assignment
    from grader.submission.incoming import find_incoming

    asked = []

    def kept(options, hashes):
        asked.append((options, hashes))
        return {0: "toy"}

    monkeypatch.setattr("grader.batch.keeping.kept_assignments", kept)
    (course.handed_in / "Aa.zip").write_bytes(b"PK\3\4 cut off")
    course.hand_in("Bea")
    paths = sorted(course.handed_in.iterdir())
    found, _ = find_incoming(paths, course.tmp)
    found[0].read()
    known = {"toy": load_assignment(course.toy)}
    request = Request(keep=True, seed=7, share_cells=True)
    assert request.kept_assignments(known, found) == {0: "toy"}
    assert request.kept_assignments(known, found[1:]) == {0: "toy"}
    (several, hashes), (alone, _) = asked
    assert hashes == ["", cache_key.input_hash(paths[1])]
    assert several == {"toy": request.options(known["toy"], alone=False)}
    assert alone == {"toy": request.options(known["toy"], alone=True)}


def test_a_students_copy_that_was_found_is_told_and_one_that_was_named_is_not(course, monkeypatch):
    from grader.assignment import load_assignment

    chosen = load_assignment(course.toy)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    heard = Heard()
    copy = replace(chosen, public_only=True)
    Request(progress=heard).require(copy)
    assert heard.warned == [f"graded by the public checks beside the notebook, in {copy.folder}"]
    heard.warned.clear()
    Request(progress=heard, assignments=course.toy.parent).require(copy)
    Request(progress=heard, assignments=course.toy.parent, keep=True).require(copy)
    Request(progress=heard).require(chosen)
    assert heard.warned == []


# --- several assignments ------------------------------------------------------------------------


def report(name, seed, isolation, path):
    results = Results([pack(Result(path, (), "graded", score=1.0, max_score=1.0)).verdict])
    return Report(name, name.title(), seed, results, isolation)


def test_the_progress_hears_first_that_several_assignments_were_handed_in(course, monkeypatch):
    toy = load_assignment(course.toy)
    groups = [(toy, [0]), (replace(toy, id="other"), [1])]
    monkeypatch.setattr(pipeline, "group_by_assignment", lambda *_: groups)
    monkeypatch.setattr(pipeline, "grade_class", lambda one, *_, **__: report(one.id, 0, "", "a"))
    heard = []
    progress = Progress()
    progress.several = heard.append
    course.hand_in("Ann")
    course.hand_in("Bea")
    course.grade(assignment=None, progress=progress)
    assert heard == [["toy", "other"]]


def test_reports_of_several_assignments_are_one():
    parts = [report("one", 3, "", "a"), report("two", 3, "no seccomp", "b")]
    whole = pipeline._joined(parts)
    assert (whole.assignment, whole.title, whole.seed) == ("one, two", "", 3)
    assert whole.isolation == "no seccomp"
    assert [result.path for result in whole.results] == ["a", "b"]
    assert whole.parts == tuple(parts)
    assert pipeline._joined(parts[:1] * 2).isolation == ""
