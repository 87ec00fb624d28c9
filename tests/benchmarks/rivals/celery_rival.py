"""Celery with one task per order: the threads pool and one httpx client for all threads."""

import httpx
from celery import Celery

from tests.benchmarks.rivals.call import HEADERS, REDIS_URL, RESULT_SECONDS, body, url
from tests.benchmarks.rivals.sending import Sending, SyncSending

THREADS = 8
"""More of them only wait for each other: httpx's pool gets slower with every call in flight."""

app = Celery("rival", broker=REDIS_URL, backend=REDIS_URL)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    result_expires=RESULT_SECONDS,
)
_client = httpx.Client(limits=httpx.Limits(max_connections=THREADS), timeout=10)


@app.task
def cancel(ucc: str, number: str) -> str:
    """Cancel one order."""
    said = _client.post(url(ucc), content=body(number), headers=HEADERS).json()
    if said["stat"] != "Ok":
        raise ValueError(said)
    return "cancelled"


def sending() -> Sending:
    """Make the producer."""
    return SyncSending(cancel.delay)
