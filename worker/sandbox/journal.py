"""Every request the broker received, with its time and what was answered."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

__all__ = ["CANCELS", "TARGETS", "Call", "Journal", "Target"]


Endpoint = Literal["regular", "bracket", "cover", "orders", "order", "history", "login", "validate", "client_ip"]
Target = Endpoint | Literal["cancel", "reads", "totp", "any"]

CANCELS: frozenset[Endpoint] = frozenset({"regular", "bracket", "cover"})
READS: frozenset[Endpoint] = frozenset({"orders", "order", "history"})
_LOGINS: frozenset[Endpoint] = frozenset({"login", "validate"})
_ALL: frozenset[Endpoint] = frozenset(get_args(Endpoint))
TARGETS: dict[str, frozenset[Endpoint]] = {
    **{endpoint: frozenset({endpoint}) for endpoint in _ALL},
    "cancel": CANCELS,
    "reads": READS,
    "login": _LOGINS,
    # The first of the two calls alone; the second is `validate`.
    "totp": frozenset({"login"}),
    "any": _ALL,
}


@dataclass(slots=True)
class Call:
    """One request: `monotonic` and `epoch` are seconds, taken when its handler started.

    `status` and `st_code` stay None while no reply was sent, for good after a cut connection.
    """

    endpoint: Endpoint
    monotonic: float = field(default_factory=time.monotonic)
    epoch: float = field(default_factory=time.time)
    ucc: str | None = None
    order_number: str | None = None
    status: int | None = None
    st_code: int | str | None = None
    faults: list[str] = field(default_factory=list[str])

    def as_json(self) -> dict[str, Any]:
        """Return the call as the control API shows it; several faults are joined by `+`, None means none."""
        return {
            "endpoint": self.endpoint,
            "monotonic": self.monotonic,
            "epoch": self.epoch,
            "ucc": self.ucc,
            "order_number": self.order_number,
            "status": self.status,
            "st_code": self.st_code,
            "fault": "+".join(self.faults) or None,
        }


class Journal:
    """The calls in the order in which they came."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def arrive(self, endpoint: Endpoint) -> Call:
        """Note a call that came in just now."""
        call = Call(endpoint)
        self._calls.append(call)
        return call

    def clear(self) -> None:
        """Forget every call."""
        self._calls = []

    def calls(self, *, ucc: str | None, since: float | None, endpoint: str | None) -> list[Call]:
        """Return the calls of an account, at or after an epoch time, to a group of endpoints; None means all."""
        wanted = TARGETS[endpoint or "any"]
        return [
            call
            for call in self._calls
            if call.endpoint in wanted and (ucc is None or call.ucc == ucc) and (since is None or call.epoch >= since)
        ]

    def stats(self) -> dict[str, Any]:
        """Return counts per endpoint, account and fault, and each account's busiest second of cancels."""
        cancel_times: defaultdict[str, list[float]] = defaultdict(list)
        for call in self._calls:
            if call.endpoint in CANCELS and call.ucc is not None:
                cancel_times[call.ucc].append(call.monotonic)
        return {
            "requests": len(self._calls),
            "endpoints": Counter(call.endpoint for call in self._calls),
            "accounts": Counter(call.ucc for call in self._calls if call.ucc is not None),
            "faults": Counter(fault for call in self._calls for fault in call.faults),
            "busiest_second": {ucc: busiest_second(times) for ucc, times in cancel_times.items()},
        }


def busiest_second(times: Iterable[float]) -> int:
    """Return the most calls in any rolling second; a call exactly one second after another is not in its second."""
    window: list[float] = []
    start = best = 0
    for moment in sorted(times):
        window.append(moment)
        while moment - window[start] >= 1.0:
            start += 1
        best = max(best, len(window) - start)
    return best
