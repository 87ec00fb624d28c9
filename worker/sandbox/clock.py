"""The broker's clock: what its `Date` header says and what its TOTP check goes by."""

import time
from email.utils import formatdate
from typing import Annotated

from aiohttp import web
from pydantic import Field

from worker.sandbox.form import Form

__all__ = ["Clock", "ClockForm"]


Ahead = Annotated[float, Field(ge=-86_400, le=86_400)]


class ClockForm(Form):
    """How wrong the clocks are; seconds, negative is behind, all 0: they agree with this machine.

    `ahead_seconds`: the broker's clock is ahead of this machine, and `Date`, TOTP and the `exp` of tokens go by it, as
    they do where the machine of a worker is slow. `date_ahead_seconds`: the `Date` header alone is ahead by so much more.
    """

    ahead_seconds: Ahead = 0.0
    date_ahead_seconds: Ahead = 0.0


class Clock:
    """Tells the broker's time. `at_start` is what `clear` goes back to, None means that it is right."""

    def __init__(self, at_start: ClockForm | None = None) -> None:
        self._at_start = at_start or ClockForm()
        self.clear()

    def clear(self) -> None:
        """Go back to what was set at the start."""
        self.form = self._at_start

    def now(self) -> float:
        """Return the broker's time in epoch seconds."""
        return time.time() + self.form.ahead_seconds

    async def stamp(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Write the `Date` header; one that is right is left to the server."""
        ahead = self.form.ahead_seconds + self.form.date_ahead_seconds
        if ahead:
            response.headers["Date"] = formatdate(time.time() + ahead, usegmt=True)
