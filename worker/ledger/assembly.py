"""The parts of this room put together, and what calls what when the lease is lost or a final status is written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from neo_cancel.record import Status
from worker.ledger.claims import Claims
from worker.ledger.client import LedgerClient
from worker.ledger.held import Held
from worker.ledger.leader import Leader
from worker.ledger.lease import Lease, Validity
from worker.ledger.notes import Notes
from worker.ledger.reconciliation import Reconciliation
from worker.ledger.records import Records
from worker.ledger.recovery import Recovery
from worker.ledger.requeuer import Requeuer
from worker.ledger.sweep import Sweep
from worker.ledger.unreadable import Unreadable
from worker.ledger.uptime import uptime
from worker.ledger.watch_policy import WatchPolicy
from worker.ledger.writer import Writer
from worker.observe.events import Publish
from worker.orders.job import Job

__all__ = ["LedgerCallbacks", "LedgerOptions", "LedgerRoom"]

_PICKUP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """Durations in seconds; each is explained where it is used: Lease, Writer, Records, WatchPolicy, Recovery."""

    lease: float
    gather: float
    time_to_live: int
    watch_interval: float
    pickup: float = _PICKUP_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCallbacks:
    """What the rest of a worker is asked and called for.

    `is_watched`: whether an order of this account that ended with this status is watched. `on_asked`: more was asked for a held
    order: whether as risk, and until when, in seconds since the epoch (0: as before). `on_written`: an order's final status is in
    the ledger, or, with False, another worker owns the order. `on_lost`: the lease is lost; no order is held any more, and
    `on_written` was called for each that had just ended.
    """

    is_watched: Callable[[str, Status], bool]
    on_asked: Callable[[Job, bool, float], None]
    on_written: Callable[[Job, bool], None]
    on_lost: Callable[[], None]


class LedgerRoom:
    """What a worker needs of the ledger, one per process. Nothing is connected or claimed before the first call.

    Its parts by name; `note` and `finish` are what the orders room calls (see worker.orders.ports.Ledger).
    """

    def __init__(
        self, client: LedgerClient, options: LedgerOptions, callbacks: LedgerCallbacks, publish: Publish
    ) -> None:
        self.client, self._callbacks = client, callbacks
        ttl_seconds = options.time_to_live
        self.held = held = Held()
        watch_policy = WatchPolicy(callbacks.is_watched, options.watch_interval)
        unreadable = Unreadable(client, ttl_seconds=ttl_seconds, publish=publish)
        requeuer = Requeuer(client, watch_policy, unreadable, ttl_seconds=ttl_seconds, publish=publish)
        self.lease = lease = Lease(
            client,
            held,
            Reconciliation(client, held, requeuer),
            validity=Validity(options.lease),
            on_lost=self._lease_lost,
            on_asked=callbacks.on_asked,
            publish=publish,
        )
        records = Records(client, lease, watch_policy, ttl_seconds=ttl_seconds)
        self.notes = Notes(records, held)
        self.note = self.notes.note
        on_written, gather = callbacks.on_written, options.gather
        self.writer = Writer(records, held, self.notes, gather_seconds=gather, on_written=on_written, publish=publish)
        self.finish = self.writer.finish
        self.claims = Claims(
            client, lease, held, records=records, writer=self.writer, requeuer=requeuer, ttl_seconds=ttl_seconds
        )
        self.recovery = Recovery(client, lease, requeuer, pickup_seconds=options.pickup, publish=publish)
        self.sweep = Sweep(client, requeuer, lease, clock=uptime, publish=publish)
        self.leader = Leader(client, lease)

    def _lease_lost(self) -> None:
        # Other workers own the orders: nothing more is written about them, then nothing more is done about them.
        self.notes.clear()
        self.writer.drop()
        self._callbacks.on_lost()
