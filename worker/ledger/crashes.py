"""How many deaths of workers are blamed on an order before it is left alone."""

from typing import Final

__all__ = ["MOST_CRASHES", "MOST_CRASHES_OF_ALL"]

MOST_CRASHES: Final = 3
"""It ends then, and is only read from then on."""

MOST_CRASHES_OF_ALL: Final = 5
"""Reading it kills workers, too: it is not even read."""
