"""The arithmetic of the benchmark: pure functions on lists of numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["busiest_account", "busiest_second", "latencies", "percentile", "share_of_busier"]


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank). Raises ValueError for none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def busiest_second(times: Iterable[float], window_seconds: float = 1.0) -> int:
    """The most events in any rolling window; two that are exactly the window apart do not meet in it."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= window_seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def busiest_account(orders: Iterable[tuple[str, str]], arrived: Mapping[str, Sequence[float]]) -> int:
    """The busiest second of the account that had the busiest one. `orders` are pairs of account and order number."""
    times: dict[str, list[float]] = {}
    for ucc, number in orders:
        times.setdefault(ucc, []).extend(arrived.get(number, ()))
    return max(map(busiest_second, times.values()), default=0)


def share_of_busier(counts: Mapping[str, int]) -> float:
    """The part of all orders that the busier process sent, of two; `counts` are by ACCOUNT.PROCESS."""
    by_process = Counter[str]()
    for account, count in counts.items():
        by_process[account.rpartition(".")[2]] += count
    return max(by_process.values()) / by_process.total()


def latencies(asked: Mapping[str, float], arrived: Mapping[str, Sequence[float]]) -> list[float]:
    """Seconds from asking to the first arrival of each order that arrived."""
    return [arrived[number][0] - at for number, at in asked.items() if arrived.get(number)]
