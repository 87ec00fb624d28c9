"""The pace as the broker counts it: processes that ask ahead, send late, die and start, while rates and clocks change."""

import heapq
import itertools
import math
import random
import re

import pytest
import redis

from worker.ledger.steps import Wanted, pace_call, slow_call

UCC = "AB123"
EPOCH_US = 1_760_000_000_000_000
AHEAD_US = 30_000
LATE_US = 18_000
"""So late a send may leave: the turn is given up after that."""
CLOCK = re.compile(r"local function now_us\(\).*?\nend", re.DOTALL)


class Server:
    """Redis with the real scripts, and a clock that is `offset` us before the time that the world knows."""

    def __init__(self, client):
        self.offset = EPOCH_US
        self._pace, self._slow = (
            client.register_script(
                CLOCK.sub("local function now_us() return tonumber(ARGV[#ARGV]) end", call.script.text)
            )
            for call in (pace_call([], ahead_us=0, now_us=0), slow_call(UCC))
        )

    def take(self, now, wanted, rate, lane, known):
        call = pace_call([Wanted(UCC, wanted, rate, lane == "risk")], ahead_us=AHEAD_US, now_us=known)
        server_us, (wait_us, *times) = self._pace(call.keys, [*call.arguments, now + self.offset])
        return int(server_us), [int(at) for at in times], int(wait_us)

    def complain(self, now, pause_us):
        call = slow_call(UCC, pause_us=pause_us)
        self._slow(call.keys, [*call.arguments, now + self.offset])


class Process:
    """Knows the server's clock from its last answer; None before."""

    def __init__(self, lane):
        self.lane, self.offset, self.is_alive = lane, None, True


class World:
    """Events in us since the start: what asks, sends, dies, steps. `sends` are the times at the broker."""

    def __init__(self, client, seed, *, rate, processes, lanes=("routine",)):
        self.dice, self.server, self.rate = random.Random(seed), Server(client), rate
        self.now, self.sends, self.pauses, self.rates = 0, [], [], [(0, rate)]
        self._events, self._numbers = [], itertools.count()
        self.lanes = lanes
        for _ in range(processes):
            self.start_process()

    def at(self, when, what, *arguments):
        heapq.heappush(self._events, (max(int(when), self.now), next(self._numbers), what, arguments))

    def start_process(self):
        process = Process(self.dice.choice(self.lanes))
        self.at(self.now + self.dice.randrange(200_000), self.ask, process)
        return process

    def run(self, seconds):
        while self._events and self._events[0][0] < seconds * 1_000_000:
            self.now, _, what, arguments = heapq.heappop(self._events)
            what(*arguments)

    def ask(self, process):
        if not process.is_alive:
            return
        known = 0 if process.offset is None else self.now + process.offset
        wanted = self.dice.choice([1, 3, 16])
        server_us, times, wait_us = self.server.take(self.now, wanted, self.rate, process.lane, known)
        process.offset = server_us - self.now
        for at in times:
            self.at(max(self.now, at - process.offset), self.send, process)
        ahead = self.dice.randrange(AHEAD_US - 10_000)
        self.at(self.now + max(wait_us - ahead, 1_000), self.ask, process)

    def send(self, process):
        if process.is_alive:
            self.at(self.now + self.dice.choice([0, 0, self.dice.randrange(LATE_US)]), self.reach)

    def reach(self):
        self.sends.append(self.now)

    def complain(self, pause_us):
        self.server.complain(self.now, pause_us)
        self.pauses.append((self.now, self.now + pause_us))

    def step(self, by_us):
        self.server.offset += by_us

    def change(self, rate):
        self.rate = rate
        self.rates.append((self.now, rate))

    def highest(self, begin):
        """The highest rate in force in the second that begins then."""
        within = [rate for at, rate in self.rates if begin < at < begin + 1_000_000]
        return max([[rate for at, rate in self.rates if at <= begin][-1], *within])


def assert_never_above(world):
    sends = sorted(world.sends)
    for begin in sends:
        held = sum(begin <= at < begin + 1_000_000 for at in sends)
        assert held <= max(1, math.floor(world.highest(begin))), (begin, [at - begin for at in sends if begin <= at])


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


RATES = (1.0, 2.5, 4.99, 7.9, 8.0, 8.9, 20.0)


@pytest.mark.parametrize("lanes", [("routine",), ("risk",), ("routine", "risk")])
@pytest.mark.parametrize("rate", RATES)
def test_what_the_broker_sees_stays_below_the_rate_and_nothing_is_idle(client, rate, lanes):
    world = World(client, f"{rate}{lanes}", rate=rate, processes=4, lanes=lanes)
    world.run(12)
    assert_never_above(world)
    assert len(world.sends) >= 0.95 * 12 * math.floor(rate) / 1.03


@pytest.mark.parametrize("seed", range(15))
def test_deaths_cost_at_most_what_was_reserved(client, seed):
    world = World(client, seed, rate=random.Random(seed).choice(RATES), processes=3, lanes=("routine", "risk"))
    processes = [world.start_process() for _ in range(5)]
    for process in processes:
        world.at(world.dice.randrange(5_000_000), lambda one: setattr(one, "is_alive", False), process)
    world.run(8)
    assert_never_above(world)
    assert len(world.sends) >= 0.9 * 8 * math.floor(world.rate) / 1.03 - len(processes)


@pytest.mark.parametrize("seed", range(20))
def test_clocks_that_step_either_way_cost_a_second_and_break_nothing(client, seed):
    world = World(client, seed, rate=random.Random(seed).choice(RATES), processes=2, lanes=("routine", "risk"))
    for second in (3, 6, 9):
        by_us = world.dice.choice([-1, 1]) * world.dice.choice([40_000, 300_000, 900_000, 5_000_000, 30_000_000])
        world.at(second * 1_000_000 + world.dice.randrange(500_000), world.step, by_us)
    world.run(12)
    assert_never_above(world)
    assert len(world.sends) >= 0.9 * (12 - 3 * 1.1) * math.floor(world.rate) / 1.03


@pytest.mark.parametrize("seed", range(15))
def test_nothing_is_sent_while_the_broker_wants_a_pause(client, seed):
    world = World(client, seed, rate=random.Random(seed).choice(RATES), processes=3, lanes=("routine", "risk"))
    for _ in range(3):
        world.at(world.dice.randrange(9_000_000), world.complain, world.dice.choice([0, 700_000, 2_000_000]))
    world.run(10)
    assert_never_above(world)
    for begin, end in world.pauses:
        # What was granted before, and is under way or on the point of leaving, cannot be called back.
        assert [] == [at for at in world.sends if begin + AHEAD_US + LATE_US <= at < end]


@pytest.mark.parametrize("seed", range(15))
def test_a_rate_that_changes_holds_from_the_next_question_on(client, seed):
    world = World(client, seed, rate=8.0, processes=3, lanes=("routine", "risk"))
    for _ in range(6):
        world.at(world.dice.randrange(9_000_000), world.change, world.dice.choice(RATES))
    world.run(10)
    assert_never_above(world)


def test_a_pause_ends_when_it_should_though_the_clock_steps_back(client):
    world = World(client, 1, rate=8.0, processes=1, lanes=("risk",))
    world.at(1_000_000, world.complain, 2_000_000)
    world.at(1_500_000, world.step, -30_000_000)
    world.run(6)
    assert any(3_000_000 <= at < 4_600_000 for at in world.sends)
