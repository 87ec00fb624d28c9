"""The accounts' sessions, from the accounts file: a login job writes it anew, and no worker is restarted for that."""

from worker.accounts.file import AccountsFile
from worker.kotak.replies import NoSessionError
from worker.kotak.session import Session

__all__ = ["FileSessions"]


class FileSessions:
    """See Sessions. A new session in the file is used from the next call on; an account that it names no more has none."""

    def __init__(self, file: AccountsFile) -> None:
        self._file = file
        self._sessions: dict[str, Session] = {}
        file.subscribe(self._sessions.clear)

    async def current(self, ucc: str) -> Session:
        """See Sessions."""
        session = self._known(ucc)
        if session is None:
            raise NoSessionError(ucc)
        return session

    async def renew(self, ucc: str, stale: Session) -> Session | None:
        """See Sessions. A new session is one that the file holds meanwhile; the next look at it is not waited for."""
        if self._known(ucc) == stale:
            self._file.read_if_changed()
        session = self._known(ucc)
        return None if session == stale else session

    def _known(self, ucc: str) -> Session | None:
        session = self._sessions.get(ucc)
        if session is None and (account := self._file.of(ucc)) is not None and account.has_session:
            session = self._sessions[ucc] = Session(
                account.base_url, account.sid.get_secret_value(), account.auth.get_secret_value()
            )
        return session
