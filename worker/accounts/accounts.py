"""Sessions and rates of the accounts, from the accounts file, read again when it changes."""

from pathlib import Path

from config.settings import Account, ConfigurationError, Settings, load_accounts
from neo_cancel.record import Status
from worker.kotak.session import NoSessionError, Session
from worker.observe.log import Log
from worker.orders.policy import CancelPolicy

__all__ = ["Accounts"]


class Accounts:
    """What this process knows of each account. Whoever logs in writes the file anew; nobody need restart a worker."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings, self._log = settings, log
        self._path: Path = settings.accounts_file
        self._stamp: tuple[int, int] | None = None
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[str, Session] = {}
        self._policies: dict[str, CancelPolicy] = {}

    async def current(self, ucc: str) -> Session:
        """See Sessions."""
        session = self._sessions.get(ucc)
        if session is None:
            self._read_if_changed()
            session = self._sessions.get(ucc)
        if session is None:
            raise NoSessionError(ucc)
        return session

    async def renew(self, ucc: str, stale: Session) -> Session | None:
        """See Sessions: a new session is one that somebody has written into the file meanwhile."""
        if self._sessions.get(ucc) == stale:
            self._read_if_changed()
        session = self._sessions.get(ucc)
        return None if session == stale else session

    def rate_of(self, ucc: str) -> float:
        """Order calls per second; 0 is no limit."""
        account = self._accounts.get(ucc)
        rate = None if account is None else account.orders_per_second
        return self._settings.orders_per_second if rate is None else rate

    def policy_of(self, ucc: str) -> CancelPolicy:
        """How an order of the account is cancelled."""
        policy = self._policies.get(ucc)
        if policy is None:
            if ucc not in self._accounts:
                # The first order of an account is judged by the account's own rules, too.
                self._read_if_changed()
            account, settings = self._accounts.get(ucc), self._settings
            policy = self._policies[ucc] = CancelPolicy(
                window=settings.verification_window,
                verify=settings.verify if account is None or account.verify is None else account.verify,
                backoff=settings.backoff,
                backoff_most=settings.backoff_most,
                watch_refused=settings.watch_refused
                if account is None or account.watch_refused is None
                else account.watch_refused,
            )
        return policy

    def is_watched(self, ucc: str, status: Status) -> bool:
        """Whether an order that ended so is still looked at until the trading day ends."""
        if status in (Status.REFUSED, Status.BLOCKED):
            return self.policy_of(ucc).watch_refused
        return status is Status.UNKNOWN

    def _read_if_changed(self) -> None:
        try:
            about = self._path.stat()
            stamp = about.st_mtime_ns, about.st_size
            if stamp == self._stamp:
                return
            accounts = load_accounts(self._path)
        except (ConfigurationError, OSError) as error:
            # What was known stays in force: a half-written file must not stop the accounts that work.
            self._log.error("accounts file not readable", error=str(error), to_do=f"mend {self._path}")
            return
        self._stamp, self._accounts = stamp, accounts
        self._policies.clear()
        self._sessions = {
            ucc: Session(account.base_url, account.sid.get_secret_value(), account.auth.get_secret_value())
            for ucc, account in accounts.items()
        }
