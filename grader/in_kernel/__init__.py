"""The only code of grade that runs INSIDE the student's process.

It needs only the standard library and numpy. It is imported before the student's first cell, and
keeps references to the functions that it uses later, since student code may replace them.
"""
