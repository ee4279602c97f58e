"""The pages of `grade review` over a real server, without scripts: every link and form works."""

import base64
import json
import re
import struct
import tomllib
from dataclasses import replace

import pytest

from grader.records import (
    CellRun,
    Derivation,
    DerivationReached,
    ExerciseScore,
    Place,
    Region,
    Result,
    Run,
)
from grader.review import marking, overrides, rubric
from grader.review.rights import Grader

from .conftest import PROMPT, Visitor, result_of

CODE, WORDS = "/q/0", "/q/1"


def add(visitor, words="says why", points="2", path=f"{WORDS}/0"):
    status, _ = visitor.do(path, do="rubric-add", words=words, points=points)
    assert status == 303
    return max(int(n) for n in re.findall(r'id="item-(\d+)"', visitor.page(path)))


def test_no_page_has_the_browser_ask_for_an_icon(klass, visit):
    visitor = visit(klass(1))
    review = visitor.review
    address = review.address(review.graders[0]).split(str(review.port), 1)[1]
    for page in (visitor.ask(address, prefix="")[2], visitor.page("/")):
        assert '<link rel="icon" href="data:,">' in page


def test_every_page_is_there(klass, visit):
    visitor = visit(klass(4, passed=False, trace="t"))
    for path in ("/", f"{WORDS}/0", f"{CODE}/0", f"{WORDS}/alike", f"{CODE}/alike?by=trace",
                 "/insight", "/likeness", "/history", "/graders", "/keys"):  # fmt: skip
        assert "<h1" in visitor.page(path), path


def test_an_item_is_added_marked_and_counted(klass, visit):
    klass = klass()
    visitor = visit(klass)
    item = add(visitor)
    status, where = visitor.do(f"{WORDS}/0", do="toggle", item=item)
    assert (status, "q/1/0" in where) == (303, True)
    assert klass.exercise(0).points == 2.0
    assert 'aria-pressed="true"' in visitor.page(f"{WORDS}/0")
    assert "<strong>2</strong> of 5" in visitor.page(f"{WORDS}/0")


def test_a_slip_is_told_and_nothing_is_written(klass, visit):
    klass = klass()
    visitor = visit(klass)
    for form, told in (
        ({"do": "rubric-add", "words": "x", "points": "many"}, "is not a number"),
        ({"do": "rubric-add", "words": " ", "points": "1"}, "needs words"),
        ({"do": "adjust", "points": "1", "reason": ""}, "need a reason"),
        ({"do": "toggle", "item": "99"}, "no longer in the rubric"),
        ({"do": "dance"}, "no such form"),
    ):
        status, body = visitor.do(f"{WORDS}/0", **form)
        assert (status, told in body) == (400, True), body
    assert "Nothing yet." in visitor.page("/history")


def test_the_next_is_the_next_that_waits_and_at_the_end_that_is_told(klass, visit):
    klass = klass(3)
    visitor = visit(klass)
    item = add(visitor)
    seen = []
    for _ in range(3):
        _, headers, _ = visitor.ask(WORDS)
        number = int(headers["location"].rsplit("/", 1)[1])
        seen.append(number)
        visitor.do(f"{WORDS}/{number}", do="toggle", item=item)
    assert sorted(seen) == [0, 1, 2]
    _, headers, _ = visitor.ask(WORDS)
    assert "Nothing+waits" in headers["location"]


def test_the_order_is_the_grader_s_own_and_stays(klass):
    from grader.review.classroom import Classroom

    klass = klass(30)
    room = Classroom(klass.run.id, klass.assignment)
    room.update(klass.store)
    ann, ben = room.order("ann", "2-words"), room.order("ben", "2-words")
    assert ann == room.order("ann", "2-words")
    assert sorted(ann) == sorted(ben) == list(range(30))
    assert ann != ben != list(range(30))
    assert room.order("ann", "1-code") != ann


def test_hidden_names_are_nowhere(klass, visit):
    klass = klass(3, passed=False, trace="t")
    visitor = visit(klass)
    visitor.do(f"{WORDS}/0", do="comment", comment="A comment.")
    visitor.ask("/settings", {"name": "names", "value": "off", "back": ""})
    for path in ("/", f"{WORDS}/0", f"{CODE}/0", f"{CODE}/alike?by=trace", "/insight",
                 "/insight.md", "/likeness", "/history"):  # fmt: skip
        page = visitor.page(path)
        assert not any(name in page for name in ("Meier", "Rossi", "Zoé", "handed-in")), path
    assert "Answer 1" in visitor.page("/")


def test_who_has_no_right_to_names_sees_none_whatever_the_setting(klass, visit):
    visitor = visit(klass(2), Grader("ben", frozenset({"mark"})))
    visitor.ask("/settings", {"name": "names", "value": "on", "back": ""})
    assert "Meier" not in visitor.page("/")


@pytest.mark.parametrize(
    ("form", "right"),
    [
        ({"do": "rubric-add", "words": "x", "points": "1"}, "rubric"),
        ({"do": "overrule", "check": "0", "percent": "100", "reason": "x"}, "verdicts"),
    ],
)
def test_rights_limit_what_a_grader_does(klass, visit, form, right):
    visitor = visit(klass(1), Grader("ben", frozenset({"mark"})))
    status, body = visitor.do(f"{CODE}/0", **form)
    assert (status, f"the right {right}" in body) == (403, True)
    assert visitor.ask("/graders", {"exercise": "1", "do": "whole"})[0] == 403
    assert visitor.ask(f"{CODE}/0/try", {"code": "1"})[0] == 403


def test_who_has_other_exercises_sees_and_marks_none_of_these(klass, visit):
    visitor = visit(klass(1), Grader("ben", exercises=frozenset({"1-code"})))
    assert visitor.ask(f"{WORDS}/0")[0] == 403
    assert visitor.ask(f"{WORDS}/0", {"do": "done", "version": "0"})[0] == 403
    assert visitor.ask(f"{WORDS}/alike")[0] == 403
    assert visitor.ask(f"{CODE}/0")[0] == 200


def test_who_has_other_exercises_changes_nothing_of_these_by_a_number_either(klass, visit):
    klass = klass(1, passed=False)
    item = rubric.add_item(klass.store, "toy", "2-words", "says why", 2.0, grader="ann")
    made = overrides.overrule(klass.store, "toy", "1-code", "doubles", grader="ann", credit=1.0,
                              reason="x", subject=klass.answer(0).subject)  # fmt: skip
    words = Grader("ben", exercises=frozenset({"2-words"}))
    code = Grader("cem", exercises=frozenset({"1-code"}))
    form = {"item": item, "item-version": 1, "words": "x", "points": 9}
    status, body = visit(klass, code).do(f"{CODE}/0", do="rubric-edit", **form)
    assert (status, "another exercise" in body) == (400, True)
    status, body = visit(klass, words).do(f"{WORDS}/0", do="withdraw", override=made)
    assert (status, "taken back already" in body) == (400, True)
    assert rubric.item_of(klass.store, "toy", item).points == 2.0
    assert klass.exercise(0, "1-code").points == 4.0


def picture(length):
    """A PNG's beginning: as much as a page looks at."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", length, 8) + bytes(99)


def test_the_same_figure_makes_a_group_and_is_shown_in_it(empty, visit):
    def drawn(number, picture, **told):
        result = result_of(number)
        output = {"output_type": "display_data", "data": {"image/png": picture}, **told}
        ran = Run((CellRun(0, "ok", outputs=(output,)),))
        evidence = replace(result.evidence, runs={"toy.ipynb": ran},
                           drawn={"2-words": (Place("toy.ipynb", 0),)})  # fmt: skip
        return replace(result, evidence=evidence)

    empty.grade(drawn(0, "AAAA"), drawn(1, "AAAA"), drawn(2, "BBBB"), result_of(3))
    page = visit(empty).page(f"{WORDS}/alike?by=figure")
    assert "2 alike" in page and "1 answer is like no other" in page

    # What the pictures show is told beside them; what is no fingerprint tells nothing.
    def told(data):
        return {"metadata": {"image/png": {"grade_figure_data": data}}}

    blue, red = (base64.b64encode(picture(length)).decode() for length in (8, 9))
    same = told("0123456789abcdef01234567")
    empty.grade(drawn(0, blue, **same), drawn(1, red, **same), drawn(2, blue),
                drawn(3, red, **told("<b>")), drawn(4, red, metadata=[1]))  # fmt: skip
    page = visit(empty).page(f"{WORDS}/alike?by=figure")
    assert page.count("2 alike") == 2 and "1 answer is like no other" in page
    assert all(f"data:image/png;base64,{shown}" in page for shown in (blue, red))


def test_two_at_once_get_a_page_to_merge_and_both_are_kept(klass, serve):
    klass = klass()
    review = serve(klass, Grader("ann"), Grader("ben"))
    ann, ben = (Visitor(review, grader) for grader in review.graders)
    item = add(ann)
    ann.do(f"{WORDS}/0", do="toggle", item=item)
    status, _, body = ben.ask(
        f"{WORDS}/0", {"do": "comment", "comment": "Mine.", "version": "0", "round": "1"}
    )
    assert status == 409
    assert "ann says" in body and "says why" in body and "“Mine.”" in body
    assert klass.exercise(0).judgement.comment == ""
    fields = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)">',
                             body.partition('id="merge"')[2]))  # fmt: skip
    assert ben.ask(f"{WORDS}/0", fields)[0] == 303
    assert klass.exercise(0).judgement.comment == "Mine."
    assert klass.exercise(0).points == 2.0


def test_a_group_is_marked_but_for_who_was_taken_out(empty, visit):
    empty.grade(*(result_of(n, "# Review\n\nIt steps over the valley.") for n in range(4)))
    visitor = visit(empty)
    item = add(visitor)
    page = visitor.page(f"{WORDS}/alike?by=text")
    key = re.search(r'name="group" value="([^"]*)"', page)[1]
    status, _ = visitor.do(f"{WORDS}/alike", do="mark", by="text", group=key,
                           member=[0, 1, 3], item=[item], comment="Why?")  # fmt: skip
    assert status == 303
    assert [empty.exercise(n).points for n in range(4)] == [2.0, 2.0, 0.0, 2.0]
    assert empty.exercise(3).judgement.comment == "Why?"


def test_a_group_gets_a_name_that_stays(empty, visit):
    empty.grade(*(result_of(n, passed=False, trace="t") for n in range(3)))
    visitor = visit(empty)
    page = visitor.page(f"{CODE}/alike?by=trace")
    key = re.search(r'name="group" value="([^"]*)"', page)[1].replace("&#34;", '"')
    visitor.do(f"{CODE}/alike", do="name", by="trace", group=key, name="triples")
    assert "triples" in visitor.page(f"{CODE}/alike?by=trace")
    assert '<span class="tag">triples</span>' in visitor.page(f"{CODE}/0")
    assert "triples" not in visitor.page(f"{WORDS}/0")


def named_group(empty, visitor, name, **more):
    page = visitor.page(f"{CODE}/alike?by=trace")
    key = re.search(r'name="group" value="([^"]*)"', page)[1].replace("&#34;", '"')
    return visitor.do(f"{CODE}/alike", do="name", by="trace", group=key, name=name, **more)


def with_solution(klass):
    """The assignment at hand has its solved notebook, with the gap that students fill."""
    assignment = klass.assignment
    solved = replace(
        assignment.notebooks["toy.ipynb"],
        regions={"double": Region("double", 0, "return 2 * x", "filled")},
    )
    return replace(assignment, notebooks={"toy.ipynb": solved})


def test_a_named_group_becomes_a_sample_of_the_assignment(empty, visit):
    empty.grade(*(result_of(n, passed=False, trace="t", code="return x * x") for n in range(3)))
    visitor = visit(empty, assignment=with_solution(empty))
    status, _ = named_group(empty, visitor, "Squares: x², not 2x", sample="1")
    assert status == 303
    samples = empty.assignment.folder / "samples"
    sample = tomllib.loads((samples / "squares-x-not-2x.toml").read_text())
    assert sample["title"] == "Squares: x², not 2x"
    assert sample["regions"] == {"double": "return x * x"}
    assert list(sample["expect"]) == ["1-code"]
    status, body = named_group(empty, visitor, "Squares: x², not 2x", sample="1")
    assert (status, "is there already" in body) == (400, True)


def test_who_may_change_no_verdict_writes_no_sample(empty, visit):
    empty.grade(*(result_of(n, passed=False, trace="t") for n in range(2)))
    grader = Grader("ben", frozenset({"mark", "rubric", "names"}))
    visitor = visit(empty, grader, assignment=with_solution(empty))
    assert named_group(empty, visitor, "squares", sample="1")[0] == 403
    assert "write a sample" not in visitor.page(f"{CODE}/alike?by=trace")
    assert not (empty.assignment.folder / "samples").exists()
    assert "squares" not in visitor.page(f"{CODE}/alike?by=trace")


def test_who_is_in_class_toml_and_handed_in_nothing_is_on_the_class_page(klass, visit):
    klass = klass(1)
    assignment = replace(klass.assignment, folder=klass.file.parent / "course" / "toy")
    assignment.folder.mkdir(parents=True)
    names = ("Anna Meier", "Ute <b>Zorn</b>")
    text = "".join(f'[[students]]\nname = "{name}"\n' for name in names)
    (assignment.folder.parent / "class.toml").write_text(text)
    page = visit(klass, assignment=assignment).page("/")
    assert "1 of class.toml" in page
    assert "Ute &lt;b&gt;Zorn&lt;/b&gt;" in page
    hidden = visit(klass, Grader("ben", frozenset({"mark"})), assignment=assignment).page("/")
    assert "Zorn" not in hidden


def test_a_class_toml_with_a_mistake_is_told_on_the_class_page(klass, visit):
    klass = klass(1)
    assignment = replace(klass.assignment, folder=klass.file.parent / "course" / "toy")
    assignment.folder.mkdir(parents=True)
    (assignment.folder.parent / "class.toml").write_text("[[studnets]]\n")
    assert "not known who handed in nothing: " in visit(klass, assignment=assignment).page("/")


def test_another_verdict_for_all_alike_is_given_and_taken_back(empty, visit):
    empty.grade(*(result_of(n, passed=False, trace=t) for n, t in enumerate("aab")))
    visitor = visit(empty)
    visitor.do(f"{CODE}/0", do="overrule", check=0, percent=100, reason="right here", whom="alike")
    assert [empty.exercise(n, "1-code").points for n in range(3)] == [4.0, 4.0, 0.0]
    page = visitor.page(f"{CODE}/1")
    assert "for all with this trace" in page and "The check itself failed" in page
    visitor.do(f"{CODE}/1", do="withdraw", override=re.search(r'"override" value="(\d+)"', page)[1])
    assert empty.exercise(0, "1-code").points == 0.0


def test_a_derivation_s_points_wait_for_a_yes(empty, visit):
    reached = (
        DerivationReached("s(1-s)", 3.0, True, line=4, steps=3),
        DerivationReached("1-2s", 2.0, False),
    )
    score = ExerciseScore(
        "3-derive", "Derive", 0.0, 5.0, "manual", derivation=Derivation((), reached)
    )
    result = Result("a.zip", ("Ann",), "graded", manual_points=5.0, exercises=(score,))
    empty.grade(result)
    visitor = visit(empty)
    assert empty.judged(0).manual_points == 5.0
    assert "suggested: 3 points" in visitor.page("/q/0/0")
    visitor.do("/q/0/0", do="accept")
    assert empty.exercise(0, "3-derive").points == 3.0
    assert empty.judged(0).manual_points == 0.0
    page = visitor.page("/q/0/0")
    assert "reaches s(1-s)" in page and "reaches 1-2s" in page  # a person may give it as well


def test_an_answer_that_is_graded_twice_hides_the_first_words_from_the_second(klass, serve):
    klass = klass(4)
    review = serve(klass, Grader("ann"), Grader("ben"))
    ann, ben = (Visitor(review, grader) for grader in review.graders)
    assert ann.ask("/graders", {"exercise": "1", "do": "twice", "percent": "100"})[0] == 303
    items = [add(ann), add(ann, "an example", "1")]
    for number in range(4):
        ann.do(f"{WORDS}/{number}", do="toggle", item=items[0])
        ann.do(f"{WORDS}/{number}", do="comment", comment="The first reader's.")
    page = ben.page(f"{WORDS}/0")
    assert "second reading" in page and "The first reader" not in page
    assert 'aria-pressed="true"' not in page
    for number in range(4):
        ben.do(f"{WORDS}/{number}", do="toggle", item=items[number % 2])
    told = re.sub(r"\s+", " ", ann.page("/insight"))
    assert "the same in 50 % of the decisions, Cohen's kappa 0.00" in told
    assert klass.exercise(1).points == 2.0  # the first reader's, until somebody settles it


def test_work_is_shared_out_in_equal_parts_and_each_waits_for_one(klass, serve):
    klass = klass(10)
    review = serve(klass, Grader("ann"), Grader("ben"))
    ann, ben = (Visitor(review, grader) for grader in review.graders)
    status, _, _ = ann.ask("/graders", {"exercise": "1", "do": "share", "grader": ["ann", "ben"]})
    assert status == 303
    assert "5 of 10 wait for you" in ann.page("/") and "5 of 10 wait for you" in ben.page("/")
    room = review.room
    mine = {n for n in range(10) if room.needs("ann", n, "2-words")}
    assert mine.isdisjoint({n for n in range(10) if room.needs("ben", n, "2-words")})


def test_the_class_is_searched_filtered_and_sorted(empty, visit):
    refused = Result("broken.zip", (), "refused", "the zip is cut off")
    empty.grade(result_of(0, PROMPT), result_of(1, passed=False), result_of(2), refused)
    rubric.add_item(empty.store, "toy", "2-words", "x", 1.0, grader="ann")
    visitor = visit(empty)

    def shown(query):
        rows = visitor.page(f"/?{query}").partition("<tbody>")[2].partition("</tbody>")[0]
        return re.findall(r"<bdi>(.*?)</bdi>", rows)

    assert shown("find=rossi") == ["Luca Rossi"]
    assert shown("state=refused") == ["broken.zip"]
    assert shown("state=unanswered") == shown("state=final") == ["Anna Meier"]
    assert shown("failed=1-code%3A+doubles") == ["Luca Rossi"]
    assert shown("exercise=1-code") == ["Luca Rossi"]
    assert shown("diagnosis=1-code%3A+double%28%23%29+is+%23%2C+expected+%23") == ["Luca Rossi"]
    assert shown("sort=points")[:2] == ["Luca Rossi", "broken.zip"]
    assert shown("sort=-points")[0] in ("Anna Meier", "Zoé Ng")
    assert "unread: the zip is cut off" in visitor.page("/")


def test_a_run_that_is_going_on_is_followed(empty, visit):
    run = empty.grade(result_of(0), end=False)
    visitor = visit(empty)
    assert "data-live" in visitor.page("/")
    from grader.batch.serialization import pack

    late = result_of(1)
    empty.store.connection.execute(
        "INSERT INTO results (input_hash, cache_key, status, percent, verdict, evidence) "
        "VALUES ('', '', 'graded', 0, ?, ?)",
        (pack(late).verdict, pack(late).evidence),
    )
    empty.store.connection.execute(
        "INSERT INTO items (run, number, path, result, kept) "
        "VALUES (?, 1, ?, last_insert_rowid(), 0)",
        (run, late.path.encode()),
    )
    assert "Luca Rossi" in visitor.page("/")
    assert visitor.ask(f"{WORDS}/1")[0] == 200


def test_marks_from_elsewhere_are_on_the_next_page(klass, visit):
    klass = klass()
    visitor = visit(klass)
    item = rubric.add_item(klass.store, "toy", "2-words", "from a file", 3.0, grader="ben")
    marking.toggle(klass.store, klass.answer(0), item, grader="ben")
    assert "from a file" in visitor.page(f"{WORDS}/0")
    assert "last changed by ben" in visitor.page(f"{WORDS}/0")


def test_formulas_are_rendered_and_the_source_stays_beside_them(empty, visit):
    empty.grade(result_of(0, "# Review\n\nThe step is $-\\alpha x^2$.\n\n$$\\frac{a}{b}$$"))
    page = visit(empty).page(f"{WORDS}/0")
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in re.sub(r"</?mrow>", "", page)
    assert "<mfrac>" in page
    assert "\\alpha x^2" in page


def test_a_gap_is_marked_in_its_cell_and_the_solution_is_beside(klass, visit):
    page = visit(klass(1)).page(f"{CODE}/0")
    assert 'class="hll"' in page
    assert "The solution." in visit(klass(1)).page(f"{WORDS}/0")


def test_comments_are_kept_found_and_used_again(klass, visit):
    klass = klass()
    visitor = visit(klass)
    visitor.do(f"{WORDS}/0", do="comment", comment="Where is the 2?", keep="yes")
    assert "Where is the 2?" in visitor.page(f"{WORDS}/1?find=the+2")
    assert "with these words" in visitor.page(f"{WORDS}/1?find=%25")
    visitor.do(f"{WORDS}/1", do="phrase", words="Where is the 2?")
    assert klass.exercise(1).judgement.comment == "Where is the 2?"


def test_insight_is_the_same_as_a_file(klass, visit):
    visitor = visit(klass(3, passed=False))
    status, headers, body = visitor.ask("/insight.csv")
    assert (status, "insight.csv" in headers["content-disposition"]) == (200, True)
    assert "1-code,doubles,3,0.0000" in body
    assert "# What the class teaches" in visitor.page("/insight.md")
    assert visitor.ask("/insight.exe")[0] == 404


ODD = "# the goat crosses the river twice\n    wolf_and_goat = x + x\n    return wolf_and_goat"


@pytest.mark.parametrize("as_folder", [False, True])
def test_what_an_earlier_year_handed_in_is_no_like_work(empty, visit, tmp_path, as_folder):
    handed_in = [result_of(n, code=ODD) for n in range(2)]
    empty.grade(result_of(4, code=ODD))
    empty.grade(*handed_in, result_of(2))
    assert "wolf_and_goat" in visit(empty).page("/likeness?pair=0")
    past = empty.runs[0]
    if as_folder:
        past = tmp_path / "2024"
        past.mkdir()
        cells = [{"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None,
                  "outputs": [], "source": f"def double(x):\n    {ODD}"}]  # fmt: skip
        text = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (past / "Meier_Anna.ipynb").write_text(json.dumps(text))
        (past / "Bad_Zip.zip").write_bytes(b"PK")
    page = visit(empty, earlier=[past]).page("/likeness")
    assert "wolf_and_goat" not in page
    assert "Anna Meier" not in page
