"""Counts what a call runs: bytecodes, and what the student's own code does by them.

Student code may replace what the standard library has: what is needed is held from the import on.
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
"""What is counted of the student's own lines, in the order of the reply.

products    `@`, and each use of a name such as np.dot, x.dot, np.einsum
arithmetic  the other operators of arithmetic, of numbers and of arrays alike
items       x[i] that is read or set
rounds      of loops and comprehensions
"""
_PRODUCTS: Final = frozenset(
    ("dot", "matmul", "inner", "vdot", "vecdot", "outer", "einsum", "tensordot", "multi_dot")
)
_NAMED: Final = frozenset(
    ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_FAST")
)
# Of 3.10, which has an instruction for each operator.
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
    """What the call returns, the bytecodes that Python ran for it, and its counts of KINDS.

    is_own : whether a file is the student's: what it does is counted; None to count no kinds
    The bytecodes are numpy's own included. Both are None where the student's code traces itself.
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
            frame.f_trace = trace  # Python 3.13 asks for bytecodes of a frame that has one alone
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            code = frame.f_code
            if is_own is not None and code not in known:
                known[code] = _kinds_of(code) if is_own(code.co_filename) else {}
        return trace

    # Python 3.12 looks for bytecodes only where a frame has asked for them before settrace.
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
    """The kind of each instruction of a function that counts, by its offset."""
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
