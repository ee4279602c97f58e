"""Right steps, and beside each what differs from it in value, on three sheets of our own.

Each case: the sheet, the left side, the right side, right sides with a mistake in them, and the
relation where it is not "=". The first half was written with the code. The second was written
after it, in conventions that the code was not written with. As that half came when it was first run:

    70 right steps    67 followed, 2 not read, 1 flagged (the case was wrong: >= stood for <=)
    99 mutants        90 told, 6 not read, 3 passed

One of the three, d/dx 1 + e^{-x} = e^{-x}, is right as it is written, and left the list. The other two
were mended for their kind: a bare function took any argument near it, and a sum reached terms
without its index. (Lines are long: one case is one line.)
"""
# ruff: noqa: E501

from grader.derivation.sheet import read_context

SIGMOID = read_context(
    {
        "symbols": {"z": "real", "x": "real", "t": "real", "a": "nonzero", "b": "real",
                    "w": "real", "y": "{0, 1}", "n": "positive", "p": "(0, 1)", "q": "(0, 1)"},
        "given": [
            r"\sigma(z) = \frac{1}{1 + e^{-z}}",
            r"\zeta(z) = \log(1 + e^z)",
            r"J(z) = -\log\sigma((2y - 1)z)",
            r"C(w) = -(y \log\sigma(wx) + (1-y)\log(1-\sigma(wx)))",
            r"g(z) = \tanh z",
        ],
        "aliases": {r"\omega": "w"},
        "swapped": [["softmax", "softplus"]],
    }
)  # fmt: skip

SOFTMAX = read_context(
    {
        "symbols": {"z": "real, K", "t": "one-hot, K", "v": "real, K", "i": "index 1..K",
                    "j": "index 1..K", "k": "index 1..K", "c": "index 1..K", r"\alpha": "real"},
        "sizes": {"K": 3},
        "given": [
            r"s_k = \frac{e^{z_k}}{\sum_{l=1}^K e^{z_l}}",
            r"L = -\log s_c",
            r"E = -\sum_k t_k \log s_k",
        ],
        "aliases": {"p": "s"},
    }
)  # fmt: skip

REGRESSION = read_context(
    {
        "symbols": {"w": "real, d", "x": "real, d", "y": "real", "b": "real", "X": "real, m x d",
                    "r": "real, m", "i": "index 1..m", "j": "index 1..d", "k": "index 1..d",
                    r"\lambda": "positive", "h": "real, m", "o": "real, m", r"\mu": "real",
                    r"\tau": "positive"},
        "sizes": {"d": 2, "m": 3},
        "given": [
            r"f(x) = w^T x + b",
            r"l(w) = \frac12 (w^T x + b - y)^2",
            r"M(w) = \frac{1}{2m}\sum_{i=1}^m (\sum_{j=1}^d X_{ij} w_j - r_i)^2",
            r"R(w) = \lambda \sum_j w_j^2",
            r"N(\mu) = \sum_{i=1}^m \left(\frac{(r_i - \mu)^2}{2\tau} + \frac12 \log(2\pi\tau)\right)",
        ],
    }
)  # fmt: skip

CONTEXTS = {"sigmoid": SIGMOID, "softmax": SOFTMAX, "regression": REGRESSION}

CASES_FIRST = [
    # --- the sigmoid, in the ways that people write it
    ("sigmoid", r"\sigma(z)", r"\frac{e^z}{1+e^z}", [r"\frac{e^z}{1-e^z}", r"\frac{e^{-z}}{1+e^z}"]),
    ("sigmoid", r"\sigma(z)", r"\left(1+\exp(-z)\right)^{-1}", [r"\left(1+\exp(z)\right)^{-1}"]),
    ("sigmoid", r"1-\sigma(z)", r"\sigma(-z)", [r"\sigma(z)", r"-\sigma(-z)"]),
    ("sigmoid", r"1 - \sigma(z)", r"\dfrac{e^{-z}}{1+e^{-z}}", [r"\dfrac{1}{1+e^{-z}}"]),
    ("sigmoid", r"\sigma'(z)", r"\sigma(z)\,(1-\sigma(z))", [r"\sigma(z)(1+\sigma(z))", r"-\sigma(z)(1-\sigma(z))", r"\sigma^2(z)(1-\sigma(z))"]),
    ("sigmoid", r"\frac{d\sigma}{dz}", r"\sigma(1-\sigma)", [r"\sigma(\sigma-1)", r"\sigma^2(1-\sigma)"]),
    ("sigmoid", r"\frac{\mathrm{d}}{\mathrm{d}z}\frac{1}{1+e^{-z}}", r"\frac{e^{-z}}{(1+e^{-z})^2}", [r"\frac{-e^{-z}}{(1+e^{-z})^2}", r"\frac{e^{-z}}{1+e^{-z}}"]),
    ("sigmoid", r"\frac{d}{dz}(1+e^{-z})^{-1}", r"-(1+e^{-z})^{-2}\cdot(-e^{-z})", [r"-(1+e^{-z})^{-2}\cdot e^{-z}", r"(1+e^{-z})^{-1}\cdot e^{-z}"]),
    ("sigmoid", r"\sigma''(z)", r"\sigma(z)(1-\sigma(z))(1-2\sigma(z))", [r"\sigma(z)(1-\sigma(z))(1-\sigma(z))", r"\sigma(z)(1-\sigma(z))(2\sigma(z)-1)"]),
    ("sigmoid", r"\frac{d^2\sigma}{dz^2}", r"\sigma'(z)(1-2\sigma(z))", [r"\sigma'(z)(1-\sigma(z))", r"\sigma(z)(1-2\sigma(z))"]),
    ("sigmoid", r"\sigma(z)", r"\frac12\left(1+\tanh\frac z2\right)", [r"\frac12(1-\tanh\frac z2)", r"\frac12(1+\tanh z)"]),
    ("sigmoid", r"\frac{1+e^{-z}-1}{(1+e^{-z})^2}", r"\frac{1}{1+e^{-z}}-\frac{1}{(1+e^{-z})^2}", [r"\frac{1}{1+e^{-z}}+\frac{1}{(1+e^{-z})^2}", r"\frac{1}{1+e^{-z}}-\frac{1}{1+e^{-z}}"]),
    ("sigmoid", r"\log\sigma(z)", r"-\ln(1+e^{-z})", [r"\ln(1+e^{-z})", r"-\ln(1+e^{z})", r"-\ln(1-e^{-z})"]),
    ("sigmoid", r"\log\frac{\sigma(z)}{1-\sigma(z)}", r"z", [r"-z", r"2z"]),
    ("sigmoid", r"\sigma(z)+\sigma(-z)", r"1", [r"0", r"2"]),
    # --- softplus
    ("sigmoid", r"\zeta(z)", r"-\log\sigma(-z)", [r"-\log\sigma(z)", r"\log\sigma(-z)"]),
    ("sigmoid", r"\zeta'(z)", r"\frac{e^z}{1+e^z}", [r"\frac{1}{1+e^z}", r"\frac{e^{z}}{(1+e^z)^2}"]),
    ("sigmoid", r"\zeta'(z)", r"\sigma(z)", [r"\sigma(-z)", r"-\sigma(z)", r"\sigma'(z)"]),
    ("sigmoid", r"\zeta''(z)", r"\sigma'(z)", [r"-\sigma'(z)", r"\sigma''(z)"]),
    ("sigmoid", r"\zeta(z)-\zeta(-z)", r"z", [r"0", r"-z"]),
    ("sigmoid", r"-\frac{\partial}{\partial\sigma}\log(\sigma(-z))\frac{\partial\sigma(-z)}{\partial z}", r"\frac{1}{\sigma(-z)}\sigma(-z)(1-\sigma(-z))", [r"-\frac{1}{\sigma(-z)}\sigma(-z)(1-\sigma(-z))"]),
    ("sigmoid", r"\lim_{z\to\infty}\frac{\zeta(z)}{z}", r"1", [r"0", r"-1", r"2"]),
    ("sigmoid", r"\lim_{z\to-\infty}\zeta(z)", r"0", [r"1", r"-\infty"]),
    ("sigmoid", r"\lim_{z\to+\infty}\sigma(z)", r"1", [r"0", r"\frac12"]),
    ("sigmoid", r"\lim_{z \to \infty} (\zeta(z) - z)", r"0", [r"1"]),
    # --- logistic losses
    ("sigmoid", r"J'(z)", r"-(2y-1)(1-\sigma((2y-1)z))", [r"(2y-1)(1-\sigma((2y-1)z))", r"-(1-\sigma((2y-1)z))", r"-(2y-1)(1-\sigma(z))"]),
    ("sigmoid", r"\frac{\partial J}{\partial z}", r"\sigma(z)-y", [r"y-\sigma(z)", r"\sigma(z)+y", r"\sigma(z)-1"]),
    ("sigmoid", r"J(z)", r"\log\left(1+e^{-(2y-1)z}\right)", [r"\log(1+e^{(2y-1)z})", r"\log(1+e^{-z})"]),
    ("sigmoid", r"\frac{\partial C}{\partial w}", r"(\sigma(wx)-y)x", [r"(\sigma(wx)-y)", r"(y-\sigma(wx))x", r"(\sigma(wx)-y)w"]),
    ("sigmoid", r"\frac{d C}{d\omega}", r"-y(1-\sigma(\omega x))x+(1-y)\sigma(\omega x)x", [r"-y(1-\sigma(\omega x))x-(1-y)\sigma(\omega x)x", r"-y(1-\sigma(\omega x))+(1-y)\sigma(\omega x)"]),
    ("sigmoid", r"\frac{\partial^2 C}{\partial w^2}", r"x^2\sigma(wx)(1-\sigma(wx))", [r"x\sigma(wx)(1-\sigma(wx))", r"w^2\sigma(wx)(1-\sigma(wx))", r"-x^2\sigma(wx)(1-\sigma(wx))"]),
    ("sigmoid", r"C(w)", r"\zeta(wx)-ywx", [r"\zeta(wx)+ywx", r"\zeta(wx)-yw"]),
    ("sigmoid", r"-\left(\frac{y}{p}-\frac{1-y}{1-p}\right)", r"\frac{p-y}{p(1-p)}", [r"\frac{y-p}{p(1-p)}", r"\frac{p-y}{p(1+p)}", r"\frac{p-y}{1-p}"]),
    ("sigmoid", r"\frac{\partial}{\partial p}\left[-y\log p-(1-y)\log(1-p)\right]", r"-\frac{y}{p}+\frac{1-y}{1-p}", [r"-\frac{y}{p}-\frac{1-y}{1-p}", r"\frac{y}{p}-\frac{1-y}{1-p}"]),
    # --- plain calculus
    ("sigmoid", r"\frac{d}{dx}x^3e^{2x}", r"3x^2e^{2x}+2x^3e^{2x}", [r"3x^2e^{2x}+x^3e^{2x}", r"6x^2e^{2x}"]),
    ("sigmoid", r"\frac{d}{dx}\frac{x}{1+x^2}", r"\frac{1-x^2}{(1+x^2)^2}", [r"\frac{1+x^2}{(1+x^2)^2}", r"\frac{1-x^2}{1+x^2}"]),
    ("sigmoid", r"\frac{d}{dx}\ln(1+x^2)", r"\frac{2x}{1+x^2}", [r"\frac{1}{1+x^2}", r"\frac{2}{1+x^2}"]),
    ("sigmoid", r"\frac{d}{dx}\sin(x^2)", r"2x\cos x^2", [r"\cos x^2", r"-2x\cos x^2", r"2x\sin x^2"]),
    ("sigmoid", r"g'(z)", r"1-\tanh^2(z)", [r"1+\tanh^2(z)", r"1-\tanh(z)"]),
    ("sigmoid", r"\tanh z", r"2\sigma(2z)-1", [r"2\sigma(z)-1", r"1-2\sigma(2z)"]),
    ("sigmoid", r"(a+b)^2", r"a^2+2ab+b^2", [r"a^2+ab+b^2", r"a^2+b^2", r"a^2-2ab+b^2"]),
    ("sigmoid", r"\sqrt{x^2}", r"|x|", [r"x", r"-|x|"]),
    ("sigmoid", r"\frac{d}{dx}|x|", r"\operatorname{sign}(x)", [r"1", r"-\operatorname{sign}(x)"]),
    ("sigmoid", r"\frac{d}{dx}\max(0,x)", r"\mathbb{1}_{x>0}", [r"\mathbb{1}_{x<0}", r"1"]),
    ("sigmoid", r"\max(0,x)", r"\begin{cases} x & \text{if } x>0 \\ 0 & \text{otherwise}\end{cases}", [r"\begin{cases} x & \text{if } x<0 \\ 0 & \text{otherwise}\end{cases}"]),
    # --- softmax, one index
    ("softmax", r"\sum_{k=1}^K s_k", r"1", [r"K", r"0"]),
    ("softmax", r"\frac{\partial s_i}{\partial z_j}", r"s_i(\delta_{ij}-s_j)", [r"s_i(\delta_{ij}+s_j)", r"s_i(1-s_j)", r"s_j(s_i-\delta_{ij})"]),
    ("softmax", r"\frac{\partial s_i}{\partial z_i}", r"s_i(1-s_i)", [r"-s_i(1-s_i)", r"s_i^2"]),
    ("softmax", r"\log s_i", r"z_i-\log\sum_l e^{z_l}", [r"z_i+\log\sum_l e^{z_l}", r"-\log\sum_l e^{z_l}"]),
    ("softmax", r"\frac{\partial\log s_i}{\partial z_j}", r"\mathbb{1}\{i=j\}-s_j", [r"\mathbb{1}\{i=j\}+s_j", r"\mathbb{1}\{i=j\}-s_i"]),
    ("softmax", r"\frac{\partial L}{\partial z_i}", r"s_i-\mathbf{1}_{i=c}", [r"s_i+\mathbf{1}_{i=c}", r"\mathbf{1}_{i=c}-s_i", r"s_c-\mathbf{1}_{i=c}"]),
    ("softmax", r"\frac{\partial^2L}{\partial z_i\partial z_j}", r"s_i\delta_{ij}-s_is_j", [r"s_i\delta_{ij}+s_is_j", r"-s_is_j", r"\delta_{ij}-s_is_j"]),
    ("softmax", r"\frac{\partial E}{\partial z_k}", r"p_k-t_k", [r"t_k-p_k", r"p_k", r"p_k(1-t_k)"]),
    ("softmax", r"E", r"-\sum_k t_kz_k+\log\sum_je^{z_j}", [r"\sum_k t_kz_k+\log\sum_je^{z_j}", r"-\sum_k t_kz_k-\log\sum_je^{z_j}"]),
    ("softmax", r"\sum_{j\neq i}s_j", r"1-s_i", [r"1+s_i", r"s_i"]),
    ("softmax", r"\frac{e^{z_i+\alpha}}{\sum_ke^{z_k+\alpha}}", r"s_i", [r"s_ie^{\alpha}", r"s_i+\alpha"]),
    ("softmax", r"\sum_i v_i s_i(\delta_{ij}-s_j)", r"v_js_j-s_j\sum_iv_is_i", [r"v_js_j+s_j\sum_iv_is_i", r"v_js_j-\sum_iv_is_i"]),
    # --- regression
    ("regression", r"\frac{\partial l}{\partial b}", r"w^\top x+b-y", [r"y-w^\top x-b", r"2(w^\top x+b-y)", r"w^\top x-b-y"]),
    ("regression", r"\frac{\partial l}{\partial w_j}", r"(w^Tx+b-y)x_j", [r"(w^Tx+b-y)w_j", r"(y-w^Tx-b)x_j", r"(w^Tx+b-y)"]),
    ("regression", r"\nabla_w l", r"(w^T x + b - y)\,x", [r"(w^T x + b - y)\,w", r"-(w^T x + b - y)\,x"]),
    ("regression", r"\frac{\partial M}{\partial w_k}", r"\frac1m\sum_{i=1}^m\left(\sum_jX_{ij}w_j-r_i\right)X_{ik}", [r"\frac{1}{2m}\sum_{i=1}^m(\sum_jX_{ij}w_j-r_i)X_{ik}", r"\frac1m\sum_{i=1}^m(\sum_jX_{ij}w_j+r_i)X_{ik}", r"\sum_{i=1}^m(\sum_jX_{ij}w_j-r_i)X_{ik}"]),
    ("regression", r"\frac{\partial R}{\partial w_k}", r"2\lambda w_k", [r"\lambda w_k", r"2\lambda w_k^2", r"-2\lambda w_k"]),
    ("regression", r"\sum_{j=1}^d w_j^2", r"\|w\|_2^2", [r"\|w\|_2", r"\|w\|_1"]),
    ("regression", r"\frac{dN}{d\mu}", r"-\frac1\tau\sum_{i=1}^m(r_i-\mu)", [r"\frac1\tau\sum_{i=1}^m(r_i-\mu)", r"-\frac{2}{\tau}\sum_{i=1}^m(r_i-\mu)", r"-\tau\sum_{i=1}^m(r_i-\mu)"]),
    ("regression", r"\frac{d^2N}{d\mu^2}", r"\frac{m}{\tau}", [r"-\frac{m}{\tau}", r"\frac{1}{\tau}"]),
]  # fmt: skip

CASES_SECOND = [
    # --- other hands' ways to write
    ("sigmoid", r"{1 \over 1+e^{-z}}", r"\sigma\!\left(z\right)", [r"\sigma\!\left(-z\right)"]),
    ("sigmoid", r"\partial_z \sigma(z)", r"\sigma(z)(1-\sigma(z))", [r"\sigma(z)(1+\sigma(z))"]),
    ("sigmoid", r"d\sigma/dz", r"\sigma(z)\cdot\sigma(-z)", [r"-\sigma(z)\cdot\sigma(-z)"]),
    ("sigmoid", r"\mathrm{d}\sigma(z)/\mathrm{d}z", r"e^{-z}/(1+e^{-z})^2", [r"e^{-z}/(1+e^{-z})"]),
    ("sigmoid", r"\sigma^{\prime}(z)", r"\sigma(z)-\sigma(z)^{2}", [r"\sigma(z)+\sigma(z)^{2}", r"\sigma(z)-\sigma(z^{2})"]),
    ("sigmoid", r"\left[\frac{1}{1+\mathrm{e}^{-z}}\right]'", r"\frac{\mathrm{e}^{-z}}{\left[1+\mathrm{e}^{-z}\right]^2}", [r"-\frac{\mathrm{e}^{-z}}{\left[1+\mathrm{e}^{-z}\right]^2}"]),
    ("sigmoid", r"\operatorname{sigmoid}(x)", r"\text{sigmoid}(x)", [r"\text{sigmoid}(-x)"]),
    ("sigmoid", r"\mathrm{sigmoid}(x)", r"\frac{1}{2}\Bigl(1+\tanh\bigl(\tfrac{x}{2}\bigr)\Bigr)", [r"\frac{1}{2}\Bigl(1+\tanh\bigl(2x\bigr)\Bigr)"]),
    ("sigmoid", r"\frac{d}{dx}\left( \frac{e^x-e^{-x}}{e^x+e^{-x}}\right)", r"\frac{(e^x+e^{-x})^2-(e^x-e^{-x})^2}{(e^x+e^{-x})^2}", [r"\frac{(e^x+e^{-x})^2+(e^x-e^{-x})^2}{(e^x+e^{-x})^2}", r"\frac{(e^x+e^{-x})^2-(e^x-e^{-x})^2}{(e^x-e^{-x})^2}"]),
    ("sigmoid", r"\log(1+e^{-x})^{-1}", r"-\log(1+e^{-x})", [r"\log(1+e^{-x})"]),
    ("sigmoid", r"\frac{d}{dx}1+e^{-x}", r"-e^{-x}", [r"1-e^{-x}", r"-1-e^{-x}"]),
    ("sigmoid", r"-(1+e^{-x})^{-2}\frac{d}{dx}1+e^{-x}", r"(1+e^{-x})^{-2}e^{-x}", [r"-(1+e^{-x})^{-2}e^{-x}"]),
    ("sigmoid", r"\frac{d}{dx} \log x^2 + 1", r"\frac{2}{x}", [r"\frac{1}{x}"]),
    ("sigmoid", r"\frac{1}{2}x^2\Big|_{x=3}", r"\frac92", [r"\frac32"]),
    ("sigmoid", r"\sin^2x+\cos^2x", r"1", [r"0"]),
    ("sigmoid", r"e^{\ln n}", r"n", [r"e^n"]),
    ("sigmoid", r"\log_2 8", r"3", [r"2"]),
    ("sigmoid", r"n^{\frac{1}{2}}", r"\sqrt{n}", [r"\frac{n}{2}", r"\sqrt[3]{n}"]),
    ("sigmoid", r"\frac{d}{dn}\sqrt n", r"\frac{1}{2\sqrt n}", [r"\frac{1}{\sqrt n}", r"\frac{\sqrt n}{2}"]),
    ("sigmoid", r"\frac{d}{dn} n^n", r"n^n(1+\ln n)", [r"n\cdot n^{n-1}", r"n^n\ln n"]),
    ("sigmoid", r"\frac{d}{dx}\left(e^{-x^2/2}\right)", r"-xe^{-x^2/2}", [r"xe^{-x^2/2}", r"-\frac{x^2}{2}e^{-x^2/2}"]),
    ("sigmoid", r"\frac{a x + b}{a}", r"x + b/a", [r"x + b"]),
    ("sigmoid", r"\frac{1}{a} + \frac{1}{n}", r"\frac{a+n}{an}", [r"\frac{2}{a+n}", r"\frac{1}{a+n}"]),
    ("sigmoid", r"\ln(n p)", r"\ln n+\ln p", [r"\ln n\ln p", r"\ln n-\ln p"]),
    ("sigmoid", r"\frac{\partial}{\partial w}\sigma(wx+b)", r"x\,\sigma'(wx+b)", [r"\sigma'(wx+b)", r"w\,\sigma'(wx+b)"]),
    ("sigmoid", r"\frac{\partial}{\partial b}\sigma(wx+b)", r"\sigma(wx+b)(1-\sigma(wx+b))", [r"b\sigma(wx+b)(1-\sigma(wx+b))"]),
    ("sigmoid", r"\frac{\partial^2}{\partial w\partial b}\sigma(wx+b)", r"x\sigma''(wx+b)", [r"\sigma''(wx+b)", r"x\sigma'(wx+b)"]),
    ("sigmoid", r"p^y(1-p)^{1-y}", r"yp+(1-y)(1-p)", [r"yp+(1-y)p", r"yp-(1-y)(1-p)"]),
    ("sigmoid", r"\log\left(p^y(1-p)^{1-y}\right)", r"y\log p+(1-y)\log(1-p)", [r"y\log p-(1-y)\log(1-p)"]),
    ("sigmoid", r"\frac{d}{dp}\left(p\ln\frac pq+(1-p)\ln\frac{1-p}{1-q}\right)", r"\ln\frac pq-\ln\frac{1-p}{1-q}", [r"\ln\frac pq+\ln\frac{1-p}{1-q}", r"\ln\frac qp-\ln\frac{1-p}{1-q}"]),
    ("sigmoid", r"-p\log p-(1-p)\log(1-p)", r"p\log\frac1p+(1-p)\log\frac{1}{1-p}", [r"p\log p+(1-p)\log(1-p)"]),
    ("sigmoid", r"\sigma^{-1}(p)", r"\ln\frac{p}{1-p}", [r"\ln\frac{1-p}{p}"]),
    ("sigmoid", r"\sigma(z)^{-1}", r"1+e^{-z}", [r"1+e^{z}"]),
    ("sigmoid", r"\frac{d}{dz} z\sigma(z)", r"\sigma(z)+z\sigma(z)(1-\sigma(z))", [r"z\sigma(z)(1-\sigma(z))", r"\sigma(z)-z\sigma(z)(1-\sigma(z))"]),
    ("sigmoid", r"\lim_{x\to0}\frac{\sin x}{x}", r"1", [r"0"]),
    ("sigmoid", r"\lim_{x\to 0^+}x\ln x", r"0", [r"-\infty"]),
    ("sigmoid", r"\lim_{z\to\infty}-(1-\sigma(z))", r"-(1-1)", [r"-1"]),
    ("sigmoid", r"|x|", r"x\cdot\mathrm{sgn}(x)", [r"-x\cdot\mathrm{sgn}(x)"]),
    ("sigmoid", r"\mathrm{ReLU}(x)", r"\frac{x+|x|}{2}", [r"\frac{x-|x|}{2}"]),
    ("sigmoid", r"\operatorname{relu}'(x)", r"[x>0]", [r"[x<0]"]),
    ("sigmoid", r"\sigma(z) (1-\sigma(z))", r"\frac14", [r"\frac15", r"0"], "<="),
    ("sigmoid", r"\cosh^2 z-\sinh^2 z", r"1", [r"-1"]),
    ("sigmoid", r"\frac{d}{dz}\ln\cosh z", r"\tanh z", [r"\coth z", r"-\tanh z"]),
    ("sigmoid", r"(x-t)(x+t)", r"x^{2}-t^{2}", [r"x^{2}+t^{2}", r"(x-t)^2"]),
    ("sigmoid", r"\sum_{k=0}^{3}x^k", r"1+x+x^2+x^3", [r"x+x^2+x^3"]),
    ("sigmoid", r"\prod_{k=1}^{3}kx", r"6x^3", [r"6x"]),
    # --- softmax in other notations
    ("softmax", r"[\mathrm{softmax}(z)]_i", r"s_i", [r"-s_i"]),
    ("softmax", r"\frac{\partial}{\partial z_j}\mathrm{softmax}(z)_i", r"s_i([i=j]-s_j)", [r"s_i([i=j]+s_j)"]),
    ("softmax", r"\frac{\partial}{\partial z_j}\frac{e^{z_i}}{\sum_ke^{z_k}}", r"\frac{\mathbb{1}_{i=j}e^{z_i}\sum_ke^{z_k}-e^{z_i}e^{z_j}}{\left(\sum_ke^{z_k}\right)^2}", [r"\frac{\mathbb{1}_{i=j}e^{z_i}\sum_ke^{z_k}+e^{z_i}e^{z_j}}{\left(\sum_ke^{z_k}\right)^2}", r"\frac{\mathbb{1}_{i=j}e^{z_i}\sum_ke^{z_k}-e^{z_i}e^{z_j}}{\sum_ke^{z_k}}"]),
    ("softmax", r"\frac{\partial s_i}{\partial z_j}", r"\begin{cases} s_i(1-s_i) & i=j\\ -s_is_j & i\neq j\end{cases}", [r"\begin{cases} s_i(1-s_i) & i=j\\ s_is_j & i\neq j\end{cases}"]),
    ("softmax", r"\frac{\partial E}{\partial z_j}", r"-\sum_kt_k\frac{1}{s_k}\frac{\partial s_k}{\partial z_j}", [r"\sum_kt_k\frac{1}{s_k}\frac{\partial s_k}{\partial z_j}", r"-\sum_kt_ks_k\frac{\partial s_k}{\partial z_j}"]),
    ("softmax", r"\frac{\partial E}{\partial z_j}", r"\sum_k\frac{\partial E}{\partial s_k}\frac{\partial s_k}{\partial z_j}", [r"\sum_k\frac{\partial E}{\partial s_k}\frac{\partial s_j}{\partial z_k}s_k"]),
    ("softmax", r"\frac{\partial E}{\partial s_k}", r"-\frac{t_k}{s_k}", [r"\frac{t_k}{s_k}", r"-t_ks_k"]),
    ("softmax", r"\nabla_z E", r"s-t", [r"t-s", r"s+t"]),
    ("softmax", r"\frac{\partial}{\partial z_i}\log\sum_{j}\exp(z_j)", r"\frac{\exp(z_i)}{\sum_j\exp(z_j)}", [r"\frac{1}{\sum_j\exp(z_j)}", r"\exp(z_i)"]),
    ("softmax", r"-\log\frac{e^{z_c}}{\sum_je^{z_j}}", r"\log\left(\sum_je^{z_j}\right)-z_c", [r"\log\left(\sum_je^{z_j}\right)+z_c", r"z_c-\log\left(\sum_je^{z_j}\right)"]),
    ("softmax", r"\sum_it_i", r"1", [r"0"]),
    ("softmax", r"\frac{\partial}{\partial z_k}\frac{1}{2}\sum_i(z_i-v_i)^2", r"z_k-v_k", [r"v_k-z_k", r"2(z_k-v_k)", r"\sum_i(z_i-v_i)"]),
    ("softmax", r"z^\top v", r"\sum_iz_iv_i", [r"-\sum_iz_iv_i"]),
    ("softmax", r"\|z-v\|^2", r"z^Tz-2z^Tv+v^Tv", [r"z^Tz-z^Tv+v^Tv", r"z^Tz+2z^Tv+v^Tv"]),
    # --- regression by other hands
    ("regression", r"\frac{\partial}{\partial w_k}\left(w^\top x\right)", r"x_k", [r"w_k"]),
    ("regression", r"\nabla_w\left(w^\top w\right)", r"2w", [r"w", r"2"]),
    ("regression", r"\frac{\partial}{\partial w_k}\frac{\lambda}{2}\|w\|^2", r"\lambda w_k", [r"2\lambda w_k", r"\frac{\lambda}{2} w_k"]),
    ("regression", r"\frac{\partial}{\partial\mu}\sum_i(r_i-\mu)^2", r"2m\mu-2\sum_ir_i", [r"2\mu-2\sum_ir_i", r"2\sum_ir_i-2m\mu"]),
    ("regression", r"\sum_{i=1}^m(r_i-\mu)", r"\sum_{i=1}^mr_i-m\mu", [r"\sum_{i=1}^mr_i-\mu", r"\sum_{i=1}^mr_i+m\mu"]),
    ("regression", r"\frac{\partial N}{\partial\tau}", r"\frac{m}{2\tau}-\frac{1}{2\tau^2}\sum_i(r_i-\mu)^2", [r"\frac{m}{2\tau}+\frac{1}{2\tau^2}\sum_i(r_i-\mu)^2", r"\frac{1}{2\tau}-\frac{1}{2\tau^2}\sum_i(r_i-\mu)^2"]),
    ("regression", r"\frac{1}{\sqrt{2\pi\tau}}\exp\left(-\frac{\mu^2}{2\tau}\right)", r"(2\pi\tau)^{-1/2}e^{-\mu^2/(2\tau)}", [r"(2\pi\tau)^{1/2}e^{-\mu^2/(2\tau)}", r"(2\pi\tau)^{-1/2}e^{-\mu^2/\tau}"]),
    ("regression", r"(Xw)_i", r"\sum_jX_{ij}w_j", [r"-\sum_jX_{ij}w_j"]),
    ("regression", r"\frac{\partial}{\partial w_k}(Xw)_i", r"X_{ik}", [r"w_k"]),
    ("regression", r"\sum_i\frac{\partial}{\partial w_k}\frac12(o_i-h_i)^2+\lambda w_k^2", r"2m\lambda w_k", []),
]  # fmt: skip
