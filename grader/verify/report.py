"""The results of `grade verify`: tables for the terminal, Markdown for a README, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.verify.verdicts import CheckRate, MutantVerdict, VerifyReport

NO_VALUE = "-"


# --- the rows, the same in every format ---------------------------------------------------


def summary_rows(report: VerifyReport) -> list[tuple[str, str]]:
    """Return the rows of the summary, (part, finding)."""
    graded = [line for line in report.exercises if not line.manual]
    manual = sum(line.points for line in report.exercises if line.manual)
    rows = [
        (
            "exercises",
            f"{len(graded)} graded, {len(report.exercises) - len(graded)} manual; "
            f"{report.max_score:g} points, {manual:g} more by hand",
        ),
        ("checks", f"{report.checks}, {report.hidden_checks} of them hidden"),
        ("reference", f"{_percent(report.reference_score, report.max_score)} of the points"),
        ("bare stub", f"{_percent(report.stub_score, report.max_score)} of the points"),
    ]
    if report.samples:
        rows += [(f"samples, {kind}", _as_declared(report, kind)) for kind in ("right", "mistake")]
    if report.mutants:
        rows += _mutant_rows(report)
    if report.mutants:
        rows.append(("named", _named_share(report)))
    if report.left_out:
        rows.append(("no mutants of", f"{len(report.left_out)} functions that draw"))
    if report.seeds:
        rows.append(("false fails", _false_fails(report)))
    if report.written:
        rows += _written_rows(report)
    if report.skipped:
        rows.append(("not verified here", "; ".join(report.skipped)))
    rows.append(("time", f"{report.seconds:.0f} s"))
    return rows


def _percent(points: float, of: float) -> str:
    return f"{100 * points / of:.4g} %" if of else NO_VALUE


def _as_declared(report: VerifyReport, kind: str) -> str:
    verdicts = [verdict for verdict in report.samples if verdict.sample.kind == kind]
    right = sum(not verdict.deviations for verdict in verdicts)
    return f"{right} of {len(verdicts)} as declared"


def _mutant_rows(report: VerifyReport) -> list[tuple[str, str]]:
    caught = sum(m.caught for m in report.mutants)
    timeouts = sum(m.status == "timeout" for m in report.mutants)
    clock = f" ({timeouts} by the clock)" if timeouts else ""
    survivors, unexplained = len(report.survivors), len(report.unexplained)
    return [
        (
            "mutants",
            f"{len(report.mutants)}: {caught} caught{clock}, {survivors} survived "
            f"({survivors - unexplained} explained), {len(report.equivalent)} change no value",
        ),
        (
            "caught",
            f"{report.catch_rate:.1%} of the {caught + survivors} that change a value".replace(
                "%", " %"
            ),
        ),
    ]


def _written_rows(report: VerifyReport) -> list[tuple[str, str]]:
    """Return the rows on derivations: steps that were read, samples, mutants."""
    lines = report.written
    steps, not_read = sum(w.steps for w in lines), sum(w.not_read for w in lines)
    rows = [("derivations", f"{len(lines)}: {steps - not_read} of {steps} steps read")]
    samples = sum(w.samples for w in lines)
    if samples:
        right = sum(w.as_declared for w in lines)
        rows.append(("derivations, samples", f"{right} of {samples} as declared"))
    differ, unread = sum(w.differ for w in lines), sum(w.unread for w in lines)
    passing = sum(w.passing for w in lines)
    if differ + unread + passing:
        rows.append(
            (
                "derivations, mutants",
                f"{differ + unread + passing}: {differ} found, {unread} not read, {passing} passed",
            )
        )
    return rows


def _named_share(report: VerifyReport) -> str:
    caught = [m for m in report.mutants if m.caught]
    mistakes = [v for v in report.samples if v.sample.kind == "mistake"]
    shares = [
        (sum(m.named for m in caught), len(caught), "mutants"),
        (sum(v.named for v in mistakes), len(mistakes), "mistake samples"),
    ]
    return (
        ", ".join(
            f"{named} of {count} {what} ({_percent(named, count)})"
            for named, count, what in shares
            if count
        )
        + " by their own message"
    )


def _false_fails(report: VerifyReport) -> str:
    runs = sum(rate.seeds for rate in report.rates)
    failures = sum(len(rate.failures) for rate in report.rates)
    worst = max((rate.bound for rate in report.rates), default=0.0)
    return (
        f"{failures} of {runs} over {report.seeds} seeds; each check below "
        f"{min(100.0, 100 * worst):.2g} % (95 % sure)"
    )


def exercise_rows(report: VerifyReport) -> list[tuple[str, str, str, str, str, str, str]]:
    """Return the rows of the exercises; the columns are EXERCISE_HEAD."""
    owners = _owners(report)
    return [
        (
            line.id,
            f"{line.points:g}",
            "by hand" if line.manual else str(line.checks or len(rates) or NO_VALUE),
            _caught(mutants),
            _named(mutants),
            _failed(rates),
            f"{max(rate.slowest for rate in rates):.2f}" if rates else NO_VALUE,
        )
        for line in report.exercises
        for rates in [[rate for rate in report.rates if rate.exercise == line.id]]
        for mutants in [owners.get(line.id, [])]
    ]


def _owners(report: VerifyReport) -> dict[str, list[MutantVerdict]]:
    """Return the mutants by exercise: the first of their notebook that lists their function.

    A helper's mutants belong to the exercise that caught them, else to the notebook's first one.
    """
    owned: dict[str, list[MutantVerdict]] = {}
    for verdict in report.mutants:
        here = [e for e in report.exercises if e.notebook == verdict.mutant.notebook]
        listed = [e for e in here if verdict.mutant.function in e.functions]
        caught_by = [e for e in here if verdict.by.startswith(f"{e.id}, ")]
        owners = listed or caught_by or [e for e in here if e.functions]
        if owners:
            owned.setdefault(owners[0].id, []).append(verdict)
    return owned


def _caught(mutants: Sequence[MutantVerdict]) -> str:
    changed = [m for m in mutants if m.status != "equivalent"]
    return f"{sum(m.caught for m in changed)}/{len(changed)}" if changed else NO_VALUE


def _named(mutants: Sequence[MutantVerdict]) -> str:
    """Return how many of the caught mutants are named by their own message."""
    caught = [m for m in mutants if m.caught]
    return f"{sum(m.named for m in caught)}/{len(caught)}" if caught else NO_VALUE


def _failed(rates: Sequence[CheckRate]) -> str:
    return (
        f"{sum(len(r.failures) for r in rates)}/{sum(r.seeds for r in rates)}"
        if rates
        else NO_VALUE
    )


EXERCISE_HEAD = (
    "exercise",
    "points",
    "checks",
    "mutants caught",
    "named",
    "false fails",
    "slowest s",
)


# --- terminal -----------------------------------------------------------------------------


def render(console: Console, report: VerifyReport) -> None:
    """Print the tables, then the problems, then further findings."""
    verdict = "[green]holds[/green]" if report.passed else "[red]does not hold[/red]"
    console.print(f"[bold]{escape(report.assignment)}[/bold]  {escape(report.title)}: {verdict}")
    summary = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in summary_rows(report):
        summary.add_row(name, escape(text))
    console.print(summary)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for head in EXERCISE_HEAD:
        table.add_column(head, justify="left" if head == "exercise" else "right")
    for row in exercise_rows(report):
        table.add_row(*map(escape, row))
    console.print(table)
    for title, lines in detail_sections(report).items():
        if lines:
            console.print(f"[bold]{escape(title)}[/bold]")
            for line in lines:
                console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


def detail_sections(report: VerifyReport) -> dict[str, list[str]]:
    """Return the sentences below the tables, by heading."""
    return {
        "What does not hold": list(report.problems),
        "Checks that raised an exception instead of a verdict": list(report.warnings),
        "Samples with words that would give the solution away": list(report.too_much_said),
        "Tables in known/ that no longer fit; write them anew with --write-known": list(
            report.stale_tables
        ),
        "Explanations in survivors.toml without a survivor": list(report.stale),
        "Functions that draw and have no mutants": list(report.left_out),
        "Survivors that are explained": [
            f"{m.mutant.id}: {m.explanation}" for m in report.survivors if m.explanation
        ],
    }


# --- Markdown -----------------------------------------------------------------------------


def render_markdown(report: VerifyReport) -> str:
    """Return the two tables as Markdown."""
    lines = [f"| {report.assignment} | {report.title} |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in summary_rows(report)]
    lines += ["", f"| {' | '.join(EXERCISE_HEAD)} |", "|---|" + "---:|" * (len(EXERCISE_HEAD) - 1)]
    lines += [f"| {' | '.join(row)} |" for row in exercise_rows(report)]
    return "\n".join(lines) + "\n"


# --- JSON ---------------------------------------------------------------------------------


def as_json(reports: Sequence[VerifyReport]) -> str:
    """Return the reports as one JSON document."""
    document = {"schema": 1, "assignments": [_report_json(report) for report in reports]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _report_json(report: VerifyReport) -> dict[str, object]:
    """Return the report for JSON: every sample, every mutant, every check's rate."""
    return {
        "assignment": report.assignment,
        "title": report.title,
        "passed": report.passed,
        "problems": list(report.problems),
        "warnings": list(report.warnings),
        "too_much_said": list(report.too_much_said),
        "reference_score": report.reference_score,
        "stub_score": report.stub_score,
        "max_score": report.max_score,
        "seeds": report.seeds,
        "checks": [_check_json(rate) for rate in report.rates],
        "samples": [
            {
                "name": verdict.sample.name,
                "title": verdict.sample.title,
                "says": verdict.sample.says,
                "kind": verdict.sample.kind,
                "deviations": list(verdict.deviations),
                "named": verdict.named,
                "seconds": round(verdict.seconds, 3),
            }
            for verdict in report.samples
        ],
        "mutants": [_mutant_json(verdict) for verdict in report.mutants],
        "caught": report.catch_rate,
        "derivations": [asdict(line) for line in report.written],
        "left_out": list(report.left_out),
        "skipped": list(report.skipped),
        "stale_explanations": list(report.stale),
        "seconds": round(report.seconds, 3),
    }


def _check_json(rate: CheckRate) -> Mapping[str, object]:
    return {
        "exercise": rate.exercise,
        "name": rate.name,
        "hidden": rate.hidden,
        "points": rate.points,
        "seeds": rate.seeds,
        "failures": [{"seed": seed, "message": message} for seed, message in rate.failures],
        "rate": rate.rate,
        "bound": rate.bound,
        "slowest": round(rate.slowest, 4),
    }


def _mutant_json(verdict: MutantVerdict) -> Mapping[str, object]:
    return {
        "id": verdict.mutant.id,
        "notebook": verdict.mutant.notebook,
        "function": verdict.mutant.function,
        "kind": verdict.mutant.kind,
        "cell": verdict.mutant.cell,
        "line": verdict.mutant.line,
        "status": verdict.status,
        "by": verdict.by,
        "named": verdict.named,
        "detail": verdict.detail,
        "explanation": verdict.explanation,
        "seconds": round(verdict.seconds, 3),
    }
