"""Orders to cancel, named by a few numbers so that every process can make the same ones."""

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """`count` orders spread evenly over `accounts` accounts named `prefix` and a number. No two batches share an order."""

    prefix: str
    accounts: int
    first: int
    count: int
    lane: str = "routine"

    @property
    def orders(self) -> list[tuple[str, str]]:
        """Account and order number of each."""
        uccs = [f"{self.prefix}{at:03d}" for at in range(self.accounts)]
        return [(uccs[at % self.accounts], f"2511{self.first + at:011d}") for at in range(self.count)]

    @property
    def names(self) -> list[str]:
        """ACCOUNT:NUMBER of each, as the ledger writes it."""
        return [f"{ucc}:{number}" for ucc, number in self.orders]

    @property
    def numbers(self) -> list[str]:
        """The order number of each."""
        return [number for _, number in self.orders]

    def to_json(self) -> dict[str, Any]:
        """Say it to another process, which makes it again with `Batch(**said)`."""
        return asdict(self)
