"""Counts the bytecodes that a call runs, and the operations of the student's own code.

Student code may replace functions of the standard library; this module keeps those that it needs.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Callable
from sys import _getframe, gettrace, settrace
from types import CodeType, FrameType
from typing import Any, Final

globals()["__builtins__"] = dict(vars(builtins))

KINDS: Final = ("products", "arithmetic", "items", "rounds")
"""The operations that are counted in the student's own lines, in the order of the reply.

products    `@`, and each use of a name such as np.dot, x.dot, np.einsum
arithmetic  the other arithmetic operators, on numbers and on arrays
items       x[i] is read or set
rounds      iterations of loops and comprehensions
"""
_PRODUCTS: Final = frozenset(
    ("dot", "matmul", "inner", "vdot", "vecdot", "outer", "einsum", "tensordot", "multi_dot")
)
_NAMED: Final = frozenset(
    ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_FAST")
)
# Python 3.10 has an instruction for each operator.
_OLD_OPERATORS: Final = frozenset(
    f"{place}_{name}"
    for place in ("BINARY", "INPLACE")
    for name in ("ADD", "SUBTRACT", "MULTIPLY", "TRUE_DIVIDE", "FLOOR_DIVIDE", "MODULO", "POWER")
)
_instructions = dis.get_instructions


def count(
    function: Callable[..., Any],
    args: Any,
    kwargs: Any,
    is_own: Callable[[str], bool] | None,
) -> tuple[Any, int | None, list[int] | None]:
    """Return the call's result, the number of bytecodes that Python ran, and the counts of KINDS.

    is_own : returns whether a file name is the student's own code; None to count no KINDS
    The bytecodes of numpy's Python code count too. Both are None if the student's code traces
    itself.
    """
    steps = 0
    counts = [0] * len(KINDS)
    known: dict[CodeType, dict[int, int]] = {}

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        if event == "opcode":
            steps += 1
            if is_own is not None:
                kind = known[frame.f_code].get(frame.f_lasti)
                if kind is not None:
                    counts[kind] += 1
        elif event == "call":
            frame.f_trace = trace  # Python 3.13 traces bytecodes only in a frame that has this set
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            code = frame.f_code
            if is_own is not None and code not in known:
                known[code] = _kinds_of(code) if is_own(code.co_filename) else {}
        return trace

    # Python 3.12 traces bytecodes only if a frame has requested them before settrace.
    here = _getframe()
    here.f_trace_opcodes = True
    settrace(trace)
    try:
        value = function(*args, **kwargs)
    finally:
        undisturbed = gettrace() is trace
        settrace(None)
        here.f_trace_opcodes = False
    if not undisturbed:
        return value, None, None
    return value, steps, None if is_own is None else counts


def _kinds_of(code: CodeType) -> dict[int, int]:
    """Return, by offset, the index in KINDS of each instruction of a function that counts."""
    found: dict[int, int] = {}
    for one in _instructions(code):
        name, offset = one.opname, one.offset
        if name in ("BINARY_MATRIX_MULTIPLY", "INPLACE_MATRIX_MULTIPLY"):
            found[offset] = 0
        elif name == "BINARY_OP" and one.argrepr in ("[]", "NB_SUBSCR"):
            found[offset] = 2
        elif name == "BINARY_OP":
            found[offset] = 0 if one.argrepr in ("@", "@=") else 1
        elif name in _OLD_OPERATORS or name == "UNARY_NEGATIVE":
            found[offset] = 1
        elif name in _NAMED and one.argval in _PRODUCTS:
            found[offset] = 0
        elif name in ("BINARY_SUBSCR", "STORE_SUBSCR", "BINARY_SLICE", "STORE_SLICE"):
            found[offset] = 2
        elif "JUMP" in name and type(one.argval) is int and one.argval < offset:
            found[offset] = 3
    return found
