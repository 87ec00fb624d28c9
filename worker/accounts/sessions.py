"""The accounts' sessions, from the accounts file: a login job writes it anew, and no worker is restarted for that."""

from worker.accounts.file import AccountsFile
from worker.kotak.replies import NoSessionError
from worker.kotak.session import Session

__all__ = ["FileSessions"]


class FileSessions:
    """See Sessions. A session changes with the file; one that is missing or refused is looked for there at once."""

    def __init__(self, file: AccountsFile) -> None:
        self._file = file
        self._sessions: dict[str, Session] = {}
        file.subscribe(self._sessions.clear)

    async def current(self, ucc: str) -> Session:
        """See Sessions."""
        session = self._known(ucc)
        if session is None:
            self._file.read_if_changed()
            session = self._known(ucc)
        if session is None:
            raise NoSessionError(ucc)
        return session

    async def renew(self, ucc: str, stale: Session) -> Session | None:
        """See Sessions. A new session is one that the file holds meanwhile."""
        if self._known(ucc) == stale:
            self._file.read_if_changed()
        session = self._known(ucc)
        return None if session == stale else session

    def _known(self, ucc: str) -> Session | None:
        session = self._sessions.get(ucc)
        if session is None and (account := self._file.accounts.get(ucc)) is not None:
            session = self._sessions[ucc] = Session(
                account.base_url, account.sid.get_secret_value(), account.auth.get_secret_value()
            )
        return session
