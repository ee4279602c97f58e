"""Names and objects of the student's process that a check calls, reads and sets.

A check writes local code (`student.f(x)`, `model.w = w0`); each step becomes one request. New
operations on a name or an object go here, as methods; those on the whole process go to student.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from grader.errors import NotAValue, NotDefined, student_error_class
from grader.session.replies import IndexedError, Observation, observation
from grader.session.showing import show, show_call, show_operation
from grader.session.wire import Place, Proxy, place_of

# Names by which Python, IPython and pytest ask any object what it can do. They are never sent to
# the student's process: the student's code would answer.
_PROTOCOL_PREFIXES = ("_repr_", "_ipython_", "_pytest")
_FUNCTION_TYPES = frozenset(("function", "method", "builtin_function_or_method", "ufunc", "type"))


class _Callable(Proxy):
    """The common part of names and handles: both can be called in three ways."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the object; return the result: a value, or a Remote."""
        place = place_of(self)

        def called() -> str:
            return show_call(place.label, args, kwargs)

        value = place.wire.ask(called, "call", place.base, place.path, args, kwargs)
        return relabelled(value, f"{place.label}(...)")

    def map(self, items: Iterable[Any]) -> list[Any]:
        """Call the object once for each item, with one message each way; return the results.

        items : for each call its one positional argument, or a tuple of its arguments
        Raises StudentError for the first call that raises; it names the call's index (from 0).
        """
        place = place_of(self)
        inputs = list(items)

        def called() -> str:
            return f"{place.label} on each of {len(inputs)} inputs"

        try:
            values = place.wire.ask(called, "map", place.base, place.path, inputs)
        except IndexedError as error:
            if not 0 <= error.index < len(inputs):
                raise place.wire.bad_reply(called) from None
            item = inputs[error.index]
            call = show_call(place.label, item if type(item) is tuple else (item,), {})
            called_at = f"{call} (call {error.index} of {len(inputs)})"
            raised = student_error_class(error.base)
            raise raised(called_at, error.kind, error.text, error.where) from None
        if type(values) is not list or len(values) != len(inputs):
            raise place.wire.bad_reply(called)
        return values

    def observe(
        self,
        *args: Any,
        steps: bool = False,
        memory: bool = False,
        operations: bool = False,
        **kwargs: Any,
    ) -> Observation:
        """Call the object; return its result, exception, warnings, output and more.

        steps : count the bytecodes that Python runs; slow
        memory : count the bytes that Python and numpy allocate; slower
        operations : count products, operators, items and rounds of loops; as slow as steps
        """
        place = place_of(self)

        def called() -> str:
            return show_call(place.label, args, kwargs)

        wanted = steps, memory, operations
        claimed = place.wire.ask(called, "observe", place.base, place.path, args, kwargs, *wanted)
        observed = observation(claimed, called(), len(args))
        if observed is None:
            raise place.wire.bad_reply(called)
        return observed

    def __observe__(self, args: Sequence[Any], kwargs: dict[str, Any], large: int) -> Observation:
        """Call it as `observe` does. Arrays of more than `large` bytes do not come back."""
        wire = place_of(self).wire

        def sent(value: Any) -> Any:
            if getattr(value, "nbytes", 0) <= large:
                return value
            return wire.ask(lambda: show(value), "store", value)

        return self.observe(*map(sent, args), **kwargs)

    def __instancecheck__(self, value: Any) -> bool:
        """Return whether a value is an instance of this class: the student's process knows it."""
        place = place_of(self)
        path = ".".join(filter(None, (place.path, "__instancecheck__")))

        def called() -> str:
            return show_call("isinstance", (value, self), {})

        try:
            return place.wire.ask(called, "call", place.base, path, (value,), {}) is True
        except NotDefined:
            raise TypeError(f"isinstance() needs a class: is `{place.label}` one?") from None

    def __reduce__(self) -> Any:
        raise TypeError("what lives in the student's process can't be copied")


class Function(_Callable):
    """A dotted name in the notebook's namespace. It is looked up when it is used."""

    __slots__ = ()

    def __init__(self, place: Place) -> None:
        object.__setattr__(self, "_place", place)

    def __getattr__(self, name: str) -> Function:
        refuse_protocol(name)
        place = place_of(self)
        path = f"{place.path}.{name}"
        return Function(Place(place.wire, None, path, path))

    def __setattr__(self, name: str, value: Any) -> None:
        place = place_of(self)
        path = f"{place.path}.{name}"
        place.wire.ask(lambda: f"{path} = {show(value)}", "set", None, path, value)

    def __repr__(self) -> str:
        return f"<{place_of(self).path} of the student's process>"

    def _refuse_as_value(self, *_: object) -> NoReturn:
        path = place_of(self).path
        raise TypeError(
            f"{path} names something in the student's process, and may be a function: "
            f"student.value({path!r}) fetches a value"
        )

    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = _refuse_as_value
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = _refuse_as_value
    __neg__ = __abs__ = __float__ = __len__ = __iter__ = __getitem__ = _refuse_as_value
    # Python's default for `student.alpha != 0` would be true for any alpha.
    __eq__ = __ne__ = _refuse_as_value
    __hash__ = object.__hash__


class Remote(_Callable):
    """An object that stays in the student's process.

    A check reads, sets and calls its attributes as if it were local. `obj[key]`, len(), `for`,
    float(), int() and `with` work as well. `get` fetches it if it has become a plain value;
    `attribute` reads a name that Remote itself has ("item").

    A check's values never travel to the object by themselves: the object could read the expected
    value, or answer True to everything. So `==`, `<`, `+`, `in` and bool() fail the check.
    `live(obj)` allows them, for exercises that ask for a class with operators.
    type_name : the name of its class, as the process claims
    """

    __slots__ = ("_type_name",)

    _type_name: str
    # With None, numpy's operators call the operators of this class.
    __array_ufunc__ = None

    def __init__(self, place: Place, type_name: str) -> None:
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_type_name", type_name)

    @property
    def type_name(self) -> str:
        return self._type_name

    def attribute(self, name: str) -> Any:
        """Return an attribute: its value, or a Remote."""
        place = place_of(self)
        label = f"{place.label}.{name}"
        if (place.base, name) in place.wire.methods:
            return Method(Place(place.wire, place.base, name, label), "method")
        value = relabelled(place.wire.ask(lambda: label, "get", place.base, name), label, True)
        if isinstance(value, Remote) and value.type_name == "method":
            place.wire.methods.add((place.base, name))
        elif place.wire.mirror is not None:
            place.wire.mirror.note((place.base, name), self, name, value)
        return value

    def item(self, key: Any) -> Any:
        """Return `obj[key]`: a value, or a Remote."""
        place = place_of(self)
        label = f"{place.label}[{show(key)}]"
        return relabelled(place.wire.ask(lambda: label, "item", place.base, key), label, True)

    def get(self) -> Any:
        """Return its value if it has become a plain value, else this Remote."""
        place = place_of(self)
        value = place.wire.ask(lambda: place.label, "get", place.base, "")
        return self if isinstance(value, Remote) else value

    def __getattr__(self, name: str) -> Any:
        refuse_protocol(name)
        return self.attribute(name)

    def __setattr__(self, name: str, value: Any) -> None:
        place = place_of(self)
        label = f"{place.label}.{name}"
        place.wire.ask(lambda: f"{label} = {show(value)}", "set", place.base, name, value)

    def __repr__(self) -> str:
        return f"<{self._type_name} of the student's process>"

    def __live__(self) -> Live:
        """Return the same object with its operators."""
        place = place_of(self)
        return Live(place, self._type_name)

    # Operators that send nothing secret: the object could have returned these results anyway.

    def _operate(self, sign: str, name: str, *operands: Any) -> Any:
        place = place_of(self)

        def called() -> str:
            return show_operation(sign, place.label, operands)

        return relabelled(place.wire.ask(called, "operate", name, self, *operands), called(), True)

    def __getitem__(self, key: Any) -> Any:
        return self.item(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._operate("[]=", "setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        self._operate("del []", "delitem", key)

    def __len__(self) -> int:
        return int(self._plain("len", "len", int))

    def __iter__(self) -> Iterator[Any]:
        label = place_of(self).label
        elements = self._operate("iter", "iter")
        count = 0
        while True:
            found = elements._operate("next", "next") if isinstance(elements, Remote) else None
            if type(found) is not tuple or len(found) > 1:
                raise place_of(self).wire.bad_reply(lambda: f"iter({label})")
            if not found:
                return
            yield relabelled(found[0], f"{label}[{count}]", True)
            count += 1

    def __next__(self) -> Any:
        found = self._operate("next", "next")
        if type(found) is not tuple or len(found) > 1:
            raise place_of(self).wire.bad_reply(lambda: f"next({place_of(self).label})")
        if not found:
            raise StopIteration
        return found[0]

    def __float__(self) -> float:
        return float(self._plain("float", "float", float))

    def __int__(self) -> int:
        return int(self._plain("int", "int", int))

    def __complex__(self) -> complex:
        return complex(self._plain("complex", "complex", complex))

    def __neg__(self) -> Any:
        return self._operate("-", "neg")

    def __pos__(self) -> Any:
        return self._operate("+", "pos")

    def __abs__(self) -> Any:
        return self._operate("abs", "abs")

    def __invert__(self) -> Any:
        return self._operate("~", "invert")

    def __round__(self, digits: int | None = None) -> Any:
        return self._operate("round", "round", *(() if digits is None else (digits,)))

    def __enter__(self) -> Any:
        return self._operate("with", "enter")

    def __exit__(self, *exc: object) -> None:
        """Leave the context without the exception, which is the check's own."""
        self._operate("with", "exit")

    def _plain(self, sign: str, name: str, kind: type[Any]) -> Any:
        value = self._operate(sign, name)
        if type(value) is not kind or (name == "len" and not 0 <= value < 1 << 63):
            label = place_of(self).label
            raise place_of(self).wire.bad_reply(lambda: f"{sign}({label})")
        return value

    # Operators that would send a value of the check, or let the object decide the verdict.

    def __eq__(self, other: object) -> Any:
        if other is None:
            return False
        if isinstance(other, Remote) and _identity(other) == _identity(self):
            return True
        return self._refuse("==", other)

    def __ne__(self, other: object) -> Any:
        return not self.__eq__(other)

    def __hash__(self) -> int:
        return hash(_identity(self))

    def __bool__(self) -> bool:
        return self._refuse("bool", None)

    def __contains__(self, value: object) -> bool:
        return self._refuse("in", value)

    def _refuse(self, sign: str, other: object) -> NoReturn:
        raise NotAValue(
            f"got an object of class {self._type_name}, expected a plain value",
            hint=f"Return the value itself. (`{sign}` would be answered by the object: a check "
            "that means the object compares what it holds, or takes live(x).)",
        )


def _refusing(sign: str) -> Any:
    return lambda self, other: self._refuse(sign, other)


for _sign, _name in {
    "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod",
    "**": "pow", "@": "matmul", "&": "and", "|": "or", "^": "xor", "<<": "lshift", ">>": "rshift",
}.items():  # fmt: skip
    setattr(Remote, f"__{_name}__", _refusing(_sign))
    if _sign not in ("<", "<=", ">", ">="):
        setattr(Remote, f"__r{_name}__", _refusing(_sign))


def _identity(remote: Remote) -> tuple[int, int | None, str]:
    place = place_of(remote)
    return id(place.wire), place.base, place.path


class Live(Remote):
    """An object in the student's process, with its own operators. Their results are its claims.

    Operands are sent to the student's process: they must not contain an expected value.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> Any:
        return self._compute("==", "eq", self, other)

    def __ne__(self, other: object) -> Any:
        return self._compute("!=", "ne", self, other)

    __hash__ = Remote.__hash__

    def __bool__(self) -> bool:
        return bool(self._plain("bool", "bool", bool))

    def __contains__(self, value: object) -> bool:
        found = self._operate("in", "contains", value)
        if type(found) is not bool:
            raise place_of(self).wire.bad_reply(lambda: f"... in {place_of(self).label}")
        return found

    def _compute(self, sign: str, name: str, left: Any, right: Any) -> Any:
        def called() -> str:
            return f"{show(left)} {sign} {show(right)}"

        value = place_of(self).wire.ask(called, "operate", name, left, right)
        value = relabelled(value, called(), True)
        return value.__live__() if isinstance(value, Remote) else value


def _binary(sign: str, name: str) -> Any:
    return lambda self, other: self._compute(sign, name, self, other)


def _reflected(sign: str, name: str) -> Any:
    return lambda self, other: self._compute(sign, name, other, self)


for _sign, _name in {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod",
    "**": "pow", "@": "matmul",
}.items():  # fmt: skip
    setattr(Live, f"__{_name}__", _binary(_sign, _name))
    setattr(Live, f"__r{_name}__", _reflected(_sign, _name))
    setattr(Live, f"__i{_name}__", _binary(f"{_sign}=", f"i{_name}"))
for _sign, _name in {"&": "and", "|": "or", "^": "xor", "<<": "lshift", ">>": "rshift"}.items():
    _operation = f"{_name}_" if _name in ("and", "or") else _name
    setattr(Live, f"__{_name}__", _binary(_sign, _operation))
    setattr(Live, f"__r{_name}__", _reflected(_sign, _operation))
for _sign, _name in {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}.items():
    setattr(Live, f"__{_name}__", _binary(_sign, _name))


class Method(Remote):
    """An attribute that is known to be a method: one message looks it up and calls it."""

    __slots__ = ()

    def attribute(self, name: str) -> Any:
        return self._found().attribute(name)

    def item(self, key: Any) -> Any:
        return self._found().item(key)

    def get(self) -> Any:
        found = self._found()
        return self if isinstance(found, Remote) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._found(), name, value)

    def _found(self) -> Any:
        place = place_of(self)
        value = place.wire.ask(lambda: place.label, "get", place.base, place.path)
        return relabelled(value, place.label, True)


def refuse_protocol(name: str) -> None:
    """Raise AttributeError for a name that belongs to Python, IPython or pytest."""
    if (name.startswith("__") and name.endswith("__")) or name.startswith(_PROTOCOL_PREFIXES):
        raise AttributeError(name)


def relabelled(value: Any, label: str, always: bool = False) -> Any:
    """Return the same object with a new label for messages; an instance keeps its class's name.

    always : relabel an instance as well
    """
    if not isinstance(value, Remote) or not (always or value.type_name in _FUNCTION_TYPES):
        return value
    # A bound method reads "GradientDescent.predict", a variable by its name.
    place = place_of(value)
    return Remote(Place(place.wire, place.base, "", label), value.type_name)
