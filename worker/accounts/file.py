"""The accounts file: what it held when it was last read, and whether it has changed since."""

from collections.abc import Callable, Mapping
from pathlib import Path

from config.settings import Account, ConfigurationError, read_accounts
from worker.observe.events import AccountsUnreadable, Publish

__all__ = ["AccountsFile"]


class AccountsFile:
    """The accounts, as the file named them. It is read when one is missed or refused, not before, and only if it has changed.

    An account that is wrong in it goes on as it was, and the others are read. Those that keep what they made of an account
    `subscribe` to changes.
    """

    def __init__(self, path: Path, publish: Publish) -> None:
        self._path, self._publish = path, publish
        self._stamp: tuple[int, int] | None = None
        self._subscribers: list[Callable[[], None]] = []
        self.accounts: Mapping[str, Account] = {}

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called whenever `accounts` has been read anew."""
        self._subscribers.append(on_change)

    def read_if_changed(self) -> None:
        """Read the file again unless it is the one that was read last. One that cannot be read changes nothing."""
        try:
            about = self._path.stat()
            stamp = about.st_mtime_ns, about.st_size
            if stamp == self._stamp:
                return
            accounts, complaints = read_accounts(self._path)
        except (ConfigurationError, OSError) as error:
            # A half-written file must not stop the accounts that work.
            self._complain(str(error))
            return
        for complaint in complaints.values():
            self._complain(complaint)
        kept = {ucc: self.accounts[ucc] for ucc in complaints if ucc in self.accounts}
        self._stamp, self.accounts = stamp, accounts | kept
        for on_change in self._subscribers:
            on_change()

    def _complain(self, error: str) -> None:
        self._publish(AccountsUnreadable(error, to_do=f"mend {self._path}"))
