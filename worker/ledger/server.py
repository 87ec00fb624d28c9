"""Which server process the connections lead to, and when it began."""

import re
from typing import Any, Final

__all__ = ["Server"]

_INFO_LINE: Final = re.compile(rb"(\w+):([^\r\n]*)")


class Server:
    """`started_ms` is when the server process that was reached last began, by its own clock; 0 before the first connection.

    What was written before that may be forgotten: a restart can cost the last second, a failover what was not yet copied.
    """

    def __init__(self) -> None:
        self.started_ms = 0
        self._run_id: bytes | None = None

    async def greet(self, connection: Any) -> None:
        """Ask a new redis-py connection where it leads. It runs before the connection's first command, after a restart, too."""
        await connection.send_command("INFO", "server")
        about = dict(_INFO_LINE.findall(bytes(await connection.read_response(disable_decoding=True))))
        if about[b"run_id"] != self._run_id:
            self._run_id = about[b"run_id"]
            started_ms = int(about[b"server_time_usec"]) // 1000 - int(about[b"uptime_in_seconds"]) * 1000
            self.started_ms = max(self.started_ms, started_ms)
