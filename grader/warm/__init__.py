"""A process that stays: it holds an assignment's checks and a fork server for the next run.

`grade --keep-warm nb.ipynb` grades as usual and leaves the process behind; the next `grade` of a
file in that folder is done by a fork of it, which has imported everything.

    place           the user's own folder for sockets, and what one process is to be found by
    fingerprint     of the code, the packages, the assignment and the data: nothing old answers
    client          asks the process, in the place of grading
    held            the checks and the fork server, kept from one run to the next
    process         the program: `python -P -m grader.warm.process`

Linux alone: elsewhere processes with libraries in them are not to be forked.
"""
