"""Encodes each message as one frame of bytes; the grader and the student's process both use it.

A frame is

    header    magic b"GRDF", version u16, reserved u16 (0), buffers u32, text bytes u32
    lengths   u64 for each buffer
    text      ASCII JSON
    buffers   .npy files, version 1.0, one after the other

all little-endian. The JSON has null, true, false, numbers (NaN and Infinity as Python writes
them), strings, and arrays for lists. Everything else is an object with one key:

    {"t": list}              tuple
    {"d": [list, list]}      dict: its keys, its values
    {"c": [re, im]}          complex
    {"i": "-0x1f"}           an int beyond 64 bits
    {"a": k}                 ndarray, the k-th buffer
    {"n": 0.5}               numpy scalar: float64, int64 or bool_, according to the JSON type
    {"s": k}                 any other numpy scalar, a buffer of shape ()
    {"b": k}                 bytes, a uint8 buffer
    {"l": k}                 a list of Python floats, ints or bools, packed into one buffer
    {"L": k}                 a list of numpy scalars, packed
    {"A": k}                 a list of ndarrays of one shape and dtype, stacked
    {"z": [list, ...]}       a list of tuples of one length, column by column
    {"h": [id, "Perceptron"]}  a handle to an object that stays in the student's process
    {"v": ["Generator", contents]}  a value of a form (forms.py), and its plain contents
    {"f": [id, "f", binds, parameters]}  a function of the check, to be called back

Each buffer is referenced exactly once. Nothing is ever unpickled or evaluated. A .npy header must
match a regular expression, its dtype one of the kinds b i u f c S U, its size the buffer's real
length, its text valid code points. Depth, items and bytes are checked before memory of that size is
allocated.

The functions here have a private copy of the builtins: if student code replaces
`builtins.isinstance`, they don't use the replacement.
"""

from grader.in_kernel.codec.bases import base_value
from grader.in_kernel.codec.decoding import decode, decode_bytes
from grader.in_kernel.codec.encoding import encode
from grader.in_kernel.codec.limits import (
    READ_AHEAD,
    SEND_BYTES,
    VERSION,
    Buffer,
    Function,
    Handle,
    Keep,
    Limits,
    MalformedFrame,
    Resolve,
    TooLarge,
    no_handles,
    refuse_handle,
)
from grader.in_kernel.codec.npy import npy_header

__all__ = [
    "READ_AHEAD",
    "SEND_BYTES",
    "VERSION",
    "Buffer",
    "Function",
    "Handle",
    "Keep",
    "Limits",
    "MalformedFrame",
    "Resolve",
    "TooLarge",
    "base_value",
    "decode",
    "decode_bytes",
    "encode",
    "no_handles",
    "npy_header",
    "refuse_handle",
]
