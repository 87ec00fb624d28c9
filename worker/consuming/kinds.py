"""The kinds of message that this worker reads. A further kind, such as a sweep or a halt, is one more line of the table."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from neo_cancel.messages import TASK_NAME
from worker.dispatch.intake import read_chunk

if TYPE_CHECKING:
    from worker.runtime import Runtime

__all__ = ["KINDS", "Kind"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of message: its name, its reader, and the work on it.

    `task` is Celery's name of the task, as it stands in the message's headers. `read` makes a checked value of the argument,
    or raises InvalidOrderError, which makes the message a dead letter. `work` works on that value in the runtime's event
    loop; its answer is the task's result.
    """

    task: str
    read: Callable[[object], T]
    work: Callable[["Runtime", T], Coroutine[Any, Any, dict[str, Any]]]


_CANCEL_ORDERS: Final = Kind(TASK_NAME, read_chunk, lambda runtime, chunk: runtime.dispatcher.work(chunk))

KINDS: Final[Mapping[str, Kind[Any]]] = {kind.task: kind for kind in (_CANCEL_ORDERS,)}
"""By Celery's name. The gate lets no other message through, and the app has no other task."""
