"""Seeded dice: the same seed gives the same throws, whatever else is in the world."""

import random
from collections.abc import Sequence
from typing import Any, Final, TypeVar

__all__ = ["Dice", "mixed"]

T = TypeVar("T")
_MASK: Final = 2**64 - 1


def mixed(*parts: int) -> int:
    """Mix whole numbers into one seed (splitmix64): neighbours in, strangers out; independent of PYTHONHASHSEED."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = (state ^ (part & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


class Dice:
    """Throws of one seed. Give each order its own: then an order that is taken away changes no other order's throws."""

    __slots__ = ("_random", "draw")

    def __init__(self, *seed: int) -> None:
        self._random = random.Random(mixed(*seed))
        self.draw = self._random.random

    def chance(self, probability: float) -> bool:
        """Throw once even where nothing can come of it: a habit that is switched off must not shift the other throws."""
        return self.draw() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.draw()

    def whole(self, low: int, high: int) -> int:
        return low + int((high - low + 1) * self.draw())

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(len(choices) * self.draw())]

    def weighted(self, choices: Sequence[tuple[T, float]]) -> T:
        at = self.draw() * sum(weight for _, weight in choices)
        for choice, weight in choices:
            at -= weight
            if at < 0:
                return choice
        return choices[-1][0]

    def shuffle(self, some: list[Any]) -> None:
        self._random.shuffle(some)
