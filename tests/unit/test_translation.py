"""Redis errors become our own, and keep what Redis said as their cause."""

import os
import socket
import ssl

import pytest
from redis import exceptions

from neo_cancel import LedgerRefusedError, LedgerUnavailableError
from neo_cancel.translation import translated


@pytest.mark.parametrize(
    ("error", "ours", "text"),
    [
        (exceptions.AuthenticationError("WRONGPASS"), LedgerRefusedError, "refuses the login: WRONGPASS"),
        (exceptions.AuthorizationError("NOPERM"), LedgerRefusedError, "refuses the login: NOPERM"),
        (exceptions.TimeoutError("5 s"), LedgerUnavailableError, "does not answer in time"),
        (exceptions.ConnectionError("refused"), LedgerUnavailableError, "cannot be reached: ConnectionError"),
        (exceptions.BusyLoadingError("LOADING"), LedgerUnavailableError, "cannot be reached: BusyLoadingError"),
        (OSError("no route"), LedgerUnavailableError, "cannot be reached: OSError"),
        (exceptions.ResponseError("OOM"), LedgerRefusedError, "refuses: OOM"),
        (exceptions.ReadOnlyError("READONLY"), LedgerRefusedError, "refuses: READONLY"),
    ],
)
def test_each_error_of_redis_is_one_of_ours(error, ours, text):
    with pytest.raises(ours) as caught, translated("redis://host"):
        raise error
    assert f"Redis at redis://host {text}" == str(caught.value)
    assert error is caught.value.__cause__


def caused_by(cause: BaseException) -> exceptions.ConnectionError:
    error = exceptions.ConnectionError("Error 111 connecting to host:6379")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), os.strerror(111)),
        (FileNotFoundError(2, "No such file"), os.strerror(2)),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed"),
    ],
)
def test_the_cause_of_an_error_is_said_in_the_system_s_words(cause, text):
    with pytest.raises(LedgerUnavailableError) as caught, translated("redis://host"):
        raise caused_by(cause)
    assert f"Redis at redis://host cannot be reached: {text}" == str(caught.value)


def test_an_error_that_is_not_of_redis_passes():
    with pytest.raises(ValueError, match="mine"), translated("redis://host"):
        raise ValueError("mine")
