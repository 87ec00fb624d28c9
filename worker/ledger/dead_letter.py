"""Dead letters: messages, orders and records that cannot be used, kept aside with the reason."""

import json
import time
from typing import Any, Final

from worker.ledger.keys import COUNTERS, DEAD_LETTERS, DEAD_LETTERS_KEPT

__all__ = ["DEAD_LETTERS_COUNTER", "dead_letter_commands"]

DEAD_LETTERS_COUNTER: Final = "dead_letters"
_SHOWN: Final = 4096


def dead_letter_commands(reason: str, message: object) -> tuple[tuple[Any, ...], ...]:
    """Write the commands that keep one dead letter, visible and counted, for any client; the newest stands first.

    It holds when it was written, why, and the first 4 KB of the message. Sent twice, it is kept and counted twice.
    """
    text = message if isinstance(message, str) else json.dumps(message, default=repr)
    letter = json.dumps({"at": time.time(), "reason": reason, "message": text[:_SHOWN]})
    return (
        ("LPUSH", DEAD_LETTERS, letter),
        ("LTRIM", DEAD_LETTERS, 0, DEAD_LETTERS_KEPT - 1),
        ("HINCRBY", COUNTERS, DEAD_LETTERS_COUNTER, 1),
    )
