"""Every command line of the service, in one place: the local stack, the demo, the tests and docker-compose.yml."""

from collections.abc import Sequence
from typing import Final

__all__ = [
    "REDIS_OPTIONS",
    "embedded_command",
    "flower_command",
    "node_health_command",
    "redis_arguments",
    "sandbox_command",
    "worker_command",
]

_CELERY: Final = ("-m", "celery", "-A", "worker.app", "--quiet")

REDIS_OPTIONS: Final = {
    # What was accepted must outlive the server; at most a second of it is lost with the machine.
    "appendonly": "yes",
    "appendfsync": "everysec",
    # Any other policy throws queues and records away when memory runs out.
    "maxmemory-policy": "noeviction",
    # The append-only file is enough.
    "save": "",
}


def worker_command(
    lanes: Sequence[str],
    *,
    threads: int | None = None,
    node: str | None = None,
    respawn: bool = False,
    python: str = "python",
) -> list[str]:
    """Start one worker node for these lanes. `node` is its Celery name, None means `LANES@HOST`.

    `threads` is how many messages it works on at once, None means NEO_CANCEL_THREADS of its environment.

    With `respawn` the process that is started is a parent: it starts another worker when the one that works dies.
    """
    name = node or f"{'-'.join(lanes)}@%h"
    count = [] if threads is None else ["-c", str(threads)]
    options = ["--respawn"] if respawn else []
    return [python, "-m", "worker.node", "-Q", ",".join(lanes), "-n", name, *count, *options]


def node_health_command(node: str, *, python: str = "python") -> list[str]:
    """Ask one node whether it consumes: exit code 0 when it answers. `%h` in `node` is this host."""
    return [python, "-m", "worker.health", node]


def flower_command(*, address: str = "127.0.0.1", port: int = 5555, python: str = "python") -> list[str]:
    """Start Flower; it takes user and password from FLOWER_BASIC_AUTH, where no process list shows them."""
    return [
        python,
        *_CELERY,
        "flower",
        f"--address={address}",
        f"--port={port}",
        "--read_only",
        # The arguments say account, count and lane; state and result what became of the orders.
        "--tasks_columns=args,state,result,received,runtime,worker,uuid",
        "--max_tasks=5000",
        "--purge_offline_workers=60",
    ]


def sandbox_command(*, host: str = "127.0.0.1", port: int = 8765, python: str = "python") -> list[str]:
    """Start the stand-in for the broker; port 0 means any free one."""
    return [python, "-m", "worker.sandbox", "--host", host, "--port", str(port)]


def embedded_command(*, data_dir: str, url_file: str, port: int, python: str = "python") -> list[str]:
    """Start the embedded Valkey; port 0 means any free one."""
    return [python, "-m", "worker.embedded", "--data-dir", data_dir, "--url-file", url_file, "--port", str(port)]


def redis_arguments() -> list[str]:
    """Write the server's options as its command line takes them."""
    return [part for name, value in REDIS_OPTIONS.items() for part in (f"--{name}", value)]
