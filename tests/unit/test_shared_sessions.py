"""The way of a session through one process, on a stand-in for Redis; tests/integration/test_sessions.py has many processes."""

import asyncio

import fakeredis
import pytest

from tests.session_stand import HERE, THERE, Account, Book, Broker, Others, Process, RefusedLoginError, Trouble
from worker.kotak.replies import NoSessionError
from worker.kotak.session import Session
from worker.observe.events import InternalError
from worker.observe.login_events import LoginNeeded, LoginStopped, TooManyPlaces
from worker.sessions.policy import LoginPolicy
from worker.sessions.shelf import Shelf
from worker.sessions.stored import Stored, Wait

QUICK = LoginPolicy(cool_down_seconds=0.0)
AB123 = Account("AB123")


@pytest.fixture
def process():
    server = fakeredis.FakeServer()

    def make(broker, *accounts, **about):
        about.setdefault("policy", QUICK)
        return Process(fakeredis.FakeAsyncRedis(server=server), broker, Book(*(accounts or (AB123,))), **about)

    return make


async def search_ends(process):
    searches = [search.task for search in process.sessions._accounts.searches.values()]
    if searches:
        await asyncio.wait(searches)


async def test_a_session_at_hand_is_answered_without_a_look_at_anything(process):
    one = process(Broker())
    await one.cancel("AB123")
    await one.ledger.aclose()
    one.book.accounts.clear()
    assert one.broker.valid["AB123", HERE] == await one.sessions.current("AB123")


async def test_a_refused_session_is_renewed_once_for_all_that_met_it(process):
    broker = Broker()
    one = process(broker)
    await one.cancel("AB123")
    stale = await one.sessions.current("AB123")
    renewed = await asyncio.gather(*(one.sessions.renew("AB123", stale) for _ in range(50)))
    assert ({broker.valid["AB123", HERE]}, 2) == (set(renewed), len(broker.logins))
    assert renewed[0] == await one.sessions.renew("AB123", stale)  # a late reply to the old one
    assert 2 == len(broker.logins)


async def test_a_login_that_takes_long_is_not_waited_for_for_ever(process):
    broker = Broker()
    one = process(broker, patience_seconds=0.0)
    await one.cancel("AB123")
    broker.seconds = 30.0
    assert await one.sessions.renew("AB123", await one.sessions.current("AB123")) is None
    with pytest.raises(NoSessionError):
        await one.sessions.current("AB123")
    one.sessions.close()


class Ready(Others):
    async def current(self, ucc):
        return Session("https://ready.test", ucc, "auth")

    async def renew(self, ucc, stale):
        return Session("https://ready.test", ucc, "new")


async def test_other_accounts_have_their_sessions_from_elsewhere(process):
    one = process(Broker(), Account("AB124", login="external"))
    one.sessions._others = Ready()
    for ucc in ("AB123", "AB124"):
        session = await one.sessions.current(ucc)
        assert (ucc, "new") == (session.sid, (await one.sessions.renew(ucc, session)).auth)
    assert [] == one.broker.logins


async def test_a_redis_that_is_away_leaves_orders_waiting(process):
    one = process(Broker())
    one.ledger._redis.connection_pool.connection_kwargs["server"].connected = False
    with pytest.raises(NoSessionError):
        await one.sessions.current("AB123")
    assert [] == one.events


async def test_a_mistake_of_the_program_is_told_and_orders_wait(process):
    one = process(Broker())
    one.sessions._renewal = None
    with pytest.raises(NoSessionError):
        await one.sessions.current("AB123")
    await search_ends(one)
    assert ["session of AB123"] == [event.doing for event in one.named(InternalError)]


async def test_an_account_without_a_totp_secret_is_not_logged_in_by_itself(process):
    one = process(Broker(), Account("AB123", totp_secret=None))
    assert isinstance(await one.renewal.renew(one.book.of("AB123")), Wait)
    assert [] == one.broker.logins


async def test_a_full_stop_is_told_once(process):
    one = process(Broker(*(RefusedLoginError(Trouble.WRONG_MPIN) for _ in range(3))))
    for _ in range(8):
        one.sessions._accounts.not_before.clear()
        with pytest.raises(NoSessionError):
            await one.sessions.current("AB123")
        await search_ends(one)
    assert (3, 1) == (len(one.broker.logins), len(one.named(LoginStopped)))
    assert [1, 2, 3] == [event.failures for event in one.events if hasattr(event, "failures")]


async def test_the_change_of_the_accounts_lets_an_account_go_on(process):
    one = process(Broker(*(RefusedLoginError(Trouble.WRONG_MPIN) for _ in range(3))))
    for _ in range(4):
        one.sessions._accounts.not_before.clear()
        await one.sessions.warm("AB123", 0.0)
    one.book.accounts["AB123"] = Account("AB123", fingerprint="f2")
    one.sessions.forget()
    assert 0 == await one.cancel("AB123")


async def test_a_third_address_is_told_of_the_other_two(process):
    broker = Broker()
    for place in (HERE, THERE):
        await process(broker, host=place, place=place).cancel("AB123")
    third = process(broker, host="h3", place="203.0.113.9")
    await third.store.learn("203.0.113.9")
    await third.sessions.warm("AB123", 0.0)
    [told] = third.named(TooManyPlaces)
    assert ({HERE, THERE}, 2) == (set(told.places), len(broker.logins))


async def test_a_typed_account_is_asked_for_once_and_noticed_when_it_is_there(process):
    typed = Account("AB123", login="typed", totp_secret=None)
    broker = Broker()
    worker, person = process(broker, typed), process(broker, typed)
    await worker.sessions.warm("AB123", 0.0)
    worker.sessions._accounts.not_before.clear()
    await worker.sessions.warm("AB123", 0.0)

    async def code():
        return "123456"

    await person.renewal.log_in(typed, code)
    await worker.sessions.look()
    assert broker.valid["AB123", HERE] == await worker.sessions.current("AB123")
    assert 1 == len(worker.named(LoginNeeded))


def stored(fence, place=HERE, session=None):
    return Stored("AB123", place, fence, 0.0, 1e12, "h1:1", session or Session("https://b.test", f"sid{fence}", "auth"))


@pytest.fixture
def shelf():
    return Shelf(lambda one: one.session is not None)


def test_the_newest_session_is_used_and_one_of_another_address_does_not_replace_it(shelf):
    shelf.offer("AB123", [stored(1), stored(3), stored(2)])
    shelf.offer("AB123", [stored(4, THERE)])
    assert ("sid3", {HERE}) == (shelf.at_hand["AB123"].sid, shelf.places)
    shelf.offer("AB123", [stored(5)])
    assert "sid5" == shelf.at_hand["AB123"].sid


def test_what_was_refused_is_not_taken_up_again(shelf):
    shelf.put(stored(1))
    shelf.refuse("AB123", stored(1).session)
    shelf.offer("AB123", [stored(1)])
    assert ({}, {1}, None) == (shelf.at_hand, shelf.refused("AB123"), shelf.held("AB123"))
    shelf.offer("AB123", [stored(1), stored(0, THERE)])
    assert "sid0" == shelf.at_hand["AB123"].sid


def test_a_late_refusal_of_an_older_session_changes_nothing(shelf):
    shelf.put(stored(2))
    shelf.refuse("AB123", stored(1).session)
    shelf.put(stored(1))
    assert "sid2" == shelf.at_hand["AB123"].sid


def test_refusals_are_not_remembered_for_ever(shelf):
    for fence in range(100):
        shelf.put(stored(fence))
        shelf.refuse("AB123", stored(fence).session)
    assert (64, 36) == (len(shelf.refused("AB123")), min(shelf.refused("AB123")))
