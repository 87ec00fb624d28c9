"""Why a broker could not be reached: the words for the record and the log, and what to do about it. Pure."""

import socket
import ssl
from dataclasses import dataclass
from typing import Final

import httpx

__all__ = ["Unreachable", "unreachable"]

_MEND_CERTIFICATE: Final = (
    "check this machine's clock and authorities and the account's base_url, or ask the broker; orders are tried again"
)
_MEND_TLS: Final = (
    "check the account's base_url, and what stands between this machine and the broker; orders are tried again"
)
_MEND_NAME: Final = "check the account's base_url and this machine's name server; orders are tried again"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """`text` names host and cause, never a token. `to_do` is None where it may pass by itself."""

    text: str
    to_do: str | None = None


def unreachable(error: Exception, host: str) -> Unreachable:
    """Tell apart why no connection to `host` was made; `error` is httpx's, its cause the system's."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unreachable(f"the certificate of {host} is not valid: {cause.verify_message}", _MEND_CERTIFICATE)
    if isinstance(cause, ssl.SSLError):
        # One that was cut may be made the next time; a peer that speaks no TLS, or another one, stays so.
        reason = None if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) else getattr(cause, "reason", None)
        return Unreachable(f"no TLS connection to {host}: {reason or 'it was cut'}", reason and _MEND_TLS)
    if isinstance(cause, socket.gaierror):
        # A name server that does not answer for a moment is no name that is wrong.
        to_do = None if cause.errno == socket.EAI_AGAIN else _MEND_NAME
        return Unreachable(f"the name {host} was not found: {cause.strerror}", to_do)
    if isinstance(error, httpx.ConnectTimeout):
        return Unreachable(f"no connection to {host} in time")
    if isinstance(cause, ConnectionRefusedError):
        return Unreachable(f"{host} refuses connections")
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause or error).__name__
    return Unreachable(f"no connection to {host}: {reason}")
