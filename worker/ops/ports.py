"""The ports of this machine that the service listens on: the settings that choose them, and whether they are free."""

import errno
import os
import socket
from dataclasses import dataclass
from typing import Final

from config.settings import ConfigurationError

__all__ = ["FLOWER_PORT", "HOST", "REDIS_PORT", "SANDBOX_PORT", "Port", "PortError"]

HOST: Final = "127.0.0.1"
_HIGHEST: Final = 65_535


class PortError(Exception):
    """A port cannot be had; the message names it and the setting that chooses another one."""


@dataclass(frozen=True, slots=True)
class Port:
    """What listens there, the environment variable that chooses the port, and the port without one."""

    what: str
    setting: str
    default: int

    def chosen(self, option: int | None) -> int:
        """Answer the port of the command line, else of the environment, else the default; 0 means any free one.

        Raises ConfigurationError for what is no port.
        """
        text = str(self.default if option is None else option)
        if option is None:
            text = os.environ.get(self.setting) or text
        if not text.isascii() or not text.isdecimal() or int(text) > _HIGHEST:
            raise ConfigurationError(f"{self.setting}: must be a whole number from 0 to {_HIGHEST}, got {text!r}")
        return int(text)

    def check(self, number: int) -> None:
        """Raise PortError where no server can listen."""
        with socket.socket() as probe:
            # As servers do: connections of one that has just stopped do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, number))
            except OSError as error:
                why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
                raise PortError(self.complaint(number, why)) from None

    def complaint(self, number: int, why: str = "is in use") -> str:
        """Say in a line why the port cannot be had, and what to do."""
        return f"port {number} for {self.what} {why}: set {self.setting} to another one (0: any free one)"


REDIS_PORT: Final = Port("Redis", "NEO_CANCEL_REDIS_PORT", 6390)
SANDBOX_PORT: Final = Port("the sandbox", "NEO_CANCEL_SANDBOX_PORT", 8765)
FLOWER_PORT: Final = Port("Flower", "NEO_CANCEL_FLOWER_PORT", 5555)
