"""Puts a changed definition in the place of the original, in a process that holds the notebook."""

from __future__ import annotations

import textwrap

from grader.verify.mutants import Mutant


def patch_source(mutant: Mutant) -> str:
    """Return the statements that put a mutant's definition in the place of the original.

    A method is set on its class, so that objects made earlier follow it.
    """
    owner, _, name = mutant.function.rpartition(".")
    if not owner:
        return mutant.source
    # Inside a class statement, names that begin with __ are mangled as they were.
    class_name = owner.rpartition(".")[2]
    holder = f"class {class_name}:\n{textwrap.indent(mutant.source, '    ')}\n"
    return f"{_PUT_IN_PLACE}_put_in_place({owner}, {name!r}, {holder!r})\ndel _put_in_place\n"


_PUT_IN_PLACE = """\
def _put_in_place(owner, name, holder):
    space = {}
    exec(holder, globals(), space)
    made = vars(space.popitem()[1])[name]
    function = getattr(made, "__func__", None) or getattr(made, "fget", None) or made
    for free, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        if free == "__class__":  # what super() without arguments looks at
            cell.cell_contents = owner
    setattr(owner, name, made)
"""
