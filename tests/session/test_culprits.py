"""Which cell a kernel's death is charged to. Threads and processes are numbers here."""

from grader.session.culprits import Culprits
from grader.session.kernel import KernelDied

DEATH = KernelDied("exit code 7")


def run(culprits, killers, cells=6):
    """Play one kernel: cell -> the cell in which what it started kills (itself for at once).

    Returns where it died; None where it lives.
    """
    out = culprits.lethal.keys() | culprits.starters.keys()
    running = {1}
    culprits.begin(frozenset(running))
    for cell in range(cells):
        if cell in out:
            continue
        if any(killers[one] == cell for one in killers if one not in out and one <= cell):
            return cell
        if cell in killers or cell in IDLE:
            running.add(100 + cell)
        culprits.after(cell, frozenset(running))
    return None


IDLE: set[int] = set()


def settled(killers, tries=9):
    culprits = Culprits()
    for _ in range(tries):
        died = run(culprits, killers)
        if died is None:
            return culprits
        assert culprits.charge(died, 0, DEATH)
    raise AssertionError("it never comes to an end")


def test_a_cell_that_kills_at_once_is_charged_alone():
    culprits = settled({3: 3})
    assert (set(culprits.lethal), set(culprits.starters)) == ({3}, set())


def test_two_such_cells_are_both_charged_whatever_idles(monkeypatch):
    monkeypatch.setattr(f"{__name__}.IDLE", {0})
    culprits = settled({2: 2, 4: 4})
    assert (set(culprits.lethal), set(culprits.starters)) == ({2, 4}, set())


def test_what_kills_in_a_cell_after_another_is_charged_to_its_starter():
    """It dies wherever the first cell that is tried stands: the one that runs at that time."""
    culprits = Culprits()
    for died in (3, 4):
        culprits.begin(frozenset({1}))
        culprits.after(0, frozenset({1}))
        culprits.after(1, frozenset({1, 101}))
        assert culprits.charge(died, 0, DEATH)
    assert (set(culprits.lethal), set(culprits.starters)) == (set(), {1})


def test_what_kills_after_the_notebook_is_charged_to_its_starter_at_once():
    culprits = Culprits()
    culprits.begin(frozenset({1}))
    culprits.after(0, frozenset({1}))
    culprits.after(1, frozenset({1, 101}))
    assert culprits.charge(None, 0, DEATH)
    assert set(culprits.starters) == {1}


def test_what_has_ended_by_then_is_under_no_suspicion():
    culprits = Culprits()
    culprits.begin(frozenset({1}))
    culprits.after(0, frozenset({1, 100}))
    culprits.after(1, frozenset({1}))
    assert not culprits.charge(None, 0, DEATH)
    assert culprits.starters == {}


def test_of_several_suspects_the_one_without_which_it_lives_is_charged():
    culprits = Culprits()
    while True:
        culprits.begin(frozenset({1}))
        running = {1}
        for cell in range(4):
            if cell not in culprits.starters:
                running.add(100 + cell)
            culprits.after(cell, frozenset(running))
        if 2 in culprits.starters:
            break
        assert culprits.charge(None, 0, DEATH)
    assert set(culprits.starters) == {2}
