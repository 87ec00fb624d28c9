"""What keeps an account from sending."""

import asyncio

from worker.orders.verdict import Verdict

__all__ = ["AccountStop"]


class AccountStop:
    """What keeps an account from sending: a pause that the broker asked for, or a refusal of all that comes from here."""

    def __init__(self, blocked_seconds: float) -> None:
        self._blocked_seconds = blocked_seconds
        self._paused_until = self._blocked_until = 0.0
        self._verdict: Verdict | None = None

    @property
    def paused_seconds(self) -> float:
        """How long the pause still lasts; 0 for none."""
        return max(0.0, self._paused_until - asyncio.get_running_loop().time())

    @property
    def blocked(self) -> Verdict | None:
        """The verdict that blocked the account, while it answers without a call; else None."""
        return self._verdict if asyncio.get_running_loop().time() < self._blocked_until else None

    @property
    def is_over(self) -> bool:
        """Nothing keeps the account from sending."""
        return not self.paused_seconds and self.blocked is None

    def pause(self, seconds: float) -> None:
        """Let the account send nothing for so many seconds."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def block(self, verdict: Verdict) -> None:
        """Answer with this verdict instead of calls, for a few seconds."""
        self._verdict = verdict
        self._blocked_until = asyncio.get_running_loop().time() + self._blocked_seconds
