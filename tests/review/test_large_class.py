"""A class larger than a page: its rows page by page, and read while its first are looked at."""

import re
import time

from grader.review import classroom
from grader.review.answers import answers_of
from grader.review.classroom import Classroom
from grader.review.pages import whole

from .conftest import result_of


def rows(page):
    return re.findall(r'<th scope="row"><bdi>([^<]*)</bdi>', page)


def links(page):
    return {rel: found.replace("&amp;", "&").split("#")[0] for found, rel in
            re.findall(r'href="([^"]*)" rel="(prev|next)"', page)}  # fmt: skip


def test_rows_come_page_by_page_whatever_was_asked_for(klass, visit, monkeypatch):
    monkeypatch.setattr(whole, "PER_PAGE", 2)
    visitor = visit(klass(5))

    def there(link):
        return visitor.page(link.partition(visitor.review.keys.prefix)[2])

    first = visitor.page("/?sort=name")
    assert "rows 1 to 2 of 5" in first and list(links(first)) == ["next"]
    second = there(links(first)["next"])
    last = there(links(second)["next"])
    names = rows(first) + rows(second) + rows(last)
    assert len(names) == 5 and names == sorted(names)
    assert list(links(last)) == ["prev"]
    assert rows(there(links(last)["prev"])) == rows(second)
    # The search looks at all, and goes with the links.
    found = visitor.page("/?find=a&sort=-points")
    assert "sort=-points" in links(found)["next"] and "find=a" in links(found)["next"]
    assert rows(visitor.page("/?find=petra")) == ["Petra Novak"]
    assert not links(visitor.page("/?find=petra"))
    for page, shown in (("99", last), ("0", first), ("x", first), ("-1", first),
                        ("%C2%B2", first), ("9" * 30, first)):  # fmt: skip
        assert rows(visitor.page(f"/?sort=name&page={page}")) == rows(shown), page


def test_without_names_answers_stand_in_the_order_of_their_numbers(klass, visit):
    visitor = visit(klass(12))
    visitor.ask("/settings", {"name": "names", "value": "off", "back": ""})
    assert rows(visitor.page("/")) == [f"Answer {n}" for n in range(1, 13)]


def test_a_class_is_read_in_parts_and_the_parts_are_the_whole(klass, monkeypatch):
    klass = klass(7)
    parts, at_once = (Classroom(klass.run.id, klass.assignment) for _ in range(2))
    at_once.update(klass.store)
    waiting = []
    while not waiting or parts.waiting:
        parts.update(klass.store, most=3)
        waiting.append(parts.waiting)
    assert waiting == [4, 1, 0]
    assert parts.judged == at_once.judged and parts.answers == at_once.answers
    assert parts.order("ann", "2-words") == at_once.order("ann", "2-words")
    assert [c.id for c in parts.columns] == [c.id for c in at_once.columns]


def test_pages_are_there_while_the_rest_is_read(klass, visit, monkeypatch):
    monkeypatch.setattr(whole, "PER_PAGE", 2)
    monkeypatch.setattr(classroom, "AT_ONCE", 1)
    update = Classroom.update

    def slow(room, store, *, most=1):
        time.sleep(0.05 * bool(most))
        update(room, store, most=most)

    monkeypatch.setattr(Classroom, "update", slow)
    visitor = visit(klass(12))
    page = visitor.page("/")
    assert "more are being read: this page follows" in page and 'data-live="3"' in page
    while visitor.review.room.waiting:
        time.sleep(0.02)
    page = visitor.page("/")
    assert "being read" not in page and "data-live" not in page
    assert "12 of 12 submissions" in page and "rows 1 to 2 of 12" in page


def test_the_same_name_twice_stays_two_whichever_part_it_is_read_with(klass):
    klass = klass(0)
    same = [result_of(n, name="Luca Rossi", path=f"{n}/in/Luca.zip") for n in range(3)]
    klass.grade(*same)
    klass.store.connection.execute("DELETE FROM answers")
    room = Classroom(klass.run.id, klass.assignment)
    for _ in same:
        room.update(klass.store, most=1)
    subjects = {row.subject for row in answers_of(klass.store, klass.run.id).values()}
    assert len(subjects) == 3


def test_the_like_are_counted_again_when_one_more_arrives(empty):
    from grader.review.similar_answers import likeness_of

    empty.grade(*(result_of(n, code="same") for n in range(2)), result_of(2, code="other"))
    room = Classroom(empty.run.id, empty.assignment)
    room.update(empty.store, most=2)
    assert [likeness_of(room, "1-code", n) for n in (0, 1)] == [1, 1]
    room.update(empty.store)
    assert [likeness_of(room, "1-code", n) for n in (0, 1, 2)] == [1, 1, 0]
