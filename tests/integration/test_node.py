"""A worker node takes its settings from the environment, and what the command line says goes before them."""

import socket
from pathlib import Path

import pytest

from config.settings import Settings
from tests.nodes import running_worker
from worker.consuming.celery_app import celery_app


@pytest.mark.parametrize(("asked", "threads"), [(None, 3), (2, 2)])
def test_a_node_has_as_many_threads_as_the_setting_says_unless_it_is_asked_for_others(
    redis_url, tmp_path: Path, asked, threads
):
    (tmp_path / "accounts.json").write_text("{}")
    app = celery_app("test", Settings(redis_url=redis_url))
    with running_worker(
        redis_url=redis_url,
        accounts_file=tmp_path / "accounts.json",
        log_path=tmp_path / "node.log",
        node="n@%h",
        threads=asked,
        env={"NEO_CANCEL_THREADS": "3"},
    ):
        name = f"n@{socket.gethostname()}"
        stats = app.control.inspect(destination=[name], timeout=20, limit=1).stats()
    app.close()
    assert threads == stats[name]["pool"]["max-concurrency"]
