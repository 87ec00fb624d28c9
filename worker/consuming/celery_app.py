"""The Celery app of this service: our options, and kombu's connections with our transports."""

import re
from typing import TYPE_CHECKING, Any, Final

from celery import Celery
from celery.app.amqp import AMQP
from kombu import connection as kombu_connection

from config.settings import Settings
from worker.consuming.celery_options import celery_options
from worker.consuming.transport import GatedSentinelTransport, GatedTransport

__all__ = ["celery_app"]

_OTHER_DATABASE: Final = re.compile(r"\?virtual_host=(?!0$)")

if TYPE_CHECKING:
    _Kombu = kombu_connection.Connection
else:
    _Kombu = object


class _Gated(_Kombu):
    """Mixed into kombu's connections: whatever the URL, the transport has the gate.

    kombu lets the scheme of a URL choose the transport, also against the app's option where the URL is that of a Unix socket or
    of another sentinel than the first. The connection keeps the scheme: by it Flower knows how to count what is in a queue.
    """

    def get_transport_cls(self) -> Any:
        return GatedSentinelTransport if self.transport_cls == "sentinel" else GatedTransport

    def as_uri(self, include_password: bool = False, *arguments: Any, **options: Any) -> str:
        # Flower, which alone asks for the password, would count in database 0 of a Unix socket whatever the URL says.
        if include_password and _OTHER_DATABASE.search(self.hostname or ""):
            raise NotImplementedError("Flower reads only database 0 of a Unix socket")
        return super().as_uri(include_password, *arguments, **options)


class _PooledConnection(_Gated, kombu_connection.PooledConnection):
    pass


class _Pool(kombu_connection.ConnectionPool):
    def new(self) -> Any:
        pool: Any = self
        return _PooledConnection(pool, **dict(self.connection._info(resolve=False)))  # noqa: SLF001


class _Connection(_Gated, kombu_connection.Connection):
    def Pool(self, limit: int | None = None, **_: Any) -> Any:  # noqa: N802 - kombu's name
        return _Pool(self, limit)


class _Amqp(AMQP):
    Connection = _Connection


def celery_app(name: str, settings: Settings) -> Celery:
    """Make an app of this service. Raises ConfigurationError where the settings name no Redis."""
    app = Celery(name, amqp=_Amqp, set_as_current=False)
    app.config_from_object(celery_options(settings))
    return app
