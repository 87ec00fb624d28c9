"""A small synchronous client for the sandbox's control API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import httpx

__all__ = ["SandboxControl", "SandboxError", "SandboxSession"]


Json = dict[str, Any]

_BAD_INPUT = 400


class SandboxError(Exception):
    """The sandbox refused a control call; `field` names the input at fault, empty when unknown."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class SandboxSession:
    """A session that is ready to trade: what a login would have given."""

    ucc: str
    base_url: str
    sid: str
    auth: str

    def __repr__(self) -> str:
        return f"SandboxSession(ucc={self.ucc!r}, base_url={self.base_url!r})"


class SandboxControl:
    """Speaks to the control API of a sandbox at `base_url` (its root).

    Every method raises SandboxError when the sandbox refuses, and httpx.HTTPError when it cannot be reached.
    Use it as a context manager, or call `close`.
    """

    def __init__(self, base_url: str, *, timeout_seconds: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(base_url=f"{self.base_url}/_sandbox/", timeout=timeout_seconds, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the sandbox runs on."""
        self._http.close()

    def create_account(self, ucc: str, **rules: Any) -> SandboxSession:
        """Create an account, or replace the rules and session of one (its orders stay).

        `rules`: orders_per_second, reads_per_second, mobile, access_token, mpin, totp_secret, cancel_pending_seconds,
        history_wrapped, and those of LoginRules.
        """
        return SandboxSession(**self._call("POST", "accounts", {"ucc": ucc} | rules))

    def create_orders(self, orders: Iterable[Mapping[str, Any]]) -> list[Json]:
        """Create orders, all or none; returns their truth in the order given."""
        return self._list("POST", "orders", "orders", [dict(order) for order in orders])

    def generate_orders(self, ucc: str, count: int, **alike: Any) -> list[Json]:
        """Create `count` orders alike, with generated numbers; `alike` as in create_orders."""
        return self._list("POST", "orders", "orders", {"generate": {"ucc": ucc, "count": count} | alike})

    def set_state(
        self, order_number: str, state: str, *, filled_quantity: int | None = None, reason: str | None = None
    ) -> Json:
        """Put an order into a state behind the API's back; None leaves quantity or reason; returns its truth."""
        form = {"order_number": order_number, "state": state, "filled_quantity": filled_quantity, "reason": reason}
        return self._call("POST", "orders/state", form)

    def truth(self, ucc: str | None = None) -> list[Json]:
        """Every order as it really is; None means of all accounts."""
        return self._list("GET", "truth", "orders", query={"ucc": ucc})

    def lookup(self, order_numbers: Iterable[str]) -> dict[str, Json]:
        """Return the truth of these orders by number; unknown ones are left out."""
        found = self._list("POST", "truth/lookup", "orders", {"order_numbers": list(order_numbers)})
        return {order["order_number"]: order for order in found}

    def requests(
        self, *, ucc: str | None = None, since: float | None = None, endpoint: str | None = None
    ) -> list[Json]:
        """Return the broker calls received, oldest first; `since` in epoch seconds, None means all."""
        query = {"ucc": ucc, "since": since, "endpoint": endpoint}
        return self._list("GET", "requests", "requests", query=query)

    def clear_requests(self) -> None:
        """Forget the calls received, and with them the statistics other than logins."""
        self._call("DELETE", "requests")

    def stats(self) -> Json:
        """Return counts: requests, endpoints, accounts, faults, logins, busiest_second."""
        return self._call("GET", "stats")

    def add_fault(self, fault: str, *, on: str, **parameters: Any) -> Json:
        """Put a fault in force; returns it with its name and hits."""
        return self._list("POST", "faults", "faults", {"fault": fault, "on": on} | parameters)[0]

    def add_faults(self, faults: Iterable[Mapping[str, Any]]) -> list[Json]:
        """Put many faults in force, all or none; each names its `fault` and `on` beside its parameters."""
        return self._list("POST", "faults", "faults", [dict(fault) for fault in faults])

    def faults(self) -> list[Json]:
        """Return the faults in force with their hits."""
        return self._list("GET", "faults", "faults")

    def clear_faults(self) -> None:
        """Drop every fault."""
        self._call("DELETE", "faults")

    def set_habits(self, *, ucc: str | None = None, order_number: str | None = None, **habits: float) -> None:
        """Put habits in force for an order, for an account, or, with neither, for all; see Habits for their names.

        They take the place of earlier ones for the same. What is not named here is 0, or as long as usual.
        """
        self.set_all_habits([{"ucc": ucc, "order_number": order_number} | habits])

    def set_all_habits(self, forms: Iterable[Mapping[str, Any]]) -> None:
        """Put many habits in force, all or none; each form may name its `ucc` or its `order_number`."""
        self._call("POST", "habits", [dict(form) for form in forms])

    def habits(self) -> list[Json]:
        """Return the habits in force; the first are those of all."""
        return self._list("GET", "habits", "habits")

    def clear_habits(self) -> None:
        """Go back to the habits of the sandbox's start."""
        self._call("DELETE", "habits")

    def presets(self) -> list[str]:
        """Return the names of the preset replies."""
        return cast("list[str]", self._call("GET", "presets")["presets"])

    def session(self, ucc: str) -> SandboxSession:
        """Return the account's newest session; SandboxError when it has none."""
        return SandboxSession(**self._call("GET", f"sessions/{ucc}"))

    def expire_session(self, ucc: str) -> int:
        """End every session of the account; returns how many were alive."""
        return cast("int", self._call("POST", "sessions/expire", {"ucc": ucc})["ended"])

    def renew_session(self, ucc: str) -> SandboxSession:
        """End every session of the account and give it a new one, without a login."""
        return SandboxSession(**self._call("POST", "sessions/expire", {"ucc": ucc, "issue": True}))

    def expire_sessions(self) -> int:
        """End every session of every account; returns how many were alive."""
        return cast("int", self._call("POST", "sessions/expire", {})["ended"])

    def unlock(self, ucc: str) -> None:
        """Let an account log in again that wrong MPINs have locked."""
        self._call("POST", "accounts/unlock", {"ucc": ucc})

    def logins(self, ucc: str) -> Json:
        """Return the counts of an account's logins, as LoginRecord has them, its `sessions` alive, and `is_locked`."""
        return cast("Json", self.all_logins()["accounts"][ucc])

    def all_logins(self) -> Json:
        """Return `accounts`, the logins of each, and `most_at_once`, the most login calls that were ever under way."""
        return self._call("GET", "logins")

    def set_clock(self, *, ahead_seconds: float = 0.0, date_ahead_seconds: float = 0.0) -> None:
        """Set how far the broker's clock, and in addition its `Date` header, are ahead of this machine; see ClockForm."""
        self._call("POST", "clock", {"ahead_seconds": ahead_seconds, "date_ahead_seconds": date_ahead_seconds})

    def reset(self) -> None:
        """Forget everything: accounts, orders, sessions, faults, habits and calls; the clock is as at the start."""
        self._call("POST", "reset")

    def _list(
        self, method: str, path: str, key: str, form: Any = None, query: Mapping[str, Any] | None = None
    ) -> list[Json]:
        return cast("list[Json]", self._call(method, path, form, query)[key])

    def _call(self, method: str, path: str, form: Any = None, query: Mapping[str, Any] | None = None) -> Json:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        reply = self._http.request(method, path, json=form, params=params)
        if reply.status_code == _BAD_INPUT:
            error = reply.json()["error"]
            raise SandboxError(error["message"], field=error["field"])
        if reply.is_error:
            raise SandboxError(f"{method} {reply.url.path}: HTTP {reply.status_code}")
        return cast("Json", reply.json())
