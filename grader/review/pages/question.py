"""One exercise, student after student: the answer on the left, the rubric on the right."""

from __future__ import annotations

from collections import Counter
from typing import Any

from grader.errors import ReviewError
from grader.records import Derivation
from grader.report.derivation_words import reached_text
from grader.review import marking, overrides, phrases, rubric
from grader.review.answers import Answer, result_of
from grader.review.classroom import Classroom, Column
from grader.review.marking import Conflict, Grading
from grader.review.merged import is_open
from grader.review.pages.showing import shown_answer
from grader.review.pages.visit import Page, Visit, go, render
from grader.review.similar_answers import likeness_of, names_of
from grader.text import one_line

TARGET = "target "


def open_question(visit: Visit, place: int) -> Page:
    """Go to the next answer that waits for this grader, else to the first of all."""
    column = _column(visit, place)
    after = visit.query.get("after", "")
    number = visit.room.next_for(
        visit.grader.name, column.id, int(after) if after.isdecimal() else None
    )
    if number is None:
        there = [n for n in visit.room.order(visit.grader.name, column.id)
                 if column.id in visit.room.answers[n]]  # fmt: skip
        if not there:
            raise ReviewError(f"nobody has answered {column.id}")
        back = int(after) if after.isdecimal() and int(after) in there else there[0]
        return go(visit, "q", place, back, said="Nothing waits for you here any more.")
    return go(visit, "q", place, number)


def show_question(visit: Visit, place: int, number: int, **more: Any) -> Page:
    column = _column(visit, place)
    room = visit.room
    row = room.row(number, column.id)
    round_ = room.round_for(visit.grader.name, number, column.id)
    score = room.score(number, column.id)
    grading = room.grading(number, column.id, round_)
    if round_ == 2:
        # The second reader does not see the first one's marks.
        score = room.machine_score(number, column.id)
    result = result_of(visit.store, room.run_id, number)
    parts = shown_answer(result, score, assignment=room.assignment)
    before, after = room.neighbours(visit.grader.name, column.id, number)
    waiting, total = room.open_count(visit.grader.name, column.id)
    items = room.book.items.get(column.id, [])
    alike = likeness_of(room, column.id, number)
    search = visit.query.get("find", "")
    return render(
        visit,
        "question.html.j2",
        column=column,
        number=number,
        who=room.label(number, names=visit.names),
        path=one_line(result.path, 200) if visit.names else "",
        answered=row.answered,
        parts=parts,
        items=items,
        grading=grading,
        round=round_,
        score=score,
        open=is_open(score) if round_ == 1 else not grading.done,
        start=room.book.starts.get(column.id, "none"),
        before=before,
        after=after,
        waiting=waiting,
        total=total,
        alike=alike,
        groups=names_of(visit.store, room, column.id, number),
        suggestion=suggestion_of(score.derivation, items),
        phrases=phrases.find(visit.store, room.name, column.id, search),
        search=search,
        edited=visit.query.get("edit", ""),
        checks_of=_checks(visit, number, column),
        tried=more.pop("tried", None),
        code=more.pop("code", ""),
        may=visit.grader.may,
    )


def _checks(visit: Visit, number: int, column: Column) -> list[dict[str, Any]]:
    """Return each check with its override and the number of answers with the same trace."""
    row = visit.room.row(number, column.id)
    machine = visit.room.machine_score(number, column.id)
    traces = visit.room.once_of_work(f"traces {column.id}", lambda: _traces(visit.room, column.id))
    found = []
    for place, check in enumerate(machine.checks):
        override = overrides.override_of(check, row.subject, row.answer, visit.room.book.overrides)
        found.append({"place": place, "check": check, "override": override,
                      "alike": traces[check.name, check.trace] if check.trace else 0})  # fmt: skip
    return found


def _traces(room: Classroom, exercise: str) -> Counter[tuple[str, str]]:
    """Return how many submissions have each (check's name, trace)."""
    return Counter(
        (check.name, check.trace)
        for result in room.results.values()
        for one in result.exercises
        if one.id == exercise
        for check in one.checks
    )


def suggestion_of(
    derivation: Derivation | None, items: list[rubric.Item]
) -> list[dict[str, Any]] | None:
    """Return the targets that a derivation reaches, to be confirmed by a person; None without."""
    if derivation is None or not any(one.points for one in derivation.reached):
        return None
    known = {item.source: item.id for item in items}
    return [
        {
            "text": reached_text(one),
            "points": one.points,
            "reached": one.found and not one.doubtful,
            "item": known.get(f"{TARGET}{place}"),
        }
        for place, one in enumerate(derivation.reached)
        if one.points
    ]


# --- changes --------------------------------------------------------------------------------------


def change_question(visit: Visit, place: int, number: int) -> Page:
    """Apply a form of the page, named by its field `do`."""
    column = _column(visit, place)
    do = visit.form.get("do", "")
    visit.require("mark", column.id)
    round_ = visit.room.round_for(visit.grader.name, number, column.id)
    if visit.form.get("round", str(round_)) != str(round_):
        raise ReviewError("this answer was graded meanwhile: load the page again")
    answer = visit.room.answer(number, column.id, round_)
    try:
        if do in _MARKS:
            notice = _MARKS[do](visit, answer, number)
        elif do in _RUBRIC:
            visit.require("rubric", column.id)
            notice = _RUBRIC[do](visit, column)
        elif do in _VERDICTS:
            visit.require("verdicts", column.id)
            notice = _VERDICTS[do](visit, answer, number, column)
        else:
            raise ReviewError("this page has no such form")
    except Conflict as conflict:
        return merge_page(visit, column, number, conflict.stands)
    if visit.form.get("then") == "next":
        return go(visit, "q", place, after=number)
    return go(visit, "q", place, number, said=notice)


def merge_page(visit: Visit, column: Column, number: int, stands: Grading) -> Page:
    """Show somebody else's marks of the answer, and the change that this grader wanted to make."""
    words = {item.id: item.words for item in visit.room.book.items.get(column.id, [])}
    mine = {name: value for name, value in visit.form.items() if name != "version"}
    do, item = visit.form.get("do", ""), visit.form.get("item", "")
    doing = {
        "toggle": f"switch “{words.get(int(item) if item.isdecimal() else -1, '?')}”",
        "comment": f"comment “{visit.form.get('comment', '')}”",
        "adjust": f"give {visit.form.get('points', '')} points: {visit.form.get('reason', '')}",
        "done": "say that it is done",
        "open": "open it again",
        "accept": "agree with the suggestion",
    }.get(do, do)
    return render(
        visit,
        "merge.html.j2",
        status=409,
        column=column,
        number=number,
        who=visit.room.label(number, names=visit.names),
        stands=stands,
        stands_line=marking.grading_line(stands, words),
        doing=doing,
        mine=mine,
    )


def _version(visit: Visit) -> int:
    return visit.whole("version")


def _toggle(visit: Visit, answer: Answer, number: int) -> str:
    after = marking.toggle(
        visit.store, answer, visit.whole("item"), grader=visit.grader.name, version=_version(visit)
    )
    return "Marked." if after.done else "Open again."


def _comment(visit: Visit, answer: Answer, number: int) -> str:
    text = visit.form.get("comment", "")
    marking.change(visit.store, answer, grader=visit.grader.name, version=_version(visit),
                   comment=text)  # fmt: skip
    if visit.form.get("keep"):
        phrases.keep(visit.store, answer.assignment, answer.exercise, text)
    return "The comment is kept."


def _adjust(visit: Visit, answer: Answer, number: int) -> str:
    marking.change(visit.store, answer, grader=visit.grader.name, version=_version(visit),
                   adjustment=visit.number("points"), reason=visit.form.get("reason", ""),
                   done=True)  # fmt: skip
    return "Points are kept."


def _finish(visit: Visit, answer: Answer, number: int) -> str:
    done = visit.form.get("do") == "done"
    marking.change(visit.store, answer, grader=visit.grader.name, version=_version(visit),
                   done=done)  # fmt: skip
    return "Done." if done else "Open again."


def _accept(visit: Visit, answer: Answer, number: int) -> str:
    """Accept what is suggested for a derivation: each target becomes an item of the rubric."""
    derivation = visit.room.machine_score(number, answer.exercise).derivation
    if derivation is None:
        raise ReviewError("nothing is suggested here")
    version = _version(visit)
    with visit.store.writing():
        before = marking.grading_of(visit.store, answer)
        if version != before.version:
            raise Conflict(before)
        known = {i.source: i.id for i in
                 rubric.items_of(visit.store, answer.assignment, answer.exercise)}  # fmt: skip
        items = set(before.items)
        for place, one in enumerate(derivation.reached):
            if not one.points:
                continue
            source = f"{TARGET}{place}"
            if source not in known:
                known[source] = rubric.add_item(
                    visit.store, answer.assignment, answer.exercise, f"reaches {one.target}",
                    one.points, grader=visit.grader.name, source=source,
                )  # fmt: skip
            if one.found and not one.doubtful:
                items.add(known[source])
        marking.change(visit.store, answer, grader=visit.grader.name, items=items, done=True)
    return "Agreed."


def _phrase(visit: Visit, answer: Answer, number: int) -> str:
    words = visit.form.get("words", "")
    before = visit.room.grading(number, answer.exercise, answer.round).comment
    text = f"{before}\n{words}" if before else words
    marking.change(visit.store, answer, grader=visit.grader.name, version=_version(visit),
                   comment=text)  # fmt: skip
    return "The comment is kept."


_MARKS = {
    "toggle": _toggle, "comment": _comment, "adjust": _adjust, "done": _finish, "open": _finish,
    "accept": _accept, "phrase": _phrase,
}  # fmt: skip


def _add(visit: Visit, column: Column) -> str:
    rubric.add_item(visit.store, visit.room.name, column.id, visit.form.get("words", ""),
                    visit.number("points"), grader=visit.grader.name)  # fmt: skip
    return "The rubric has a new item; it applies to nobody yet."


def _item(visit: Visit, column: Column) -> int:
    """Return the item that a form names. Raises ReviewError if another exercise has it."""
    item = rubric.item_of(visit.store, visit.room.name, visit.whole("item"))
    if item.exercise != column.id:
        raise ReviewError("this item belongs to another exercise's rubric")
    return item.id


def _edit(visit: Visit, column: Column) -> str:
    rubric.edit_item(visit.store, visit.room.name, _item(visit, column), grader=visit.grader.name,
                     version=visit.whole("item-version"), words=visit.form.get("words", ""),
                     points=visit.number("points"))  # fmt: skip
    return "The item is changed for everybody."


def _remove(visit: Visit, column: Column) -> str:
    rubric.retire_item(visit.store, visit.room.name, _item(visit, column),
                       grader=visit.grader.name, version=visit.whole("item-version"))  # fmt: skip
    return "The item is gone."


def _move(visit: Visit, column: Column) -> str:
    rubric.move_item(visit.store, visit.room.name, _item(visit, column),
                     grader=visit.grader.name, version=visit.whole("item-version"))  # fmt: skip
    return "The item is one place up."


def _start(visit: Visit, column: Column) -> str:
    rubric.set_start(visit.store, visit.room.name, column.id, visit.form.get("start", ""),
                     grader=visit.grader.name)  # fmt: skip
    return "Everybody's points are computed again."


_RUBRIC = {"rubric-add": _add, "rubric-edit": _edit, "rubric-remove": _remove, "rubric-up": _move,
           "start": _start}  # fmt: skip


def _overrule(visit: Visit, answer: Answer, number: int, column: Column) -> str:
    checks = visit.room.machine_score(number, column.id).checks
    place = visit.whole("check")
    if not 0 <= place < len(checks):
        raise ReviewError("there is no such check")
    check = checks[place]
    for_all = visit.form.get("whom") == "alike"
    overrides.overrule(
        visit.store, answer.assignment, column.id, check.name, grader=visit.grader.name,
        credit=visit.number("percent") / 100.0, reason=visit.form.get("reason", ""),
        subject="" if for_all else answer.subject, answer=answer.answer, trace=check.trace,
    )  # fmt: skip
    return "The verdict is changed; the check's own verdict stays visible."


def _withdraw(visit: Visit, answer: Answer, number: int, column: Column) -> str:
    overrides.withdraw(visit.store, answer.assignment, visit.whole("override"),
                       grader=visit.grader.name, exercise=column.id)  # fmt: skip
    return "The check's own verdict holds again."


_VERDICTS = {"overrule": _overrule, "withdraw": _withdraw}


def _column(visit: Visit, place: int) -> Column:
    column = visit.room.column(place)
    if not visit.grader.sees(column.id):
        visit.require("mark", column.id)
    return column
