"""The way to the ledger: scripts that the server forgot, a server that is away, errors that no patience mends."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

from worker.ledger.client import LedgerClient
from worker.ledger.keys import COUNTERS, DEAD_LETTERS
from worker.ledger.server import Server
from worker.ledger.steps import Wanted, pace_call, slow_call
from worker.ledger.uptime import uptime
from worker.observe.events import LedgerAway


@pytest.fixture
def events():
    return []


@pytest.fixture
def ledger(redis, events):
    return LedgerClient(redis, Server(), events.append)


class Step:
    """Fails with the errors it was given, one a try, then answers."""

    def __init__(self, *errors):
        self.errors, self.tries = list(errors), 0

    async def __call__(self):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_a_script_that_the_server_does_not_know_is_loaded(ledger, redis):
    assert 50 == await ledger.call(slow_call("AB123"))
    assert [True] == await redis.script_exists(slow_call("AB123").script.digest)
    assert await ledger.call(slow_call("AB123")) >= 50


async def test_many_scripts_are_loaded_and_answered_in_order(ledger):
    two = [Wanted("AB124", 2, 8, is_risk=True)]
    calls = [slow_call("AB123"), pace_call(two, ahead_us=0, now_us=0), slow_call("AB125")]
    first, (_, (wait_us, *times)), last = await ledger.call_all(calls)
    assert (50, 0, 2, 50) == (first, int(wait_us), len(times), last)
    assert 50 == (await ledger.call_all([slow_call("AB126")]))[0]


async def test_an_error_of_one_of_many_scripts_is_raised(ledger, redis):
    await redis.rpush("nc:pace:AB123", "no string")
    with pytest.raises(ResponseError):
        await ledger.call_all([slow_call("AB124"), slow_call("AB123")])


async def test_what_works_at_once_is_done_once(ledger, events):
    step = Step()
    assert ("done", 1, []) == (await ledger.retry_until_available(step), step.tries, events)


@pytest.mark.parametrize(
    "error",
    [
        RedisConnectionError("gone"),
        OSError("no route"),
        OutOfMemoryError("used memory"),
        NoScriptError("forgotten between two commands"),
        ResponseError("MISCONF the disk is full"),
        ResponseError("MASTERDOWN link is down"),
        ResponseError("NOREPLICAS not enough"),
    ],
)
async def test_what_may_come_back_is_tried_again(ledger, events, error):
    step = Step(error, error)
    assert ("done", 3) == (await ledger.retry_until_available(step), step.tries)
    assert [LedgerAway(type(error).__name__, tries=2)] == events


async def test_one_failure_alone_is_not_worth_an_event(ledger, events):
    assert "done" == await ledger.retry_until_available(Step(RedisConnectionError("gone")))
    assert [] == events


@pytest.mark.parametrize("failures", [0, 2])
async def test_what_no_patience_mends_is_raised_as_it_is(ledger, failures):
    step = Step(*[RedisConnectionError("gone")] * failures, ResponseError("WRONGTYPE"))
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await ledger.retry_until_available(step)


async def test_an_error_of_the_program_s_own_is_raised(ledger):
    with pytest.raises(KeyError):
        await ledger.retry_until_available(Step(KeyError("x")))


async def test_plain_commands_run_all_together(ledger, redis):
    await ledger.run_all([("SET", "a", 1), ("INCRBY", "a", 2)])
    assert (b"3", b"3") == (await ledger.run("GET", "a"), await redis.get("a"))


async def test_a_dead_letter_is_kept_and_counted(ledger, redis):
    await ledger.add_dead_letter("body: must be JSON", {"body": 3})
    assert (1, b"1") == (await redis.llen(DEAD_LETTERS), await redis.hget(COUNTERS, "dead_letters"))


async def test_the_clock_follows_the_server(ledger):
    ledger.learn_time(5_000_000, asked_at=uptime())
    assert 5000 <= ledger.now() < 5060


async def test_an_answer_that_was_long_under_way_leaves_the_clock_as_it_is(ledger):
    """It says only between which two times the server's clock is."""
    ledger.learn_time(5_000_000, asked_at=uptime())
    before = ledger.now()
    ledger.learn_time(5_003_000, asked_at=uptime() - 30.0)
    assert 0 <= ledger.now() - before < 60


async def test_a_server_whose_clock_steps_takes_the_clock_along(ledger):
    """In both directions."""
    for server_ms in (5_000_000, 9_000_000, 4_000_000):
        ledger.learn_time(server_ms, asked_at=uptime() - 1.0)
        assert abs(ledger.now() - server_ms / 1000) < 60


async def test_when_the_server_began_comes_from_the_greeting(redis):
    server = Server()
    ledger = LedgerClient(redis, server, lambda _: None)
    server.started_ms = 7
    assert 7 == ledger.restarted_ms


async def test_closing_twice_does_nothing_more(ledger):
    await ledger.aclose()
    await ledger.aclose()
