"""Convert LaTeX to tokens: all spellings of the same thing become the same token.

Layout (\\left, \\bigl, spaces, colours, bold letters) is dropped. Nothing is expanded and nothing
is run: an unknown macro is a token of its own, which the parser does not read.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

LONGEST = 6000
"""Most characters of one formula. A page of mathematics has 3,000."""


class Token(NamedTuple):
    """One piece of a formula.

    kind : "num", "sym" (a letter, a Greek letter, a word as \\operatorname{softmax}), "cmd" (a
        command with a meaning, as \\frac), "rel" (=, <=, ...), "sep" (\\implies, \\quad), "row",
        "col" (&), "text" (running text), "begin", "end", and "p" (one sign of punctuation)
    text : the same for all spellings
    """

    kind: str
    text: str


class Unreadable(Exception):
    """A formula that cannot be read; the message gives a student the reason."""


_SPACES = {",", ";", ":", "!", " ", ">", "thinspace", "medspace", "thickspace", "negthinspace",
           "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "nonumber", "notag",
           "middle", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr",
           "biggl", "biggr", "Biggl", "Biggr", "bigm", "Bigm", "mathstrut", "strut", "noindent",
           "boldmath", "centering", "hfill", "allowbreak", "nobreak", "relax", "mathord", "par",
           "mathopen", "mathclose", "mathbin", "mathrel", "mathop", "ensuremath", "hline",
           "smallskip", "medskip", "bigskip", "newpage", "qed", "qedsymbol", "blacksquare",
           "square", "Box", "tiny", "small", "large", "normalsize", "kern", "break", "/",
           "-"}  # fmt: skip
_DROPPED_WITH_ARGUMENT = {"tag", "label", "color", "hspace", "vspace", "phantom", "hphantom",
                          "vphantom", "eqref", "ref", "cite", "footnote", "tag*", "hspace*",
                          "intertext*", "raisebox", "vspace*"}  # fmt: skip
_STYLES = {"overrightarrow", "overleftarrow", "cal", "mathbf",
           "boldsymbol", "bm", "pmb", "vec", "mathit", "mathsf", "mathtt", "underline",
           "boxed", "cancel", "bcancel", "xcancel", "textcolor", "underbrace", "overbrace",
           "mathnormal", "fbox", "bf", "it", "rm", "mathrm", "operatorname", "operatorname*",
           "text", "mbox",
           "textrm", "textbf", "textit", "textsf", "texttt", "mathop", "mathds", "mathbbm",
           "mathbb", "mathcal", "mathscr", "mathfrak", "hbox", "textnormal", "emph", "symbf",
           "symbfit", "symit", "mathbfit"}  # fmt: skip
_TEXTS = {"text", "mbox", "textrm", "textbf", "textit", "textsf", "texttt", "hbox", "textnormal",
          "emph"}  # fmt: skip
_WORDS = {"mathrm", "operatorname", "operatorname*", "mathit", "mathsf", "mathtt", "mathbf", "rm",
          "boldsymbol", "bm", "mathop"} | _TEXTS  # fmt: skip
_ACCENTS = {"hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "tilde": "tilde",
            "widetilde": "tilde", "dot": "dot", "ddot": "ddot", "check": "check",
            "breve": "breve"}  # fmt: skip
_CURLY = {"cal", "mathcal", "mathscr", "mathfrak"}
_HOLLOW = {"mathds", "mathbbm", "mathbb"}

_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "\\leq": "<=", "\\le": "<=", "\\leqslant": "<=", "\\leqq": "<=",
    "\\geq": ">=", "\\ge": ">=", "\\geqslant": ">=", "\\geqq": ">=", "\\lt": "<", "\\gt": ">",
    "\\neq": "!=", "\\ne": "!=", "\\not=": "!=", "\\approx": "~", "\\simeq": "~", "\\sim": "~",
    "\\cong": "~", "\\propto": "~", "\\equiv": ":=", ":=": ":=", "\\coloneqq": ":=",
    "\\triangleq": ":=", "\\doteq": ":=", "\\coloneq": ":=", "\\eqqcolon": "~", "\\in": "in",
    "\\notin": "~", "\\to": "to", "\\rightarrow": "to", "\\longrightarrow": "to",
    "\\mapsto": "~", "\\leftarrow": "~", "\\gets": "~", "\\ll": "~", "\\gg": "~",
    "\\subset": "~", "\\subseteq": "~", "\\succeq": "~", "\\preceq": "~", "\\succ": "~",
    "\\ni": "~", "\\xrightarrow": "~", "\\nearrow": "~", "\\searrow": "~",
    "\\prec": "~", ">=": ">=", "<=": "<=", "!=": "!=", "->": "to", "=:": "~", "\\overset": "",
    "\\stackrel": "", "\\underset": "",
}  # fmt: skip
_SEPARATORS = {"\\quad", "\\qquad", "\\implies", "\\Rightarrow", "\\Longrightarrow", "\\iff",
               "\\Leftrightarrow", "\\Longleftrightarrow", "\\therefore", "\\because", "\\land",
               "\\wedge", "\\forall", "\\exists", "\\Leftarrow", "\\impliedby", "\\leadsto",
               "\\rightsquigarrow", "\\leftrightarrow"}  # fmt: skip
_SAME = {
    "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cfrac": "\\frac", "\\nicefrac": "\\frac",
    "\\sfrac": "\\frac", "\\ast": "*", "\\cdot": "*", "\\times": "*", "\\bullet": "*", "\\div": "/",
    "\\lbrace": "\\{", "\\rbrace": "\\}", "\\lbrack": "[", "\\rbrack": "]", "\\lparen": "(",
    "\\rparen": ")", "\\vert": "|", "\\lvert": "|", "\\rvert": "|", "\\Vert": "\\|",
    "\\lVert": "\\|", "\\rVert": "\\|", "\\mid": "\\mid", "\\prime": "'", "\\dots": "\\dots",
    "\\ldots": "\\dots", "\\cdots": "\\dots", "\\dotsc": "\\dots", "\\dotsb": "\\dots",
    "\\vdots": "\\dots", "\\ddots": "\\dots", "\\varepsilon": "\\epsilon", "\\varphi": "\\phi",
    "\\vartheta": "\\theta", "\\varsigma": "\\sigma", "\\varrho": "\\rho", "\\mathrm{T}": "\\top",
    "\\intercal": "\\top", "\\intop": "\\int", "\\real": "\\R", "\\Reals": "\\R",
    "\\infin": "\\infty", "\\dd": "d", "\\mathbb{1}": "\\one", "\\langle": "\\langle",
    "\\lang": "\\langle", "\\rang": "\\rangle", "\\leftlbrace": "\\{", "\\llbracket": "[",
    "\\rrbracket": "]", "\\sgn": "sgn", "\\odot": "\\odot",
    "\\ell": "\\ell", "\\argmin": "argmin", "\\argmax": "argmax", "\\lfloor": "\\lfloor",
}  # fmt: skip
_UNICODE = {
    "−": "-", "–": "-", "·": "*", "×": "*", "∗": "*", "⋅": "*", "÷": "/", "≤": "\\leq",
    "≥": "\\geq", "≠": "\\neq", "≈": "\\approx", "∈": "\\in", "→": "\\to", "∞": "\\infty",
    "∂": "\\partial", "∇": "\\nabla", "∑": "\\sum", "Σ": "\\Sigma", "∏": "\\prod", "√": "\\sqrt",
    "′": "'", "’": "'", "″": "''", "²": "^2", "³": "^3", "α": "\\alpha", "β": "\\beta",
    "γ": "\\gamma", "δ": "\\delta", "ε": "\\epsilon", "ζ": "\\zeta", "η": "\\eta",
    "θ": "\\theta", "λ": "\\lambda", "μ": "\\mu", "ν": "\\nu", "ξ": "\\xi", "π": "\\pi",
    "ρ": "\\rho", "σ": "\\sigma", "τ": "\\tau", "φ": "\\phi", "ϕ": "\\phi", "χ": "\\chi",
    "ψ": "\\psi", "ω": "\\omega", "⇒": "\\implies", "⇔": "\\iff", "⊤": "\\top", "½": "\\frac12",
    "ℓ": "\\ell", "⊙": "\\odot", "∥": "\\|", "∣": "|", "\u00a0": " ", "\u2009": " ",
    "⟹": "\\implies", "∀": "\\forall", "ᵀ": "^\\top", "₁": "_1", "₂": "_2", "ᵢ": "_i", "ⱼ": "_j",
}  # fmt: skip
_GREEK_NAMES = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi",
    "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi",
    "Omega", "ell", "hbar",
]  # fmt: skip
GREEK = frozenset("\\" + name for name in _GREEK_NAMES)
FUNCTIONS = frozenset([
    "log", "ln", "exp", "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh",
    "coth", "arcsin", "arccos", "arctan", "arctanh", "artanh", "atanh", "max", "min", "sqrt",
    "abs", "sign", "sgn", "sigmoid", "logistic", "softmax", "softplus", "relu", "ReLU", "rect",
    "det", "tr", "diag", "Softmax", "Sigmoid", "Softplus", "logit", "erf", "sigm", "Tanh",
    "lim", "argmax", "argmin", "lg", "logsumexp", "LSE",
    "onehot",
])  # fmt: skip
# Names that are found in a run of plain letters, as in -log(x). "tr" is often t times r.
_TYPED = frozenset([
    "log", "ln", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "sigmoid",
    "softmax", "softplus", "relu", "ReLU", "sign", "sgn", "arctan", "lim", "logit",
])  # fmt: skip
_NAMED = re.compile(r"\\([A-Za-z]+\*?|.)", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")


def tokenize(latex: str, *, words: Collection[str] = ()) -> tuple[Token, ...]:
    """Return the tokens of a formula.

    words : names of several letters ("MSE"), besides the functions
    Raises Unreadable if the formula is too long or its braces do not close.
    """
    if len(latex) > LONGEST:
        raise Unreadable(f"it is longer than {LONGEST} characters")
    text = "".join(_UNICODE.get(sign, sign) for sign in latex)
    known = sorted({*_TYPED, *(w for w in words if len(w) > 1)}, key=len, reverse=True)
    return tuple(_Tokenizer(text, [w for w in known if w.isalpha()]).run())


class _Tokenizer:
    def __init__(self, text: str, words: list[str]) -> None:
        self.text, self.words, self.at = text, words, 0
        self.out: list[Token] = []
        self.sized: list[str] = []

    def run(self) -> list[Token]:
        while self.at < len(self.text):
            self._one()
        return self.out

    def _put(self, kind: str, text: str) -> None:
        self.out.append(Token(kind, text))

    def _one(self) -> None:
        text, at = self.text, self.at
        sign = text[at]
        if sign == "\\":
            self._command()
        elif sign.isspace() or sign == "~":
            self.at += 1
        elif sign == "%":  # a comment, to the end of the line
            end = text.find("\n", at)
            self.at = len(text) if end < 0 else end
        elif (number := _NUMBER.match(text, at)) is not None:
            self.at = number.end()
            self._put("num", number.group())
        elif sign.isascii() and sign.isalpha():
            self._letters()
        elif sign == "&":
            self.at += 1
            self._put("col", "&")
        elif text[at : at + 2] in _RELATIONS and text[at : at + 2] != "=-":
            self.at += 2
            self._put("rel", _RELATIONS[text[at : at + 2]])
        elif sign in _RELATIONS:
            self.at += 1
            self._put("rel", _RELATIONS[sign])
        elif text.startswith("||", at):
            self.at += 2
            self._put("p", "\\|")
        elif sign in "+-*/^_()[]{}|,;:!'.?\"":
            self.at += 1
            self._put("p", sign)
        else:
            self.at += 1
            self._put("text", sign)

    def _letters(self) -> None:
        end = self.at
        while end < len(self.text) and self.text[end].isascii() and self.text[end].isalpha():
            end += 1
        run = self.text[self.at : end]
        self.at = end
        while run:
            word = next((w for w in self.words if run.startswith(w)), run[0])
            self._put("sym", word)
            run = run[len(word) :]

    def _command(self) -> None:
        named = _NAMED.match(self.text, self.at)
        if named is None:
            raise Unreadable("it ends with a backslash")
        name = named.group(1)
        self.at = named.end()
        if name == "\\":
            self._skip_option()
            self._put("row", "\\\\")
        elif name in ("left", "right"):
            self._sized(name)
        elif name in _SPACES:
            return
        elif name in _DROPPED_WITH_ARGUMENT:
            self._argument()
        elif name in ("begin", "end"):
            environment = self._argument().strip().rstrip("*")
            if name == "begin" and environment in ("array", "alignat", "alignedat", "tabular"):
                self._argument()
            self._skip_option()
            self._put(name, environment)
        elif name in _ACCENTS:
            inner = tokenize(self._argument(), words=self.words)
            self._put("sym", f"\\{_ACCENTS[name]}{{{''.join(t.text for t in inner)}}}")
        elif name in _STYLES:
            self._styled(name)
        elif name in ("overset", "stackrel", "underset", "xrightarrow"):
            above, over = self._argument(), self._argument() if name != "xrightarrow" else "\\to"
            inner = tokenize(over, words=self.words)
            if "def" in above or "Δ" in above or "triangle" in above:
                inner = (Token("rel", ":="),)
            elif "!" in above:  # "shall be equal": an equation to be solved
                inner = tuple(Token("rel", "~") if t.kind == "rel" else t for t in inner)
            self.out.extend(inner)
        elif name == "intertext":
            self._put("text", self._argument())
        elif name == "substack":
            self.out.extend(tokenize(self._argument(), words=self.words))
        elif name == "not":
            self._put("rel", "!=")
            rest = self.text[self.at :].lstrip()
            self.at = len(self.text) - len(rest) + 1 if rest.startswith("=") else self.at
        else:
            self._plain_command("\\" + name)

    def _sized(self, name: str) -> None:
        """Skip \\left or \\right; an invisible bracket, \\left., becomes a group."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        invisible = self.text.startswith(".", self.at)
        self.at += invisible
        if name == "left":
            self.sized.append("." if invisible else self.text[self.at : self.at + 2])
            if invisible:
                self._put("p", "{")
        elif self.sized:
            opened = self.sized.pop()
            if opened == ".":
                self._put("p", "}")
            elif invisible and opened == "\\{":
                self._put("p", "\\}")

    def _plain_command(self, name: str) -> None:
        name = _SAME.get(name, name)
        if name in _RELATIONS:
            self._put("rel", _RELATIONS[name])
        elif name in _SEPARATORS:
            self._put("sep", name)
        elif name in GREEK:
            self._put("sym", name)
        elif name[1:] in FUNCTIONS and name != "\\sqrt":
            self._put("sym", name[1:])
        elif name in FUNCTIONS or (len(name) == 1 and name.isalpha()):
            self._put("sym", name)
        elif name in ("\\{", "\\}", "\\|", "\\mid", "\\langle", "\\rangle") or len(name) == 1:
            self._put("p", name)
        elif name in ("\\%", "\\$", "\\&", "\\#", "\\_"):
            self._put("text", name)
        else:
            self._put("cmd", name)

    def _styled(self, name: str) -> None:
        """Add a style command's content: a word, running text, or a formula without its style."""
        if name == "textcolor":
            self._argument()
        if name in ("rm", "bf", "it"):  # {\rm d}: without an argument; it is dropped
            return
        content = self._argument()
        if name in ("underbrace", "overbrace"):
            self.out.extend([Token("p", "{"), *tokenize(content, words=self.words)])
            self._put("p", "}")
            if self.text[self.at :].lstrip()[:1] in ("_", "^"):
                self.at = self.text.index("_" if name == "underbrace" else "^", self.at) + 1
                self._argument()
            return
        plain = content.strip()
        if name in _HOLLOW or (plain == "1" and name in ("mathbf", "boldsymbol", "bm", "mathrm")):
            hollow = {"1": "\\one", "I": "\\one", "R": "\\R", "E": "\\E"}.get(plain, "\\mathbb")
            self._put("cmd", hollow)
        elif name in _CURLY:
            self._put("sym", f"\\mathcal{{{plain}}}" if plain.isalnum() else "\\mathcal{?}")
        elif name in _WORDS and plain.replace("-", "").isalpha() and self._is_word(name, plain):
            self._put("sym", plain.replace("-", ""))
        elif name in _TEXTS and plain not in ("d", "e"):
            if plain:
                self._put("text", plain)
        else:
            inner = tokenize(content, words=self.words)
            if len(inner) == 1 or name in ("boxed", "fbox"):
                self.out.extend(inner)
            else:
                self.out.extend([Token("p", "{"), *inner, Token("p", "}")])

    def _is_word(self, style: str, word: str) -> bool:
        if word in self.words or word in FUNCTIONS:
            return True
        if style in _TEXTS:
            return False
        return len(word) > 1 and style not in ("mathbf", "boldsymbol", "bm")

    def _argument(self) -> str:
        """Return a command's argument: the content of the braces, or else the next character."""
        text = self.text
        while self.at < len(text) and text[self.at].isspace():
            self.at += 1
        if self.at >= len(text):
            raise Unreadable("a command lacks its argument")
        if text[self.at] == "{":
            depth, start = 0, self.at + 1
            for at in range(self.at, len(text)):
                if text[at] == "{" and text[at - 1] != "\\":
                    depth += 1
                elif text[at] == "}" and text[at - 1] != "\\":
                    depth -= 1
                    if depth == 0:
                        self.at = at + 1
                        return text[start:at]
            raise Unreadable("a brace is not closed")
        named = _NAMED.match(text, self.at)
        end = named.end() if named else self.at + 1
        piece = text[self.at : end]
        self.at = end
        return piece

    def _skip_option(self) -> None:
        option = re.compile(r"\s*\[\s*-?[\d.]*\s*(?:pt|em|ex|cm|mm|t|b|c|[lcr]+)\s*\]").match(
            self.text, self.at
        )
        self.at = option.end() if option else self.at
