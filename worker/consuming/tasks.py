"""The tasks of the Celery app, one for each kind of message. Nothing is decided here."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from worker.consuming.envelope import Message
from worker.consuming.kinds import KINDS, Kind
from worker.consuming.request import OutcomeRequest

if TYPE_CHECKING:
    from celery import Celery

    from worker.runtime import Runtime

__all__ = ["begin", "register"]


def begin(runtime: "Runtime", message: Message) -> None:
    """Begin with a message before Celery does. Its task then waits for what has begun."""
    runtime.expect(message.message_id, lambda: message.kind.work(runtime, message.value))


def register(app: "Celery", running: "Sequence[Runtime]", kinds: Mapping[str, Kind[Any]] = KINDS) -> None:
    """Put the tasks into the app. `running` holds the process's runtime once the worker has started."""
    for kind in kinds.values():
        app.task(name=kind.task, bind=True, shared=False, Request=OutcomeRequest)(_body(kind, running))


def _body(kind: Kind[Any], running: "Sequence[Runtime]") -> Callable[[Any, Any], dict[str, Any]]:
    def work(task: Any, argument: Any) -> dict[str, Any]:
        """Work on one message; answer what became of it."""
        runtime = running[0]
        # The argument is read again only for a message that was begun with so long ago that its answer is forgotten.
        return runtime.answer(task.request.id, lambda: kind.work(runtime, kind.read(argument)))

    return work
