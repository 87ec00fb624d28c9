"""Places in flight of the whole process: how many calls it makes at once, and whose the next one is."""

from collections.abc import Callable

from worker.orders.waiting import RISK, ROUTINE

__all__ = ["Places"]


class Places:
    """Account queues that find no place get the next ones in turn, those with a risk order first.

    `free` may fall below 0: an account that was blocked answers its orders without a call, whatever is in flight.
    """

    def __init__(self, most: int) -> None:
        self._most = self.free = most
        self._starving: tuple[dict[Callable[[], bool], None], ...] = ({}, {})  # by urgency

    @property
    def are_contended(self) -> bool:
        """A queue waits for a place, or would have to."""
        return self.free <= 0 or bool(self._starving[RISK]) or bool(self._starving[ROUTINE])

    @property
    def are_all_free(self) -> bool:
        """No call is in flight."""
        return self.free == self._most

    def take(self) -> None:
        """Use a place."""
        self.free -= 1

    def wait(self, wake: Callable[[], bool], urgency: int) -> None:
        """Have `wake` called when a place is free; it answers whether it still wants one."""
        self._starving[urgency][wake] = None

    def give_back(self) -> None:
        """Free a place, and wake the queue whose turn it is."""
        self.free += 1
        for queues in self._starving:
            while queues:
                wake = next(iter(queues))
                del queues[wake]
                if wake():
                    return
