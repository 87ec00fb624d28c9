"""The accounts' order rates."""

from worker.accounts.wishes import WishesOf

__all__ = ["Rates"]


class Rates:
    """Order calls per second: an account's own figure, else `default`. 0 is no limit."""

    def __init__(self, file: WishesOf, default: float) -> None:
        self._file, self._default = file, default
        self._rates: dict[str, float] = {}
        file.subscribe(self._rates.clear)

    def of(self, ucc: str) -> float:
        """Answer an account's rate. It is asked for several times an order: only the first time may look at the file."""
        rate = self._rates.get(ucc)
        if rate is None:
            account = self._file.of(ucc)
            own = None if account is None else account.orders_per_second
            rate = self._rates[ucc] = self._default if own is None else own
        return rate
