"""Opens a run in the file of results, if results are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from grader.assignment.check_fingerprints import check_fingerprints, fingerprints_by_check
from grader.batch import answer_store, cache_key
from grader.batch.store import KeptRun, open_store, place
from grader.errors import StoreError
from grader.records import Assignment, Figures, Options


def kept_assignments(options: Mapping[str, Options], input_hashes: Sequence[str]) -> dict[int, str]:
    """Return the assignments of submissions whose results are kept, by the submissions' numbers.

    options : for each assignment, by its id
    input_hashes : of the submissions, in order; "" for an unknown one
    """
    try:
        file = place(os.environ)
        if file is None or not file.is_file():
            return {}
        environment = cache_key.environment()
        keys = {}
        for name, asked in options.items():
            for key in (cache_key.key(asked, environment), *_as_good(asked, environment)):
                keys[key] = name
        with open_store(file) as store:
            return {
                number: keys[key]
                for number, input_hash in enumerate(input_hashes)
                if input_hash and (key := store.graded_under(input_hash, list(keys)))
            }
    except (StoreError, OSError):  # the start of the run reports it
        return {}


@contextmanager
def kept_run(
    assignment: Assignment,
    options: Options,
    *,
    submissions: int,
    environment: str,
    warn: Callable[[str], None],
    about: Mapping[str, Any] | None = None,
) -> Iterator[KeptRun | None]:
    """Yield a started run; None if nothing should or can be kept.

    submissions : how many there are
    environment : from cache_key.environment(), of the machine that grades
    warn : called with the reason if nothing can be kept
    about : see RunRecord
    """
    with ExitStack() as stack:
        run = None
        try:
            file = place(os.environ, student=assignment.public_only)
            if file is not None:
                run = stack.enter_context(open_store(file)).begin(
                    assignment=assignment.id,
                    title=assignment.title,
                    submissions=submissions,
                    settings={
                        "seed": options.seed,
                        "only": options.only,
                        "public": options.public or assignment.public_only,
                        "sandbox": options.sandbox,
                    },
                    key=cache_key.key(options, environment),
                    acceptable=_as_good(options, environment),
                    about={
                        **(about or {}),
                        "checks": check_fingerprints(assignment),
                        "each_check": fingerprints_by_check(assignment),
                        "environment": environment,
                    },
                )
        except (StoreError, OSError) as error:
            warn(f"no result is kept: {error}")
        if run is not None and options.keep_answers:
            try:
                run.answers_mib = answer_store.room_mib(os.environ)
                run.session_key = cache_key.session_key(options, assignment, environment)
            except (StoreError, OSError) as error:
                warn(f"no answers are kept for `grade regrade`: {error}")
        yield run


def _as_good(options: Options, environment: str) -> list[str]:
    """Return the keys of results with more figures than requested, which serve as well."""
    kinds: tuple[Figures, ...] = ("none", "answers", "all")
    wider = kinds[kinds.index(options.figures) + 1 :]
    return [cache_key.key(replace(options, figures=kind), environment) for kind in wider]
