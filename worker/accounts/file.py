"""The accounts file: what it held when it was last read, and whether it has changed since."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from config.settings import Account, ConfigurationError, read_accounts
from worker.observe.events import AccountsUnreadable, Publish

__all__ = ["AccountsFile"]

Stamp = tuple[int, int, int, int]
"""Which file, its size, and when it changed: one that was put in another's place may have the other's size and time."""


class AccountsFile:
    """The accounts, as the file named them. It is looked at once a second (`watch`), and when an account is missed or refused.

    An account that is wrong in it goes on as it was, and the others are read; while there is no file, or one that cannot be read,
    all go on as they were. Either is published once, not at each look. Those that keep what they made of an account
    `subscribe` to changes.
    """

    def __init__(self, path: Path, publish: Publish) -> None:
        self._path, self._publish = path, publish
        self._stamp: Stamp | None = None
        self._complained_of: Stamp | str | None = None
        self._subscribers: list[Callable[[], None]] = []
        self.accounts: Mapping[str, Account] = {}

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called whenever `accounts` has been read anew."""
        self._subscribers.append(on_change)

    async def watch(self) -> None:
        """Read the file if it has changed; to be called again and again."""
        self.read_if_changed()

    def read_if_changed(self) -> None:
        """Read the file again unless it is the one that was read last. One that cannot be read changes nothing."""
        stamp: Stamp | None = None
        try:
            about = self._path.stat()
            stamp = about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
            if stamp == self._stamp:
                return
            accounts, complaints = read_accounts(self._path)
        except (ConfigurationError, OSError) as error:
            # A half-written file must not stop the accounts that work.
            self._complain([str(error)], stamp or str(error))
            return
        self._complain(complaints.values(), stamp)
        kept = {ucc: self.accounts[ucc] for ucc in complaints if ucc in self.accounts}
        self._stamp, self.accounts = stamp, accounts | kept
        for on_change in self._subscribers:
            on_change()

    def _complain(self, errors: Iterable[str], of: Stamp | str) -> None:
        if of != self._complained_of:
            for error in errors:
                self._complained_of = of
                self._publish(AccountsUnreadable(error, to_do=f"mend {self._path}"))
