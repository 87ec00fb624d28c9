"""The task: one message of orders of one account. Nothing is decided here."""

from typing import TYPE_CHECKING, Any

from neo_cancel.messages import TASK_NAME

if TYPE_CHECKING:
    from celery import Celery

    from worker.runtime import Runtime

__all__ = ["register"]


def register(app: "Celery", running: "list[Runtime]") -> None:
    """Put the task into the app. `running` holds the process's runtime once the worker has started."""

    @app.task(name=TASK_NAME, bind=True)
    def cancel_orders(task: Any, chunk: dict[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Cancel the orders of one account that this message names; answer counts per final status."""
        return running[0].cancel(task.request.id, chunk)
