"""The parts of a session and of a login that are given: what a header can carry, and where secrets may go."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationInfo

__all__ = ["Address", "Token", "as_address", "is_here"]

_PRINTABLE: Final = re.compile(r"[ -~]+")


def _as_header(token: SecretStr) -> SecretStr:
    """Refuse a token that no header can carry. A blank one is no token."""
    if (value := token.get_secret_value()) and not _PRINTABLE.fullmatch(value):
        raise ValueError("must be printable ASCII characters only, without a line break")
    return token


def as_address(url: str, http_hosts: Collection[str], what: str = "session") -> str:
    """Refuse an address that names no host, or that no request line can carry, or that sends `what` in clear.

    `http_hosts` may be spoken to without TLS, besides this machine. Raises ValueError.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else None
    except ValueError:
        host = None
    if not host or " " in url or not _PRINTABLE.fullmatch(url):
        raise ValueError("must be http:// or https://, a host, and perhaps a port and a path, in printable ASCII")
    if not (url.lower().startswith("https:") or is_here(host) or host in http_hosts):
        raise ValueError(
            f"must be https://, since http:// would send the {what} to {host} in clear "
            "(NEO_CANCEL_PLAIN_HTTP_HOSTS names hosts that may be spoken to so)"
        )
    return url


def _as_session_address(url: str, about: ValidationInfo) -> str:
    """Check an address of a session; a blank one is none. `about.context` are the hosts that may be spoken to without TLS."""
    return as_address(url, about.context or ()) if url else url


def is_here(host: str) -> bool:
    """Tell whether a host is this machine, by a name or an address that says so itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


Token = Annotated[SecretStr, AfterValidator(_as_header)]
"""A part of a session that goes into a header of every call."""

Address = Annotated[str, AfterValidator(_as_session_address)]
"""The broker's base URL of a session."""
