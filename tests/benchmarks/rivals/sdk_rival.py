"""Kotak's own SDK in a thread pool: no queue, no record, nothing outlives the process."""

import os
from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks.rivals.call import BROKER_URL
from tests.benchmarks.rivals.sending import Orders, Plain, Sending

THREADS = 20
"""As many as the SDK keeps connections."""


class _Sdk(Plain):
    def __init__(self) -> None:
        # Its import opens a log file otherwise.
        os.environ.update(NEO_LOG_FILE_ENABLED="false", NEO_LOG_LEVEL="CRITICAL")
        from neo_api_client import NeoAPI  # noqa: PLC0415 - not before its settings are set

        self._pool = ThreadPoolExecutor(THREADS)
        self._make = NeoAPI
        self._clients: dict[str, NeoAPI] = {}

    def bulk(self, orders: Orders) -> None:
        """Cancel them all; returns when the last answer came."""
        for answer in self._pool.map(lambda order: self._client(order[0]).cancel_order(order_id=order[1]), orders):
            if answer.get("stat") != "Ok":
                raise ValueError(answer)

    def singles(self, orders: Orders, pause_seconds: float) -> list[float]:
        """Is not measured: there is no queue."""
        raise NotImplementedError

    def _client(self, ucc: str) -> "NeoAPI":  # noqa: F821 - imported late
        client = self._clients.get(ucc)
        if client is None:
            client = self._make(consumer_key="access-token", environment="prod")
            told = client.configuration
            told.edit_token, told.edit_sid, told.base_url = "auth", "sid", f"{BROKER_URL}/{ucc}"
            # One connection pool for all accounts: a client of its own for each costs more than its calls.
            first = next(iter(self._clients.values()), client)
            client.api_client.rest_client = first.api_client.rest_client
            self._clients[ucc] = client
        return client


def sending() -> Sending:
    """Make the producer, which is the whole system here."""
    return _Sdk()
