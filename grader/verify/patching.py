"""Replace a definition by a changed one, in a process that has run the notebook."""

from __future__ import annotations

import textwrap

from grader.verify.mutants import Mutant


def patch_source(mutant: Mutant) -> str:
    """Return the statements that replace the original by a mutant's definition.

    A method is set on its class, so that objects that exist already use it.
    """
    owner, _, name = mutant.function.rpartition(".")
    if not owner:
        return mutant.source
    # A class statement around the method mangles names that begin with __ as before.
    class_name = owner.rpartition(".")[2]
    holder = f"class {class_name}:\n{textwrap.indent(mutant.source, '    ')}\n"
    return f"{_PUT_IN_PLACE}_put_in_place({owner}, {name!r}, {holder!r})\ndel _put_in_place\n"


def raising_source(function: str) -> str:
    """Return a definition of the function, or the method, that only raises."""
    name = function.rpartition(".")[2]
    return f"def {name}(*args, **kwargs):\n    raise NotImplementedError\n"


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
