"""A display that a notebook changes afterwards is kept as Jupyter shows it at the end."""

HANDLE = "from IPython.display import clear_output, display\nh = display('a', display_id=True)\n"
BAR = "for n in range(3000): h.update(n)"  # more often than a cell may send messages


def shown(session):
    """Return each cell's outputs as their texts."""
    return [[text(output) for output in cell.outputs] for cell in session.run.cells]


def text(output):
    return output.get("text") or output.get("ename") or output["data"]["text/plain"]


def test_a_cell_that_changes_its_display_shows_the_last_content(run):
    session = run(HANDLE + BAR, HANDLE + "print('b'); h.update('c'); print('d')")
    assert shown(session) == [["2999"], ["'c'", "b\nd\n"]]


def test_a_later_cell_changes_the_display_of_an_earlier_one(run):
    session = run(HANDLE, "print(1)", "h.update('b'); h.display('b')", "h.update('c')")
    assert shown(session) == [["'c'"], ["1\n"], ["'c'"], []]


def test_two_displays_of_one_id_show_the_same(run):
    show = "from IPython.display import display\n_ = display({!r}, display_id='x')"
    assert shown(run(show.format("a"), show.format("b"))) == [["'b'"], ["'b'"]]


def test_a_change_comes_before_the_display_that_replaces_it(run):
    again = "h.update('b'); clear_output(); h.display('c')"
    assert shown(run(HANDLE + again)) == [["'c'"]]


def test_a_cell_that_fails_has_changed_the_display_before(run):
    assert shown(run(HANDLE + "h.update('b')\n1 / 0")) == [["'b'", "ZeroDivisionError"]]


def test_what_was_cleared_is_not_changed(run):
    session = run(HANDLE + "clear_output()\nprint(1)", "h.update('b')")
    assert shown(session) == [["1\n"], []]
