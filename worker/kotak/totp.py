"""TOTP codes (RFC 6238): each is used once, and never when it is about to run out."""

import asyncio
import base64
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from pydantic import SecretStr
from pyotp.totp import TOTP

__all__ = ["TotpCodes"]

_WINDOW: Final = 30
_TOO_LATE: Final = 3
"""A code that is so few seconds from its end would be old when it gets to the broker."""
_WINDOWS_KEPT: Final = 10


class TotpCodes:
    """Makes the codes of this process. `clock` is seconds since the epoch, `sleep` waits for so many of them."""

    def __init__(
        self, clock: Callable[[], float] = time.time, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        # As they were used, not the highest one: a clock that was set back may use what it has not used yet.
        self._used: dict[SecretStr, deque[int]] = {}

    async def next_code(self, secret: SecretStr) -> str:
        """Answer a code that this process has not answered before, once its window has come.

        That takes up to 30 s for each caller before this one. A cancelled wait uses no code. `secret` is base32; ValueError,
        which does not show it, is raised where it is not.
        """
        used = self._used.setdefault(secret, deque(maxlen=_WINDOWS_KEPT))
        while True:
            window, age = divmod(self._clock(), _WINDOW)
            if age < _WINDOW - _TOO_LATE and window not in used:
                code = _code(secret, int(window))
                used.append(int(window))
                return code
            await self._sleep(_WINDOW - age)


class _Totp(TOTP):
    """pyotp refuses secrets below 112 bits; the usual one of 16 characters has 80, and the broker chooses it."""

    def byte_secret(self) -> bytes:
        padding = "=" * (-len(self.secret) % 8)
        return base64.b32decode(self.secret + padding, casefold=True)


def _code(secret: SecretStr, window: int) -> str:
    return _Totp(secret.get_secret_value()).at(window * _WINDOW)
