"""Figures that show something, and the labels of their axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.checks.plots.records import Curve, Figures, axes_of, list_of, shows_something
from grader.errors import CheckFailed, Missing


def assert_figure_count(
    figures: Figures, *, at_least: int, name: str = "", called: str = ""
) -> None:
    """Accept at least this many figures that show something.

    Raises Missing if there is none, CheckFailed if there are too few.
    """
    drawn = [f for f in figures if any(shows_something(a) for a in axes_of(f))]
    if len(drawn) >= at_least:
        return
    what = f" for {name}" if name else ""
    if not drawn:
        raise Missing(
            f"no figure was drawn{what}",
            hint="Plot with matplotlib in a cell of the notebook. An empty figure doesn't count.",
            called=called,
        )
    raise CheckFailed(
        f"{len(drawn)} figure{'s were' * (len(drawn) > 1) or ' was'} drawn{what}, expected "
        f"{at_least}",
        called=called,
    )


def assert_labelled(
    target: Curve | Mapping[str, Any] | Figures | None, *, called: str = ""
) -> None:
    """Accept axes with a label on x, and on y (a legend will do for several curves).

    target : a curve, an axes record, or figures, of which one axes must be labelled;
        None for a curve that was not found
    Raises Missing if there is nothing to label, CheckFailed for a missing label.
    """
    if target is None:
        raise Missing("no curve was found, so its axes can't be checked", called=called)
    if isinstance(target, Curve):
        records = [target.record]
    elif isinstance(target, Mapping):
        records = axes_of(target) if "axes" in target else [target]
    else:
        records = [a for f in target for a in axes_of(f) if shows_something(a)]
    if not records:
        raise Missing("no figure was drawn", called=called)
    lacking = [_lacking_labels(record) for record in records]
    if not min(lacking, key=len):
        return
    missing = min(lacking, key=len)
    raise CheckFailed(
        f"the axes of the figure are not labelled: {' and '.join(missing)} missing",
        hint="plt.xlabel('...') and plt.ylabel('...') say what is drawn; "
        "with several curves add plt.legend().",
        called=called,
    )


def _lacking_labels(axes: Mapping[str, Any]) -> list[str]:
    several = len(list_of(axes.get("lines"))) + len(list_of(axes.get("points"))) > 1
    legend = any(isinstance(t, str) and t.strip() for t in list_of(axes.get("legend")))
    lacking = []
    if not _text(axes.get("xlabel")):
        lacking.append("xlabel is")
    if not _text(axes.get("ylabel")) and not (several and legend):
        lacking.append("ylabel is")
    return [" and ".join(w.split()[0] for w in lacking) + (" are" if len(lacking) > 1 else " is")] \
        if lacking else []  # fmt: skip


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
