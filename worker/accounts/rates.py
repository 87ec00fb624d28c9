"""The accounts' order rates."""

from worker.accounts.file import AccountsFile

__all__ = ["Rates"]


class Rates:
    """Order calls per second: an account's own figure, else `default`. 0 is no limit."""

    def __init__(self, file: AccountsFile, default: float) -> None:
        self._file, self._default = file, default

    def of(self, ucc: str) -> float:
        """Answer an account's rate, as far as the file has been read; this never reads it."""
        account = self._file.accounts.get(ucc)
        rate = None if account is None else account.orders_per_second
        return self._default if rate is None else rate
