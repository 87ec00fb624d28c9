"""The shared rate asks the ledger for accounts that have a rate, and for no others."""

from tests.unit.ledger_fakes import ScriptedLedger
from worker.ledger.rate import SharedRateLimiter
from worker.observe.events import AccountSlowed
from worker.orders.ports import TurnRequest, Turns

NOW_US = 1_784_700_000_000_000


def limiter(rate, *answers):
    ledger, events = ScriptedLedger(*answers), []
    return SharedRateLimiter(ledger, rate if callable(rate) else lambda _: rate, events.append), ledger, events


async def test_an_account_without_a_rate_sends_at_once():
    rate, ledger, _ = limiter(0.0)
    (turns,) = await rate.take([TurnRequest("AB123", 3, is_risk=False)], ahead_seconds=0.03)
    assert (3, []) == (len(turns.at), ledger.calls)
    assert not rate.is_limited("AB123")


async def test_all_accounts_are_asked_for_in_one_call_and_times_are_seconds():
    rates = {"AB123": 8.0, "FREE1": 0.0, "CD456": 2.5}
    granted = [b"1784700000000000", [b"250000", b"1784700000010000"], [b"0", b"1784700000000000", b"1784700000400000"]]
    rate, ledger, _ = limiter(rates.get, granted)
    requests = [
        TurnRequest("AB123", 3, is_risk=True),
        TurnRequest("FREE1", 1, is_risk=False),
        TurnRequest("CD456", 2, is_risk=False),
    ]
    first, free, last = await rate.take(requests, ahead_seconds=0.03)
    assert Turns((1_784_700_000.01,), 1_784_700_000.25) == first
    assert (1, 2) == (len(free.at), len(last.at))
    (call,) = ledger.calls
    assert ("pace", 2) == (call.script.name, len(call.keys))
    assert [3, 8.0, "risk", 2, 2.5, "routine"] == list(call.arguments)[2:]
    assert 30_000 == call.arguments[0]


async def test_very_many_accounts_are_asked_for_in_several_calls():
    answer = [str(NOW_US)]
    rate, ledger, _ = limiter(8.0, *([[*answer, *[[0, NOW_US]] * 100]] * 2), [*answer, *[[0, NOW_US]] * 50])
    requests = [TurnRequest(f"AB{n:03}", 1, is_risk=False) for n in range(250)]
    turns = await rate.take(requests, ahead_seconds=0.0)
    assert ([100, 100, 50], 250) == ([len(call.keys) for call in ledger.calls], len(turns))


async def test_a_complaint_slows_the_account_down_for_all_and_its_pause_holds_for_all():
    rate, ledger, events = limiter(8.0, 50)
    await rate.slow_down("AB123", 2.5)
    assert (["slow"], [AccountSlowed("AB123", 50)]) == (ledger.scripts(), events)
    assert [2_500_000] == list(ledger.calls[0].arguments)


async def test_an_account_without_a_rate_is_not_slowed_down():
    rate, ledger, events = limiter(0.0)
    await rate.slow_down("AB123", 1.0)
    assert ([], []) == (ledger.calls, events)
