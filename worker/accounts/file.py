"""The accounts file: what it held when it was last read, and whether it has changed since."""

from collections.abc import Callable, Mapping
from pathlib import Path

from config.settings import Account, ConfigurationError, load_accounts
from worker.observe.events import AccountsUnreadable, Publish

__all__ = ["AccountsFile"]


class AccountsFile:
    """The accounts, as the file named them. It is read when one is missed or refused, not before, and only if it has changed.

    Those that keep what they made of an account `subscribe` to changes.
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
            accounts = load_accounts(self._path)
        except (ConfigurationError, OSError) as error:
            # A half-written file must not stop the accounts that work.
            self._publish(AccountsUnreadable(str(error), to_do=f"mend {self._path}"))
            return
        self._stamp, self.accounts = stamp, accounts
        for on_change in self._subscribers:
            on_change()
