"""The warm process: it keeps an assignment's checks and a fork server for the next run.

`grade --keep-warm nb.ipynb` grades as usual and leaves the process running. A fork of it does the
next `grade` of a file in that folder; the fork has imported everything already.

    place           the user's folder for sockets, and the key of a process
    fingerprint     of the code, packages, assignment and data: an outdated process never answers
    client          sends a run to the process instead of grading
    held            the checks and the fork server that are kept between runs
    process         the program: `python -P -m grader.warm.process`

Only on Linux: on other systems a process that has loaded libraries can't be forked.
"""
