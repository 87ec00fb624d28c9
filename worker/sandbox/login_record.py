"""What the broker knows of an account's logins."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from worker.sandbox.totp import totp_step

__all__ = ["LoginRecord", "UnderWay"]


Event = Literal[
    "attempts", "accepted", "logins", "wrong_credentials", "wrong_totp", "reused_totp", "wrong_mpin", "locked",
    "replaced", "pushed_out", "foreign_ip", "not_whitelisted",
]  # fmt: skip


@dataclass(slots=True)
class UnderWay:
    """How many login calls are under way, and the most that ever were."""

    now: int = 0
    most: int = 0

    @contextmanager
    def one_more(self) -> Generator[None]:
        """Count a call for as long as the block lasts."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield
        finally:
            self.now -= 1


@dataclass(slots=True)
class LoginRecord:
    """An account's logins. `wrong_mpins` are those since the last good one.

    `counts`: `attempts` are first calls that came in, those that a fault answered included, `accepted` those that were
    good, and `logins` second calls that were good. `wrong_...`, `reused_totp` and `locked` are refusals of a login.
    `replaced` and `pushed_out` are sessions that a login ended: of its own address, of another one. `foreign_ip` and
    `not_whitelisted` are calls of a session that were refused with 1037 and 100008.
    """

    counts: Counter[Event] = field(default_factory=Counter[Event])
    wrong_mpins: int = 0
    used_totp: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    under_way: UnderWay = field(default_factory=UnderWay)

    def use_totp(self, secret: str, code: str, now: float, drift: int) -> bool:
        """Take a code if it is good at `now` (epoch seconds) and was never taken before; counts a refusal."""
        step = totp_step(secret, code, now, drift=drift)
        if step is None or (secret, step) in self.used_totp:
            self.counts["wrong_totp" if step is None else "reused_totp"] += 1
            return False
        self.used_totp.add((secret, step))
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the counts as the control API shows them."""
        return {event: self.counts[event] for event in get_args(Event)} | {"most_at_once": self.under_way.most}
