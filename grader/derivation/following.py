"""Follow a whole answer: judge each step, and find the targets that are reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from grader.derivation import document
from grader.derivation import tree as t
from grader.derivation.context import BUILT_IN, Context
from grader.derivation.cursor import Choices
from grader.derivation.document import Piece
from grader.derivation.evaluation import Budget, Evaluation, NotRead
from grader.derivation.judging import STEP_NODES, Circumstances, Judgement, judge
from grader.derivation.parsing import Parser, readings
from grader.derivation.points import points
from grader.derivation.remarks import remark_of
from grader.derivation.rendering import mathml, plain
from grader.derivation.tokens import Token, Unreadable, tokenize
from grader.derivation.values import Impossible, Undefined, same
from grader.records import Derivation, DerivationReached, DerivationStep, DerivationTarget

MOST_NODES_AN_ANSWER = 400_000
"""Nodes for a whole answer, some two seconds; a long answer of 70 steps takes 60,000."""


@dataclass
class _Chain:
    """The chain of steps that is being followed.

    head, tail : the first and the last expression; open_sign : a relation that waits for its right
        side
    shown : (number of the step, right side, its tree, line) of each step
    """

    number: int = 0
    head: tuple[Token, ...] = ()
    tail: tuple[Token, ...] = ()
    open_sign: str = ""
    shown: list[tuple[int, tuple[Token, ...], t.Node | None, int]] = field(default_factory=list)


def follow(
    text: str, context: Context, targets: Sequence[DerivationTarget] = (), *, rendered: bool = True
) -> Derivation:
    """Return the verdict on each step of an answer, and the targets that are reached.

    text : Markdown or LaTeX
    rendered : whether the steps' formulas are converted to MathML
    """
    if len(text) > document.LONGEST_ANSWER:
        return Derivation(note=f"the text is longer than {document.LONGEST_ANSWER} characters")
    return Following(context, rendered).run(text, targets)


@dataclass(frozen=True)
class Place:
    """A step that follows, with everything that its verdict depends on."""

    line: int
    left: tuple[Token, ...]
    sign: str
    right: tuple[Token, ...]
    context: Context
    circumstances: Circumstances


class Following:
    """Follows one answer. places : the steps that follow"""

    def __init__(self, context: Context, rendered: bool) -> None:
        self.context, self.rendered = context, rendered
        self.steps: list[DerivationStep] = []
        self.judged: list[tuple[Judgement, tuple[Token, ...], tuple[Token, ...], str]] = []
        self.chain = _Chain()
        self.conditions: list[t.Node] = []
        self.here: list[t.Node] = []
        self.cased = False
        self.solving = False
        self.left = MOST_NODES_AN_ANSWER
        self.places: list[Place] = []

    def run(self, text: str, targets: Sequence[DerivationTarget]) -> Derivation:
        note = ""
        for formula in document.formulas(text):
            if len(self.steps) >= document.MOST_STEPS:
                note = f"only the first {document.MOST_STEPS} steps were looked at"
                break
            self._prose(formula.before, formula.display)
            self.here = []
            self.chain.open_sign = ""
            if not formula.display and self._states_case(formula):
                continue
            try:
                for piece in document.pieces(formula, self.context.words()):
                    self._piece(piece)
            except Unreadable as error:
                self._unread(formula.line, formula.latex, str(error), formula.display)
        reached = tuple(self._reached(target) for target in targets)
        return Derivation(tuple(self.steps), reached, note)

    # --- the text around

    def _prose(self, prose: str, display: bool) -> None:
        if not prose.strip():
            return
        if "\n#" in "\n" + prose or "\n\n" in prose.strip() or display:
            stated = [c for c in map(self._condition_of, document.plain_conditions(prose)) if c]
            if "\n#" in "\n" + prose or stated or document.names_cases(prose):
                self.conditions = []
            self.conditions += stated
        if document.names_cases(prose):
            self.cased = True
        if "\n#" in "\n" + prose:
            self.cased = document.names_cases(prose)
            self.chain = _Chain(self.chain.number)
        self.solving = document.solves(prose)

    def _states_case(self, formula: document.Formula) -> bool:
        """Return whether an inline formula is a case ("If $i = j$"); store it then."""
        if not document.ends_as_condition(formula.before):
            return False
        condition = self._condition_of(formula.latex)
        if condition is None:
            return False
        self.cased = True
        self.conditions = [condition]
        return True

    def _condition_of(self, latex: str) -> t.Node | None:
        try:
            tokens = tokenize(latex, words=self.context.words())
        except Unreadable:
            return None
        return self._condition(tokens)

    def _condition(self, tokens: Sequence[Token]) -> t.Node | None:
        """Return a condition on indices and labels; None if it is something else."""
        try:
            node = Parser(tokens, self.context, Choices(())).condition()
        except Unreadable:
            return None
        symbols = [s for s in t.walk(node) if isinstance(s, t.Symbol)]
        known = [self.context.declared.get(s.name) for s in symbols]
        return node if symbols and all(d is not None and d.finite for d in known) else None

    # --- steps

    def _says_nothing(self, piece: Piece) -> bool:
        """Return whether a piece is not a step: y in {0, 1}, a case, "is >= 0" in a text."""
        if "in" in piece.signs:
            return True
        if not piece.display and piece.continues:
            return True
        if piece.continues or piece.dangling or self.chain.open_sign:
            return False
        if not piece.display and len(piece.signs) == 1 and self._names_a_place(piece):
            return True
        names = [e[0].text for e in piece.expressions if len(e) == 1 and e[0].kind == "sym"]
        if len(piece.signs) > 1 and piece.signs[0] == "=" and not names:
            return False
        plain = all(len(e) == 1 and e[0].kind in ("sym", "num") for e in piece.expressions)
        known = [self.context.declared.get(self.context.name_of(name) or "") for name in names]
        return plain and bool(names) and all(d is not None and d.finite for d in known)

    def _names_a_place(self, piece: Piece) -> bool:
        """Return whether a piece in a sentence only names a place: "at z = 0"."""
        left, right = piece.expressions
        if len(left) != 1 or left[0].kind != "sym":
            return False
        declared = self.context.declared.get(self.context.name_of(left[0].text) or "")
        plain = all(token.text in BUILT_IN or token.kind != "sym" for token in right)
        return declared is not None and plain

    def _piece(self, piece: Piece) -> None:
        if self._says_nothing(piece):
            if len(piece.signs) == 1 and piece.signs[0] in ("=", "!="):
                left, right = piece.expressions
                condition = self._condition((*left, Token("rel", piece.signs[0]), *right))
                self.here += [condition] if condition is not None else []
                self.cased = self.cased or condition is not None
            return
        if not piece.signs:
            if self.chain.open_sign:
                self._link(piece, self.chain.tail, self.chain.open_sign, piece.expressions[0])
                self.chain.tail, self.chain.open_sign = piece.expressions[0], ""
            else:
                self.chain.tail = piece.expressions[0] if piece.display else ()
                self.chain.head = self.chain.tail
            return
        expressions, signs = list(piece.expressions), list(piece.signs)
        if piece.continues:
            if not self.chain.tail:
                self._unread(piece.line, document.source(expressions[-1]), "nothing stands before "
                             "its relation", piece.display)  # fmt: skip
                expressions, signs = expressions[1:], signs[1:]
            else:
                expressions[0] = self.chain.tail
        elif self.chain.open_sign and expressions[0]:
            self._link(piece, self.chain.tail, self.chain.open_sign, expressions[0])
        first = not piece.continues and not self.chain.open_sign
        if first and not (expressions and expressions[0] == self.chain.head and self.chain.shown):
            self.chain = _Chain(self.chain.number + 1, expressions[0] if expressions else ())
        self.chain.open_sign = ""
        for n, sign in enumerate(signs):
            left, right = expressions[n], expressions[n + 1]
            if not right:
                self.chain.tail, self.chain.open_sign = left, sign
                return
            if len(self.steps) >= document.MOST_STEPS:
                return
            self._link(piece, left, sign, right, first=first and n == 0)
        if expressions:
            self.chain.tail = expressions[-1]

    def _link(
        self,
        piece: Piece,
        left: Sequence[Token],
        sign: str,
        right: Sequence[Token],
        *,
        first: bool = False,
    ) -> None:
        """Judge one step, and store the verdict."""
        conditions = [*self.conditions, *self.here]
        for tokens in piece.conditions:
            condition = self._condition(tokens)
            conditions += [condition] if condition is not None else []
        circumstances = Circumstances(
            first=first,
            conditions=tuple(conditions),
            cases_stated=self.cased or piece.cased,
            solving=self.solving and first,
        )
        budget = Budget(min(self.left, STEP_NODES))
        found, after = judge(left, sign, right, self.context, circumstances, budget)
        if first and found.verdict != "follows" and (unnumbered := _without_number(left)):
            again, then = judge(unnumbered, sign, right, self.context, circumstances, budget)
            if again.verdict != "differs":
                left, found, after = unnumbered, again, then
        self.left -= min(self.left, STEP_NODES) - max(budget.left, 0)
        if found.verdict == "differs" and first and self.chain.shown:
            found = self._against_line_before(found, sign, right, circumstances)
        if found.verdict == "follows":
            self.places.append(
                Place(piece.line, tuple(left), sign, tuple(right), self.context, circumstances)
            )
        self.context = after
        step = DerivationStep(
            line=piece.line,
            chain=self.chain.number,
            left=document.source(left),
            sign=sign,
            right=document.source(right),
            verdict=found.verdict,
            why=found.why,
            left_mathml=mathml(found.left, document.source(left)) if self.rendered else "",
            right_mathml=mathml(found.right, document.source(right)) if self.rendered else "",
            display=piece.display,
        )
        if found.verdict == "differs":
            step = self._with_remark(step, found, left, sign, right, circumstances)
        self.steps.append(step)
        self.judged.append((found, tuple(left), tuple(right), sign))
        self.chain.shown.append((len(self.steps) - 1, tuple(right), found.right, piece.line))

    def _against_line_before(
        self, found: Judgement, sign: str, right: Sequence[Token], circumstances: Circumstances
    ) -> Judgement:
        """Return "follows" if a line that repeats the left side follows from the line before."""
        before = self.chain.shown[-1][1]
        again, _ = judge(before, sign, right, self.context, replace(circumstances, first=False))
        if again.verdict == "follows":
            return replace(again, why="it follows from the line before")
        return found

    def _with_remark(
        self,
        step: DerivationStep,
        found: Judgement,
        left: Sequence[Token],
        sign: str,
        right: Sequence[Token],
        circumstances: Circumstances,
    ) -> DerivationStep:
        remark, slip = remark_of(found)
        witness = found.witness
        step = replace(
            step,
            remark=remark,
            slip=slip,
            at=witness.at if witness else (),
            left_value=witness.left if witness else "",
            right_value=witness.right if witness else "",
        )
        if self.judged and self.steps[-1].verdict == "differs" and not self.steps[-1].regains:
            before, begun, middle, _ = self.judged[-1]
            if middle == tuple(left) and before.verdict == "differs":
                around, _ = judge(
                    begun, sign, right, self.context, replace(circumstances, first=False)
                )
                if around.verdict in ("follows", "definition"):
                    last = self.steps[-1]
                    self.steps[-1] = replace(
                        last,
                        remark=f"{last.remark} The next step regains it: the expressions before "
                        "and after these two steps agree.",
                    )
                    step = replace(
                        step, regains=True, remark="It regains what the step before lost."
                    )
        return step

    def _unread(self, line: int, latex: str, why: str, display: bool) -> None:
        shown = mathml(None, latex) if self.rendered else ""
        self.steps.append(
            DerivationStep(
                line,
                self.chain.number,
                "",
                "",
                latex.strip()[:500],
                "not read",
                why,
                right_mathml=shown,
                display=display,
            )
        )
        self.judged.append((Judgement("not read", why), (), (), ""))

    # --- targets

    def _reached(self, target: DerivationTarget) -> DerivationReached:
        name = f"{target.of} = {target.last}" if target.of else target.last
        words = self.context.words()
        try:
            wanted = next(readings(tokenize(target.last, words=words), self.context))
            name = plain(wanted)
            if target.of:
                begun = next(readings(tokenize(target.of, words=words), self.context))
                name = f"{plain(begun)} = {name}"
        except Unreadable as error:
            return DerivationReached(
                name, target.points, False, why=f"the target is not read: {error}"
            )
        allowed = {self.context.name_of(symbol) or symbol for symbol in target.symbols} or _names(
            wanted
        )
        best = DerivationReached(
            name, target.points, False, why="its last line does not stand there"
        )
        led: dict[int, int] = {}
        doubts: dict[int, int] = {}
        for step, (found, _, _, sign) in zip(self.steps, self.judged, strict=True):
            doubts[step.chain] = doubts.get(step.chain, 0) + (step.verdict == "differs")
            led[step.chain] = led.get(step.chain, 0) + (step.verdict == "follows")
            if sign not in ("=", ":=") or found.right is None or step.verdict == "definition":
                continue
            if _is_form(found.right, allowed) and _equal(found.right, wanted, self.context):
                steps, doubtful = sum(led.values()), sum(doubts.values())
                enough = steps >= target.least
                why = "" if enough else f"{steps} steps of at least {target.least} lead there"
                best = DerivationReached(
                    name, target.points, enough, step.line, steps, doubtful, why
                )
                if enough:
                    return best
        return best


def _without_number(left: Sequence[Token]) -> tuple[Token, ...]:
    """Return a side without the number of its line, (5); () if it has none."""
    texts = [token.text for token in left[:3]]
    if len(left) < 4 or texts[0] != "(" or texts[2] != ")" or left[1].kind not in ("num", "sym"):
        return ()
    return tuple(left[3:])


def _names(node: t.Node) -> set[str]:
    """Return the names of a formula; e^x and exp(x) are "exp"."""
    found = {part.name for part in t.walk(node) if isinstance(part, t.Symbol | t.Call)}
    powers = [part for part in t.walk(node) if isinstance(part, t.Power)]
    return found | {"exp" for p in powers if t.bare(p.base) == t.Constant("e")}


def _is_form(node: t.Node, allowed: set[str]) -> bool:
    """Return whether a side holds only the allowed names, and no open derivative."""
    for part in t.walk(node):
        if isinstance(part, t.Derivative | t.Gradient | t.Prime | t.Limit):
            return False
        if isinstance(part, t.Symbol | t.Call) and part.primes and part.name + "'" not in allowed:
            return False
    return _names(node) <= allowed


def _equal(left: t.Node, right: t.Node, context: Context) -> bool:
    names = sorted(context.free_names(left, right))
    budget, compared = Budget(60_000), 0
    try:
        for point in points(context, names, seed=2):
            here = Evaluation(context, point, {}, budget)
            try:
                if not same(here.value(left), here.value(right)):
                    return False
            except Undefined:
                continue
            compared += 1
    except (Impossible, NotRead):
        return False
    return compared > 0
