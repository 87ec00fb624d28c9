"""Sessions shared through a real Redis: one login an expiry, a fence, a cool-down, two addresses at most."""

import asyncio
import time

import pytest
import redis as redis_py

from tests.session_stand import HERE, KEY, THERE, Account, Book, Broker, Process, RefusedLoginError, Trouble
from worker.kotak.replies import NoSessionError
from worker.ledger.keys import login_key, session_key
from worker.observe.login_events import (
    LoggedIn,
    LoginFailed,
    LoginNeeded,
    LoginStopped,
    SessionsNotShared,
    TooManyPlaces,
)
from worker.sessions.policy import LoginPolicy
from worker.sessions.stored import Full, Granted, Stopped, Stored, Wait
from worker.sessions.vault import new_key

QUICK = LoginPolicy(cool_down_seconds=0.0)
AB123 = Account("AB123")


@pytest.fixture
async def processes(redis_url):
    made = []

    def process(broker, *accounts, **about):
        one = Process(redis_url, broker, Book(*(accounts or (AB123,))), **about)
        made.append(one)
        return one

    yield process
    for one in made:
        await one.aclose()


@pytest.fixture
def server(redis_url):
    with redis_py.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def test_one_expiry_met_by_thousands_of_orders_in_three_processes_is_one_login_an_account(processes):
    """And the cold start before it is one login, too."""
    accounts = [Account(f"AB{n:03}") for n in range(10)]
    broker = Broker()
    three = [processes(broker, *accounts, policy=QUICK) for _ in range(3)]

    async def bulk():
        orders = [(process, account.ucc) for process in three for account in accounts for _ in range(70)]
        return await asyncio.gather(*(process.cancel(ucc) for process, ucc in orders))

    await bulk()
    assert sorted(account.ucc for account in accounts) == sorted(broker.logins)
    broker.end_all()
    refused = await bulk()
    assert 20 == len(broker.logins)
    assert 1 == max(refused)


async def test_the_cool_down_holds_however_often_a_session_dies(processes):
    broker = Broker(seconds=0.0)
    one = processes(broker, policy=LoginPolicy(cool_down_seconds=300.0), patience_seconds=0.2)
    await one.cancel("AB123")
    session = await one.sessions.current("AB123")
    broker.end_all()
    for _ in range(20):
        assert await one.sessions.renew("AB123", session) is None
        with pytest.raises(NoSessionError):
            await one.sessions.current("AB123")
    assert 1 == len(broker.logins)


async def test_a_session_that_another_process_made_is_noticed_without_being_asked_for(processes):
    broker = Broker()
    one, other = processes(broker), processes(broker)
    await one.cancel("AB123")
    await other.sessions.look()
    assert {"AB123": broker.valid["AB123", HERE]} == other.sessions._at_hand
    assert [] == await other.store.changed()


async def test_a_newer_session_from_the_same_address_takes_the_place_of_the_one_at_hand(processes):
    """The broker may have ended the older one with the login."""
    broker = Broker()
    one, other = processes(broker, policy=QUICK), processes(broker, policy=QUICK)
    await one.cancel("AB123")
    await other.cancel("AB123")
    renewed = await other.renewal.log_in(AB123, code_of("123456"))
    await one.sessions.look()
    assert renewed.session == await one.sessions.current("AB123")


def code_of(code):
    async def ask():
        return code

    return ask


async def test_a_process_that_slept_while_it_logged_in_does_not_overwrite_a_newer_session(processes, server):
    broker = Broker()
    sleeper, other = processes(broker, policy=QUICK), processes(broker, policy=QUICK)
    slow = await sleeper.store.lease(AB123)
    assert await sleeper.store.begin("AB123", slow.fence)
    old = await broker.make("AB123", HERE)
    server.hset(login_key("AB123"), "until", 0)  # its lease runs out
    newer = await other.renewal.renew(AB123)
    assert isinstance(newer, Stored)
    assert await sleeper.store.put(AB123, slow.fence, old) is None
    assert [newer.session] == [stored.session for stored in await other.store.find("AB123")]
    found = await sleeper.renewal.renew(AB123)
    assert (newer.session, 2) == (found.session, len(broker.logins))


async def test_a_process_that_slept_before_its_login_does_not_log_in(processes, server):
    broker = Broker()
    sleeper, other = processes(broker, policy=QUICK), processes(broker, policy=QUICK)
    slow = await sleeper.store.lease(AB123)
    server.hset(login_key("AB123"), "until", 0)
    assert isinstance(await other.renewal.renew(AB123), Stored)
    assert not await sleeper.store.begin("AB123", slow.fence)


async def test_a_late_failure_of_a_process_that_slept_takes_no_lease_from_the_next(processes, server):
    broker = Broker()
    sleeper, other = processes(broker, policy=QUICK), processes(broker, policy=QUICK)
    slow = await sleeper.store.lease(AB123)
    server.hset(login_key("AB123"), "until", 0)
    assert isinstance(await other.store.lease(AB123), Granted)
    await sleeper.store.fail(AB123, slow.fence, "TRANSIENT")
    assert "login" == (await sleeper.store.lease(AB123)).why


async def test_a_step_that_runs_twice_changes_nothing(processes):
    """A script whose answer was lost is sent again."""
    broker = Broker(RefusedLoginError(Trouble.WRONG_MPIN))
    one = processes(broker, policy=QUICK)
    granted = await one.store.lease(AB123)
    assert await one.store.begin("AB123", granted.fence)
    assert await one.store.begin("AB123", granted.fence)
    first = await one.store.fail(AB123, granted.fence, "WRONG_MPIN")
    assert first == await one.store.fail(AB123, granted.fence, "WRONG_MPIN")
    new = await Broker().make("AB123", HERE)
    assert await one.store.put(AB123, granted.fence, new) is not None
    assert await one.store.put(AB123, granted.fence, new) is not None
    assert 1 == len(await one.store.find("AB123"))


async def test_a_fence_is_higher_than_before_even_on_a_server_that_forgot(processes, server):
    one = processes(Broker())
    first = await one.store.lease(AB123)
    server.delete(login_key("AB123"))
    await asyncio.sleep(0.002)
    assert first.fence < (await one.store.lease(AB123)).fence


async def test_three_wrong_replies_are_the_last_until_the_credentials_change(processes, server):
    broker = Broker(*(RefusedLoginError(Trouble.WRONG_MPIN) for _ in range(3)))
    one, other = processes(broker, policy=QUICK), processes(broker, policy=QUICK)
    for process in (one, other, one):
        await process.renewal.renew(AB123)
        server.hset(login_key("AB123"), "pause", 0)
    assert Stopped("WRONG_MPIN") == await other.renewal.renew(AB123)
    for _ in range(2):
        await asyncio.wait({other.sessions._search("AB123").task})
        other.sessions._accounts.not_before.clear()
    assert (3, 1) == (len(broker.logins), len(other.named(LoginStopped)))
    mended = Account("AB123", fingerprint="f2")
    assert isinstance(await one.renewal.renew(mended), Stored)
    assert Stopped("WRONG_MPIN") == await other.renewal.renew(AB123, [await fence_of(one)])


async def fence_of(process):
    return (await process.store.find("AB123"))[0].fence


async def test_a_person_may_log_in_over_a_stop_and_all_goes_on(processes, server):
    broker = Broker(*(RefusedLoginError(Trouble.WRONG_TOTP) for _ in range(3)))
    one = processes(broker, policy=QUICK)
    for _ in range(3):
        await one.renewal.renew(AB123)
        server.hset(login_key("AB123"), "pause", 0)
    made = await one.renewal.log_in(AB123, code_of("123456"))
    assert isinstance(made, Stored)
    assert isinstance(await one.renewal.renew(AB123, [made.fence]), Stored)


async def test_each_failure_doubles_the_pause_and_a_session_ends_it(processes):
    broker = Broker()
    one = processes(broker, policy=LoginPolicy(cool_down_seconds=40.0))
    granted = await one.store.lease(AB123)
    fences = range(granted.fence + 1, granted.fence + 7)
    failed = [await one.store.fail(AB123, fence, "UNREADABLE") for fence in fences]
    assert [40.0, 80.0, 160.0, 320.0, 600.0, 600.0] == [pause for _, _, pause in failed]
    await one.store.put(AB123, granted.fence + 7, await broker.make("AB123", HERE))
    assert (1, 0, 40.0) == await one.store.fail(AB123, granted.fence + 8, "UNREADABLE")


async def test_an_address_that_is_not_whitelisted_is_tried_seldom_and_never_called_wrong(processes):
    one = processes(Broker(RefusedLoginError(Trouble.NOT_WHITELISTED, "100008", "unauthorized")))
    assert Wait(300.0, "failures") == await one.renewal.renew(AB123)
    [failed] = one.named(LoginFailed)
    assert ("NOT_WHITELISTED", "100008", 300.0) == (failed.trouble, failed.code, failed.again_in_seconds)


async def test_an_error_that_is_no_refusal_is_a_failed_attempt_and_its_text_is_not_told(processes):
    one = processes(Broker(ValueError("mpin 123456")))
    assert isinstance(await one.renewal.renew(AB123), Wait)
    assert isinstance(await one.renewal.renew(AB123), Wait)
    [failed] = one.named(LoginFailed)
    assert ("UNREADABLE", "ValueError", 1) == (failed.trouble, failed.text, len(one.broker.logins))


async def test_a_second_address_keeps_a_session_of_its_own(processes):
    broker = Broker()
    one = processes(broker, policy=QUICK, host="h1")
    other = processes(broker, policy=QUICK, host="h2", place=THERE)
    await one.cancel("AB123")
    assert 1 == await other.cancel("AB123")  # it tries the one that is there
    assert (0, 0) == (await one.cancel("AB123"), await other.cancel("AB123"))
    broker.end_all()
    assert (1, 1) == (await one.cancel("AB123"), await other.cancel("AB123"))
    assert 4 == len(broker.logins)
    same_host = processes(broker, policy=QUICK, host="h2", place=THERE)
    assert (0, 4) == (await same_host.cancel("AB123"), len(broker.logins))


async def test_a_third_address_is_told_so_and_disturbs_the_other_two_once(processes):
    broker = Broker()
    for place in (HERE, THERE):
        await processes(broker, policy=QUICK, host=place, place=place).cancel("AB123")
    third = processes(broker, policy=QUICK, host="h3", place="203.0.113.9")
    refused = [stored.fence for stored in await third.store.find("AB123")]
    for _ in range(3):
        full = await third.renewal.renew(AB123, refused)
        assert isinstance(full, Full)
        assert {HERE, THERE} == set(full.places)
    assert 3 == len(broker.logins)
    assert 2 == len(await third.store.find("AB123"))
    with pytest.raises(NoSessionError):
        await third.sessions.current("AB123")
    await asyncio.wait({search.task for search in third.sessions._accounts.searches.values()} or {asyncio.sleep(0)})
    assert 1 == len(third.named(TooManyPlaces))


async def test_a_machine_that_got_another_address_uses_up_no_place_of_its_own(processes, server):
    broker = Broker()
    await processes(broker, policy=QUICK, host="h1").cancel("AB123")
    await processes(broker, policy=QUICK, host="h2", place=THERE).cancel("AB123")
    server.zadd("nc:places", {HERE: 1})  # no worker was seen there for long
    moved = processes(broker, policy=QUICK, host="h1", place="203.0.113.9")
    await moved.cancel("AB123")
    assert {"203.0.113.9", THERE} == {stored.place for stored in await moved.store.find("AB123")}


async def test_no_session_is_in_clear_in_redis_and_a_stranger_s_key_opens_none(processes, server):
    broker = Broker()
    await processes(broker).cancel("AB123")
    everything = repr([server.hgetall(session_key("AB123")), server.hgetall(login_key("AB123"))])
    assert [] == [secret for secret in ("sid-secret", "auth-secret", "broker.test") if secret in everything]
    stranger = processes(broker, key=new_key())
    assert [None] == [stored.session for stored in await stranger.store.find("AB123")]
    assert isinstance(await stranger.renewal.renew(AB123), Wait)  # the login of a moment ago keeps its distance
    [told] = stranger.named(SessionsNotShared)
    assert told.text.endswith("is sealed with a key that this process does not have")


async def test_a_key_is_rotated_without_a_login(processes):
    broker = Broker()
    await processes(broker).cancel("AB123")
    rotated = processes(broker, key=f"{new_key()},{KEY}")
    assert (0, 1) == (await rotated.cancel("AB123"), len(broker.logins))


async def test_without_a_key_a_session_stays_in_its_process(processes, server):
    broker = Broker()
    one = processes(broker, key=None)
    await one.cancel("AB123")
    await one.sessions.look()
    assert broker.valid["AB123", HERE] == await one.sessions.current("AB123")
    assert server.hgetall(session_key("AB123"))[HERE].endswith(" -")


async def test_a_typed_account_waits_and_goes_on_when_a_person_has_logged_in(processes):
    typed = Account("AB123", login="typed", totp_secret=None)
    broker = Broker()
    worker, person = processes(broker, typed), processes(broker, typed)
    for _ in range(3):
        with pytest.raises(NoSessionError):
            await worker.sessions.current("AB123")
        worker.sessions._accounts.not_before.clear()
    assert [LoginNeeded("AB123", "python -m worker.login AB123")] == worker.named(LoginNeeded)
    await person.renewal.log_in(typed, code_of("123456"))
    await worker.sessions.look()
    assert 0 == await worker.cancel("AB123")


async def test_a_session_that_ended_by_time_is_none_for_other_processes(processes):
    """The process that the broker has just given it uses it: its own clock may be wrong."""
    broker = Broker(lasts=-1.0)
    one, other = processes(broker, policy=QUICK), processes(broker, policy=QUICK)
    assert 0 == await one.cancel("AB123")
    await one.cancel("AB123")
    assert 1 == len(broker.logins)
    await other.cancel("AB123")
    assert 2 == len(broker.logins)


async def test_at_most_sixteen_logins_are_under_way_in_a_process(processes):
    accounts = [Account(f"AB{n:03}") for n in range(60)]
    broker = Broker()
    one = processes(broker, *accounts)
    await asyncio.gather(*(one.cancel(account.ucc) for account in accounts))
    assert (60, 16) == (len(broker.logins), broker.most_at_once)


async def test_a_login_is_told_with_its_address_and_the_clock(processes):
    one = processes(Broker())
    await one.cancel("AB123")
    [told] = one.named(LoggedIn)
    assert ("AB123", HERE, 0.0) == (told.ucc, told.egress_ip, told.clock_ahead_seconds)
    assert 3500 < told.seconds <= 3600


async def test_an_account_that_the_file_names_no_more_has_no_session(processes):
    one = processes(Broker())
    await one.cancel("AB123")
    one.book.accounts.clear()
    one.sessions.forget()
    with pytest.raises(NoSessionError):
        await one.sessions.current("AB123")


async def test_a_session_that_ends_soon_is_replaced_before_it_does_and_used_until_then(processes):
    broker = Broker()
    one = processes(broker, policy=QUICK)
    await one.cancel("AB123")
    old = await one.sessions.current("AB123")
    await one.sessions.warm("AB123", time.time())
    assert old == await one.sessions.current("AB123")
    warming = asyncio.create_task(one.sessions.warm("AB123", time.time() + 3570.0))
    await asyncio.sleep(0)
    assert old == await one.sessions.current("AB123")
    await warming
    assert old != await one.sessions.current("AB123")
    assert 2 == len(broker.logins)


async def test_a_session_that_never_lasts_long_is_not_replaced_before_it_is_refused(processes):
    broker = Broker(lasts=30.0)
    one = processes(broker, policy=QUICK)
    await one.cancel("AB123")
    await one.sessions.warm("AB123", time.time())
    assert 1 == len(broker.logins)
