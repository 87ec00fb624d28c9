"""A process that is killed while it logs in: the next attempt keeps its distance, and one more login is enough."""

import subprocess
import sys

import pytest
import redis

from worker.ledger.keys import login_key

BEGUN, LOGGED_IN, KEPT = 5, 7, 10
"""The steps before which a login is noted in Redis, is known to the broker, and its session is in Redis."""


@pytest.mark.parametrize("step", range(1, 11))
def test_a_kill_at_any_step_of_a_login_costs_at_most_one_more_and_locks_nothing(step, redis_url, tmp_path):
    logins = tmp_path / "logins"
    logins.touch()

    def run(at):
        """Run a process; answer its exit code, how many sessions it had, and how many logins the broker has seen by then."""
        command = [sys.executable, "-m", "tests.session_process", redis_url, str(logins), str(at)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout.strip(), len(logins.read_text().splitlines())

    was_seen = int(step >= LOGGED_IN)
    assert (-9, "", was_seen) == run(step)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        if step >= BEGUN:
            client.hset(login_key("AB123"), "until", 0)  # the lease is over, the cool-down is not
            assert (0, "1" if step == KEPT else "0", was_seen) == run(0)
            client.hset(login_key("AB123"), "begun", 0)  # the cool-down is over
        assert (0, "1", was_seen + (step != KEPT)) == run(0)
        assert "failures" not in client.hgetall(login_key("AB123"))
