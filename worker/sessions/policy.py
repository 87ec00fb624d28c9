"""How often, how long and how many at once: the figures of logins."""

from dataclasses import dataclass

__all__ = ["LoginPolicy"]


@dataclass(frozen=True, slots=True)
class LoginPolicy:
    """Durations in seconds.

    `cool_down_seconds`: between the beginnings of two attempts of an account, all processes together; longer than the 30 s of a
    one-time code, so that two processes never send the same one. `lease_seconds`: how long the process that was let in may
    take to begin. `login_seconds`: how long a login may take. After a failure no other attempt is made for the distance, then
    for twice as long, and so on up to `longest_pause_seconds`, or `short_pause_seconds` where the broker was merely away;
    where it does not let this address in, for `blocked_seconds` from the first time on. After `most_wrong` wrong credentials
    there is none until they change. `at_once`: logins in a process.
    """

    cool_down_seconds: float = 45.0
    lease_seconds: float = 10.0
    login_seconds: float = 35.0
    longest_pause_seconds: float = 600.0
    short_pause_seconds: float = 90.0
    blocked_seconds: float = 300.0
    most_wrong: int = 3
    at_once: int = 16

    @property
    def held_seconds(self) -> float:
        """How long a login that has begun holds the lease: longer than it may take."""
        return self.login_seconds + 5.0

    def pauses(self, trouble: str) -> tuple[float, float]:
        """Answer the first pause after a trouble, and the longest one."""
        if trouble == "NOT_WHITELISTED":
            return self.blocked_seconds, max(self.blocked_seconds, self.longest_pause_seconds)
        longest = self.short_pause_seconds if trouble == "TRANSIENT" else self.longest_pause_seconds
        return self.cool_down_seconds, max(self.cool_down_seconds, longest)
