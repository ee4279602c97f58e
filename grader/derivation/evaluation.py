"""The value of a formula's tree at a point.

A derivative is a central difference in 62 digits. The variable of the derivative is perturbed
wherever it occurs. It may be a number, a component, a named quantity (dL/ds with s = softmax(z)) or
a function (d/d sigma of log(sigma(-z))). Nothing is simplified, so no simplification can be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.differentiating import Differentiating
from grader.derivation.state import (
    DEEPEST,
    Budget,
    NotRead,
    Point,
    close,
    compare,
    index_range,
    size,
)
from grader.derivation.values import ONE, ZERO, Matrix, Real, Undefined, Value, mp

__all__ = ["Budget", "Evaluation", "NotRead", "Point", "compare", "index_range", "size"]


class Evaluation(Differentiating):
    """One formula at one point; see State for the fields."""

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
            if len(found) == 2 and not close(found[0], found[1]):
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
        if close(last, before) and abs(last) < 10**8:
            nearest = mp.nint(last * 1000) / 1000
            return nearest if abs(last - nearest) < mp.mpf("1e-7") else last
        if abs(last) > 10 and all(abs(a) < abs(b) for a, b in pairwise(reached[-3:])):
            return mp.inf if last > 0 else -mp.inf
        raise NotRead("its limit could not be found from numbers")

    def _relation(self, node: t.Relation) -> Value:
        return ONE if self.holds(node) else ZERO

    def holds(self, node: t.Node) -> bool:
        """Return whether a condition holds at this point."""
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
