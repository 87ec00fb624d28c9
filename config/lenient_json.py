"""Reading a JSON file of many entries so that what is odd within one of them is that entry's fault alone."""

import json
from pathlib import Path
from typing import Any, Final

__all__ = ["read_leniently"]

_MOST_DIGITS: Final = 300


def read_leniently(path: Path) -> Any:
    """Read a file. Control characters in texts, bytes that are no UTF-8 and endless numbers come through, to be complained of.

    Raises OSError, and ValueError or RecursionError for what is no JSON even so.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    return json.loads(text, strict=False, parse_int=_as_number)


def _as_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float("inf")
