"""Records that cannot be read: each becomes a dead letter, and its order ends `unknown` and is watched."""

import json
import re
from typing import Any, Final

from neo_cancel.order import Lane, Variety
from neo_cancel.record import Header, Status
from worker.ledger.client import LedgerClient
from worker.ledger.keys import named_key
from worker.ledger.steps import mend_call
from worker.observe.events import Publish, Refused
from worker.orders.job import Job, UnreadableRecordError

__all__ = ["Unreadable"]

_NAME: Final = re.compile(r"([A-Z0-9]{3,16}):([0-9]{10,20})")


class Unreadable:
    """`ttl_seconds` is how long the records live that it writes."""

    def __init__(self, ledger: LedgerClient, *, ttl_seconds: int, publish: Publish) -> None:
        self._ledger, self._ttl_seconds, self._publish = ledger, ttl_seconds, publish

    async def end(self, owner: str, name: str) -> bool:
        """End the order UCC:NUMBER, which `owner` may hold; say whether that was done.

        A record that can be read by now, or is gone, and a key that names no order stay as they are. What such an order was asked
        for is lost with its record; that a cancel may have been sent is assumed.
        """
        value: bytes | None = (await self._ledger.run("MGET", named_key(name)))[0]
        if value is None and await self._ledger.run("EXISTS", named_key(name)):
            value = b""  # a key of another kind
        if value is None or (error := _complaint(value, name)) is None or not (parts := _NAME.fullmatch(name)):
            return False
        now = self._ledger.now()
        call = mend_call(
            owner, name, value, _ended(parts[1], parts[2], now), ttl_seconds=self._ttl_seconds, look_ms=now * 1e3
        )
        if not await self._ledger.call(call):
            return False
        reason = f"record of {name}: cannot be read ({error})"
        await self._ledger.add_dead_letter(reason, value.decode(errors="replace"))
        self._publish(Refused(reason, order=name))
        return True


def _complaint(value: bytes, name: str) -> UnreadableRecordError | None:
    try:
        Job.decode(value, name)
    except UnreadableRecordError as error:
        return error
    return None


def _ended(ucc: str, order_number: str, now: float) -> str:
    """Write the record of an order of which nothing is known. Its fence is higher than any that a worker may have."""
    document: dict[str, Any] = {
        "ucc": ucc,
        "order_number": order_number,
        "variety": str(Variety.REGULAR),
        "lane": str(Lane.ROUTINE),
        "deadline_seconds": 0.0,
        "text": "its record could not be read: see the dead letters",
        "final_at": now,
    }
    now_ms = int(now * 1000)
    header = Header(Status.UNKNOWN, now_ms, None, now_ms, maybe_sent=True, crashes=0)
    return f"{header} {json.dumps(document)}"
