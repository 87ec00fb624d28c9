"""Whether there is another try, and after which pause. The jitter of these tests is the longest pause that is allowed."""

import pytest

from worker.kotak.codes import Action
from worker.orders.backoff import LEAST_WAIT_SECONDS, Retries
from worker.orders.policy import CancelPolicy
from worker.orders.verdict import Verdict


def retries(*, draw=lambda _, most: most, growth=2.0, most=None, **policy):
    return Retries(CancelPolicy(**({"backoff": 0.5, "backoff_most": 3.0} | policy)), draw, growth=growth, most=most)


@pytest.mark.parametrize(
    ("how", "pauses"),
    [
        ({}, [0.5, 1.0, 2.0, 3.0, 3.0]),
        ({"growth": 4.0}, [0.5, 2.0, 3.0, 3.0, 3.0]),
        ({"most": 1.5}, [0.5, 1.0, 1.5, 1.5, 1.5]),
        ({"most": 60.0}, [0.5, 1.0, 2.0, 3.0, 3.0]),
    ],
)
def test_each_pause_is_longer_up_to_the_most(how, pauses):
    """The policy's most is never exceeded."""
    tries = retries(**how)
    assert pauses == [tries.pause(60.0) for _ in range(5)]


def test_the_jitter_is_full():
    """Every pause is drawn between nothing and its ceiling."""
    drawn = []
    tries = retries(draw=lambda least, most: drawn.append((least, most)) or 0.25)
    assert [0.25, 0.25] == [tries.pause(60.0) for _ in range(2)]
    assert [(0.0, 0.5), (0.0, 1.0)] == drawn


@pytest.mark.parametrize(("wish", "seconds"), [(None, 0.5), (0.0, 0.0), (0.2, 0.5), (7.0, 7.0)])
def test_the_brokers_wish_is_the_least_and_none_at_all_is_at_once(wish, seconds):
    """0 is what a renewed session asks for."""
    assert seconds == retries().pause(60.0, Verdict(Action.RETRY, retry_after_seconds=wish))


@pytest.mark.parametrize(("remaining", "seconds"), [(10.0, 9.5), (1.0, 0.5), (0.4, 0.2), (0.015, LEAST_WAIT_SECONDS)])
def test_no_pause_lasts_through_the_last_chance(remaining, seconds):
    """Half a second before the deadline there is another try, and in the last second after half of what is left."""
    assert seconds == retries().pause(remaining, Verdict(Action.RETRY, retry_after_seconds=300.0))


@pytest.mark.parametrize("remaining", [LEAST_WAIT_SECONDS, 0.0, -5.0])
def test_without_time_there_is_no_other_try_for_good(remaining):
    """Asking again does not begin anew."""
    tries = retries()
    assert [None, None] == [tries.pause(remaining), tries.pause(60.0)]
