"""What a worker holds: one claim an order, the newest."""

from tests.unit.ledger_fakes import job, name
from worker.ledger.held import Held


def test_a_claim_is_held_until_it_is_let_go():
    held, mine = Held(), job(1)
    held.add(mine)
    assert (1, True, True, mine) == (len(held), name(1) in held, held.holds(mine), held.get(name(1)))
    held.let_go(mine)
    assert (0, False, None) == (len(held), name(1) in held, held.get(name(1)))


def test_a_newer_claim_takes_the_place_of_the_older_one():
    held, older, newer = Held(), job(1, fence=1), job(1, fence=2)
    held.add(older)
    held.add(newer)
    assert (False, True, 1) == (held.holds(older), held.holds(newer), len(held))


def test_letting_an_older_claim_go_leaves_the_newer_one():
    held, older, newer = Held(), job(1, fence=1), job(1, fence=2)
    held.add(newer)
    held.let_go(older)
    assert held.holds(newer)


def test_what_is_held_may_change_while_it_is_gone_over():
    held = Held()
    for last in range(3):
        held.add(job(last))
    for mine in held:
        held.let_go(mine)
    assert 0 == len(held)


def test_after_clearing_nothing_is_held():
    held, mine = Held(), job(1)
    held.add(mine)
    held.clear()
    assert ([], False) == (list(held), held.holds(mine))
