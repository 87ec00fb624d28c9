"""The turns of one account that the rate limiter grants: asked for through the pacer, and used at their time."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from worker.orders.pacer import Pacer
from worker.orders.places import Places
from worker.orders.ports import TurnRequest, Turns
from worker.orders.waiting import RISK, ROUTINE

__all__ = ["AccountTurns", "Sending"]

_EARLY_SECONDS: Final = 0.003


class Sending(Protocol):
    """The account's queue: what waits there, and what may be sent."""

    @property
    def urgency(self) -> int | None:
        """The urgency of the next order, RISK or ROUTINE; None without one."""
        ...

    def count(self, urgency: int) -> int:
        """Count the orders of this urgency that may go now."""
        ...

    def free_places(self, urgency: int) -> int:
        """Count the calls that may be added for orders of this urgency; below 1 for none."""
        ...

    def may_send(self) -> bool:
        """Tell whether an order waits and nothing but the rate stands in its way."""
        ...

    def may_use_turn(self) -> bool:
        """Tell whether a turn that was granted can be used; that all places are taken meanwhile does not matter."""
        ...

    def send(self, granted_at: float) -> None:
        """Give the next order its turn; there must be one."""
        ...

    def give_turns(self) -> None:
        """Give turns as far as nothing stands in the way; what does has the queue looked at again when it is gone."""
        ...


class AccountTurns:
    """One account. It is an Asker: the pacer asks for its turns.

    `asked_for`: the urgency for which the pacer was told to ask, None while it need not. `reserved`: turns that were granted for
    a time that has not come. Accounts that ask because they may send at once are counted in `places`: of thousands only as
    many do as can be sent soon; those that wait for their own next time are not.
    """

    def __init__(self, ucc: str, sending: Sending, pacer: Pacer, places: Places, clock: Callable[[], float]) -> None:
        self._ucc, self._sending, self._pacer, self._places, self._clock = ucc, sending, pacer, places, clock
        self._reserved = 0
        self._asked_for: int | None = None
        self._is_asking = False

    @property
    def is_idle(self) -> bool:
        """Nothing is asked for, and no turn is to be used."""
        return self._asked_for is None and not self._reserved and not self._is_asking

    def ask(self, urgency: int) -> bool:
        """Have turns asked for now; say whether that is new.

        A wait until the next turn is cut short by nothing less than a more urgent order.
        """
        if self._wanted(urgency) <= 0 or not (self._asked_for is None or urgency < self._asked_for):
            return False
        if not self._places.may_ask(urgency):
            return False
        self._asked_for = urgency
        self._set_asking(True)
        self._pacer.want(self, asyncio.get_running_loop().time(), urgent=urgency == RISK)
        return True

    def request(self) -> TurnRequest | None:
        """See Asker."""
        urgency = self._sending.urgency
        if (
            urgency is None
            or not self._sending.may_send()
            or self._wanted(urgency) <= 0
            or not self._may_go_on(urgency)
        ):
            self._asked_for = None
            self._set_asking(False)
            self._sending.give_turns()  # has what stands in the way look here again
            return None
        self._asked_for = urgency
        self._set_asking(True)
        return TurnRequest(self._ucc, self._wanted(urgency), is_risk=urgency == RISK)

    def granted(self, request: TurnRequest, turns: Turns) -> None:
        """See Asker."""
        self._reserved += len(turns.at)
        for at in turns.at:
            self._use(at)
        self._set_asking(False)
        if self._asked_for == RISK and not request.is_risk:
            return  # a risk order came meanwhile, and is asked for next
        self._asked_for = None
        risk, routine = self._sending.count(RISK), self._sending.count(ROUTINE)
        if risk + routine > self._reserved:
            self._asked_for = RISK if risk > self._reserved else ROUTINE
            self._pacer.want(self, self._loop_time_of(turns.again_at), urgent=False)

    def _may_go_on(self, urgency: int) -> bool:
        # After an outage every account is due at once, and all would see the same free places.
        return self._is_asking or self._places.may_ask(urgency, is_due=True)

    def _wanted(self, urgency: int) -> int:
        """Count the turns that are worth asking for, beside those that are reserved: of risk orders alone if one is first."""
        wanted = min(self._sending.free_places(urgency), self._sending.count(urgency)) - self._reserved
        return max(wanted, 1) if urgency == RISK else wanted

    def _use(self, granted_at: float) -> None:
        # Asked again when the timer fires: a loop's own clock is that of when it woke up last.
        if (seconds := granted_at - self._clock()) > _EARLY_SECONDS:
            asyncio.get_running_loop().call_later(seconds, self._use, granted_at)
            return
        self._reserved -= 1
        if self._sending.may_use_turn():
            self._sending.send(granted_at)
        self._sending.give_turns()

    def _set_asking(self, is_asking: bool) -> None:
        if is_asking != self._is_asking:
            self._is_asking = is_asking
            self._places.count_asked(1 if is_asking else -1)

    def _loop_time_of(self, at: float) -> float:
        return asyncio.get_running_loop().time() + at - self._clock()
