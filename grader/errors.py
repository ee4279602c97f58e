"""What can go wrong, named by whose fault it is.

GradeError                what a user of `grade` may see
    SubmissionError       the submission can't be read: it is refused
    AssignmentError       reference/<id>/ is wrong: the instructor repairs it
    SheetError            a roster or a worksheet can't be read or filled
    DataError             a file of images can't be used: nothing is imported
    SandboxError          the machine can't isolate student code as asked
    ClusterError          the cluster can't be reached, or can't grade
    StoreError            the file of earlier results can't be used
    NotHeld               what an earlier run kept can't be used for this one
    ReviewError           marks can't be read, or can't be given
    GraderFault           this package or its machine is at fault: no points are lost
Interrupted               the user stopped it (a KeyboardInterrupt)
CheckFailed               the verdict of a check (an AssertionError)
    Missing               what the check asks for isn't there
    NotAValue             an object of the student's, expected a plain value
    NonFiniteValue        nan or inf, expected a finite number
StudentFault              a call into the student's process gave no value
    StudentError          the student's code raised
        PassedOn          it called a function of the check, and let its exception pass
    StudentTimeout        it outlived the check's limit
    StudentDied           its process ended
    BadReply              the reply is not legal
ReferenceFault            the same for a call into the solved notebook: not the student's fault
"""

import ast
import builtins
import contextlib
import contextvars
import errno
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any


class GradeError(Exception):
    """A failure outside the checks; its text is one line that says what to do."""


class SubmissionError(GradeError):
    """The submission can't be read. It is refused; the next one goes on."""


class NoWork(SubmissionError):
    """The submission holds neither a notebook nor a script."""


class SheetError(GradeError):
    """A roster, a worksheet or a gradebook can't be read or filled. The user corrects it."""


class AssignmentError(GradeError):
    """The assignment's own files are wrong. Nothing is graded with them."""


class DataError(GradeError):
    """A file of images can't be used as a data set. Nothing is imported."""


class SandboxError(GradeError):
    """The machine does not offer the isolation that was asked for. Nothing is graded."""


class ClusterError(GradeError):
    """The cluster does not answer, or has no grader like this one. Nothing is graded there."""


class PluginError(GradeError):
    """A plugin can't be loaded, or failed. Nothing that needs it is done."""


class StoreError(GradeError):
    """The file of earlier results can't be read or written."""


class ReviewError(GradeError):
    """Marks can't be read, given or changed. The person who marks corrects it."""


class Interrupted(KeyboardInterrupt):
    """The user stopped a batch; the text says what is done and how to go on."""


class NotHeld(GradeError):
    """What an earlier run kept does not fit this request. Nothing was graded."""


class GraderFault(GradeError):
    """The grader or its machine failed. The submission is not scored and loses nothing."""


_NO_PROCESS = ("can't start new thread", os.strerror(errno.EAGAIN))


def fault_line(text: str, *more: str) -> str:
    """Return the text of a fault, with the next step if the machine has no process or thread left.

    more : further text about it
    """
    if not any(said in one for said in _NO_PROCESS for one in (text, *more)):
        return text
    return (
        f"{text.rstrip('.')}: the limit of processes is reached (`ulimit -u`, a container's pids); "
        "raise it or grade with --jobs 1, and call the command again"
    )


class CheckFailed(AssertionError):
    """A check's verdict: what is wrong, and what to look at next.

    problem : one or two sentences; names the mistake, never an input or the answer
        ("the gradient is 120 times too large")
    hint : the next step ("m = 120: is the mean missing?"); shown for hidden checks too
    called, expected, got, where : the evidence; withheld for hidden checks
    credit : float in [0, 1], the share of the check's points that is still earned
    """

    def __init__(
        self,
        problem: str,
        *,
        hint: str = "",
        called: str = "",
        expected: str = "",
        got: str = "",
        where: str = "",
        credit: float = 0.0,
    ) -> None:
        self.problem = problem
        self.hint = hint
        self.called = called
        self.expected = expected
        self.got = got
        self.where = where
        self.credit = min(1.0, max(0.0, credit))
        super().__init__(self.message())

    def message(self) -> str:
        """Return the whole message with its evidence, one line for each part."""
        head = f"{self.called}: {self.problem}" if self.called else self.problem
        evidence = [
            f"{label} {text}"
            for label, text in (
                ("expected", self.expected),
                ("got", self.got),
                ("where:", self.where),
            )
            if text
        ]
        return "\n".join([head, *evidence, *([self.hint] if self.hint else [])])

    def hidden_message(self) -> str:
        """Return the message for a hidden check: no inputs, no expected values."""
        return "\n".join(part for part in (self.problem, self.hint) if part)


class Missing(CheckFailed):
    """The definition, attribute or figure that the check asks for isn't there."""


class NotDefined(Missing):
    """A name that the check calls isn't there. The check may have misspelt it.

    name : as the check calls it
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"`{name}` is not defined")


class NotAValue(CheckFailed, TypeError):
    """A call returned an object of the student's process instead of a plain value."""


class NonFiniteValue(CheckFailed):
    """A value is nan or inf where it must be finite; the message names the first bad index."""


class StudentFault(Exception):
    """A call into the student's process gave no value. The student loses only that check."""


_BY_ELEMENT = "`if`, `and`, `or`, max() take one value. For arrays use np.where(condition, a, b)."
_ONE_NUMBER = (
    "math.exp and other functions of math take one number. np.exp and others of numpy take arrays."
)
_SHAPES = "Look at the shapes: must a factor be transposed (.T), or does (m,) meet (m, 1)?"
_INDEX = "given only if a number in the code explains it"
# numpy's messages for the most common mistakes, and what a beginner can do.
_NEXT_STEPS = {
    "truth value of an array": _BY_ELEMENT,
    "can be converted to Python scalars": _ONE_NUMBER,
    "could not be broadcast together": _SHAPES,
    "mismatch in its core dimension": _SHAPES,
    "not aligned": _SHAPES,
    "is out of bounds for axis": _INDEX,
    "could not broadcast input array from shape": _INDEX,
    "invalid index to scalar variable": "What is indexed is one number: use it without an index.",
    "'float' object cannot be interpreted as an integer": (
        "A size or a count is a float, as every result of / is: use // or int()."
    ),
    "'bitwise_xor' not supported": "In Python ^ is not a power: write x**2.",
    "bad operand type for unary -: 'list'": "np.asarray(x, dtype=float) makes an array of a list.",
}


def _next_step(text: str) -> str:
    """Return what a beginner can do about an error, "" if nothing is known."""
    return next((step for said, step in _NEXT_STEPS.items() if said in text), "")


def _of_attribute(text: str, where: str) -> str:
    """Return the next step if `self.name` is read before it has a value; "" for another error."""
    found = re.fullmatch(r"'\w+' object has no attribute '(\w+)'.*", text)
    if found is None or not re.search(rf"\bself\.{found[1]}\b(?!\s*\()", _code_of(where)):
        return ""
    return (
        f"self.{found[1]} has no value when this method is called: is it misspelt, or set only in "
        "another method? Set it in __init__."
    )


def _of_written_sizes(called: str, text: str, where: str, sizes: Sequence[int]) -> str:
    """Return the next step if a size in the error is a number in the student's own code."""
    code = _code_of(where)
    written = _hard_coded(called, text, code, sizes)
    if not written:
        return ""
    numbers = " and ".join(map(str, written))
    are, have, them = ("is", "has", "it") if len(written) == 1 else ("are", "have", "them")
    place = "line" if _numbers_in(code) & {*written} else "function"
    return (
        f"{numbers} {are} written as a number in that {place}, and no array of this call {have} "
        f"that size: take {them} from an array's shape, as X.shape[1], or from what the function "
        "is given."
    )


def _code_of(where: str) -> str:
    """Return the line's text of "cell 4, line 7: return x"."""
    _, _, line = where.partition(", line ")
    return line.partition(":")[2].strip()


def _hard_coded(called: str, text: str, code: str, sizes: Sequence[int]) -> list[int]:
    """Return the numbers in the student's code that are a size in the error, but of no argument.

    called : "f(array (60, 5) float64)"; text : "... shapes (5,5) (31,31)"
    code : the line, "w = np.linalg.inv(X.T @ X + np.eye(31))"
    sizes : further whole numbers in the function of that line
    """
    written = sorted(_numbers_in(code) | {*sizes})
    clashing, given = _numbers_in(text), _numbers_in(called)
    outside = re.search(r"index (\d+) is out of bounds for axis \d+ with size (\d+)", text)
    if outside is None:
        return [size for size in written if size in clashing - given][:1]
    index, size = int(outside[1]), int(outside[2])
    if size in written and size not in given:
        return [size]
    return [n for n in written if n > index and n not in given][:2]


def _numbers_in(text: str) -> set[int]:
    return {int(found) for found in re.findall(r"(?<![\w.])\d{1,9}(?![\w.])", text)}


_AS_RAISED = contextvars.ContextVar("as raised", default=False)


@contextlib.contextmanager
def as_raised() -> Iterator[None]:
    """Within it, str(error) and error.args of a StudentError are those of the student's exception.

    A course's own test may compare them, as it does in one process.
    """
    token = _AS_RAISED.set(True)
    try:
        yield
    finally:
        _AS_RAISED.reset(token)


class StudentError(StudentFault):
    """The student's code raised.

    called : what the check called, with its arguments shortened
    kind : name of the exception's class ("ValueError")
    text : the exception's message, shortened and printable
    where : the student's own innermost line ("cell 4, line 7: return 1/(1+exp(-z))"), or ""
    sizes : whole numbers that the function of that line has written in it
    """

    of_sizes: str = ""
    """The next step if a size is a number in the code; it says nothing about the call."""
    base: str = ""
    """The builtin exception that an instance is as well ("ValueError"), by which it is caught; or
    numpy's LinAlgError."""

    def __init__(
        self, called: str, kind: str, text: str, where: str = "", sizes: Sequence[int] = ()
    ) -> None:
        self.called = called
        self.kind = kind
        self.text = text
        self.where = where
        place = f"\nwhere: {where}" if where else ""
        self.sizes = tuple(sizes)
        step = _next_step(text) or _of_attribute(text, where)
        if step in (_SHAPES, _INDEX):
            self.of_sizes = _of_written_sizes(called, text, where, self.sizes)
            step = self.of_sizes or (step if step == _SHAPES else "")
        super().__init__("\n".join(filter(None, [f"{called} raised {kind}: {text}{place}", step])))

    @property
    def not_filled_in(self) -> bool:
        """Whether it is the `raise NotImplementedError` of many templates."""
        raised = re.match(r"raise\s+NotImplementedError\b", _code_of(self.where))
        return self.kind == "NotImplementedError" and raised is not None

    @property
    def args(self) -> tuple[Any, ...]:  # type: ignore[override]
        """What it was made with; within as_raised() the student's message."""
        given: tuple[Any, ...] = BaseException.args.__get__(self)  # type: ignore[attr-defined]
        if not _AS_RAISED.get():
            return given
        if self.base == "KeyError":  # its message is the key as it is written
            with contextlib.suppress(ValueError, SyntaxError):
                return (ast.literal_eval(self.text),)
        return (self.text,) if self.text else ()

    def __str__(self) -> str:  # a KeyError would quote it
        return self.text if _AS_RAISED.get() else str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.base, self.called, self.kind, self.text, self.where, self.sizes)


def _rebuilt(base: str, *parts: Any) -> StudentError:
    return student_error_class(base)(*parts)


# A StopIteration would end a loop over a check's calls as if all was well. The last two take other
# arguments than a text.
_NOT_CAUGHT_AS = ("StopIteration", "StopAsyncIteration", "ExceptionGroup")
_CAUGHT_AS = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, Warning | UnicodeEncodeError | UnicodeDecodeError)
    and not issubclass(kind, UnicodeTranslateError | BaseExceptionGroup)
    and name not in _NOT_CAUGHT_AS
}


def student_error_class(base: str, of: type[StudentError] | None = None) -> type[StudentError]:
    """Return the class of a student's error that is also a builtin exception, or numpy's.

    base : the name of the nearest such class, as the student's process claims
    """
    made: type[StudentError] = of or StudentError
    kind = _CAUGHT_AS.get(base)
    if base == "LinAlgError":
        from numpy.linalg import LinAlgError as kind  # `grade --help` needs no numpy
    if kind is None or kind is Exception:
        return made
    known = _CLASSES.get((base, made))
    if known is None:
        members = {"base": base, "__module__": __name__, "__qualname__": made.__name__}
        known = _CLASSES[base, made] = type(made.__name__, (made, kind), members)
    return known


_CLASSES: dict[tuple[str, type[StudentError]], type[StudentError]] = {}


class PassedOn(StudentError):
    """The student's code called a function of the check, and let its exception pass.

    It is the `__cause__` of that exception, and says where the student's code was.
    """

    def __init__(self, called: str, kind: str, text: str, where: str = "") -> None:
        super().__init__(
            called, kind, f"{text} (raised by a function that the check handed over)", where
        )


class StudentTimeout(StudentFault):
    """The call outlived the check's limit; its process was killed."""


class StudentDied(StudentFault):
    """The process that answered the check ended (os._exit, a segfault, out of memory).

    killed : by itself or by the machine, which can't be known: the check is tried again
    """

    killed = False


class BadReply(StudentFault):
    """The process sent an illegal reply, or more than a reply may hold."""


class EnoughAsked(StudentFault):
    """A second run that only explains a failed check has sent all the requests that it may send.

    No verdict rests on it: what could not be found out is not told.
    """


class ReferenceFault(Exception):
    """A call into the solved notebook gave no value: it is wrong, or its arguments are.

    Not a StudentFault: the check runs on the solved notebook to find out whether points are lost.
    """
