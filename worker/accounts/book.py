"""The accounts that a person writes down with their credentials: what the file says now."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from config.credentials import AccountsToml, Credentials, read_accounts_toml
from worker.observe.events import AccountsUnreadable, Publish

__all__ = ["AccountsBook"]

_Stamps = tuple[tuple[int, ...] | None, ...]
_NOTHING: Final = AccountsToml({}, {})


class AccountsBook:
    """The file is read at the start, then whenever `watch` sees that it, or a file that a secret stands in, has changed.

    A file that is missing, or of which no account can be read, changes nothing: what was known holds. An account that is wrong in
    it goes on as it was. Each complaint is published once for each state of the files, never with a value. `environ` is where
    secrets may stand, too.
    """

    def __init__(self, path: Path, environ: Mapping[str, str], publish: Publish) -> None:
        self._path, self._environ, self._publish = path, environ, publish
        self._accounts: Mapping[str, Credentials] = {}
        self._reading, self._stamps = _NOTHING, _Stamps()
        self._told: set[str] = set()
        self._subscribers: list[Callable[[], None]] = []

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called whenever the accounts have been read anew."""
        self._subscribers.append(on_change)

    def of(self, ucc: str) -> Credentials | None:
        """Answer an account; None where the file names none."""
        return self._accounts.get(ucc)

    def all(self) -> Collection[Credentials]:
        """Answer all accounts."""
        return self._accounts.values()

    def read_if_there(self) -> None:
        """Read the file at the start; that there is none is no complaint."""
        if self._path.exists():
            self._take(read_accounts_toml(self._path, self._environ))
            self._stamps = self._stamps_now()

    async def watch(self) -> None:
        """See whether a file has changed; if one has, read them, in a thread: ten thousand accounts take half a second."""
        stamps = self._stamps_now()
        if stamps == self._stamps or stamps[0] is None:
            return
        reading = await asyncio.to_thread(read_accounts_toml, self._path, self._environ)
        self._stamps = stamps
        self._take(reading)

    def _stamps_now(self) -> _Stamps:
        return tuple(map(_stamp_of, [self._path, *sorted(self._reading.files)]))

    def _take(self, reading: AccountsToml) -> None:
        self._reading = reading
        self._tell(reading.complaints.values())
        if reading.accounts is None:
            return
        kept = {ucc: self._accounts[ucc] for ucc in reading.complaints if ucc in self._accounts}
        self._accounts = {**kept, **reading.accounts}
        for on_change in self._subscribers:
            on_change()

    def _tell(self, complaints: Iterable[str]) -> None:
        told, self._told = self._told, set(complaints)
        for complaint in sorted(self._told - told):
            self._publish(AccountsUnreadable(complaint, to_do=f"mend {self._path}"))


def _stamp_of(path: Path) -> tuple[int, ...] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_dev, about.st_size, about.st_mtime_ns, about.st_ctime_ns
