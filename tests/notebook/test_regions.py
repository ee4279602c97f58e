"""Regions: markers as students leave them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.notebook import replace_definition, replace_region
from grader.notebook.regions import find_gaps, marker_kind
from grader.records import Cell, Region


def function(start="### START YOUR CODE ###", end="### END YOUR CODE ###", body="x = 1"):
    return f"def f(z):\n    {start}\n    {body}\n    {end}\n    return x"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("### START YOUR CODE ###", "### END YOUR CODE ###"),
        ("### START YOUR CODE ### DONE", "### END YOUR CODE ### DONE"),
        ("# YOUR CODE (START)", "# YOUR CODE (END)"),
        ("#START YOUR CODE", "#END YOUR CODE"),
        ("### start your code", "### end your code"),
        ("########### Start your code ############", "########### End your code ###########"),
        ("### BEGIN YOUR CODE", "### END YOUR CODE"),
        ("#### START YOUR CODE HERE ####", "#### END YOUR CODE HERE ####"),
        ("# --- START OF YOUR CODE ---", "# --- END OF YOUR CODE ---"),
        ("### START CODE HERE ###", "### END CODE HERE ###"),
        ("### YOUR CODE STARTS HERE", "### YOUR CODE ENDS HERE"),
        ("# YOUR CODE HERE (START)", "# YOUR CODE HERE (END)"),
        ("# START CODE HERE: x", "# END CODE HERE: x"),
        ("### START CODE", "### END CODE"),
        ("# BEGIN OF THE STUDENT SOLUTION CODE HERE", "# END OF THE STUDENT SOLUTION CODE HERE"),
    ],
)
def test_renamed_and_decorated_markers_are_markers(notebook, start, end):
    region = notebook(function(start, end)).regions["f"]
    assert region.source == "x = 1"


@pytest.mark.parametrize(
    "line",
    [
        "# start with the code of sigmoid",
        "# your code could be simpler",
        "# TODO: end this code",
        "start_your_code()",
        "# the end",
        "x = '### nothing'",
        "",
        "# START CODE",
        "## START CODE",
        "x = 1 # START YOUR CODE",
        "# START CODE IS HERE",
        "# START REALLY YOUR CODE",
        "# YOUR CODE IS HERE (START)",
        "# START OF THE OWN MY YOUR CODE",
    ],
)
def test_comments_and_code_are_no_markers(line):
    assert marker_kind(line) is None


def test_a_marker_says_whether_code_stands_before_it():
    assert marker_kind("  ## START YOUR CODE") == ("start", False)
    assert marker_kind("x = 1 ## END YOUR CODE") == ("end", True)


def test_a_line_of_more_than_300_characters_is_no_marker():
    line = "### START YOUR CODE ".ljust(300, "#")
    assert marker_kind(line) == ("start", False)
    assert marker_kind(line + "#") is None


def test_a_region_is_named_by_the_definition_that_encloses_it(notebook, template):
    regions = notebook(*template).regions
    assert list(regions) == ["Model.cost_funct", "Model.predict", "sigmoid", "cell 4"]
    assert {name: region.cell for name, region in regions.items()} == {
        "Model.cost_funct": 1,
        "Model.predict": 1,
        "sigmoid": 2,
        "cell 4": 4,
    }


def test_a_gap_from_an_if_to_after_its_else_is_a_region_although_it_does_not_parse(
    notebook, template
):
    region = notebook(*template).regions["Model.cost_funct"]
    assert region.source == "    cost = 0.0\nelse:\n    cost = 0.0"


def test_start_used_as_end_closes_the_region(notebook):
    again = function(end="### START YOUR CODE ###")
    assert notebook(again).regions["f"].source == "x = 1"
    assert notebook(again).notes == ()


def test_of_four_starts_the_second_and_the_last_are_ends(notebook):
    start = "### START YOUR CODE ###"
    found = notebook(f"{start}\nx = 1\n{start}\ny = 2\n{start}\nz = 3\n{start}")
    assert {name: region.source for name, region in found.regions.items()} == {
        "cell 0": "x = 1",
        "cell 0#2": "z = 3",
    }


def test_a_doubled_start_is_read_once(notebook):
    source = function(start="### START YOUR CODE ###\n    ### START YOUR CODE ###")
    assert notebook(source).regions["f"].source.endswith("x = 1")


@pytest.mark.parametrize(
    ("start", "end"), [("### START YOUR CODE ###", "#"), ("#", "### END YOUR CODE ###")]
)
def test_a_marker_without_its_partner_makes_the_definition_the_region(notebook, start, end):
    found = notebook(function(start, end))
    assert found.regions["f"].source.startswith("def f(z):")
    assert [note.kind for note in found.notes] == ["markers_missing"]
    assert found.notes[0].cell == 0
    assert "`f`" in found.notes[0].message


def only(notebook, *sources):
    """Return the text of the only region, and of the only note."""
    found = notebook(*sources)
    (region,), (note,) = found.regions.values(), found.notes
    assert note.cell == region.cell
    return region.name, region.source, note.message


def test_a_lost_marker_is_told_with_its_place_its_definition_and_what_is_read(notebook):
    start, end = "### START YOUR CODE ###", "### END YOUR CODE ###"
    assert only(notebook, f"a = 1\n\ndef f():\n    {start}\n    return 1\n\nb = 2") == (
        "f",
        f"def f():\n    {start}\n    return 1",
        "cell 0, line 4: `f`: the START marker has no END; the whole definition is read as the "
        "region",
    )
    assert only(notebook, f"def f():\n    return 1\n    {end}\nb = 2") == (
        "f",
        f"def f():\n    return 1\n    {end}",
        "cell 0, line 3: `f`: the END marker has no START; the whole definition is read as the "
        "region",
    )
    assert only(notebook, f"a = 1\n{start}\nb = 2\n") == (
        "cell 0",
        f"{start}\nb = 2",
        "cell 0, line 2: the START marker has no END; the rest of the cell is read as the region",
    )
    assert only(notebook, f"\na = 1\n{end}\nb = 2\n") == (
        "cell 0",
        f"a = 1\n{end}",
        "cell 0, line 3: the END marker has no START; the rest of the cell is read as the region",
    )


def test_gaps_know_their_lines_and_whether_their_markers_were_whole():
    def gaps(*sources):
        return find_gaps([Cell(n, "code", source) for n, source in enumerate(sources)])

    (clean,) = gaps("a = 1\n" + function())
    assert (clean.pieces, clean.owner_line, clean.clean) == (((0, 3, 5),), 2, True)
    (damaged,) = gaps("a = 1\n" + function(end="#"))
    assert (damaged.pieces, damaged.owner_line, damaged.clean) == (((0, 2, 6),), 2, False)
    (across,) = gaps("def f():\n    ### START YOUR CODE ###\n    a = 1", "### END YOUR CODE ###")
    assert (across.pieces, across.owner_line) == (((0, 2, 3), (1, 1, 1)), 1)
    assert across.name == "f"


def test_a_region_over_two_cells_keeps_its_lines(notebook):
    first = "### START YOUR CODE ###\n\nXX = 1\n  \nif a:\n    x = 1\n"
    second = "\nX = 2\nb = 2X\n\n### END YOUR CODE ###"
    source = notebook(first, second).regions["cell 0"].source
    assert source == "XX = 1\n\nif a:\n    x = 1\nX = 2\nb = 2X"


def test_each_of_two_starts_is_closed_by_its_own_end_solution(notebook):
    gap = "### START YOUR CODE ###\nx = {}\n### END SOLUTION ###\n"
    found = notebook(gap.format(1) + "y = 0\n" + gap.format(2))
    assert [region.source for region in found.regions.values()] == ["x = 1", "x = 2"]


def test_the_first_line_of_a_region_keeps_its_indentation(notebook):
    start, end, deeper = "### START YOUR CODE ###", "### END YOUR CODE ###", "    # and so"
    first = f"if a:\n    {start}\n    b = 1\nc = 2"
    assert notebook(first, f"{deeper}\nd = 3\n{end}").regions["cell 0"].source == (
        f"    b = 1\nc = 2\n{deeper}\nd = 3"
    )
    assert notebook(f"a = 1\n{end}\t").regions["cell 0"].source == f"a = 1\n{end}\t"


def test_an_end_after_another_pair_does_not_close_the_cell_before(notebook):
    gap = "### START YOUR CODE ###\ny = 1\n### END YOUR CODE ###"
    found = notebook("### START YOUR CODE ###\nx = 1", f"{gap}\n### END YOUR CODE ###")
    assert [note.cell for note in found.notes] == [0, 1]
    assert found.regions["cell 0"].source.endswith("x = 1")
    # Nor does the END of a function.
    found = notebook("### START YOUR CODE ###\nx = 1", "def f():\n    1\n    ### END YOUR CODE ###")
    assert [note.cell for note in found.notes] == [0, 1]


def test_every_marker_that_is_lost_is_told(notebook):
    source = "\n".join(
        f"def {name}():\n    ### START YOUR CODE ###\n    return 1\n" for name in "fgh"
    )
    found = notebook(source)
    assert list(found.regions) == ["f", "g", "h"]
    assert len(found.notes) == 3


def test_an_end_in_an_inner_function_closes_the_outer_ones_start(notebook):
    source = (
        "def f():\n    ### START YOUR CODE ###\n    def g():\n        return 1\n"
        "        ### END YOUR CODE ###\n    return g"
    )
    found = notebook(source)
    assert found.regions["f"].source == "def g():\n    return 1"
    assert found.notes == ()


def test_code_before_a_start_on_its_line_belongs_to_the_region(notebook):
    source = "def f():\n    X = 1 ## START YOUR CODE\n    return X\n    ## END YOUR CODE"
    assert notebook(source).regions["f"].source == "X = 1\nreturn X"


def test_blank_lines_around_a_region_are_no_part_of_it(notebook):
    assert notebook(function(body="\n    X = 1X\n\n")).regions["f"].source == "X = 1X"
    assert notebook(function(body="\n\n    X\n")).regions["f"].source == "X"


def test_a_region_opened_in_one_cell_and_closed_in_the_next_is_one(notebook):
    found = notebook(
        "### START YOUR CODE ###\nx = 1", "y = 2\n### END YOUR CODE ###\nz = 3", function()
    )
    assert found.regions["cell 0"].source == "x = 1\ny = 2"
    assert set(found.regions) == {"cell 0", "f"}
    assert found.notes == ()


def test_a_region_opened_and_never_closed_does_not_eat_the_next_cell(notebook):
    found = notebook("### START YOUR CODE ###\nx = 1", function())
    assert found.regions["cell 0"].source.endswith("x = 1")
    assert found.regions["f"].source == "x = 1"
    assert [note.kind for note in found.notes] == ["markers_missing"]


def test_an_end_that_slid_out_of_its_function_still_closes(notebook):
    source = "def f():\n    ### START YOUR CODE ###\n    return 1\n### END YOUR CODE ###"
    assert notebook(source).regions["f"].source == "return 1"


def test_an_end_of_another_kind_closes_an_open_start(notebook):
    found = notebook(function("### START CODE HERE ###", "### END SOLUTION ###"))
    assert found.regions["f"].source == "x = 1"
    assert found.notes == ()


def test_an_end_of_another_kind_is_a_comment_where_the_right_one_follows(notebook):
    body = "x = 1\n    # end solution\n    y = 2"
    assert notebook(function(body=body)).regions["f"].source.endswith("y = 2")


def test_two_gaps_of_one_definition_are_numbered(notebook):
    gap = "    ### START YOUR CODE ###\n    x = {}\n    ### END YOUR CODE ###\n"
    found = notebook("def f():\n" + gap.format(1) + "    y = 0\n" + gap.format(2))
    assert {name: r.source for name, r in found.regions.items()} == {"f": "x = 1", "f#2": "x = 2"}


def test_the_gap_of_a_definition_that_a_later_one_replaces_is_dead(notebook):
    found = notebook(function(body="x = 1"), function(body="x = 2"))
    assert found.regions["f"].source == "x = 2"
    assert found.regions["f"].cell == 1


def test_a_gap_is_dead_too_where_the_later_definition_has_none(notebook):
    assert notebook(function(), "def f(z):\n    return 1").regions == {}


def test_a_gap_is_dead_where_something_else_is_given_the_functions_name(notebook):
    assert notebook(function(), "f = lambda z: 1").regions == {}
    assert notebook(function() + "\nf = lambda z: 1").regions == {}


def test_a_decorated_definition_keeps_its_gap(notebook):
    source = "@staticmethod\n@cache\n" + function()
    assert notebook(source).regions["f"] == Region("f", 0, "x = 1", "filled")


def test_all_markers_of_two_definitions_that_lost_theirs_are_told(notebook):
    start, end = "### START YOUR CODE ###", "### END YOUR CODE ###"
    source = f"{end}\ndef f():\n    {start}\n    return 1\ndef g():\n    return 1\n    {end}"
    found = notebook(source)
    assert sorted(found.regions) == ["cell 0", "f", "g"]
    assert len(found.notes) == 3


def test_markers_in_a_docstring_mark_nothing(notebook):
    source = "def f():\n    '''Fill in\n    ### START YOUR CODE ###\n    '''\n    return 1"
    assert notebook(source).regions == {}


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_only_the_lines_inside_a_string_are_quoted(notebook, quotes):
    source = (
        f"def f():\n    a = [1, {quotes}Fill\n    ### START YOUR CODE ###\n    {quotes}]\n"
        "    ### START YOUR CODE ###\n    return 1\n    ### END YOUR CODE ###"
    )
    assert notebook(source).regions["f"].source == "return 1"
    before = f"### START YOUR CODE ###\nx = {quotes}1\n2{quotes}\n### END YOUR CODE ###"
    assert notebook(before).regions["cell 0"].source == f"x = {quotes}1\n2{quotes}"


def test_code_before_an_end_marker_on_its_line_belongs_to_the_region(notebook):
    source = "def f():\n    ### START YOUR CODE ###\n    return 1 ### END YOUR CODE ###"
    assert notebook(source).regions["f"].source == "return 1"


def test_a_gap_in_a_function_that_does_not_parse_is_named_by_the_indentation(notebook):
    source = (
        "class A:\n"
        "    def f(self):\n"
        "        ### START YOUR CODE ###\n"
        "        x = = 1\n"
        "        ### END YOUR CODE ###\n"
    )
    assert notebook(source).regions["A.f"].source == "x = = 1"


def test_a_start_on_the_line_of_a_def_that_does_not_parse_makes_the_definition_the_region(notebook):
    source = "def f(): ### START YOUR CODE ###\n    return (\n    ### END YOUR CODE ###"
    assert "f" in notebook(source).regions
    assert notebook(source).regions["f"].source == source


LINES = st.sampled_from(
    [
        "### START YOUR CODE ###",
        "    ### START YOUR CODE ###",
        "        ### START YOUR CODE ###",
        "### END YOUR CODE ###",
        "    ### END YOUR CODE ###",
        "        # YOUR CODE (END)",
        "x = 1 ### END YOUR CODE ###",
        "class A:",
        "    def f(self):",
        "def g():",
        "        return 1",
        "    y = 2",
        "z = = 3",
        "'''",
        "else:",
        "%magic",
        "",
        "\0",
    ]
)


@given(st.lists(st.lists(LINES, max_size=12), max_size=4))
def test_no_order_of_markers_makes_it_raise(cells):
    code = [Cell(index=n, kind="code", source="\n".join(lines)) for n, lines in enumerate(cells)]
    for gap in find_gaps(code):
        for cell, first, last in gap.pieces:
            assert 1 <= first <= last <= len(cells[cell]) or not cells[cell]


def test_ten_thousand_markers_take_no_squared_time(notebook):
    found = notebook("def f():\n" + "    ### START YOUR CODE ###\n" * 20_000 + "    pass")
    assert set(found.regions) <= {"f"} | {f"f#{n}" for n in range(200)}


# --- replacing -----------------------------------------------------------------------------------


def test_a_regions_body_is_replaced_between_its_markers():
    changed = replace_region(function(), "f", "a = 1\nif a:\n    x = a\n")
    assert changed == (
        "def f(z):\n    ### START YOUR CODE ###\n    a = 1\n    if a:\n        x = a\n"
        "    ### END YOUR CODE ###\n    return x"
    )


def test_the_first_line_of_a_body_goes_where_the_start_marker_stands(template):
    body = "    cost = 1.0\nelse:\n    cost = 2.0"
    changed = replace_region(template[1], "Model.cost_funct", body)
    assert "            cost = 1.0\n        else:\n            cost = 2.0\n" in changed
    compile(changed, "cell", "exec")


def test_a_body_begins_with_any_letter_and_with_a_comment_that_stands_deeper():
    assert "\n    X = aX\n" in replace_region(function(), "f", "X = aX")
    body = "    # first this\ndef f(z):\n    return z"
    assert replace_definition(function(), "f", body) == body


def test_a_region_outside_definitions_is_replaced_in_its_own_cell_alone(template):
    assert replace_region(template[4], "cell 4", "x = 1", cell=4).split("\n")[1] == "x = 1"
    assert replace_region(template[4], "cell 4", "x = 1", cell=3) is None


def test_a_region_whose_end_slid_out_of_its_function_is_replaced():
    source = "def f():\n    ### START YOUR CODE ###\n    return 1\n### END YOUR CODE ###"
    assert replace_region(source, "f", "return 2") == source.replace("1", "2")


def test_a_region_that_is_not_there_gives_none(template):
    assert replace_region(template[1], "Model.update", "pass") is None
    assert replace_region(template[1], "Model.predict#2", "pass") is None


def test_a_whole_definition_is_replaced_markers_and_all(template):
    changed = replace_definition(
        template[1], "Model.predict", "def predict(self, x):\n    return x"
    )
    assert changed.count("### START") == 1
    assert "    def predict(self, x):\n        return x\n" in changed
    assert replace_definition(template[1], "Model.gone", "pass") is None


def test_a_trailing_end_marker_goes_with_its_definition(template):
    assert replace_definition(template[2], "sigmoid", "sigmoid = abs") == "sigmoid = abs\n"


def test_comments_that_stand_deeper_go_with_the_definition_and_others_stay():
    source = "class A:\n    def f(self):\n        return 1\n{}"
    kept = "    # of the class\n    x = 1"
    changed = replace_definition(source.format("        # END\n" + kept), "A.f", "\nX = 1X\n")
    assert changed == "class A:\n    X = 1X\n" + kept
    changed = replace_definition(source.format("        y = 1\n" + kept), "A.g", "f = 1")
    assert changed is None


def test_a_body_that_stands_deeper_than_its_marker_is_moved_to_it():
    source = "def f():\n    if a:\n    ### START YOUR CODE ###\n    ### END YOUR CODE ###"
    body = "\n        X = 1\n\n      y = 2\n    ZZ = 3X\nW = 4"
    changed = replace_region(source, "f", body)
    assert changed.split("\n")[3:-1] == ["    X = 1", "", "  y = 2", "ZZ = 3X", "W = 4"]
    assert replace_region(source, "f", "") == source.replace("###\n    ###", "###\n\n    ###")


def test_the_second_region_of_a_cell_is_replaced_by_its_number():
    gap = "### START YOUR CODE ###\nx = {}\n### END YOUR CODE ###\n"
    cell = gap.format(1) + gap.format(2)
    assert replace_region(cell, "cell 0#2", "x = 3") == gap.format(1) + gap.format(3)
    assert replace_region(cell, "cell 1", "x = 3") is None
    assert replace_region(cell, "", "x = 3") is None


def test_the_last_definition_of_a_cell_is_replaced_to_its_end():
    assert replace_definition("x = 1\ndef f():\n    return 1", "f", "f = 1") == "x = 1\nf = 1"
