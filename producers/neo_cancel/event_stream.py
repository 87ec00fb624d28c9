"""The stream of events in Redis: which orders became final."""

from collections.abc import Iterable, Mapping

__all__ = ["ended_names"]


def ended_names(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[str]:
    """Name the orders in entries of the stream, UCC:ORDER_NUMBER, oldest first; twice where an order ended twice."""
    return [line.partition(" ")[0] for _, fields in entries for line in fields[b"ended"].decode().split("\n")]
