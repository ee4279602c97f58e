"""Grades many submissions, in several processes or on a cluster, and none of them twice.

serialization   results as bytes and back
cache_key       a key of everything that a verdict depends on
store           the results of earlier runs
workers         grading processes on this machine
worker          the program of such a process; it grades as a run with one submission does
cluster         the same work on a dask.distributed cluster
collector       where results arrive
known_store     tables of known mistakes
"""
