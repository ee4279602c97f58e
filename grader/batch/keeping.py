"""A run of the command in the file of results, where results are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from grader.batch import cache_key
from grader.batch.store import KeptRun, open_store, place
from grader.errors import StoreError
from grader.records import Assignment, Options


@contextmanager
def kept_run(
    assignment: Assignment,
    options: Options,
    *,
    submissions: int,
    environment: str,
    warn: Callable[[str], None],
) -> Iterator[KeptRun | None]:
    """Yield a run that has begun; None where nothing is to be kept, or can be.

    submissions : how many there are
    environment : of where they are graded, by cache_key.environment()
    warn : gets the reason why nothing can be kept
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
                    # Figures more than are asked for do no harm.
                    acceptable=[cache_key.key(replace(options, figures=True), environment)],
                )
        except (StoreError, OSError) as error:
            warn(f"no result is kept: {error}")
        yield run
