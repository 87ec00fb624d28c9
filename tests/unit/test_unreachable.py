"""Why a broker could not be reached, in words, from real failures of the transport."""

import socket
import ssl

import httpx
import pytest
import trustme

from tests.unit.test_broker_transport import Broker, certificates_of, talking_to, whole
from worker.kotak.unreachable import unreachable

HOST = "broker.test"


def failure(kind, cause):
    error = kind(type(cause).__name__)
    error.__cause__ = cause
    return error


wrong = ssl.SSLError(1, "wrong version number")
wrong.reason = "WRONG_VERSION_NUMBER"


@pytest.mark.parametrize(
    ("error", "text", "is_for_a_person"),
    [
        (failure(httpx.ConnectError, ConnectionRefusedError(111, "refused")), f"{HOST} refuses connections", False),
        (failure(httpx.ConnectTimeout, TimeoutError()), f"no connection to {HOST} in time", False),
        (failure(httpx.ConnectError, socket.gaierror(-2, "unknown")), f"the name {HOST} was not found: unknown", True),
        (
            failure(httpx.ConnectError, socket.gaierror(socket.EAI_AGAIN, "later")),
            f"the name {HOST} was not found: later",
            False,
        ),
        (failure(httpx.ConnectError, OSError(101, "no route")), f"no connection to {HOST}: no route", False),
        (failure(httpx.ConnectError, wrong), f"no TLS connection to {HOST}: WRONG_VERSION_NUMBER", True),
        (failure(httpx.ConnectError, ssl.SSLEOFError(8, "EOF")), f"no TLS connection to {HOST}: it was cut", False),
        (failure(httpx.ConnectError, ssl.SSLError()), f"no TLS connection to {HOST}: it was cut", False),
        (httpx.ConnectError("odd"), f"no connection to {HOST}: ConnectError", False),
    ],
)
def test_each_cause_has_its_words(error, text, is_for_a_person):
    why = unreachable(error, HOST)
    assert (text, is_for_a_person) == (why.text, why.to_do is not None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("localhost", "unable to get local issuer certificate"), ("elsewhere.test", "Hostname mismatch")],
)
async def test_a_certificate_that_is_not_valid_is_named_with_the_reason(name, reason):
    """Of an authority that is not trusted, or for another host."""
    authority, trust = trustme.CA(), ssl.create_default_context()
    if name != "localhost":
        authority.configure_trust(trust)
    certificates = certificates_of(authority, name)
    async with talking_to(Broker(whole()), scheme="https", certificates=certificates, trust=trust) as send:
        with pytest.raises(httpx.ConnectError) as caught:
            await send()
    why = unreachable(caught.value, "localhost")
    assert why.text.startswith("the certificate of localhost is not valid: ")
    assert reason in why.text
    assert "authorities" in why.to_do
