"""Statistics of the class, and how far graders agree."""

from __future__ import annotations

from dataclasses import replace

from grader.review.agreement import agreement_on
from grader.review.insight import UNCLEAR, Insight, as_csv, as_markdown, insight_of
from grader.review.pages.visit import Page, Visit, render
from grader.text import one_line


def _insight(visit: Visit) -> Insight:
    room = visit.room
    return room.once("insight", lambda: insight_of(list(room.judged.values())))


def show_insight(visit: Visit) -> Page:
    room = visit.room
    numbers = list(room.judged)
    insight = _insight(visit)
    places = {column.id: column.place for column in room.columns}
    agreements = [a for column in room.columns if (a := agreement_on(room, column.id))]
    return render(
        visit,
        "insight.html.j2",
        insight=insight,
        unclear=UNCLEAR,
        numbers=numbers,
        places=places,
        agreements=agreements,
        whose={n: room.label(n, names=visit.names)
               for n in {numbers[d.example] for d in insight.diagnoses}
               | {n for a in agreements for n, _, _ in a.differing}},
    )  # fmt: skip


def insight_file(visit: Visit, kind: str) -> Page:
    """Return the statistics as a file, with names only if this grader may see them."""
    results = list(visit.room.judged.values())
    insight = _insight(visit)
    if kind == "csv":
        return Page(as_csv(insight), kind="text/csv; charset=utf-8", file="insight.csv")
    if not visit.names:
        results = [replace(r, students=(), path=f"submission {n}") for n, r in enumerate(results)]
    text = as_markdown(insight, _title(visit), results)
    return Page(text, kind="text/markdown; charset=utf-8", file="insight.md")


def _title(visit: Visit) -> str:
    run = visit.room.run
    return one_line((run.title or run.assignment) if run else "")
