"""How the orders of each account are cancelled."""

from dataclasses import replace

from config.settings import Account
from neo_cancel.record import Status
from worker.accounts.file import AccountsFile
from worker.orders.policy import CancelPolicy

__all__ = ["Policies"]


class Policies:
    """The process's policy, with what an account sets for itself."""

    def __init__(self, file: AccountsFile, default: CancelPolicy) -> None:
        self._file, self._default = file, default
        self._policies: dict[str, CancelPolicy] = {}
        file.subscribe(self._policies.clear)

    def of(self, ucc: str) -> CancelPolicy:
        """Answer an account's policy. An account that is not known is looked for in the file, if that has changed."""
        policy = self._policies.get(ucc)
        if policy is None:
            if ucc not in self._file.accounts:
                # The first order of an account is judged by the account's own rules, too.
                self._file.read_if_changed()
            policy = self._policies[ucc] = self._made_of(self._file.accounts.get(ucc))
        return policy

    def is_watched(self, ucc: str, status: Status) -> bool:
        """Tell whether an order that ended so is still looked at until its trading day ends."""
        # What blocks an account passes: an order that ended so is sent when it has.
        return status in (Status.UNKNOWN, Status.BLOCKED) or (status is Status.REFUSED and self.of(ucc).watch_refused)

    def _made_of(self, account: Account | None) -> CancelPolicy:
        if account is None:
            return self._default
        own = {"verify": account.verify, "watch_refused": account.watch_refused}
        return replace(self._default, **{name: value for name, value in own.items() if value is not None})
