"""The accounts' order rates."""

from worker.accounts.file import AccountsFile

__all__ = ["Rates"]


class Rates:
    """Order calls per second: an account's own figure, else `default`. 0 is no limit."""

    def __init__(self, file: AccountsFile, default: float) -> None:
        self._file, self._default = file, default
        self._rates: dict[str, float] = {}
        file.subscribe(self._rates.clear)

    def of(self, ucc: str) -> float:
        """Answer an account's rate. An account that is not known is looked for in the file, if that has changed."""
        rate = self._rates.get(ucc)
        if rate is None:
            if ucc not in self._file.accounts:
                # The first order of an account that was added a moment ago must not go at another account's rate.
                self._file.read_if_changed()
            rate = self._rates[ucc] = self._made_of(ucc)
        return rate

    def _made_of(self, ucc: str) -> float:
        account = self._file.accounts.get(ucc)
        rate = None if account is None else account.orders_per_second
        return self._default if rate is None else rate
