"""The stand-in for the broker as the benchmark holds it: started, asked, emptied."""

import http.client
import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.peer import running_peer

__all__ = ["StandIn", "running_standin"]

_LOOK_SECONDS = 0.02


class StandIn:
    """A client of the stand-in's control calls."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def count(self) -> int:
        """How many orders were cancelled since the last reset."""
        return int(self._call("GET", "/control/count")["count"])

    def arrivals(self) -> dict[str, list[float]]:
        """When each order's cancels arrived, by the host's monotonic clock."""
        return self._call("GET", "/control/arrivals")

    def accounts(self) -> dict[str, int]:
        """How many orders of each account were cancelled since the last reset."""
        return self._call("GET", "/control/accounts")

    def reset(self) -> None:
        """Forget everything."""
        self._call("POST", "/control/reset")

    def wait_for(self, count: int, *, within_seconds: float) -> None:
        """Wait until that many orders were cancelled. Raises TimeoutError."""
        give_up_at = time.monotonic() + within_seconds
        while (seen := self.count()) < count:
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{seen} of {count} cancels arrived within {within_seconds:g} s")
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, method: str, path: str) -> dict[str, Any]:
        self._connection.request(method, path, headers={"content-length": "0"})
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer


@contextmanager
def running_standin(*, env: Mapping[str, str], log_path: Path) -> Generator[StandIn]:
    """Run a stand-in for as long as the block lasts."""
    with running_peer("tests.benchmarks.standin", env=env, log_path=log_path) as peer:
        broker = StandIn(peer.listen()["port"])
        try:
            yield broker
        finally:
            broker.close()
