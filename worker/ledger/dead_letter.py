"""What is kept of a message that could not be used."""

import json
import time
from typing import Final

__all__ = ["parked_entry"]

_SHOWN: Final = 4096


def parked_entry(reason: str, message: object) -> str:
    """Write when it was parked, why, and the first 4 KB of it."""
    text = message if isinstance(message, str) else json.dumps(message, default=repr)
    return json.dumps({"at": time.time(), "reason": reason, "message": text[:_SHOWN]})
