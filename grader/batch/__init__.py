"""Many submissions: on several processes or a cluster, and none of them twice.

serialization results as bytes and back
cache_key     what a verdict depends on, as one key
store         the results of earlier runs
workers       grading processes on this machine
cluster       the same work on a dask.distributed cluster

Nothing here grades: worker.py does, with the pipeline that grades a single submission.
"""
