"""Orders that two deaths point at are begun one at a time, each noted as the one to blame before it begins."""

from tests.unit.dispatching import Desk, chunk, job, settle


def suspects(desk, count):
    desk.ledger.crashes = {f"{number:015d}": 2 for number in range(1, count + 1)}
    return desk.start(chunk(count))


async def test_a_suspect_is_blamed_before_it_begins():
    desk = Desk()
    message = suspects(desk, 1)
    await settle()
    assert (1, desk.ledger.suspects) == (len(desk.orders.taken), desk.orders.taken)
    desk.end()
    await message


async def test_the_next_suspect_begins_when_the_last_has_ended():
    desk = Desk()
    message = suspects(desk, 3)
    for number in (1, 2, 3):
        await settle()
        assert number == len(desk.orders.taken)
        desk.end(desk.orders.taken[-1])
    assert 3 == (await message)["claimed"]


async def test_a_suspect_that_takes_long_holds_up_no_other():
    desk = Desk(probation_seconds=0.0)
    message = suspects(desk, 2)
    await settle()
    assert 2 == len(desk.orders.taken)
    desk.end()
    await message


async def test_an_order_of_one_death_is_no_suspect():
    desk = Desk()
    desk.in_hand.begin([job(1, crashes=1)], "routine")
    assert (1, []) == (len(desk.orders.taken), desk.ledger.suspects)


async def test_a_watched_order_is_no_suspect():
    """It has ended: a look at it is all that is done."""
    desk = Desk()
    desk.in_hand.begin([job(1, crashes=2, watched=True)], "routine")
    assert (1, []) == (len(desk.orders.taken), desk.ledger.suspects)


async def test_a_watched_order_that_killed_workers_is_looked_at_alone_and_never_sent():
    desk = Desk()
    desk.in_hand.begin([job(1, crashes=3, watched=True)], "routine")
    await settle()
    assert ([0], desk.orders.taken) == (desk.orders.sends, desk.ledger.suspects)


async def test_suspects_that_have_not_begun_are_forgotten_with_the_lease():
    desk = Desk()
    message = suspects(desk, 3)
    await settle()
    desk.in_hand.abandon()
    await message
    await settle()
    assert 1 == len(desk.orders.taken)


async def test_no_suspect_begins_while_calls_in_flight_end():
    """The first one's call ends during the drain, and it would be the next one's turn."""
    desk = Desk()
    message = suspects(desk, 2)
    await settle()
    desk.orders.on_stop = desk.end
    await desk.dispatcher.drain(at=1.0)
    assert 1 == len(desk.orders.taken)
    await message


async def test_what_was_taken_is_cleared_of_suspicion_but_not_during_a_probation():
    """Else the order that is tried would be cleared before it could do any harm."""
    desk = Desk()
    await desk.probation.clear_suspects()
    assert 1 == desk.ledger.cleared
    message = suspects(desk, 1)
    await settle()
    await desk.probation.clear_suspects()
    assert 1 == desk.ledger.cleared
    desk.end()
    await message
    await settle()
    await desk.probation.clear_suspects()
    assert 2 == desk.ledger.cleared
