"""The dead orders of an account that the book has shown today: no cancel need be sent for them."""

from collections.abc import Collection, Mapping

from worker.kotak.order_book import Row
from worker.orders.finding import LookResult, is_of_day
from worker.orders.job import Job
from worker.orders.trading_day import day_in_india, trading_day_begin

__all__ = ["KnownDead"]


class KnownDead:
    """Remembers dead rows until the day in India ends: order numbers are given out again. Times are the ledger's."""

    def __init__(self) -> None:
        self._found: dict[str, LookResult] = {}
        self._day = 0

    def learn(self, rows: Mapping[str, Row], dead: Collection[str], source: str, began_at: float) -> None:
        """Remember what a read shows, by `source` (see LookResult), that began then; `dead` names the rows to look at."""
        self._turn(began_at)
        day_began_at = trading_day_begin(began_at)
        for number in dead:
            if number in self._found or (row := rows[number]).state.is_alive:
                continue
            if is_of_day(row, day_began_at):
                self._found[number] = LookResult(row, source, began_at)

    def get(self, job: Job, now: float) -> LookResult | None:
        """Answer what showed that the order is dead; None where nothing did today."""
        result = self._found.get(job.order_number)
        if result is None:
            return None
        self._turn(now)
        if not self._found or not isinstance(result.finding, Row):
            return None
        return result if is_of_day(result.finding, job.day_began_at) else None

    def is_empty(self, now: float) -> bool:
        """Tell whether no dead order of this day is remembered."""
        self._turn(now)
        return not self._found

    def _turn(self, now: float) -> None:
        day = day_in_india(now)
        if day != self._day:
            self._found.clear()
            self._day = day
