"""The watch list: an order that ended without proof, looked at once more."""

import time

import pytest

from neo_cancel.record import Status
from tests.unit.routing import LOST, OK, Broker, Desk, job, no
from worker.kotak.order_book import OrderState


def unknown(**more):
    watched = job(final_at=time.time() - 5, maybe_sent=True, first_sent_at=time.time() - 9, **more)
    watched.status = Status.UNKNOWN
    watched.is_watched = True
    return watched


@pytest.mark.parametrize(
    ("state", "status"),
    [(OrderState.CANCELLED, Status.CANCELLED), (OrderState.FILLED, Status.FILLED), (OrderState.GONE, Status.GONE)],
)
async def test_a_watched_order_that_is_dead_is_proven(state, status):
    """The proof replaces unknown, and both times are kept."""
    watched = unknown()
    ended_at = watched.document["final_at"]
    assert await Desk(Broker(state=state, changed_at=time.time())).watch(watched, may_send=True) is True
    assert (status, ended_at, True) == (
        watched.status,
        watched.document["first_final_at"],
        watched.document["verified"],
    )
    assert watched.document["final_at"] > ended_at


async def test_a_watched_order_that_works_is_cancelled():
    """Regular: the same cancel once more."""
    world, watched = Broker(OK), unknown()
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.CANCELLED, 1) == (watched.status, len(world.sent))


async def test_a_watched_order_may_be_left_alone():
    """Where sending is not wanted it is only read."""
    world, watched = Broker(), unknown()
    assert await Desk(world).watch(watched, may_send=False) is False
    assert (Status.UNKNOWN, []) == (watched.status, world.sent)


async def test_a_watched_order_whose_cancel_is_pending_is_left_to_the_next_look():
    """The exchange has it: a second cancel would not make it faster."""
    world, watched = Broker(state=OrderState.CANCEL_PENDING), unknown()
    assert await Desk(world).watch(watched, may_send=True) is False
    assert (Status.UNKNOWN, [], None) == (watched.status, world.sent, watched.document.get("first_final_at"))


async def test_a_watched_order_without_a_book_is_cancelled_by_the_brokers_word():
    """A broker without a book, silent once and back again: its "Ok" stands after the window, as a job's would."""
    world, watched = Broker(is_readable=False), unknown()
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.CANCELLED, 1, None) == (watched.status, len(world.sent), watched.document.get("verified"))


async def test_a_watched_order_is_asked_for_once_a_look():
    """Silence again: it stays unknown, and the next look is soon enough."""
    world, watched = Broker(LOST, is_readable=False), unknown()
    assert await Desk(world).watch(watched, may_send=True) is False
    assert (Status.UNKNOWN, 1) == (watched.status, len(world.sent))


@pytest.mark.parametrize("variety", ["bracket", "cover"])
async def test_a_watched_exit_that_cannot_be_seen_is_not_repeated(variety):
    """An exit is sent for an order that is seen working only."""
    world, watched = Broker(is_readable=False), unknown(variety=variety)
    assert await Desk(world).watch(watched, may_send=True) is False
    assert (Status.UNKNOWN, []) == (watched.status, world.sent)


@pytest.mark.parametrize("variety", ["bracket", "cover"])
async def test_a_watched_exit_is_repeated_for_an_order_that_works(variety):
    """After a second look."""
    world, watched = Broker(variety=variety), unknown(variety=variety)
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.CANCELLED, 1) == (watched.status, len(world.sent))
    assert len(world.reads) >= 2


async def test_a_watched_order_that_is_nowhere_is_not_found():
    """Whole books without it for seconds."""
    world, watched = Broker(no("1006"), state=None), unknown()
    assert await Desk(world, window=4.0).watch(watched, may_send=True) is True
    assert (Status.NOT_FOUND, 1, True) == (watched.status, len(world.sent), watched.document["verified"])


async def test_a_watched_exit_that_is_nowhere_is_not_found_and_not_sent():
    """It is not sent for what cannot be seen; whole books without it for seconds are proof enough."""
    world, watched = Broker(no("1006"), state=None), unknown(variety="bracket")
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.NOT_FOUND, []) == (watched.status, world.sent)


@pytest.mark.parametrize(("code", "sent"), [("1113", 0), ("91400", 0), ("1006", 1), (None, 1)])
async def test_a_watched_order_that_was_refused_for_good_is_only_read(code, sent):
    """What the exchange or an unclear reply refused may be asked for again."""
    world, watched = Broker(), unknown(code=code)
    watched.status = Status.REFUSED
    assert await Desk(world).watch(watched, may_send=True) is bool(sent)
    assert (Status.CANCELLED if sent else Status.REFUSED, sent) == (watched.status, len(world.sent))
