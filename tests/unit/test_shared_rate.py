"""The shared rate asks the ledger for accounts that have a rate, and for no others."""

import pytest

from tests.unit.ledger_fakes import ScriptedLedger
from worker.ledger.rate import SharedRateLimiter
from worker.observe.events import AccountSlowed


def limiter(rate: float, *answers):
    ledger, events = ScriptedLedger(*answers), []
    return SharedRateLimiter(ledger, lambda _: rate, events.append), ledger, events


async def test_an_account_without_a_rate_sends_at_once():
    rate, ledger, _ = limiter(0.0)
    assert ((3, 0.0), []) == (await rate.take("AB123", 3, is_risk=False), ledger.calls)
    assert not rate.is_limited("AB123")


@pytest.mark.parametrize(("is_risk", "lane"), [(True, "risk"), (False, "routine")])
async def test_sends_are_granted_by_the_ledger_and_the_wait_is_in_seconds(is_risk, lane):
    rate, ledger, _ = limiter(8.0, [1, 250_000])
    assert (1, 0.25) == await rate.take("AB123", 3, is_risk=is_risk)
    assert ("pace", [3, 8.0, lane]) == (ledger.calls[0].script.name, ledger.calls[0].arguments)
    assert rate.is_limited("AB123")


async def test_a_complaint_slows_the_account_down_for_all():
    rate, ledger, events = limiter(8.0, 50)
    await rate.slow_down("AB123")
    assert (["slow"], [AccountSlowed("AB123", 50)]) == (ledger.scripts(), events)


async def test_an_account_without_a_rate_is_not_slowed_down():
    rate, ledger, events = limiter(0.0)
    await rate.slow_down("AB123")
    assert ([], []) == (ledger.calls, events)
