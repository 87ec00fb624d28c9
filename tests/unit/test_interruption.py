"""SIGTERM and Ctrl-C, asked for where stopping is safe."""

import os
import signal

import pytest

from worker.ops.interruption import InterruptedRunError, Interruption

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_is_noted_and_raised_where_it_is_asked_for(number):
    """Nothing is interrupted by the signal itself."""
    with Interruption() as interruption:
        interruption.check()
        os.kill(os.getpid(), number)
        assert interruption.requested
        with pytest.raises(InterruptedRunError):
            interruption.check()


def test_a_sleep_ends_with_a_signal():
    """An hour is not slept through."""
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        interruption.sleep(3600)


def test_a_sleep_without_a_signal_ends_by_itself():
    """And requests nothing."""
    with Interruption() as interruption:
        interruption.sleep(0.001)
        assert not interruption.requested


def test_after_the_block_signals_are_handled_as_before():
    """A block within a block gives the outer one its signals back."""
    with Interruption() as outer:
        with Interruption() as inner:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert (True, False) == (outer.requested, inner.requested)
