"""The sessions that this process has at hand, and those that the broker refused it."""

from collections.abc import Callable, Iterable
from typing import Final

from worker.kotak.session import Session
from worker.sessions.stored import Stored

__all__ = ["Shelf"]

_MOST_REFUSED: Final = 64


class Shelf:
    """Of each account the one session that is used, and the fences of those that are of no use.

    `at_hand` is looked into with every call to the broker; only this class changes it. `is_usable` tells whether a session may
    work from here.
    """

    def __init__(self, is_usable: Callable[[Stored], bool]) -> None:
        self._is_usable = is_usable
        self.at_hand: dict[str, Session] = {}
        self._held: dict[str, Stored] = {}
        self._refused: dict[str, set[int]] = {}

    @property
    def places(self) -> set[str]:
        """The addresses that the sessions at hand work from."""
        return {stored.place for stored in self._held.values()}

    def refused(self, ucc: str) -> set[int]:
        """Answer the fences of an account's sessions that are of no use."""
        return self._refused.get(ucc, set())

    def held(self, ucc: str) -> Stored | None:
        """Answer what is known of the account's session at hand; None where there is none."""
        return self._held.get(ucc) if ucc in self.at_hand else None

    def put(self, stored: Stored) -> None:
        """Use this session from now on, unless there is a newer one from the same address at hand."""
        held = self.held(stored.ucc)
        is_older = held is not None and held.place == stored.place and held.fence > stored.fence
        if stored.session is not None and not is_older:
            self._held[stored.ucc], self.at_hand[stored.ucc] = stored, stored.session

    def offer(self, ucc: str, found: Iterable[Stored]) -> None:
        """Use the newest of some sessions, if there is none at hand, or the one at hand was replaced at its address."""
        held, refused = self.held(ucc), self.refused(ucc)
        good = [one for one in found if one.fence not in refused and self._is_usable(one)]
        if held is not None and self._is_usable(held):
            good = [one for one in good if one.place == held.place and one.fence > held.fence]
        if good:
            self.put(max(good, key=lambda one: one.fence))

    def refuse(self, ucc: str, session: Session) -> None:
        """Use this session no more: the broker refused it. One that is not at hand any more is known already."""
        held = self._held.get(ucc)
        if held is not None and held.session == session:
            self.retire(ucc)
            self.at_hand.pop(ucc, None)

    def retire(self, ucc: str) -> None:
        """Use the session at hand until there is another, which is needed now."""
        if (held := self._held.get(ucc)) is not None:
            refused = self._refused.setdefault(ucc, set())
            refused.add(held.fence)
            if len(refused) > _MOST_REFUSED:
                refused.discard(min(refused))

    def drop(self, ucc: str) -> None:
        """Use the account's session no more, without a word against it."""
        self.at_hand.pop(ucc, None)
