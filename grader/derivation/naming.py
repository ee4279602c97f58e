"""The values of names at a point: letters, definitions, components, functions."""

from __future__ import annotations

import random
from collections.abc import Callable

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.context import OF_VECTORS, Definition
from grader.derivation.state import Key, NotRead, State, index_range
from grader.derivation.values import ZERO, Impossible, Matrix, Real, Undefined, Value, mp


class Naming(State):
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
        """Return a named value with the perturbations of the derivatives around it."""
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
        """Return a named value, computed once for each perturbation.

        In a network every unit depends on all units below it: without a cache it would take long.
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
                key: Key = (base.name, *places)
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

        c(x) for c(w, x, y) names the relevant argument; P(y = 1 | z) mixes named and positional.
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


def _abstract(name: str, arguments: list[Value]) -> Value:
    """Return the value of an undefined function: a smooth function, different for each name."""
    rng = random.Random(name)
    total = ZERO
    for argument in arguments:
        entries = argument.entries() if isinstance(argument, Matrix) else [argument]
        for x in entries:
            a, b, c = (mp.mpf(rng.randint(20, 180)) / 100 for _ in range(3))
            total += a * mp.sin(b * x + c) + x * x * b / 3
    return mp.sin(total) + total * mp.mpf("1.3")
