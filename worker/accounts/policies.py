"""How the orders of each account are cancelled."""

from dataclasses import replace

from neo_cancel.record import Status
from worker.accounts.wishes import Wishes, WishesOf
from worker.orders.policy import CancelPolicy

__all__ = ["Policies"]


class Policies:
    """The process's policy, with what an account sets for itself.

    A change in the file holds for `watch_refused` from the next order that ends, for `verify` from the next order that begins:
    an order that is under way keeps the policy that it began with (Course).
    """

    def __init__(self, file: WishesOf, default: CancelPolicy) -> None:
        self._file, self._default = file, default
        self._policies: dict[str, CancelPolicy] = {}
        self._kinds: dict[tuple[bool | None, bool | None], CancelPolicy] = {}  # ten thousand accounts share a few
        file.subscribe(self._policies.clear)

    def of(self, ucc: str) -> CancelPolicy:
        """Answer an account's policy. It is asked for several times an order: only the first time may look at the file."""
        policy = self._policies.get(ucc)
        if policy is None:
            policy = self._policies[ucc] = self._made_of(self._file.of(ucc))
        return policy

    def is_watched(self, ucc: str, status: Status) -> bool:
        """Tell whether an order that ended so is still looked at until its trading day ends."""
        # What blocks an account passes: an order that ended so is sent when it has.
        return status in (Status.UNKNOWN, Status.BLOCKED) or (status is Status.REFUSED and self.of(ucc).watch_refused)

    def _made_of(self, account: Wishes | None) -> CancelPolicy:
        if account is None:
            return self._default
        wishes = account.verify, account.watch_refused
        if wishes not in self._kinds:
            own = dict(zip(("verify", "watch_refused"), wishes, strict=True))
            self._kinds[wishes] = replace(
                self._default, **{name: value for name, value in own.items() if value is not None}
            )
        return self._kinds[wishes]
