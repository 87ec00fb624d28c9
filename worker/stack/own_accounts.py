"""The accounts file that the stack writes for its sandbox: marked as its own, and only that ever replaced or removed."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from config.settings import ConfigurationError, load_accounts
from worker.ops.private import write_private
from worker.sandbox.control import SandboxSession
from worker.stack.accounts import write_accounts

__all__ = ["OwnAccounts"]


class OwnAccounts:
    """The file at `path`, and beside it a mark: a digest of each session that the stack has written there.

    The file is the stack's own while every session in it is one of these. A real session is none, wherever its broker
    is reached; one real account makes the whole file real.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = path.with_name(f"{path.name}.sandbox")
        self._is_written = False

    @property
    def are_there(self) -> bool:
        """Whether there is a file that is the stack's own; False for one that cannot be read."""
        try:
            written = self.mark.read_text().split()
            accounts = load_accounts(self.path)
        except (OSError, ValueError, ConfigurationError):
            return False
        digests = [_digest(account.auth.get_secret_value()) for account in accounts.values()]
        return bool(digests) and set(digests) <= set(written)

    @property
    def may_be_written(self) -> bool:
        """Whether there is no file, or an own one."""
        return not self.path.exists() or self.are_there

    def write(self, sessions: Iterable[SandboxSession]) -> None:
        """Write the sessions in place of an earlier run's. Raises ConfigurationError where a real file has come up."""
        if not self.may_be_written:
            raise ConfigurationError(f"accounts file {self.path} was written by another process: start again to use it")
        sessions, self._is_written = list(sessions), True
        # First without a file: an own one beside the mark of other sessions would look real.
        self.remove()
        write_private(self.mark, "".join(f"{_digest(session.auth)}\n" for session in sessions))
        write_accounts(self.path, sessions)

    def remove(self) -> None:
        """Remove the file if it is an own one, and the mark. Does nothing unless this object has written."""
        if not self._is_written:
            return
        if self.are_there:
            self.path.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
