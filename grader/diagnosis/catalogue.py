"""The catalogue of known mistakes: the phrase that a student reads, and where it was seen.

`words_for_student` describes a mistake without the line that corrects it. `SEEN` says for each kind
where it was seen: at a public address, or in work on the shipped assignments.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

_PLAIN = {
    "flipped sign": "with one sign reversed",
    "swapped difference": "with a difference taken the other way round",
    "dropped term": "without one term of a sum",
    "dropped factor": "without one factor",
    "lost divisor": "without one division",
    "wrong operation": "with another operation in one place",
    "swapped operands": "with two operands in the other order",
    "dropped power": "without one power",
    "transposed product": "with a product transposed",
    "transposed operand": "with one side of a product transposed",
    "elementwise product": "with a product taken element by element",
    "dropped transpose": "without a transpose",
    "dropped reshape": "without one change of shape",
    "dropped new axis": "without a new axis",
    "wrong function": "with another function in one place",
    "forgotten call": "with one call of a function left out",
    "negated argument": "with the sign of one argument reversed",
    "swapped branches": "with two cases swapped",
    "one branch alone": "with one of two cases for all",
    "swapped arguments": "with two arguments in the other order",
    "off by one": "with a number, a bound or an index that is off by one",
    "dropped axis": "with all axes where one belongs",
    "wrong axis": "over the other axis",
    "dropped keepdims": "with an axis lost on the way",
    "flipped flag": "with the opposite choice in one place",
    "wrong constant": "with twice one constant",
    "train for test": "with the training data and the test data mixed up",
    "wrong comparison": "with another comparison: the boundary, or the side",
    "wrong logic": "with `and` for `or`, or a condition turned round",
    "dropped slice": "with all elements where a part belongs",
    "dropped copy": "without a copy: the caller's array changes",
    "dropped dtype": "without one conversion of type",
    "wrong dtype": "with whole numbers where fractions belong",
    "dropped conversion": "without one conversion of type",
    "returned nothing": "if it returned nothing",
    "swapped results": "with its two results in the other order",
    "factor 2": "with one result doubled",
    "constant result": "with one result always 0",
    "removed statement": "without one of its steps",
    "in place": "with a change made in place: the caller's array changes, too",
    "lost accumulation": "with a value overwritten where it is added up",
    "early end": "with a loop that ends after its first round",
    "wrong condition": "with one case for all",
    "lost function": "if it were not there",
}
"""Words for the kinds of mutants, after "behaves exactly as the solution would"."""

_INSTEAD = {
    ("mean", "sum"): "with a sum where a mean belongs",
    ("sum", "mean"): "with a mean where a sum belongs",
    ("std", "var"): "with the variance where the standard deviation belongs",
}

_OF_A_NUMBER = {
    "dropped term": "without the {0} that is {1}",
    "dropped factor": "without the factor {0}",
    "lost divisor": "without the division by {0}",
}
"""Words for a number that is left out. {0} : the number; {1} : added or subtracted"""

_SMALL = 1e-3
"""A number below it is there against a division by 0, and has no other meaning."""

_OTHER_WAY = {
    "@": "with a product of matrices the other way round: the right factor on the left",
    "/": "with a quotient the other way round",
}

_SIZE = re.compile(r"^(m|n|K|N|len\(.*\)|.*\.shape\[[01]\]|.*\.size)$")


def words_for_student(kind: str, text: str, visible: Collection[str]) -> str:
    """Return the phrase that describes a mutant to a student; "" if there is none that reads well.

    text : the mutant's own line, which quotes code of the solution
    visible : names that the template shows; code with other names is not quoted
    """
    dropped = re.match(r"dropped `(.*?)` in ", text)
    if dropped and kind in ("lost divisor", "dropped factor"):
        operand = dropped[1].strip("*/ ")
        if _SIZE.match(operand) and kind == "dropped factor":
            return "without one factor, a number of examples or elements"
        if _SIZE.match(operand):
            return "without the mean: one division by a number of examples or elements is left out"
    if dropped and kind in _OF_A_NUMBER:
        number = re.fullmatch(r"([-+*/]?) ?(\d[\d.]*(?:e-?\d+)?) ?[-+*/]?", dropped[1])
        if number:
            shown = number[2] if float(number[2]) > _SMALL else "small number"
            done = "subtracted" if number[1] == "-" else "added"
            return _OF_A_NUMBER[kind].format(shown, done)
    if dropped and dropped[1] == "** 2" and kind == "dropped power":
        base = text.rpartition(" in `")[2].rpartition(" **")[0]
        if _holds_only(base, visible):
            return f"without the square of `{base}`"
    drops = ("dropped term", "dropped factor", "lost divisor", "dropped power")
    if dropped and kind in drops and _holds_only(dropped[1], visible):
        return f"without `{dropped[1]}`"
    if dropped and kind in ("dropped term", "dropped factor"):
        # Not the solution's own code, but the names in it that the student knows.
        known = sorted({*re.findall(r"[A-Za-z_]\w*", dropped[1])} & {*visible} - {"self", "np"})
        if known:
            held = " and ".join(f"`{name}`" for name in known[:2])
            return f"without the {kind.removeprefix('dropped ')} that holds {held}"
    if kind == "swapped operands":
        return _OTHER_WAY.get(_operation(text.partition("` -> `")[0].strip("`")), _PLAIN[kind])
    if kind == "wrong function":
        names = _changed_name(text)
        if names in _INSTEAD:
            return _INSTEAD[names]
        if names:
            return f"with `{names[1]}` where another function belongs"
    if kind == "forgotten call":
        name = re.match(r"`(?:\w+\.)*(\w+)\(", text)
        if name:
            return f"without one call of `{name[1]}`"
    if kind == "wrong constant" and re.match(r"`-?0(?:\.0*)?` -> ", text):
        return "with a 1 where a 0 belongs"  # twice 0 would be no mistake
    if kind == "removed statement":
        target = re.match(r"removed `((?:self\.)?\w+)\s*[-+*/]?=", text)
        if target and _holds_only(target[1], visible):
            return f"without the step that sets `{target[1]}`"
    return _PLAIN.get(kind, "")


def _operation(code: str) -> str:
    """Return "@" or "/", if the code is such an operation; "" for any other."""
    try:
        node = ast.parse(code, mode="eval").body
    except SyntaxError:  # it was too long to be quoted whole
        return ""
    match node:
        case ast.BinOp(op=ast.Div()):
            return "/"
        case ast.BinOp(op=ast.MatMult()) | ast.Call(func=ast.Attribute(attr="dot" | "matmul")):
            return "@"
    return ""


def _changed_name(text: str) -> tuple[str, str] | None:
    """Return the only name that a change replaces, and the new one: ("max", "min"); or None."""
    old, arrow, new = text.partition("` -> `")
    before, after = (re.findall(r"[A-Za-z_]\w*", part) for part in (old, new))
    changed = [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]]
    return changed[0] if arrow and len(before) == len(after) and len(changed) == 1 else None


_COMMON = frozenset({"mean", "std", "var", "norm", "sum", "max", "min", "exp", "log", "bias"})
"""Names that any solution may have: to quote them gives nothing away."""


def _holds_only(code: str, visible: Collection[str]) -> bool:
    names = set(re.findall(r"[A-Za-z_]\w*", code)) - {"self", "np"}
    return bool(names) and names <= {*visible, *_COMMON}


def is_vague(phrase: str) -> bool:
    """Return whether a phrase says only which kind of mistake it is.

    A value without a name means nothing to a student, who has not seen the solution.
    """
    nameless = "one of its values" in phrase or "one value in the place of another" in phrase
    return phrase in _VAGUE or nameless or ("in one place" in phrase and "`" not in phrase)


def is_of_another_form(phrase: str) -> bool:
    """Return whether a phrase mentions a part of code that a student's own code may not have."""
    return "`" not in phrase and bool(_A_PART.search(phrase))


_A_PART = re.compile(r"\b(?:one|two|a) (?:of|factor|term|value|difference|number|sign|step|call)\b")


_VAGUE = frozenset(
    (
        "with another operation in one place",
        "with another function in one place",
        "without one of its steps",
        "with two values swapped",
        "with two values swapped everywhere",
        "with two steps in the other order",
        "with two operands in the other order",
        "without one change of shape",
        "with one case for all",
        "without one term of a sum",
        "without one factor",
        "with a number, a bound or an index that is off by one",
        "with one result always 0",
        "with one of its values as zeros",
    )
)

_KALMAN = "github.com/noahcao/OC_SORT/issues/105"
_OURS = "work handed in for the shipped assignments"
_HANDED_IN = "public hand-ins of a course on machine learning"
_BANK = "no public place: written for the bank of verdicts"
_FORUM = "https://community.deeplearning.ai/t/"

SEEN = {
    "related function": f"log2 for log, tanh for sigmoid: {_OURS}",
    "twice": "softmax before a loss that applies it: github.com/tflearn/tflearn/pull/562",
    "forgotten call": "an output layer without its activation: "
    "github.com/iamtrask/Grokking-Deep-Learning/issues/9",
    "order of steps": "scores scaled at another place than before softmax: "
    "github.com/NVIDIA/Megatron-LM/pull/848",
    "softmax": "exponentials that were never divided by their sum: "
    "ttsugriy.github.io/llm-first-principles/stages/stage-03/common-mistakes",
    "softmax twice": "github.com/Lightning-Universe/lightning-bolts/issues/654",
    "softmax axis": "probabilities that add up to 1 over the batch: "
    "ttsugriy.github.io/llm-first-principles/stages/stage-03/common-mistakes",
    "sigmoid for softmax": _OURS,
    "labels for probabilities": f"the predicted class in a logistic step: {_OURS}",
    "relu's slope": "the activation's value in the place of the mask: "
    "github.com/andersy005/deep-learning-specialization-coursera/pull/5; "
    "a mask with the wrong boundary: github.com/iamtrask/Grokking-Deep-Learning/pull/13",
    "relu": f"a leaky relu, or none: {_OURS}",
    "another activation": f"a leaky relu or tanh on the way forwards and back: {_OURS}",
    "one bias for all": f"`X @ W + b[0]`: {_OURS}",
    "sigmoid's slope": "the argument in the place of the sigmoid's value in s (1 - s): "
    f"a question on softmax's derivative at python.dizzycoding.com; for the slope of tanh: {_OURS}",
    "label off by one": "labels from 1 taken as indices from 0: "
    "github.com/deep-learning-with-pytorch/dlwpt-code/issues/121 and "
    "github.com/guillaume-chevalier/LSTM-Human-Activity-Recognition/issues/19",
    "label left out": f"a gradient of softmax's loss that is softmax alone: {_OURS}",
    "label as a number": f"the label subtracted as a number: {_OURS}",
    "learning rate": "the default of the learning rate written into the step: "
    f"{_FORUM}w2-programming-assignment-dl-db-is-not-converging-to-0/19735",
    "penalty": "the factor 2 of the squared norm lost: "
    "github.com/jingtinghuang/CS231n-Spring-2017/issues/3; "
    "decay of biases, too: github.com/rasmusbergpalm/DeepLearnToolbox/issues/32",
    "complement": f"dropping with p where 1 - p is kept: {_FORUM}inverted-dropout/12940",
    "correction left out": "Adam without its correction of the start: "
    "github.com/karpathy/convnetjs/pull/107",
    "correction without its power": "1 - beta where 1 - beta^t is due: "
    "github.com/ufal/npfl114/pull/79",
    "epsilon inside the root": "github.com/d2l-ai/d2l-zh/pull/502",
    "divisor of the variance": "n - 1 or n in a deviation: stackoverflow.com/q/34050491",
    "divisor of the mean": f"a mean divided by n - 1: {_OURS}",
    "variance": f"the variance in the place of the deviation: {_OURS}",
    "scale left out": f"centred, never scaled: {_OURS}",
    "centre left out": f"scaled, never centred: {_OURS}",
    "mean and sum": "centres of clusters that are sums: github.com/scikit-learn/scikit-learn/"
    "pull/3750; a cost that is not averaged: "
    f"{_FORUM}course-1-week-2-exercise-5-propagate/119220",
    "never shuffled": f"a training loop that keeps the order: {_OURS}",
    "size as a number": f"10 classes, 31 and 784 features written as numbers: {_OURS}",
    "another power": f"cubes and absolute values for squares: {_OURS}",
    "naive form": f"log(1 + exp(x)) and exp(z) / sum(exp(z)): {_OURS}",
    "scaled": f"half, double: {_OURS}",
    "sign": "the cross-entropy without its minus, the step uphill: datascience.stackexchange.com",
    "power": f"a square or a root too many: {_OURS}",
    "absolute": f"absolute values: {_OURS}",
    "shifted": f"one too large or too small: {_OURS}",
    "reciprocal": f"the inverse of a value: {_OURS}",
    "function": f"an activation applied once more: {_OURS}",
    "mask": "a mask in the place of the values that it selects: "
    "github.com/scikit-learn/scikit-learn/issues/14244 shows how the two are confused",
    "rounded": f"labels where probabilities are due: {_OURS}",
    "reduced": "a bias's gradient that is not summed, or summed over the wrong axis: "
    f"{_FORUM}course-1-week-2-exercise-5-propagate/119220",
    "mean": f"1/m lost or taken twice: {_OURS}",
    "normalised": f"divided by a sum or a norm: {_OURS}",
    "transposed": f"{_FORUM}course-1-week-2-exercise-5-propagate/119220",
    "flipped": "a kernel that is flipped, or is not: github.com/astrorama/SourceXtractorPlusPlus/"
    "pull/72 and github.com/srush/Autodiff-Puzzles/issues/12",
    "first": f"a loop that sees the first example alone: {_OURS}",
    "constant": f"a dummy left in place: {_OURS}",
    "sorted": "elements taken in another order",
    "shifted in place": "a window that is moved by one place: padding that is off by one",
    "value for another": "masks on the axis of the queries: "
    "github.com/lsdefine/attention-is-all-you-need-keras/issues/16; one layer's bias for "
    f"another's: {_OURS}",
    "one case": f"a gradient that is always clipped: {_BANK}",
    "cases exchanged": f"what is short is clipped: {_BANK}",
    "average": "students' solutions to a sheet on optimisers: an average in the place of a "
    "velocity",
    "rate on one term": f"a decay that the learning rate doesn't scale: {_BANK}",
    "forgotten value": f"a stride in the loop's bounds alone: {_BANK}",
    "without decay": "a sum of squares (Adagrad) in the place of RMSProp's average",
    "length": "the largest element, or the old vector's norm, for the new one's: "
    "github.com/pysmo/pysmo/pull/81 and github.com/CEA-COSMIC/ModOpt/issues/211",
    "system": f"a product where a system is to be solved: {_BANK}",
    "whole division": "the step of a learning rate by / and by //: "
    "github.com/nmhkahn/CARN-pytorch/issues/28 and "
    "github.com/d-li14/mobilenetv2.pytorch/issues/22",
    "plain mean": f"a covariance where a correlation is due: {_BANK}",
    "one more left out": f"a p-value in which the observed one does not count: {_BANK}",
    "blocks": f"x.reshape(a, b, k, k) for x.reshape(a, k, b, k): {_BANK}",
    "first along an axis": f"the first of several channels: {_BANK}",
    "index swapped": f"windows that take the place of (j, i): {_BANK}",
    "other end": f"the last components for the first ones: {_BANK}",
    "another function": f"tanh for the sigmoid: {_BANK}",
    "other operation": f"values multiplied where they are added: {_BANK}",
    "reshape": f"an image turned by a reshape: {_BANK}",
    "power as a product": f"lr * drop * k for lr * drop ** k: {_BANK}",
    "parentheses": f"(a - b) / c without its parentheses: {_BANK}",
    "both signs": f"log(sigmoid(z)) for log(1 + exp(z)): {_BANK}",
    "number for sum": f"a weighted sum divided by the number of weights: {_BANK}",
    "added": f"an input added to the result, as in a block with a skip: {_BANK}",
    "other order": f"the farthest neighbours, the smallest scores: {_BANK}",
    "one of two": "a rule of rectangles for the trapezoidal one; an end of an interval for its "
    f"middle: {_BANK}",
    "most frequent": f"the mean class, rounded, for the most frequent one: {_BANK}",
    "part for the whole": f"a sum over the shorter series: {_BANK}",
    "sign kept": f"a one-sided count where sizes are compared: {_BANK}",
    "one left out": f"a p-value that leaves the observed one out: {_BANK}",
    "other axis everywhere": "a layer normalised along the sequence: github.com/jadore801120/"
    "attention-is-all-you-need-pytorch/pull/17; over the whole batch: "
    "github.com/allenai/deep_qa/pull/152",
    "linear decay": f"a rate that falls by the same amount: {_BANK}",
    "each by itself": f"a norm or a square of a difference, term by term: {_BANK}",
    "decay after the step": f"new weights that are decayed: {_BANK}",
    "diagonal": f"row sums for the diagonal: {_BANK}",
    "hinge": f"the hinge loss for the logistic one: {_BANK}",
    "early end": f"a loop that ends too early: {_BANK}",
    "order of statements": f"weights moved by the velocity before it is renewed: {_BANK}",
    "copied line": f"a copied line of which nothing was changed: {_BANK}",
    "rate on the velocity": f"the other convention of momentum: {_BANK}",
    "term as one": f"one bias for a whole layer: {_BANK}",
    "centred": f"rows made unit vectors after their mean was taken away: {_BANK}",
    "reversal": "a kernel that is not turned: github.com/SciML/DiffEqOperators.jl/pull/134; "
    "turned along the wrong axes: "
    "github.com/arthurmeyer/Convolutional_Deep_Belief_Network/issues/1",
    "standardised": "correlations where covariances are due: github.com/incanter/incanter/pull/301",
    "other axis": "a mask along the other axis: github.com/patrick-kidger/equinox/pull/190 and "
    "github.com/axelspringer/ForwardTacotron/pull/22",
    "results swapped": "eigenvectors and eigenvalues in the other order: "
    "github.com/qutip/qutip/pull/2585 and github.com/v923z/micropython-ulab/issues/202",
    "rows for columns": "samples taken for features: "
    "github.com/STAT540-UBC/Discussion/issues/368 and github.com/patrikhuber/eos/issues/26",
    "rest": f"b - p in the place of the projection p: {_BANK}",
    "matrix factor": f"A P for A P A.T in a predicted covariance: {_KALMAN}",
    "other side": f"A.T P A for A P A.T: {_BANK}",
    "added too early": f"noise that is added before the product: {_BANK}",
    "angle": "degrees in sin and cos: github.com/MathOnco/valis/issues/103",
    "conjugate": "a correlation for a convolution: "
    "github.com/GiggleLiu/ModernScientificComputing/pull/33",
    "other transform": f"fft for ifft: {_BANK}",
    "one part": f"the real part of a spectrum for its size: {_BANK}",
    "already new": "neighbours that are already new: "
    "github.com/algorithm-archivists/algorithm-archive/issues/787",
    "lost step": f"a filter that never predicts: {_BANK}",
    "old value": "a covariance that is never renewed: "
    "github.com/alirezaahmadi/KalmanFilter-Vehicle-GNSS-INS/issues/2 and "
    "github.com/jjviscomi/kalman-filter/pull/2",
    "lost additions": f"values at the ends that are not in the system: {_BANK}",
    "all means": f"cost and gradient as sums: {_HANDED_IN}",
    "stale result": f"the loss at the weights of the step before: {_HANDED_IN}",
    "lost coefficient": f"lambda for 2 N lambda: {_HANDED_IN}",
    "penalty on biases": "github.com/rasmusbergpalm/DeepLearnToolbox/issues/32",
    "values swapped": f"y and y_pred, l1 and l2 swapped: {_OURS}",
}
"""Where each kind beyond the mutants was seen."""
