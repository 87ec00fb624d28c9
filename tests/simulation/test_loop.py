"""Virtual time, processes that stand still or die, and histories that are the same to the byte."""

import asyncio
import os
import subprocess
import sys

import pytest

from tests.simulation.episode import run
from tests.simulation.habits import TEMPERS
from tests.simulation.loop import World
from tests.simulation.plan import make_plan
from tests.simulation.worker import PRODUCT


@pytest.fixture
def world():
    world = World(start=100.0)
    yield world
    world.close()


def ticking(world, seen, name, seconds):
    """Start a process that notes the time again and again."""

    async def tick():
        while True:
            seen.append((name, round(world.now, 3)))
            await asyncio.sleep(seconds)

    loop = world.process()
    loop.call_soon(lambda: loop.create_task(tick()))
    return loop


def test_time_jumps_to_the_next_timer(world):
    """A day passes at once, and each sleep ends at its time."""
    seen = []
    ticking(world, seen, "a", 40_000.0)
    world.run(100.0 + 86_400.0)
    assert [("a", 100.0), ("a", 40_100.0), ("a", 80_100.0)] == seen


def test_a_standing_process_runs_later_and_others_go_on(world):
    """What became due meanwhile runs when the process goes on."""
    seen = []
    standing = ticking(world, seen, "a", 1.0)
    ticking(world, seen, "b", 1.0)
    world.call_at(100.5, standing.pause)
    world.call_at(102.5, standing.resume)
    world.run(103.2)
    assert [("a", 100.0), ("b", 100.0), ("b", 101.0), ("b", 102.0), ("a", 102.5), ("b", 103.0)] == seen


def test_a_dead_process_runs_nothing_any_more(world):
    """Not even its finally blocks."""
    seen = []

    async def work():
        try:
            await asyncio.sleep(5.0)
        finally:
            seen.append("finally")

    loop = world.process()
    loop.call_soon(lambda: loop.create_task(work()))
    world.call_at(101.0, loop.kill)
    world.run(110.0)
    assert [] == seen


def test_a_wait_that_is_too_short_for_a_float_ends(world):
    """Code takes time: a loop that sleeps until a moment has passed gets there."""
    ends_at = 100.0 + 1e-13

    async def work():
        while world.now <= ends_at:
            await asyncio.sleep(0)
        return "done"

    loop, done = world.process(), []
    loop.call_soon(lambda: loop.create_task(work()).add_done_callback(lambda task: done.append(task.result())))
    world.run(101.0)
    assert ["done"] == done


def test_a_mistake_in_a_callback_is_kept_and_stops_nothing(world):
    """As in asyncio, but nobody need read a log."""
    seen = []
    world.call_at(101.0, lambda: 1 / 0)
    world.call_at(102.0, seen.append, "later")
    world.run(103.0)
    assert (["later"], 1) == (seen, len(world.errors))


@pytest.mark.parametrize("temper", TEMPERS)
def test_a_seed_gives_the_same_history_again(temper):
    """To the byte."""
    digests = [run(make_plan(7, temper, orders=60), PRODUCT).history.digest() for _ in range(2)]
    assert digests[0] == digests[1]


def test_another_hash_seed_changes_nothing():
    """Strings are hashed differently in each process unless PYTHONHASHSEED says how; no history may depend on it."""
    command = [
        sys.executable,
        "-m",
        "tests.simulation",
        "--seed",
        "7",
        "--orders",
        "60",
        "--digests",
        "--temper",
        "storm",
    ]
    told = []
    for seed in ("1", "2"):
        done = subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=False, text=True
        )
        told.append([line for line in done.stdout.splitlines() if len(line.strip()) == 66])
    assert told[0] == told[1] != []
