"""Derivatives by central differences: a name is perturbed wherever it occurs."""

from __future__ import annotations

from collections.abc import Callable

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.naming import Naming
from grader.derivation.state import Key, NotRead
from grader.derivation.values import ONE, ZERO, Impossible, Matrix, Real, Undefined, Value, mp

STEP = mp.mpf(10) ** -12


class Differentiating(Naming):
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
        """Add a doubt if the differentiated expression does not contain the name."""
        if name not in self.context.free_names(of, *self.bare.values()):
            self.weak.append(f"what is differentiated by {name} has no {name} in it")

    def _by_vector(self, name: str, inner: Callable[[], Value]) -> Value:
        """Return the derivatives by all components; for a vector, its Jacobian."""
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

    def _perturbed(self, key: Key, inner: Callable[[], Value], must_touch: bool) -> Value:
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
        """Return the variable of a prime. Raises NotRead if there are several or none."""
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
