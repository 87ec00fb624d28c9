"""Redis errors become our own in this one place."""

import os
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager

from redis import exceptions

from neo_cancel.errors import LedgerRefusedError, LedgerUnavailableError

__all__ = ["translated"]


@contextmanager
def translated(address: str) -> Generator[None]:
    """Raise our own error for one of Redis at `address`, which holds no password."""
    try:
        yield
    except (exceptions.AuthenticationError, exceptions.AuthorizationError) as error:
        raise LedgerRefusedError(f"Redis at {address} refuses the login: {error}") from error
    except exceptions.TimeoutError as error:
        raise LedgerUnavailableError(f"Redis at {address} does not answer in time") from error
    except (exceptions.ConnectionError, OSError) as error:
        raise LedgerUnavailableError(f"Redis at {address} cannot be reached: {_cause(error)}") from error
    except exceptions.RedisError as error:
        raise LedgerRefusedError(f"Redis at {address} refuses: {error}") from error


def _cause(error: BaseException) -> str:
    """Say what the system said, without what redis-py adds: its text may quote a URL."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.errno is not None:
            # asyncio writes addresses into its text, and a failed look-up of a name has numbers of its own.
            return str(at.strerror) if isinstance(at, socket.gaierror | ssl.SSLError) else os.strerror(at.errno)
        at = at.__cause__ or at.__context__
    return type(error).__name__
