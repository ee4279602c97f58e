"""The value of a formula's tree at a point.

A derivative is a central difference in 62 digits: the quantity that it is taken by is perturbed
wherever it occurs, be it a number, a component, a named quantity (dL/ds where s = softmax(z))
or a function (d/d sigma of log(sigma(-z))). Nothing is simplified, so nothing is simplified
wrongly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.context import OF_VECTORS, Context, Declared, Definition
from grader.derivation.values import ONE, ZERO, Impossible, Matrix, Real, Undefined, Value, mp

STEP = mp.mpf(10) ** -12
MOST_NODES = 40_000
"""Of one side at one point. A page of sums over three classes visits 2,000."""
DEEPEST = 80

_Key = tuple[object, ...]


class NotRead(Exception):
    """The formula is beyond what is read; the message says why, for a student."""


@dataclass(frozen=True)
class Point:
    """Values of the names that have one of their own; indices are whole numbers."""

    values: Mapping[str, Value]
    indices: Mapping[str, int]
    special: bool = False


@dataclass
class Budget:
    """Nodes that may still be visited. It is counted, not timed: the same on every machine."""

    left: int = MOST_NODES

    def spend(self, nodes: int = 1) -> None:
        self.left -= nodes
        if self.left < 0:
            raise NotRead("it takes too long to compute")


@dataclass
class Evaluation:
    """One formula at one point.

    bare : what functions without their argument stand for, besides what the context says
    weak : reasons for which a difference is not to be believed
    """

    context: Context
    point: Point
    bare: Mapping[str, t.Node] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    weak: list[str] = field(default_factory=list)
    differenced: bool = False
    _scope: dict[str, Value] = field(default_factory=dict)
    _shift: dict[_Key, Real] = field(default_factory=dict)
    _node_shift: list[tuple[t.Node, Real]] = field(default_factory=list)
    _touched: set[object] = field(default_factory=set)
    _memo: dict[object, Value] = field(default_factory=dict)
    _depth: int = 0

    def value(self, node: t.Node) -> Value:
        """Return the node's value. Raises Undefined, Impossible, NotRead."""
        self.budget.spend()
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotRead("it is nested too deeply")
        try:
            found = _METHODS[type(node)](self, node)
        finally:
            self._depth -= 1
        for target, shift in self._node_shift:
            if target == node:
                self._touched.add(target)
                found = v.add(found, shift)
        return found

    # --- plain arithmetic

    def _number(self, node: t.Number) -> Value:
        return _constant(node.text)

    def _constant(self, node: t.Constant) -> Value:
        return {"e": mp.e + 0, "pi": mp.pi + 0, "inf": mp.inf}[node.name]

    def _group(self, node: t.Group) -> Value:
        return self.value(node.of)

    def _negative(self, node: t.Negative) -> Value:
        return v.scale(self.value(node.of), -ONE)

    def _sum(self, node: t.Sum) -> Value:
        total = self.value(node.terms[0])
        for term in node.terms[1:]:
            total = v.add(total, self.value(term))
        return total

    def _product(self, node: t.Product) -> Value:
        total = self.value(node.factors[0])
        for factor in node.factors[1:]:
            total = v.multiply(
                total, self.value(factor), elementwise=node.elementwise, dot=node.dots
            )
        return total

    def _fraction(self, node: t.Fraction) -> Value:
        return v.divide(self.value(node.above), self.value(node.below))

    def _power(self, node: t.Power) -> Value:
        base = t.bare(node.base)
        if isinstance(base, t.Constant) and base.name == "e":
            exponent = self.value(node.exponent)
            if isinstance(exponent, Matrix):
                return exponent.map(v.exp)
            return v.exp(exponent)
        if isinstance(base, t.Norm) and base.order == "2" and node.exponent == t.Number("2"):
            inner = self.value(base.of)  # without the root, which has no derivative at 0
            entries = inner.entries() if isinstance(inner, Matrix) else [inner]
            return sum((x * x for x in entries), ZERO)
        return v.power(self.value(node.base), self.value(node.exponent))

    def _absolute(self, node: t.Absolute) -> Value:
        inside = self.value(node.of)
        return v.norm(inside, "2") if isinstance(inside, Matrix) else abs(inside)

    def _norm(self, node: t.Norm) -> Value:
        return v.norm(self.value(node.of), node.order)

    def _transpose(self, node: t.Transpose) -> Value:
        inside = self.value(node.of)
        return inside.transposed() if isinstance(inside, Matrix) else inside

    def _ones(self, node: t.Ones) -> Value:
        raise NotRead("a vector of ones is not read")

    # --- names

    def _symbol(self, node: t.Symbol) -> Value:
        if node.primes:
            return self._primed_symbol(node)
        name = node.name
        if name in self._scope:
            return self._scope[name]
        if name in self.point.indices:
            return mp.mpf(self.point.indices[name])
        definition = self.context.definitions.get(name)
        if definition is not None:
            return self._shifted(name, self._defined(definition))
        if self.context.is_function(name) or name in v.SCALAR:
            return self.value(t.Call(name, (self._bare_argument(name),)))
        if name not in self.point.values:
            raise NotRead(f"{name} is not declared")
        return self._shifted(name, self.point.values[name])

    def _shifted(self, name: str, found: Value) -> Value:
        """Return a named value with what the derivatives around it add."""
        if not self._shift:
            return found
        if (name,) in self._shift:
            self._touched.add((name,))
            found = v.add(found, self._shift[(name,)])
        if isinstance(found, Matrix):
            rows = [list(row) for row in found.rows]
            for key, shift in self._shift.items():
                if key[0] == name and len(key) > 1:
                    self._touched.add(key)
                    row, col = self._place(found, [int(str(i)) for i in key[1:]])
                    rows[row][col] += shift
            return Matrix(tuple(tuple(row) for row in rows))
        return found

    def _remembered(self, key: object, compute: Callable[[], Value]) -> Value:
        """Return what a name without arguments stands for, computed once for what is perturbed.

        In a network every unit rests on all units below it: again and again would take long.
        """
        if self._node_shift:
            return compute()
        if key not in self._memo:
            self._memo[key] = compute()
        return self._memo[key]

    def _defined(self, definition: Definition) -> Value:
        name = definition.name
        if definition.parameters:
            alias = self.bare.get(name) or self.context.bare.get(name)
            if alias is not None:
                return self.value(alias)
            missing = [p for p in definition.parameters if self.context.name_of(p) is None]
            if missing:
                raise NotRead(f"{name} stands without its argument")
            return self._inside({}, definition.body)
        if definition.indices:
            return self._remembered(name, lambda: self._comprehension(definition))
        return self._remembered(name, lambda: self._inside({}, definition.body))

    def _inside(self, scope: dict[str, Value], body: t.Node) -> Value:
        outer, self._scope = self._scope, scope
        try:
            return self.value(body)
        finally:
            self._scope = outer

    def _comprehension(self, definition: Definition) -> Value:
        ranges = [self._index_range(index) for index in definition.indices]
        if len(ranges) == 1:
            index = definition.indices[0]
            return v.column(
                [v.number(self._inside({index: mp.mpf(i)}, definition.body)) for i in ranges[0]]
            )
        first, second = definition.indices
        return Matrix(
            tuple(
                tuple(
                    v.number(self._inside({first: mp.mpf(i), second: mp.mpf(j)}, definition.body))
                    for j in ranges[1]
                )
                for i in ranges[0]
            )
        )

    def _indexed(self, node: t.Indexed) -> Value:
        places = [self._whole(index) for index in node.indices]
        base = t.bare(node.base)
        if isinstance(base, t.Symbol) and base.name not in self._scope and not base.primes:
            definition = self.context.definitions.get(base.name)
            if definition is not None and len(definition.indices) == len(places) > 0:
                scope: dict[str, Value] = {}
                for index, place in zip(definition.indices, places, strict=True):
                    if place not in self._index_range(index):
                        raise Undefined("an index out of range")
                    scope[index] = mp.mpf(place)
                key: _Key = (base.name, *places)
                body = definition.body
                found = self._remembered(key, lambda: self._inside(scope, body))
                self._touched.add((base.name,))
                if key in self._shift:
                    self._touched.add(key)
                    found = v.add(found, self._shift[key])
                return found
        whole = self.value(node.base)
        if not isinstance(whole, Matrix):
            raise Impossible("an index of a number")
        if len(places) == 1 and 1 not in whole.shape:
            if not 1 <= places[0] <= whole.shape[0]:
                raise Undefined("an index out of range")
            return v.column(list(whole.rows[places[0] - 1]))  # the i-th example
        row, col = self._place(whole, places)
        return whole.rows[row][col]

    def _place(self, matrix: Matrix, places: list[int]) -> tuple[int, int]:
        rows, cols = matrix.shape
        if len(places) == 1:
            if 1 not in (rows, cols):
                raise NotRead("a row or a column of a matrix is not read")
            row, col = (places[0], 1) if cols == 1 else (1, places[0])
        else:
            row, col = places
        if not (1 <= row <= rows and 1 <= col <= cols):
            raise Undefined("an index out of range")
        return row - 1, col - 1

    def _whole(self, node: t.Node) -> int:
        found = v.number(self.value(node))
        if not mp.isfinite(found) or found != mp.floor(found) or abs(found) > 1000:
            raise Impossible("an index that is not a whole number")
        return int(found)

    def _index_range(self, index: str) -> range:
        declared = self.context.declared.get(index)
        if declared is None or declared.domain != "index":
            raise NotRead(f"the range of {index} is not declared")
        return index_range(self.context, declared)

    # --- functions

    def _call(self, node: t.Call) -> Value:
        arguments = [self.value(argument) for argument in node.arguments]
        named = {name: self.value(argument) for name, argument in node.named}
        definition = self.context.definitions.get(node.name)
        if definition is not None and node.arguments:
            arguments, named = self._by_parameter(node, definition, arguments, named)
        if node.primes:
            if not arguments:
                raise NotRead(f"{node.name} has a prime and no argument")

            def moved(shift: Real) -> Value:
                return self._applied(node.name, [v.add(arguments[0], shift), *arguments[1:]], named)

            return self._differences(moved, node.primes)
        return self._applied(node.name, arguments, named)

    def _by_parameter(
        self,
        node: t.Call,
        definition: Definition,
        arguments: list[Value],
        named: dict[str, Value],
    ) -> tuple[list[Value], dict[str, Value]]:
        """Return a call's arguments in the order of the parameters, as far as they are given.

        c(x) of c(w, x, y) says which name matters; P(y = 1 | z) mixes names and places.
        """
        parameters = definition.parameters
        if len(arguments) + len(named) < len(parameters):
            names = [a.name if isinstance(a, t.Symbol) else "" for a in node.arguments]
            if all(name in parameters for name in names):
                named = {**dict(zip(names, arguments, strict=True)), **named}
                arguments = []
            elif not named:
                raise NotRead(f"{node.name} has other arguments than where it was defined")
        if named and set(named) <= set(parameters):
            open_ = [p for p in parameters if p not in named]
            given = {**dict(zip(open_, arguments, strict=False)), **named}
            ordered = []
            for parameter in parameters:
                if parameter not in given:
                    if self.context.name_of(parameter) is None:
                        raise NotRead(f"{node.name} lacks the argument {parameter}")
                    given[parameter] = self.value(t.Symbol(parameter))
                ordered.append(given[parameter])
            return ordered, {}
        return arguments, named

    def _applied(self, name: str, arguments: list[Value], named: dict[str, Value]) -> Value:
        definition = self.context.definitions.get(name)
        if definition is not None:
            parameters = definition.parameters
            if len(arguments) > len(parameters) or any(n not in parameters for n in named):
                raise NotRead(f"{name} has other arguments than where it was defined")
            scope = dict(zip(parameters, arguments, strict=False))
            if scope.keys() & named.keys():
                raise NotRead(f"{name} gets an argument twice")
            scope |= named
            return self._shifted(name, self._inside(scope, definition.body))
        if self.context.is_function(name):
            return self._shifted(name, _abstract(name, arguments))
        if named:
            raise NotRead(f"{name} has a named argument")
        if name in ("max", "min"):
            if len(arguments) == 1 and isinstance(arguments[0], Matrix):
                arguments = list(arguments[0].entries())
            if len(arguments) == 2 and isinstance(arguments[1], Matrix):
                zero, inside = v.number(arguments[0]), arguments[1]
                return inside.map(lambda x: v.extremum(name, [zero, x]))
            return v.extremum(name, arguments)
        if name == "onehot":
            return self._one_hot(arguments)
        if len(arguments) != 1:
            raise NotRead(f"{name} of several arguments is not read")
        if name in OF_VECTORS:
            return v.of_vector(name, arguments[0])
        function = v.SCALAR[name]
        inside = arguments[0]
        return inside.map(function) if isinstance(inside, Matrix) else function(inside)

    def _one_hot(self, arguments: list[Value]) -> Value:
        if len(arguments) != 2:
            raise NotRead("onehot does not say its length: onehot_m(y)")
        hot, length = (v.number(argument) for argument in arguments)
        if not (mp.isfinite(length) and 1 <= length <= 12):
            raise NotRead("the length of onehot is not read")
        return v.column([mp.mpf(i == hot) for i in range(1, int(length) + 1)])

    def _bare_argument(self, name: str) -> t.Node:
        alias = self.bare.get(name) or self.context.bare.get(name)
        if isinstance(alias, t.Call) and len(alias.arguments) == 1:
            return alias.arguments[0]
        definition = self.context.definitions.get(name)
        if definition is not None and definition.parameters:
            first = definition.parameters[0]
            if self.context.name_of(first):
                return t.Symbol(first)
        if self.context.variable:
            return t.Symbol(self.context.variable)
        raise NotRead(f"{name} stands without its argument")

    def _primed_symbol(self, node: t.Symbol) -> Value:
        if self.context.is_function(node.name) or node.name in v.SCALAR:
            return self.value(t.Call(node.name, (self._bare_argument(node.name),), (), node.primes))
        return self.value(t.Prime(t.Symbol(node.name), node.primes))

    def _inverse(self, node: t.Inverse) -> Value:
        name = node.name
        if name not in v.INVERSE:
            definition = self.context.definitions.get(name)
            probe = mp.mpf("0.37")
            if definition is None or len(definition.parameters) != 1:
                raise NotRead(f"the inverse of {name} is not read")
            here = self._inside({definition.parameters[0]: probe}, definition.body)
            same = [n for n in v.INVERSE if here == v.SCALAR[n](probe)]
            close = [n for n in v.INVERSE if not isinstance(here, Matrix)
                     and v.same(here, v.SCALAR[n](probe))]  # fmt: skip
            if not (same or close):
                raise NotRead(f"the inverse of {name} is not read")
            name = (same or close)[0]
        inside = self.value(node.argument)
        function = v.SCALAR[v.INVERSE[name]]
        return inside.map(function) if isinstance(inside, Matrix) else function(inside)

    # --- derivatives

    def _derivative(self, node: t.Derivative) -> Value:
        targets = [target for target, order in node.by for _ in range(order)]
        return self._by_all(node.of, targets)

    def _by_all(self, of: t.Node, targets: list[t.Node]) -> Value:
        if not targets:
            return self.value(of)
        return self._by(targets[0], lambda: self._by_all(of, targets[1:]), of)

    def _by(self, target: t.Node, inner: Callable[[], Value], of: t.Node) -> Value:
        """Return the derivative of inner() by a target."""
        target = t.bare(target)
        if isinstance(target, t.Symbol) and not target.primes:
            return self._by_name(target.name, inner, of)
        base = t.bare(target.base) if isinstance(target, t.Indexed) else None
        if isinstance(target, t.Indexed) and isinstance(base, t.Symbol):
            name = base.name
            places = [self._whole(index) for index in target.indices]
            if name not in self._scope and self.context.rank(name) == len(places):
                if name in self.point.values:
                    self._place(self._as_matrix(self.point.values[name]), places)
                    self._doubt_unrelated(name, of)
                return self._perturbed((name, *places), inner, name in self.context.definitions)
        if isinstance(target, t.Call) and self.context.is_function(target.name):
            return self._perturbed((target.name,), inner, True)
        if isinstance(target, t.Number | t.Constant):
            raise Impossible("a derivative by a number")
        return self._by_expression(target, inner)

    def _as_matrix(self, found: Value) -> Matrix:
        return found if isinstance(found, Matrix) else Matrix(((found,),))

    def _by_name(self, name: str, inner: Callable[[], Value], of: t.Node) -> Value:
        if name in self._scope:
            at = self._scope[name]

            def scoped(shift: Real) -> Value:
                outer = self._scope
                self._scope = {**outer, name: v.add(at, shift)}
                try:
                    return inner()
                finally:
                    self._scope = outer

            return self._differences(scoped, 1)
        if name in self.point.indices:
            raise Impossible(f"a derivative by the index {name}")
        if self.context.rank(name):
            return self._by_vector(name, inner)
        rests = name in self.context.definitions or self.context.is_function(name)
        if not rests and name not in self.point.values:
            raise NotRead(f"{name} is not declared")
        if not rests:
            self._doubt_unrelated(name, of)
        return self._perturbed((name,), inner, rests)

    def _doubt_unrelated(self, name: str, of: t.Node) -> None:
        """Note a derivative by what does not occur: it may be meant to depend on it."""
        if name not in self.context.free_names(of, *self.bare.values()):
            self.weak.append(f"what is differentiated by {name} has no {name} in it")

    def _by_vector(self, name: str, inner: Callable[[], Value]) -> Value:
        """Return the derivatives by all components; of a vector, its Jacobian."""
        here = self._as_matrix(self.value(t.Symbol(name)))
        rows, cols = here.shape
        defined = name in self.context.definitions
        found = [
            [
                self._perturbed((name, i + 1, j + 1) if cols > 1 else (name, i + 1), inner, defined)
                for j in range(cols)
            ]
            for i in range(rows)
        ]
        if all(not isinstance(x, Matrix) for row in found for x in row):
            return Matrix(tuple(tuple(v.number(x) for x in row) for row in found))
        if cols > 1:
            raise NotRead("a vector differentiated by a matrix is not read")
        columns = [self._as_matrix(row[0]).entries() for row in found]
        return Matrix(tuple(zip(*columns, strict=True)))

    def _perturbed(self, key: _Key, inner: Callable[[], Value], must_touch: bool) -> Value:
        before = self._shift.get(key)

        def shifted(shift: Real) -> Value:
            self._shift[key] = shift if before is None else before + shift
            memo, self._memo = self._memo, {}
            try:
                return inner()
            finally:
                self._memo = memo
                if before is None:
                    del self._shift[key]
                else:
                    self._shift[key] = before

        name = key[:1]
        self._touched -= {key, name}
        found = self._differences(shifted, 1)
        if must_touch and not {key, name} & self._touched:
            raise NotRead(f"what is differentiated by {key[0]} is not written with {key[0]}")
        return found

    def _by_expression(self, target: t.Node, inner: Callable[[], Value]) -> Value:
        def shifted(shift: Real) -> Value:
            self._node_shift.append((target, shift))
            try:
                return inner()
            finally:
                self._node_shift.pop()

        self._touched.discard(target)
        found = self._differences(shifted, 1)
        if target not in self._touched:
            raise NotRead("a derivative is taken by an expression that does not occur in it")
        return found

    def _differences(self, function: Callable[[Real], Value], order: int) -> Value:
        """Return the derivative at shift 0. Raises Undefined at a kink."""
        if order > 1:
            return self._differences(
                lambda s: self._differences(lambda r: function(s + r), 1), order - 1
            )
        self.differenced = True
        above, below = function(STEP), function(-STEP)
        if self.point.special and not isinstance(above, Matrix):
            here = function(ZERO)
            if not isinstance(here, Matrix) and not isinstance(below, Matrix):
                right, left = (above - here) / STEP, (here - below) / STEP
                if abs(right - left) > mp.mpf("1e-6") * (1 + abs(right)):
                    raise Undefined("a kink")
        return v.divide(v.add(above, v.scale(below, -ONE)), 2 * STEP)

    def _prime(self, node: t.Prime) -> Value:
        variable = self.main_variable(node.of)
        return self._by_all(node.of, [t.Symbol(variable)] * node.order)

    def main_variable(self, of: t.Node) -> str:
        """Return what a prime differentiates by. Raises NotRead where that is open."""
        of = t.bare(of)
        known = self.context.definitions.get(of.name) if isinstance(of, t.Symbol) else None
        if known is not None and known.parameters:
            return known.parameters[0]
        if self.context.variable:
            return self.context.variable
        free = [
            name
            for name in self.context.free_names(of)
            if name in self.context.declared
            and not self.context.declared[name].finite
            and self.context.declared[name].domain not in ("size", "function")
        ]
        if len(free) != 1:
            raise NotRead("what the prime differentiates by is not clear")
        return free[0]

    def _gradient(self, node: t.Gradient) -> Value:
        by = node.by
        if by is None:
            inner = t.bare(node.of)
            while isinstance(inner, t.Gradient):
                inner = t.bare(inner.of)
            name = getattr(inner, "name", "")
            known = self.context.definitions.get(name)
            vectors = [p for p in known.parameters if self.context.rank(p) == 1] if known else []
            by = t.Symbol(vectors[0] if vectors else self.main_variable(inner))
        return self._by(by, lambda: self.value(node.of), node.of)

    def _at(self, node: t.At) -> Value:
        value = self.value(node.value)
        scope = {**self._scope, node.name: value}
        outer, self._scope = self._scope, scope
        try:
            inner = node.of
            of = t.bare(inner.of) if isinstance(inner, t.Derivative) else None
            bare_function = isinstance(of, t.Symbol) and self.context.is_function(of.name)
            if isinstance(inner, t.Derivative) and isinstance(of, t.Symbol) and bare_function:
                call = t.Call(of.name, (t.Symbol(node.name),))
                inner = t.Derivative(call, inner.by, inner.sign)
            return self.value(inner)
        finally:
            self._scope = outer

    # --- sums, limits, cases

    def _big(self, node: t.Big) -> Value:
        names = self._range_of(node)
        outer = self._scope
        left_out = []
        for other in node.but:
            left_out.append(self._whole(other))
        values: list[Value] = []
        try:
            for i in names:
                if i in left_out:
                    continue
                self._scope = {**outer, node.index: mp.mpf(i)}
                values.append(self.value(node.of))
        finally:
            self._scope = outer
        if node.kind in ("max", "min"):
            if not values:
                raise Undefined("an extremum of nothing")
            return v.extremum(node.kind, values)
        total: Value = ZERO if node.kind == "sum" else ONE
        for value in values:
            total = v.add(total, value) if node.kind == "sum" else v.multiply(total, value)
        return total

    def _range_of(self, node: t.Big) -> Iterable[int]:
        low = self._whole(node.low) if node.low is not None else None
        if node.high is not None:
            top = v.number(self.value(node.high))
            if not mp.isfinite(top):
                raise NotRead("a sum without end is not read")
            high = self._whole(node.high)
            low = 1 if low is None else low
        else:
            declared = self.context.declared.get(node.index)
            known = (
                index_range(self.context, declared)
                if declared is not None and declared.domain == "index" and declared.values[1]
                else self._range_from_use(node)
            )
            low, high = known.start if low is None else low, known.stop - 1
        if high - low > 200:
            raise NotRead("a sum of more than 200 terms is not computed")
        return range(low, high + 1)

    def _range_from_use(self, node: t.Big) -> range:
        for part in t.walk(node.of):
            if isinstance(part, t.Indexed) and t.Symbol(node.index) in part.indices:
                place = part.indices.index(t.Symbol(node.index))
                base = t.bare(part.base)
                if isinstance(base, t.Symbol) and base.name in self.context.declared:
                    shape = self.context.declared[base.name].shape
                    if place < len(shape):
                        return range(1, size(self.context, shape[place]) + 1)
                if isinstance(base, t.Symbol) and base.name in self.context.definitions:
                    known = self.context.definitions[base.name]
                    if place < len(known.indices):
                        return self._index_range(known.indices[place])
                whole = self.value(part.base)
                if isinstance(whole, Matrix):
                    return range(1, whole.shape[place] + 1)
        raise NotRead(f"what {node.index} runs over is not declared")

    def _limit(self, node: t.Limit) -> Value:
        goal = v.number(self.value(node.to))
        if mp.isfinite(goal):
            places = [mp.mpf(10) ** -n for n in (4, 8, 12, 16)]
            sides = [1] if node.side == "+" else [-1] if node.side == "-" else [1, -1]
            found = []
            for side in sides:
                try:
                    found.append(self._settled(node, [goal + side * p for p in places]))
                except Undefined:
                    continue
            if not found:
                raise Undefined("no limit")
            if len(found) == 2 and not _close(found[0], found[1]):
                raise Undefined("no limit: it differs from both sides")
            return found[0]
        sign = 1 if goal > 0 else -1
        return self._settled(node, [sign * mp.mpf(10) ** n for n in (2, 4, 6, 8, 12)])

    def _settled(self, node: t.Limit, places: list[Real]) -> Value:
        outer, reached = self._scope, list[Real]()
        try:
            for place in places:
                self._scope = {**outer, node.index: place}
                reached.append(v.number(self.value(node.of)))
        finally:
            self._scope = outer
        last, before = reached[-1], reached[-2]
        if _close(last, before) and abs(last) < 10**8:
            nearest = mp.nint(last * 1000) / 1000
            return nearest if abs(last - nearest) < mp.mpf("1e-7") else last
        if abs(last) > 10 and all(abs(a) < abs(b) for a, b in pairwise(reached[-3:])):
            return mp.inf if last > 0 else -mp.inf
        raise NotRead("where it goes could not be told from numbers")

    def _relation(self, node: t.Relation) -> Value:
        return ONE if self.holds(node) else ZERO

    def holds(self, node: t.Node) -> bool:
        """Whether a condition holds here."""
        if not isinstance(node, t.Relation):
            raise NotRead("a condition is not read")
        if node.sign == "otherwise":
            return True
        assert node.left is not None and node.right is not None
        if node.sign == "and":
            return self.holds(node.left) and self.holds(node.right)
        left, right = v.number(self.value(node.left)), v.number(self.value(node.right))
        return compare(node.sign, left, right)

    def _indicator(self, node: t.Indicator) -> Value:
        condition = node.condition
        assert isinstance(condition, t.Relation)
        if condition.sign != "and" and condition.left is not None and condition.right is not None:
            left, right = self.value(condition.left), self.value(condition.right)
            if isinstance(left, Matrix) and not isinstance(right, Matrix):
                return left.map(lambda x: ONE if compare(condition.sign, x, right) else ZERO)
        return ONE if self.holds(condition) else ZERO

    def _cases(self, node: t.Cases) -> Value:
        for value, condition in node.rows:
            if self.holds(condition):
                return self.value(value)
        raise Undefined("no case applies")

    def _vector(self, node: t.Vector) -> Value:
        return Matrix(tuple(tuple(v.number(self.value(x)) for x in row) for row in node.rows))


_METHODS: dict[type[t.Node], Callable[[Evaluation, Any], Value]] = {
    t.Number: Evaluation._number, t.Constant: Evaluation._constant, t.Group: Evaluation._group,
    t.Negative: Evaluation._negative, t.Sum: Evaluation._sum, t.Product: Evaluation._product,
    t.Fraction: Evaluation._fraction, t.Power: Evaluation._power, t.Absolute: Evaluation._absolute,
    t.Norm: Evaluation._norm, t.Transpose: Evaluation._transpose, t.Ones: Evaluation._ones,
    t.Symbol: Evaluation._symbol, t.Indexed: Evaluation._indexed, t.Call: Evaluation._call,
    t.Inverse: Evaluation._inverse, t.Derivative: Evaluation._derivative,
    t.Prime: Evaluation._prime, t.Gradient: Evaluation._gradient, t.At: Evaluation._at,
    t.Big: Evaluation._big, t.Limit: Evaluation._limit, t.Relation: Evaluation._relation,
    t.Indicator: Evaluation._indicator, t.Cases: Evaluation._cases, t.Vector: Evaluation._vector,
}  # fmt: skip

_constants: dict[str, Real] = {}


def _constant(text: str) -> Real:
    if text not in _constants:
        if len(text) > 60:
            raise NotRead("a number of more than 60 digits is not read")
        if len(_constants) > 500:
            _constants.clear()
        _constants[text] = mp.mpf(text)
    return _constants[text]


def _close(left: Real, right: Real) -> bool:
    if not (mp.isfinite(left) and mp.isfinite(right)):
        return left == right
    return abs(left - right) <= mp.mpf("1e-6") * (1 + abs(left))


def compare(sign: str, left: Real, right: Real, *, exact: bool = False) -> bool:
    """Whether a relation between two numbers holds, with room for the differences' error.

    exact : no derivative was taken, so that 1e-30 is more than 0
    """
    equal = abs(left - right) <= mp.mpf("1e-50") if exact else v.same(left, right)
    if sign in ("=", "!="):
        return equal == (sign == "=")
    if sign in ("<", ">"):
        return not equal and (left < right) == (sign == "<")
    return equal or (left < right) == (sign == "<=")


def size(context: Context, text: str) -> int:
    """Return a size that is a number or a declared name."""
    if text.lstrip("-").isdigit():
        return int(text)
    if (ends := text.partition("-"))[1] and ends[2].isdigit():
        return size(context, ends[0]) - int(ends[2])
    declared = context.declared.get(text)
    if declared is None or declared.domain != "size":
        raise NotRead(f"the size {text} is not declared")
    return int(declared.values[0])


def index_range(context: Context, declared: Declared) -> range:
    """Return the values of an index, those of 1..m with m a declared size."""
    low, high = declared.values
    return range(size(context, low), size(context, high) + 1)


def _abstract(name: str, arguments: list[Value]) -> Value:
    """Return a smooth function that nothing is known of: another one for each name."""
    rng = random.Random(name)
    total = ZERO
    for argument in arguments:
        entries = argument.entries() if isinstance(argument, Matrix) else [argument]
        for x in entries:
            a, b, c = (mp.mpf(rng.randint(20, 180)) / 100 for _ in range(3))
            total += a * mp.sin(b * x + c) + x * x * b / 3
    return mp.sin(total) + total * mp.mpf("1.3")
