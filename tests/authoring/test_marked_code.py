"""Markers of other courses in code cells: which lines become the gap, and what students find."""

import textwrap

import pytest

from grader.authoring.importers.marked_code import converted, unclosed
from grader.authoring.stubs import stub_source
from grader.records import Cell


def parts(source, **options):
    """What students find of a cell, the solved lines of its gaps, and how they were marked."""
    made, found = converted(textwrap.dedent(source).strip("\n"), **options)
    lines = stub_source(Cell(0, "code", made), "lab.ipynb").split("\n")
    shown = "\n".join(line for line in lines if "YOUR CODE ###" not in line)
    return shown, made, [one.words for one in found]


BOX = """
best = None
##############################
# TODO: find the best value. #
# Two loops will do.         #
##############################
for value in values:
    best = value  # a comment
##############################
#      END OF YOUR CODE      #
##############################
print(best)
"""


def test_a_box_that_says_todo_opens_a_gap_that_end_of_your_code_closes():
    shown, made, words = parts(BOX)
    assert words == ["# TODO ... # END OF YOUR CODE"]
    assert "best = value  # a comment" in made
    assert "for value" not in shown
    assert "# Two loops will do.         #" in shown
    assert shown.endswith("print(best)")
    assert "raise NotImplementedError" in shown


def test_a_comment_below_the_box_belongs_to_the_solution():
    shown, _, _ = parts(BOX.replace("for value", "# the smallest wins\nfor value"))
    assert "the smallest wins" not in shown
    assert "# Two loops will do.         #" in shown


@pytest.mark.parametrize(
    "end",
    [
        "# END OF TODO",
        "#    END OF TODO    #",
        "# ============\n# END OF YOUR CODE\n# ============",
    ],
)
def test_a_box_is_closed_in_other_words_and_by_other_rules(end):
    box = BOX.replace("#      END OF YOUR CODE      #", end)
    shown, _, words = parts(box)
    assert words == ["# TODO ... # END OF YOUR CODE"]
    assert "for value" not in shown
    assert shown.endswith("print(best)")


def test_a_box_around_your_code_here_ends_where_a_box_says_so():
    box = BOX.replace("# TODO: find the best value. #\n", "")
    shown, made, _ = parts(box.replace("# Two loops will do.         #", "# YOUR CODE HERE #"))
    assert "for value" not in shown
    assert shown.endswith("print(best)")
    assert made.count("END YOUR CODE") == 1


RULED = """
def f(x):
    # ====== YOUR CODE: ======
    secret = x + 1
    # ------------------------
    # ========================
    secret *= 2
    # ========================
    return secret


def g(x):
    # ====== YOUR CODE: ======
    hidden = 3
    # ========================
    return hidden
"""


def test_a_rule_ends_what_your_code_between_rules_begins():
    shown, made, words = parts(RULED)
    assert len(words) == 2
    assert made.count("### END YOUR CODE ###") == 2
    assert not any(text in shown for text in ("secret = x", "secret *=", "hidden = 3"))
    assert "    return secret" in shown and "    return hidden" in shown


def test_without_a_rule_below_it_the_block_is_the_solution():
    shown, _, _ = parts(RULED.replace("# ========================", "# more"))
    assert "secret" not in shown


def test_a_box_that_ends_what_a_marker_has_ended_is_no_second_end():
    both = BOX.replace("for value", "# *****START OF YOUR CODE*****\nfor value")
    both = both.replace("# a comment", "# a comment\n# *****END OF YOUR CODE*****")
    shown, made, words = parts(both)
    assert len(words) == 1
    assert "for value" not in shown
    assert "END OF YOUR CODE" not in made


def test_a_todo_without_an_end_is_no_gap():
    assert parts("# TODO: later\nx = 1\nprint(x)")[2] == []
    # The first one is a remark; what is closed is the second.
    shown, _, words = parts("# TODO: one\nx = 1\n# TODO: two\ny = 2\n# END OF YOUR CODE")
    assert words == ["# TODO ... # END OF YOUR CODE"]
    assert "x = 1" in shown and "y = 2" not in shown


def test_a_template_without_its_opening_hides_the_body_of_its_function():
    shown, made, words = parts(
        """
        def f(x):
            \"\"\"Return it.\"\"\"
            secret = 3
            return secret * x

            ### TEMPLATE
            # # INSERT YOUR CODE HERE
            # raise NotImplementedError
            ### END SOLUTION

        f(2)
        """
    )
    assert words == ["### SOLUTION"]
    assert "secret" in made and "secret" not in shown
    assert "Return it." in shown and "raise NotImplementedError" in shown and "f(2)" in shown


@pytest.mark.parametrize("end", ['""" # END PROMPT', '"""; # END PROMPT'])
def test_an_otter_prompt_stands_for_what_follows_it(end):
    source = f'""" # BEGIN PROMPT\nplot(...)\n{end}\nplot("a")  # SOLUTION NO PROMPT)\nx = 1'
    shown, made, _ = parts(source, ellipsis=True)
    assert 'plot("a")' in made
    assert shown.split("\n") == ["plot(...)", "x = 1"]


def test_an_otter_prompt_that_ends_with_a_semicolon_belongs_to_the_block_above():
    block = "# BEGIN SOLUTION NO PROMPT\nx = 1\n# END SOLUTION"
    source = f'{block}\n""" # BEGIN PROMPT\nx = ...\n"""; # END PROMPT'
    shown, made, words = parts(source, ellipsis=True)
    assert (shown, len(words)) == ("x = ...", 1)
    assert "x = 1" in made


def test_what_opens_a_solution_and_is_not_closed_is_found_and_a_heading_is_not():
    assert unclosed("x = 1\n    # BEGIN SOLUTION\ny = 2") == "# BEGIN SOLUTION"
    assert unclosed("# BEGIN SOLUTION\ny = 2\n# END SOLUTION") == ""
    assert unclosed("## solution ##\ny = 2") == ""


HALF = """
def f(x):
    ### START CODE HERE ###
    y = 2 * x
    {end}
    return y

def g(x):
    ### START CODE HERE ###
    z = 3 * x
    ### END CODE HERE ###
    return z
"""


def test_a_start_may_be_closed_by_the_end_of_another_kind():
    shown, _, words = parts(HALF.format(end="### END SOLUTION ###"))
    assert words == ["### START CODE HERE ###"] * 2
    assert "2 * x" not in shown
    assert "return y\n\ndef g(x):" in shown


def test_a_gap_that_is_not_closed_ends_before_the_next_one_begins():
    made, found = converted(HALF.format(end="# here"))
    assert [one.words for one in found] == ["### START CODE HERE ###"]
    assert "return y\n\ndef g(x):" in made


def test_a_start_may_stand_where_the_end_is_due():
    shown, made, words = parts(HALF.format(end="### START CODE HERE ###"))
    assert words == ["### START CODE HERE ###"] * 2
    assert made.count("### END YOUR CODE ###") == 2
    assert "return y\n\ndef g(x):" in shown


@pytest.mark.parametrize("start", ["### SOLUTION", "# BEGIN SOLUTION", "### START CODE HERE ###"])
def test_what_is_never_closed_stays_as_it_is(start):
    source = f"x = 1\n{start}\ny = 2"
    assert converted(source) == (source, [])


def test_a_gap_within_brackets_is_empty_for_students():
    source = """
    layers = sequential(
        [
            source(400),
            ### START CODE HERE ###
            dense(25),
            ### END CODE HERE ###
        ], name="model"
    )
    """
    shown, _, _ = parts(source)
    assert "source(400),\n    ], name" in shown


def test_a_keyword_argument_in_a_gap_is_not_taken_for_an_assignment():
    source = """
    made = dict(
        first=1,
        ### START CODE HERE ###
        second=2,
        ### END CODE HERE ###
    )
    """
    assert parts(source)[0] == "made = dict(\n    first=1,\n)"
