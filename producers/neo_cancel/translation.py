"""Redis errors become our own in this one place."""

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
        raise LedgerUnavailableError(f"Redis at {address} cannot be reached: {type(error).__name__}") from error
    except exceptions.RedisError as error:
        raise LedgerRefusedError(f"Redis at {address} refuses: {error}") from error
