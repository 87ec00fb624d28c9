"""The pace against a count that knows nothing of it: rates whole, fractional, below one, changing and recovering."""

import math
import random
import re
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import redis

from worker.ledger.steps import Wanted, pace_call, slow_call

UCC = "AB123"
FIRST_US = 1_760_000_000_000_000
CLOCK = re.compile(r"local function now_us\(\).*?\nend", re.DOTALL)


class Account:
    """An account's sends, granted by the real scripts, whose clock is `at`, in us."""

    def __init__(self, client):
        self.at, self.sent = FIRST_US, []
        self._pace, self._slow = (
            client.register_script(
                CLOCK.sub("local function now_us() return tonumber(ARGV[#ARGV]) end", call.script.text)
            )
            for call in (pace_call([], ahead_us=0, now_us=0), slow_call(UCC))
        )

    def ask(self, wanted, rate, lane, *, ahead_us=0, known_us=0):
        """Answer when it may send, and how long to wait before it is worth asking again, in us."""
        call = pace_call([Wanted(UCC, wanted, rate, lane == "risk")], ahead_us=ahead_us, now_us=known_us)
        server_us, (wait_us, *times) = self._pace(call.keys, [*call.arguments, self.at])
        assert self.at == int(server_us)
        times = [int(at) for at in times]
        self.sent += times
        return times, int(wait_us)

    def complain(self):
        call = slow_call(UCC)
        self._slow(call.keys, [*call.arguments, self.at])


@dataclass
class Allowed:
    """What the account may send at most: the rates in force, written down by hand."""

    rate: float
    share: float = 1.0
    since: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)

    def now(self, at):
        return self.rate * min(1.0, self.share + (at - self.since) / 1e7)

    def complain(self, at):
        if at - self.since >= 500_000:
            self.share, self.since = max(min(1.0, self.share + (at - self.since) / 1e7) / 2, 1 / 16), at

    def note(self, at):
        self.history.append((at, self.now(at)))


def most_in_a_second(sent, begin):
    return sum(begin <= at < begin + 1_000_000 for at in sent)


def assert_never_above(sent, history):
    """In any rolling second: no more whole sends than the highest rate in it, and one at least."""
    for begin in sorted(set(sent)):
        within = [rate for at, rate in history if begin <= at < begin + 1_000_000]
        assert most_in_a_second(sent, begin) <= max(1, math.floor(max(within) + 1e-9)), (begin, within)


@pytest.fixture
def account(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield Account(client)


def play(account, allowed, dice, *, changes, steps=150):
    """Let several askers ask at random times, in both lanes, mostly as soon as it is worth it."""
    for _ in range(steps):
        if changes and dice.random() < 0.05:
            allowed.rate = dice.choice([0.3, 1.0, 1.7, 4.0, 9.5])
        if changes and dice.random() < 0.04:
            account.complain()
            allowed.complain(account.at)
        lane = dice.choice(["risk", "risk", "routine"])
        allowed.note(account.at)
        _, wait_us = account.ask(dice.randint(1, 12), allowed.rate, lane)
        account.at += dice.choice([wait_us, wait_us, dice.randrange(1, 400_000), 1])


@pytest.mark.parametrize("seed", range(12))
def test_no_rolling_second_holds_more_than_a_random_rate(account, seed):
    dice = random.Random(seed)
    allowed = Allowed(dice.choice([dice.uniform(0.2, 1.0), dice.uniform(1.0, 12.0), float(dice.randint(1, 12))]))
    play(account, allowed, dice, changes=False)
    assert_never_above(account.sent, allowed.history)
    assert len(account.sent) > 5  # and it does grant


@pytest.mark.parametrize("seed", range(12))
def test_nor_while_the_rate_changes_and_recovers(account, seed):
    dice = random.Random(1000 + seed)
    allowed = Allowed(8.0)
    play(account, allowed, dice, changes=True)
    assert_never_above(account.sent, allowed.history)


@pytest.mark.parametrize("rate", [9.5, 2.5, 1.2, 1.999])
@pytest.mark.parametrize("lane", ["risk", "routine"])
def test_a_fractional_rate_is_kept_in_every_rolling_second(account, rate, lane):
    while account.at < FIRST_US + 10_000_000:
        _, wait_us = account.ask(20, rate, lane)
        account.at += wait_us
    assert math.floor(rate) == max(most_in_a_second(account.sent, begin) for begin in account.sent)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.9])
def test_below_one_a_second_sends_are_so_far_apart(account, rate):
    while account.at < FIRST_US + 60_000_000:
        _, wait_us = account.ask(20, rate, "risk")
        account.at += wait_us
    assert all(after - before >= 1e6 / rate for before, after in pairwise(account.sent))
    assert len(account.sent) > 50 * rate


@pytest.mark.parametrize("rate", [1, 2, 8, 10])
@pytest.mark.parametrize("lane", ["risk", "routine"])
def test_a_whole_rate_costs_three_percent_and_no_more(account, rate, lane):
    while account.at < FIRST_US + 10_300_000:
        _, wait_us = account.ask(1, rate, lane)
        account.at += wait_us
    assert len(account.sent) >= 10 * rate


@pytest.mark.parametrize("rate", [1, 8, 9.5])
@pytest.mark.parametrize("lane", ["risk", "routine"])
def test_a_clock_that_steps_back_costs_a_second_and_not_the_step(account, rate, lane):
    """As after a failover to a server whose clock is behind; nothing is granted beyond the rate meanwhile."""
    while account.at < FIRST_US + 3_000_000:
        _, wait_us = account.ask(20, rate, lane)
        account.at += wait_us
    account.at -= 30_000_000
    stepped_at, account.sent = account.at, [account.at] * math.floor(rate)
    while account.at < stepped_at + 3_000_000:
        _, wait_us = account.ask(20, rate, lane)
        assert wait_us <= 1_100_000
        account.at += wait_us
    assert math.floor(rate) == max(most_in_a_second(account.sent, begin) for begin in account.sent)
    assert len(account.sent) > 2 * math.floor(rate)


def test_a_complaint_leaves_a_send_that_is_granted_ahead_at_its_time(account):
    """Moved to now, it would let the next one go too early."""
    account.ask(1, 1.0, "routine")
    account.at += 1_005_000
    [ahead], _ = account.ask(1, 1.0, "routine", ahead_us=30_000)
    account.complain()
    account.at += 1_000_000
    times = []
    while not times:
        times, wait_us = account.ask(1, 1.0, "risk")
        account.at += 0 if times else min(wait_us, 5_000)
    # Half the rate, a tenth more a second: at least as long after it as the rate then in force asks for.
    share = 0.5 + (account.at - (ahead - 25_000)) / 1e7
    assert times[0] - ahead >= 1_030_000 / share - 1
