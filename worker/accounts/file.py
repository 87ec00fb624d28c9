"""The accounts file: what it held when it was last read, and whether it has changed since."""

import asyncio
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings import Account, ConfigurationError, FileUnavailableError, read_accounts
from worker.observe.events import AccountsExposed, AccountsUnreadable, Publish

__all__ = ["AccountsFile"]

_Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one reading gave. `stamp` None: the file could not be opened. `accounts` None: no account could be read.

    `open_mode`: the file's permissions, if others than its owner and group have some.
    """

    stamp: _Stamp | None
    accounts: Mapping[str, Account] | None
    complaints: Mapping[str, str]
    open_mode: int | None = None


class AccountsFile:
    """The accounts, as the file names them. It is read at the start, then whenever `watch` sees that it has changed.

    A file that is missing, cannot be opened or is no JSON changes nothing: what was known holds. An account that is wrong in
    it goes on as it was, and the others are read. An account that it names no more is not known any more. Each complaint
    is published once for each state of the file, and once that all users may read it. Those that keep what they made of an
    account `subscribe` to changes. To `http_hosts` a session may go without TLS, as it may to this machine.
    """

    def __init__(self, path: Path, publish: Publish, http_hosts: Collection[str] = ()) -> None:
        self._path, self._publish, self._http_hosts = path, publish, http_hosts
        self._accounts: Mapping[str, Account] = {}
        self._unknown: set[str] = set()
        self._stamp: _Stamp | None = None
        self._is_confirmed = self._warned = False
        self._told: set[tuple[_Stamp | None, str]] = set()
        self._subscribers: list[Callable[[], None]] = []

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called whenever the accounts have been read anew."""
        self._subscribers.append(on_change)

    def of(self, ucc: str) -> Account | None:
        """Answer an account; None where the file names none. An unknown one is looked for once in each state of the file."""
        account = self._accounts.get(ucc)
        if account is None and ucc not in self._unknown:
            self.read_if_changed()
            account = self._accounts.get(ucc)
            if account is None:
                self._unknown.add(ucc)
        return account

    def read_if_there(self) -> None:
        """Read the file at the start. One that is not there yet is no complaint before an account is looked for in it."""
        if _stamp_of(self._path) is not None:
            self.read_if_changed()

    def read_if_changed(self) -> None:
        """Read the file again, now, unless it is the one that was read last."""
        stamp = _stamp_of(self._path)
        if stamp is None or stamp != self._stamp:
            self._take(_read(self._path, stamp, self._http_hosts))

    async def watch(self) -> None:
        """See whether the file has changed; if it has, read it, in a thread: ten thousand accounts take 80 ms.

        A changed file is read once more at the next look. The clock of a file system may tick in steps of milliseconds, and
        what is written in the same step as what was read looks the same.
        """
        stamp = _stamp_of(self._path)
        if stamp is None:
            if self._accounts:
                self.read_if_changed()
        elif stamp != self._stamp or not self._is_confirmed:
            before = self._stamp
            reading = await asyncio.to_thread(_read, self._path, stamp, self._http_hosts)
            if before == self._stamp:  # else it was read meanwhile, perhaps in a newer state
                self._take(reading)

    def _take(self, reading: _Reading) -> None:
        self._is_confirmed = reading.stamp == self._stamp
        self._stamp = reading.stamp
        self._tell(reading.stamp, reading.complaints.values())
        if reading.accounts is None:
            return
        self._warn(reading.open_mode)
        wrong = reading.complaints.keys() - reading.accounts.keys()
        kept = {ucc: account for ucc, account in self._accounts.items() if ucc in wrong}
        self._accounts = {**reading.accounts, **kept}
        self._unknown.clear()
        for on_change in self._subscribers:
            on_change()

    def _tell(self, stamp: _Stamp | None, complaints: Iterable[str]) -> None:
        told, self._told = self._told, {(stamp, complaint) for complaint in complaints}
        for complaint in complaints:
            if (stamp, complaint) not in told:
                self._publish(AccountsUnreadable(complaint, to_do=f"mend {self._path}"))

    def _warn(self, open_mode: int | None) -> None:
        warned, self._warned = self._warned, open_mode is not None
        if open_mode is not None and not warned:
            rule = f"{self._path} must be for its owner alone, who may open it to a group: it has mode {open_mode:03o}"
            self._publish(AccountsExposed(rule, to_do=f"chmod 600 {self._path}"))


def _stamp_of(path: Path) -> _Stamp | None:
    """Answer what a change of the file changes, also one that keeps size and time of writing; None while there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_dev, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _read(path: Path, stamp: _Stamp | None, http_hosts: Collection[str]) -> _Reading:
    try:
        accounts, complaints = read_accounts(path, http_hosts)
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, FileUnavailableError) as error:
        return _Reading(None, None, {"": str(error)})
    except ConfigurationError as error:
        return _Reading(stamp, None, {"": str(error)})
    return _Reading(stamp, accounts, complaints, mode if mode & stat.S_IRWXO else None)
