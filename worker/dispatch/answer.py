"""What the task of a message answers: what had become of each of its orders when its thread was set free."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from neo_cancel.record import Status
from worker.dispatch.intake import Chunk
from worker.ledger.claims import Claimed

__all__ = ["DONE", "MAY_WORK", "UNFINISHED", "answer"]

MAY_WORK: Final = (Status.BLOCKED, Status.UNKNOWN, Status.REFUSED, Status.EXPIRED)
"""With one of these an order may still work and the work on it has ended: what an operator must see, the worst first."""
DONE: Final = "done"
UNFINISHED: Final = "unfinished"


def answer(chunk: Chunk, claimed: Sequence[Claimed]) -> dict[str, Any]:
    """Count the orders of a message; Flower shows the text of this, from its beginning.

    `outcome` is the worst of MAY_WORK that an order has ended with; else UNFINISHED, if the work on an order or on a backlog
    goes on, or DONE. `ended` counts by status the orders that have ended, by this message or before it. The others:
    `under_way` came into this worker's hands, `in_backlog` wait in their accounts' backlogs, `elsewhere` are in other hands or
    come with another message. `refused_parts` of the message could not be used and became dead letters; they are not among
    `orders`. What is none of these four is left out. `claimed` is how many orders the message brought into this worker's hands.
    """
    ended, under_way = _ended(claimed)
    in_backlog = sum(part.left for part in claimed)
    others = {
        "under_way": under_way,
        "in_backlog": in_backlog,
        "elsewhere": chunk.count - sum(ended.values()) - under_way - in_backlog,
        "refused_parts": len(chunk.refusals),
    }
    is_done = not chunk.backlogs and not any(others.values())
    return {
        "outcome": _outcome(ended, has_refused=bool(chunk.refusals), is_done=is_done),
        "ended": {status.value: count for status, count in ended.items()},
        **{name: count for name, count in others.items() if count},
        "lane": chunk.lane,
        "accounts": chunk.accounts,
        "orders": chunk.count,
        "claimed": sum(len(part.jobs) for part in claimed),
    }


def _ended(claimed: Sequence[Claimed]) -> tuple[dict[Status, int], int]:
    """Count by status the orders that have ended, and those that have not."""
    ended: dict[Status, int] = {}
    under_way = 0
    for part in claimed:
        for status, count in part.ended.items():
            ended[status] = ended.get(status, 0) + count
        for job in part.jobs:
            if job.is_final:
                ended[job.status] = ended.get(job.status, 0) + 1
            else:
                under_way += 1
    return ended, under_way


def _outcome(ended: Collection[Status], *, has_refused: bool, is_done: bool) -> str:
    worst = next((status for status in MAY_WORK if status in ended or (has_refused and status is Status.REFUSED)), None)
    return worst.value if worst else DONE if is_done else UNFINISHED
