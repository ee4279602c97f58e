"""The only code of grade that runs INSIDE the student's process.

It needs the standard library and numpy, and it is imported before the student's first
cell: what it uses later, it holds from then.
"""
