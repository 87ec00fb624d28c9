"""The account's shared rate as the ledger keeps it: a window, a spacing for routine sends, a factor after complaints."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.loop import World
from tests.simulation.server import Server

__all__ = ["SharedRate"]

_SLACK: Final = 1.03
_READ_SLACK: Final = 1.1


@dataclass(slots=True)
class _Account:
    sends: deque[float] = field(default_factory=deque)
    risk_waits_until: float = 0.0
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

    async def take(self, ucc: str, wanted: int, *, is_risk: bool) -> tuple[int, float]:
        """Ask over the network; the grant is dated by the server."""
        if not self.is_limited(ucc):
            return wanted, 0.0
        return await self._server.ask(lambda: self._grant(ucc, wanted, is_risk=is_risk))

    async def take_read(self, ucc: str, per_second: float) -> float:
        """Reserve a read of the account's budget, which all processes share: in how many seconds it may begin."""
        return await self._server.ask(lambda: self._grant_read(ucc, per_second))

    def _grant_read(self, ucc: str, per_second: float) -> float:
        account, now = self._accounts[ucc], self._world.now
        at = max(now, account.next_read_at)
        account.next_read_at = at + _READ_SLACK / per_second
        return at - now

    async def slow_down(self, ucc: str) -> None:
        """Halve the account's rate, at most twice a second; it comes back by a tenth a second."""
        if self.is_limited(ucc):
            await self._server.ask(lambda: self._slow(ucc))

    def _slow(self, ucc: str) -> None:
        account, now = self._accounts[ucc], self._world.now
        if account.slowed_at is None or now - account.slowed_at >= 0.5:
            account.factor, account.slowed_at = max(self._factor(account) / 2, 0.0625), now

    def _factor(self, account: _Account) -> float:
        if account.slowed_at is None:
            return 1.0
        return min(1.0, account.factor + (self._world.now - account.slowed_at) / 10)

    def _grant(self, ucc: str, wanted: int, *, is_risk: bool) -> tuple[int, float]:
        account, now = self._accounts[ucc], self._world.now
        rate = self._rates[ucc] * self._factor(account)
        most = max(1, int(rate))
        window, interval = max(1.0, most / rate) * _SLACK, _SLACK / rate
        if not is_risk and now < account.risk_waits_until:
            return 0, interval
        granted, wait = 0, 0.0
        while granted < wanted:
            sends = account.sends
            wait = sends[-most] + window - now if len(sends) >= most else 0.0
            slot = now
            if not is_risk and sends:
                wait = max(wait, sends[-1] + interval - now)
                slot = max(sends[-1] + interval, now - 0.01)
            if wait > 0:
                break
            sends.append(slot)
            granted += 1
            if len(sends) > 64:
                sends.popleft()
        if is_risk:
            account.risk_waits_until = now + wait + 0.2 if granted < wanted else 0.0
        return granted, max(wait, 0.0)
