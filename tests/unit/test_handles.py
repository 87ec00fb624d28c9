"""Handles and patience at their edges, with small stand-ins for what they ask."""

from collections.abc import Iterator

import pytest

from neo_cancel import AsyncOrderHandle, LedgerUnavailableError, OrderHandle, OrderRecord, Status
from neo_cancel.aio.ledger import AsyncLedger
from neo_cancel.sync.ledger import Ledger
from neo_cancel.waiting import Pending

NAME = "AB123:251015000123451"


class Hasty(Pending):
    """A waiter that leaves a server alone for no time at all."""

    @property
    def pause_seconds(self) -> float:
        return 0.0


class Away:
    """A read that fails as often as asked for, then answers."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> str:
        self.left -= 1
        if self.left >= 0:
            raise LedgerUnavailableError("away")
        return "back"

    async def awaited(self) -> str:
        return self()


async def test_a_wait_that_has_begun_outlives_a_server_that_is_away():
    waiting = Hasty([NAME], None)
    assert "back" == Ledger(None, "nowhere").retry_until_available(waiting, Away(3))
    assert "back" == await AsyncLedger(None, "nowhere").retry_until_available(waiting, Away(3).awaited)


def test_a_wait_says_once_that_the_server_is_away_and_once_that_it_is_back(caplog):
    waiting, ledger = Hasty([NAME], None), Ledger(None, "nowhere")
    ledger.retry_until_available(waiting, Away(3))
    ledger.retry_until_available(waiting, Away(0))
    assert ["away; the wait goes on", "Redis at nowhere answers again"] == caplog.messages
    ledger.retry_until_available(waiting, Away(1))
    assert 4 == len(caplog.messages)


async def test_a_wait_gives_up_when_its_time_is_up():
    over = Hasty([NAME], 0)
    with pytest.raises(LedgerUnavailableError):
        Ledger(None, "nowhere").retry_until_available(over, Away(3))
    with pytest.raises(LedgerUnavailableError):
        await AsyncLedger(None, "nowhere").retry_until_available(over, Away(3).awaited)


class Late:
    """Records of an order that became final between the last event and the last look."""

    record = OrderRecord(ucc="AB123", order_number="251015000123451", status=Status.FILLED, enqueued_at=0.0)

    def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        return self.record

    def read_records(self, names: object) -> list[OrderRecord | None]:
        return [self.record]

    def results(self, names: object, timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        return iter(())


class AsyncLate(Late):
    async def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        return self.record

    async def results(self, names: object, timeout_seconds: float | None = None):
        return
        yield


async def test_an_order_that_became_final_at_the_last_moment_is_no_time_out():
    assert Late.record == OrderHandle(Late(), "AB123", "251015000123451").wait(0)
    assert Late.record == await AsyncOrderHandle(AsyncLate(), "AB123", "251015000123451").wait(0)
