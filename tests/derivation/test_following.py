"""Whole answers: chains over lines, what is defined on the way, cases, what is reached."""

from dataclasses import replace

from cases import REGRESSION, SIGMOID, SOFTMAX

from grader.derivation.following import follow
from grader.records import DerivationTarget


def verdicts(text, context=SIGMOID):
    return [step.verdict for step in follow(text, context).steps]


def test_a_line_that_begins_with_a_relation_goes_on_with_the_line_before():
    text = r"""
$$\sigma'(z) = \frac{e^{-z}}{(1+e^{-z})^2}$$

and so

$$= \sigma(z)(1-\sigma(z))$$
"""
    assert verdicts(text) == ["follows", "follows"]


def test_an_aligned_environment_is_followed_row_by_row():
    text = r"""$$\begin{aligned}
\zeta'(z) &= \frac{d}{dz} \log(1+e^z) \\
 &= \frac{e^z}{1+e^z} \\
 &= -\sigma(z)
\end{aligned}$$"""
    steps = follow(text, SIGMOID).steps

    assert [s.verdict for s in steps] == ["follows", "follows", "differs"]
    assert [s.line for s in steps] == [2, 3, 4]


def test_what_differs_is_told_as_a_fact_with_its_numbers():
    step = follow(r"$$\sigma'(z) = -\sigma(z)(1-\sigma(z))$$", SIGMOID).steps[0]

    z, left, right = (float(x) for x in (step.at[0][1], step.left_value, step.right_value))
    assert step.at[0][0] == "z"
    assert abs(left + right) < 1e-9
    assert abs(left) < 0.26
    assert f"At z = {step.at[0][1]} the left side is {step.left_value}" in step.remark
    assert "sign" in step.slip
    assert "wrong" not in step.remark
    assert z != 0


def test_a_sign_that_is_lost_and_regained_is_one_remark():
    text = r"""$$\begin{aligned}
\frac{\partial}{\partial p}(-y\log p-(1-y)\log(1-p)) &= -\frac{y}{p}-\frac{1-y}{1-p} \\
&= -\frac{y}{p}+\frac{1-y}{1-p}
\end{aligned}$$"""
    followed = follow(text, SIGMOID)

    assert [s.verdict for s in followed.steps] == ["differs", "differs"]
    assert len(followed.remarks) == 1
    assert "regains" in followed.remarks[0].remark


def test_an_error_that_is_carried_on_is_told_once():
    text = r"""$$\begin{aligned}
\frac{d}{dx}x^3 &= 2x^2 \\
\frac{d}{dx}x^3 &= x \cdot 2x
\end{aligned}$$"""
    assert verdicts(text) == ["differs", "follows"]


def test_a_new_name_is_a_definition_and_is_used_from_then_on():
    text = (
        r"Let $u = 1 + e^{-z}$. Then $$\frac{d}{dz} u^{-1} = -u^{-2}\frac{du}{dz} = u^{-2}e^{-z}.$$"
    )

    assert verdicts(text) == ["definition", "follows", "follows"]


def test_a_letter_of_the_sheet_may_be_said_to_be_something():
    text = r"$$z = wx$$ $$\frac{\partial z}{\partial w} = x$$ $$\frac{\partial z}{\partial w} = w$$"

    assert verdicts(text) == ["definition", "follows", "differs"]


def test_an_equation_to_be_solved_is_not_flagged():
    assert verdicts(r"$$\frac{1}{1+e^{-x}} = \frac13$$") == ["not read"]
    assert verdicts(r"Setting the derivative to zero gives $$(\sigma(wx)-y)x = 0$$") == ["not read"]


def test_an_undeclared_name_is_not_read_and_named():
    step = follow(r"$$\sigma(q_7) = 1$$", SIGMOID).steps[0]

    assert step.verdict == "not read"
    assert "q_{7} is not declared" in step.why


def test_running_text_is_not_read():
    assert verdicts(r"$$\text{MSE} = x^2$$") == ["not read"]


def test_a_case_that_the_text_states_is_kept_to():
    text = r"""If $i \neq j$: $$\frac{\partial s_i}{\partial z_j} = -s_i s_j$$

If $i = j$: $$\frac{\partial s_i}{\partial z_j} = s_i(1-s_i)$$"""
    assert verdicts(text, SOFTMAX) == ["follows", "follows"]


def test_a_case_that_is_said_beside_the_formula_is_kept_to():
    text = r"$$\frac{\partial s_i}{\partial z_j} = -s_i s_j \quad \text{for } i \neq j$$"

    assert verdicts(text, SOFTMAX) == ["follows"]


def test_a_case_is_told_where_the_text_speaks_of_none():
    step = follow(r"$$\frac{\partial s_i}{\partial z_j} = -s_i s_j$$", SOFTMAX).steps[0]

    assert step.verdict == "differs"
    assert "only for i ≠ j" in step.slip


def test_a_strict_inequality_that_touches_zero_is_told():
    step = follow(r"$$x^2\sigma'(wx) > 0$$", SIGMOID).steps[0]

    assert step.verdict == "differs"
    assert "≥" in step.slip


def test_one_half_of_the_sides_that_agree_but_at_a_convention_are_not_flagged():
    assert verdicts(r"$$\operatorname{sign}(x) = 2\cdot\mathbb{1}_{x>0} - 1$$") == ["not read"]


def test_code_is_passed_over():
    assert verdicts("```\n$x = 2x$\n```\n`$x = 3x$`\n<!-- $x = 4x$ -->") == []


def test_a_latex_file_reads_as_well():
    text = r"""\begin{align*}
  \zeta'(z) &= \sigma(z) \tag{1} \label{eq:one} \\
            &= 1 - \sigma(-z) \nonumber % by symmetry
\end{align*}
and \(\sigma(0) = \frac12\), \[ \sigma(-z) = 1 - \sigma(z). \]"""
    assert verdicts(text) == ["follows", "follows", "follows", "follows"]


TARGET = DerivationTarget(r"\sigma(z)(1-\sigma(z))", of=r"\sigma'(z)", least=2, points=3)


def test_a_target_is_reached_by_its_form_with_enough_steps():
    text = r"$$\sigma'(z) = \frac{e^{-z}}{(1+e^{-z})^2} = \sigma(z)(1-\sigma(z))$$"
    reached = follow(text, SIGMOID, [TARGET]).reached[0]

    assert (reached.found, reached.line, reached.steps, reached.doubtful) == (True, 1, 2, 0)


def test_a_target_that_is_only_stated_has_too_few_steps():
    reached = follow(r"$$\sigma'(z) = \sigma(z)(1-\sigma(z))$$", SIGMOID, [TARGET]).reached[0]

    assert not reached.found
    assert "1 steps of at least 2" in reached.why


def test_a_target_in_another_form_is_not_reached():
    text = r"$$\sigma'(z) = \frac{d}{dz}(1+e^{-z})^{-1} = \frac{e^{-z}}{(1+e^{-z})^2}$$"
    reached = follow(text, SIGMOID, [TARGET]).reached[0]

    assert not reached.found


def test_an_update_is_no_equation():
    assert verdicts(r"$$w := w - a\frac{\partial C}{\partial w}$$") == ["not read"]


def test_a_line_that_begins_with_its_number_is_read_without_it():
    assert verdicts(r"$$(5) \text{ sigmoid}(x) = \frac{1}{1+e^{-x}}$$") == ["follows"]


def test_a_fenced_block_of_mathematics_is_read():
    assert verdicts("```math\n\\sigma(-z) = 1 - \\sigma(z)\n```") == ["follows"]


def test_a_sentence_in_a_language_that_is_not_known_may_state_a_case():
    prose = "나머지 경우에는 다음과 같이 쓸 수 있다 그리고 따라서"
    text = prose + r" $$\frac{\partial s_i}{\partial z_j} = -s_i s_j$$"

    assert verdicts(text, SOFTMAX) == ["not read"]


def test_softmax_of_a_number_where_softplus_is_right_is_told():
    step = follow(r"$$\log\sigma(x) = -\text{softmax}(-x)$$", SIGMOID).steps[0]

    assert step.verdict == "differs"
    assert "with softplus both sides agree" in step.remark


def test_an_upper_index_in_brackets_counts_the_examples():
    right = r"\frac1m\sum_{i=1}^m (w^\top X^{(i)} - r^{(i)}) X^{(i)}_k"
    text = rf"$$\frac{{\partial M}}{{\partial w_k}} = {right}$$"

    assert verdicts(text, REGRESSION) == ["follows"]


def test_a_name_in_running_type_is_not_cut_off():
    text = r"$$\frac{\partial C}{\partial w} = (\sigma(wx) - y)x \text{foo}(x)$$"

    assert verdicts(text) == ["not read"]


def test_a_repeated_index_is_summed_where_the_sheet_says_so():
    chain = r"\frac{\partial E}{\partial s_k}\frac{\partial s_k}{\partial z_j}"
    text = rf"$$\frac{{\partial E}}{{\partial z_j}} = {chain}$$"
    slip = rf"$$\frac{{\partial E}}{{\partial z_j}} = -{chain}$$"
    einstein = replace(SOFTMAX, einstein=True)

    assert verdicts(text, SOFTMAX) == ["not read"]
    assert verdicts(text, einstein) == ["follows"]
    assert verdicts(slip, einstein) == ["differs"]


def test_an_equation_that_shall_hold_is_not_flagged():
    chain = r"$$\frac{\partial C}{\partial w} = (\sigma(wx)-y)x \overset{!}{=} 0$$"

    assert verdicts(chain) == ["follows", "not read"]
    assert verdicts(chain.replace(r"\overset{!}{=}", "=")) == ["follows", "not read"]


def test_a_derivative_at_a_place_is_taken_before_the_place_is_put_in():
    assert verdicts(r"$$\left.\frac{d}{dx}\sin(2x)\right|_{x=0} = 2$$") == ["follows"]
    assert verdicts(r"$$\frac{d}{dx}\sin(2x)\Big|_{x=0} = 0 + 2\cos 0$$") == ["follows"]


def test_a_letter_that_may_stand_for_something_is_not_flagged():
    assert verdicts(r"$$\frac{\partial C}{\partial w} = (p - y)x$$") == ["not read"]
