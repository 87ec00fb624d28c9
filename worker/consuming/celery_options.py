"""Celery's options, each with the loss or the delay it prevents. Nothing in a strategy's environment is obeyed."""

from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, quote, urlencode, urlsplit, urlunsplit

from kombu import Exchange, Queue
from kombu.utils.url import parse_url

from config.settings import Settings
from neo_cancel.keys import queue_key
from neo_cancel.namespace import Namespace
from neo_cancel.order import Lane

__all__ = ["celery_options", "forget_foreign_settings"]

_FOREIGN: Final = (
    "CELERY_BROKER_URL",
    "CELERY_BROKER_READ_URL",
    "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
    "CELERY_LOADER",
)


def forget_foreign_settings(environment: MutableMapping[str, str]) -> None:
    """Take out of a process's environment what Celery would obey before the app's own options.

    Celery's command line writes some of them again, from BROKER_URL and RESULT_BACKEND, once it has imported the app.
    """
    for name in _FOREIGN:
        environment.pop(name, None)


def celery_options(settings: Settings) -> dict[str, Any]:
    """Make the options of the worker's Celery app."""
    url, master = _for_celery(settings.resolved_redis_url)
    namespace = Namespace(settings.namespace)
    name, queues = namespace.name, {lane: namespace.named(queue_key(lane)) for lane in Lane}
    transport: dict[str, Any] = {
        # Recovery through the ledger is faster; this is for messages that were sent by hand and never claimed.
        "visibility_timeout": 30,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 10,
        # Applications that share these keys restore each other's messages.
        "unacked_key": f"{name}:unacked",
        "unacked_index_key": f"{name}:unacked_index",
        "unacked_mutex_key": f"{name}:unacked_mutex",
        # Applications that share these bind each other's queues, and delete each other's bindings as out of date.
        "keyprefix_queue": f"{name}:kombu.binding.%s",
        "keyprefix_binding_permanent": f"{name}:kombu.binding_permanent.%s",
        "keyprefix_binding_deadlines": f"{name}:kombu.binding_deadlines",
        "priority_steps": [0],
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "max_connections": 256,
        "body_encoding": "utf-8",
        "client_name": "neo-cancel",
        "namespace": name,
    }
    results: dict[str, Any] = {} if namespace.is_default else {"global_keyprefix": f"{name}:"}
    if master:
        transport["master_name"] = results["master_name"] = master
    return {
        "broker_url": url,
        "broker_read_url": url,
        "broker_write_url": url,
        "broker_transport_options": transport,
        # kombu reads it in the URL; Flower asks for it here.
        "broker_use_ssl": parse_url(url)["ssl"] if url.startswith("rediss:") else False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_pool_acquire_timeout": 2,
        "result_backend": url,
        "result_backend_transport_options": results,
        "result_expires": settings.time_to_live,
        "redis_socket_timeout": 5,
        "redis_socket_connect_timeout": 2,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 5,
        # With Celery's own names, another app on the same database would command these workers: `control.shutdown()`.
        "control_exchange": name,
        "event_exchange": f"{name}.events",
        "event_queue_prefix": f"{name}.events",
        "task_queues": [Queue(queue, Exchange(""), routing_key=queue) for queue in queues.values()],
        "task_default_queue": queues[Lane.ROUTINE],
        "task_create_missing_queues": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "worker_concurrency": settings.threads,
        "worker_prefetch_multiplier": 1,
        "worker_enable_prefetch_count_reduction": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_disable_rate_limits": True,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
    }


def _for_celery(url: str) -> tuple[str, str | None]:
    """Write a URL the way kombu wants it: sentinels one by one with the master's name apart, certificates checked.

    The database goes where kombu reads it: a producer and the worker must use the same one.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    database = query.pop("db", [None])[0]
    if parts.scheme == "unix":
        return _for_socket(parts, query, database), None
    if parts.scheme != "sentinel":
        if parts.scheme == "rediss":
            # A bare rediss:// checks no certificate in kombu.
            query.setdefault("ssl_cert_reqs", ["required"])
        path = parts.path if database is None else f"/{database}"
        return urlunsplit(parts._replace(path=path, query=urlencode(query, doseq=True))), None
    credentials, at, hosts = parts.netloc.rpartition("@")
    return (
        ";".join(f"sentinel://{credentials}{at}{node}/{database or 0}" for node in hosts.split(",")),
        parts.path.strip("/") or "mymaster",
    )


def _for_socket(parts: SplitResult, query: dict[str, list[str]], database: str | None) -> str:
    """Write the URL of a Unix socket; kombu takes no login from its query."""
    username, password = (query.pop(name, [""])[0] for name in ("username", "password"))
    login = f"{quote(username, safe='')}:{quote(password, safe='')}@" if username or password else parts.netloc
    written = f"redis+socket://{login}{parts.path}"
    return written if database is None else f"{written}?virtual_host={database}"
