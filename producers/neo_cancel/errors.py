"""What a caller may catch.

NeoCancelError
├── InvalidOrderError (also a ValueError)   bad input: nothing was sent; names field, value and rule
├── LedgerError                             Redis did not accept or answer; of a bulk, part may have been accepted
│   ├── LedgerUnavailableError              Redis could not be reached or did not answer in time
│   └── LedgerRefusedError                  Redis answered with an error: full, read-only, wrong password
├── UnknownOrderError (also a LookupError)  the ledger holds no such order or batch
└── WaitTimeoutError (also a TimeoutError)  an order was not final in time; it goes on without the waiter
"""

__all__ = [
    "InvalidOrderError",
    "LedgerError",
    "LedgerRefusedError",
    "LedgerUnavailableError",
    "NeoCancelError",
    "UnknownOrderError",
    "WaitTimeoutError",
]


class NeoCancelError(Exception):
    """Everything this library raises on purpose."""


class InvalidOrderError(NeoCancelError, ValueError):
    """A cancel that must not travel: `field`, the `value` as given and the `rule` it breaks."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        shown = repr(value)
        self.field, self.value, self.rule = field, value, rule
        super().__init__(f"{field}={shown if len(shown) <= 80 else shown[:77] + '...'}: {rule}")  # noqa: PLR2004

    def __reduce__(self) -> tuple[type["InvalidOrderError"], tuple[str, object, str]]:
        """Survive a trip between processes: the default would call with the message alone."""
        return type(self), (self.field, self.value, self.rule)


class LedgerError(NeoCancelError):
    """Redis could not be asked, or answered with an error.

    Where a bulk was cut off, `batch` is its id and `accepted` the number of orders that are accepted for certain: more may
    be. Repeat the whole bulk, nothing doubles. `batch` is None where no bulk was sent.
    """

    def __init__(self, message: str, *, batch: str | None = None, accepted: int = 0) -> None:
        self.batch, self.accepted = batch, accepted
        super().__init__(message)


class LedgerUnavailableError(LedgerError):
    """Redis at `address` could not be reached or did not answer in time.

    A request that was under way may or may not have been accepted. Repeat it: an order that
    was accepted is attached to, never doubled.
    """


class LedgerRefusedError(LedgerError):
    """Redis answered, with an error: memory full under `noeviction`, a read-only replica, no permission."""


class UnknownOrderError(NeoCancelError, LookupError):
    """The ledger holds no such order or batch: never enqueued here, or older than the time to live."""


class WaitTimeoutError(NeoCancelError, TimeoutError):
    """The wait ended, not the work: the order is still being cancelled and can be asked for again."""
