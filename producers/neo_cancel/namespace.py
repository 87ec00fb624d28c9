"""Namespaces: several services on one Redis database, none of which sees the others' keys and queues."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from neo_cancel.errors import InvalidOrderError

__all__ = ["DEFAULT_NAMESPACE", "NAMESPACE_PATTERN", "Key", "Namespace"]

DEFAULT_NAMESPACE: Final = "nc"
NAMESPACE_PATTERN: Final = "^[A-Za-z0-9_-]{1,40}$"
_OURS: Final = f"{DEFAULT_NAMESPACE}:"


class Key(str):
    """The name of a key, or what it begins with, as it is in the default namespace. Sent as it is, it is there."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """What stands in front of every key: `nc:order:...` in the namespace `nc`, `desk:order:...` in the namespace `desk`.

    The queues are lists named `risk` and `routine` in the default namespace, `desk:risk` and `desk:routine` in another one.
    Raises InvalidOrderError for a name that is not 1 to 40 letters, digits, - or _.
    """

    name: str = DEFAULT_NAMESPACE

    def __post_init__(self) -> None:
        """Refuse a name that would be taken for more than one part of a key."""
        if not isinstance(self.name, str) or not re.fullmatch(NAMESPACE_PATTERN[1:-1], self.name):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOrderError("namespace", self.name, "must be 1 to 40 letters, digits, - or _")

    @property
    def is_default(self) -> bool:
        """Every name is what it is in the table of keys."""
        return self.name == DEFAULT_NAMESPACE

    def named(self, key: Key) -> str:
        """Name a key in this namespace. An empty one, which stands for no key, stays so."""
        return key if self.is_default or not key else f"{self.name}:{key.removeprefix(_OURS)}"

    def applied(self, words: Iterable[Any]) -> Iterable[Any]:
        """Put a command into this namespace: each Key in it, and no other word."""
        return words if self.is_default else [self.named(word) if isinstance(word, Key) else word for word in words]
