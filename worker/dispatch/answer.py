"""What the task of a message answers: what had become of each of its orders when its thread was set free."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from neo_cancel.record import WORKING, Status
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
    `orders`. `claimed` is how many orders the message brought into this worker's hands.
    """
    jobs = [job for part in claimed for job in part.jobs]
    counts = Counter(job.status for job in jobs)
    under_way = sum(count for status, count in counts.items() if status in WORKING)
    ended = Counter({status: count for status, count in counts.items() if status not in WORKING})
    for part in claimed:
        ended.update(part.ended)
    in_backlog = sum(part.left for part in claimed)
    is_done = ended.total() == chunk.count and not chunk.backlogs
    return {
        "outcome": _outcome(ended, refused=len(chunk.refusals), is_done=is_done),
        "ended": {str(status): count for status, count in ended.items()},
        "under_way": under_way,
        "in_backlog": in_backlog,
        "elsewhere": chunk.count - ended.total() - under_way - in_backlog,
        "refused_parts": len(chunk.refusals),
        "lane": chunk.lane,
        "accounts": chunk.accounts,
        "orders": chunk.count,
        "claimed": len(jobs),
    }


def _outcome(ended: Counter[Status], *, refused: int, is_done: bool) -> str:
    seen = {*ended, Status.REFUSED} if refused else ended
    worst = next((status for status in MAY_WORK if status in seen), None)
    return str(worst) if worst else DONE if is_done else UNFINISHED
