"""The task: one message of orders of one account. Nothing is decided here."""

from typing import TYPE_CHECKING, Any

from neo_cancel.messages import TASK_NAME
from worker.dispatch.intake import Chunk, read_chunk

if TYPE_CHECKING:
    from celery import Celery

    from worker.runtime import Runtime

__all__ = ["begin", "register"]


def begin(runtime: "Runtime", message_id: str, chunk: Chunk) -> None:
    """Begin with a message before Celery does; its task then waits for what has begun."""
    runtime.expect(message_id, lambda: runtime.dispatcher.work(chunk))


def register(app: "Celery", running: "list[Runtime]") -> None:
    """Put the task into the app. `running` holds the process's runtime once the worker has started."""

    @app.task(name=TASK_NAME, bind=True)
    def cancel_orders(task: Any, chunk: dict[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Cancel the orders of one account that this message names; answer counts per final status."""
        runtime = running[0]
        return runtime.answer(task.request.id, lambda: runtime.dispatcher.work(read_chunk(chunk)))
