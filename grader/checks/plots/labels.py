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
    """Accept axes with a label on x, and one on y; with several curves, a legend replaces it.

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
    missing = min(map(_missing_labels, records), key=bool)
    if not missing:
        return
    raise CheckFailed(
        f"the axes of the figure are not labelled: {missing} missing",
        hint="plt.xlabel('...') and plt.ylabel('...') say what is drawn; "
        "with several curves add plt.legend().",
        called=called,
    )


def _missing_labels(axes: Mapping[str, Any]) -> str:
    """Return "xlabel is", "ylabel is", "xlabel and ylabel are", or ""."""
    several = len(list_of(axes.get("lines"))) + len(list_of(axes.get("points"))) > 1
    legend = any(map(_is_text, list_of(axes.get("legend"))))
    missing = [] if _is_text(axes.get("xlabel")) else ["xlabel"]
    if not _is_text(axes.get("ylabel")) and not (several and legend):
        missing.append("ylabel")
    return f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'}" if missing else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
