"""The account's shared rate as the ledger keeps it: a window, a spacing for routine sends, a factor after complaints."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.loop import World
from tests.simulation.server import Server
from tests.simulation.truth import EPOCH
from worker.orders.ports import TurnRequest, Turns

__all__ = ["SharedRate"]

_SLACK: Final = 1.03
_READ_SLACK: Final = 1.1


@dataclass(slots=True)
class _Account:
    sends: deque[float] = field(default_factory=deque)
    risk_waits_until: float = 0.0
    paused_until: float = 0.0
    factor: float = 1.0
    slowed_at: float | None = None
    next_read_at: float = 0.0


class SharedRate:
    """Grants sends to all processes, by the rule that lua/pace.lua states: never more than the rate in any rolling second.

    A rate of 0: no limit.
    """

    def __init__(self, world: World, server: Server, rates: dict[str, float]) -> None:
        self._world, self._server, self._rates = world, server, rates
        self._accounts = {ucc: _Account() for ucc in rates}

    def is_limited(self, ucc: str) -> bool:
        return self._rates[ucc] > 0

    async def take(self, requests: Sequence[TurnRequest], *, ahead_seconds: float) -> list[Turns]:
        """Ask over the network; the grants are dated by the server."""
        return await self._server.ask(lambda: [self._take(one, ahead_seconds) for one in requests])

    def _take(self, request: TurnRequest, ahead: float) -> Turns:
        if not self.is_limited(request.ucc):
            return Turns((EPOCH + self._world.now,) * request.wanted, EPOCH + self._world.now)
        sends, wait = self._grant(request.ucc, request.wanted, ahead, is_risk=request.is_risk)
        return Turns(tuple(EPOCH + at for at in sends), EPOCH + self._world.now + wait)

    async def take_one(self, ucc: str, *, is_risk: bool) -> float:
        """Ask for a send that may leave at once: in how many seconds it is worth asking again, 0 where it is granted."""
        if not self.is_limited(ucc):
            return 0.0
        granted, wait = await self._server.ask(lambda: self._grant(ucc, 1, 0.0, is_risk=is_risk))
        return 0.0 if granted else wait

    async def take_read(self, ucc: str, per_second: float) -> float:
        """Reserve a read of the account's budget, which all processes share: in how many seconds it may begin."""
        return await self._server.ask(lambda: self._grant_read(ucc, per_second))

    def _grant_read(self, ucc: str, per_second: float) -> float:
        account, now = self._accounts[ucc], self._world.now
        at = max(now, account.next_read_at)
        account.next_read_at = at + _READ_SLACK / per_second
        return at - now

    async def slow_down(self, ucc: str, pause_seconds: float) -> None:
        """Halve the account's rate, at most twice a second; it comes back by a tenth a second. Nothing is sent in the pause."""
        if self.is_limited(ucc):
            await self._server.ask(lambda: self._slow(ucc, pause_seconds))

    def _slow(self, ucc: str, pause_seconds: float) -> None:
        account, now = self._accounts[ucc], self._world.now
        if account.slowed_at is None or now - account.slowed_at >= 0.5:
            account.factor, account.slowed_at = max(self._factor(account) / 2, 0.0625), now
        account.paused_until = max(account.paused_until, now + pause_seconds)

    def _factor(self, account: _Account) -> float:
        if account.slowed_at is None:
            return 1.0
        return min(1.0, account.factor + (self._world.now - account.slowed_at) / 10)

    def _grant(self, ucc: str, wanted: int, ahead: float, *, is_risk: bool) -> tuple[list[float], float]:
        account, now = self._accounts[ucc], self._world.now
        rate = self._rates[ucc] * self._factor(account)
        most = max(1, int(rate))
        window, interval = max(1.0, most / rate) * _SLACK, _SLACK / rate
        if now < account.paused_until:
            return [], account.paused_until - now
        if not is_risk and now < account.risk_waits_until:
            return [], interval
        sends, granted, wait = account.sends, list[float](), 0.0
        while len(granted) < wanted:
            at = max(now, sends[-most] + window) if len(sends) >= most else now
            if not is_risk and sends:
                at = max(at, sends[-1] + interval)
            wait = at - now
            if wait > ahead:
                break
            sends.append(at)
            granted.append(at)
            if len(sends) > 64:
                sends.popleft()
        if is_risk:
            account.risk_waits_until = now + wait + 0.2 if len(granted) < wanted else 0.0
        return granted, wait if len(granted) < wanted else 0.0
