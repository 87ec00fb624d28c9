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
from worker.ledger.watch_policy import WatchPolicy
from worker.ledger.writer import Writer
from worker.observe.events import Publish
from worker.orders.job import Job

__all__ = ["LedgerOptions", "LedgerRoom", "assemble"]

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
class LedgerRoom:
    """What the rest of a worker needs of the ledger."""

    client: LedgerClient
    held: Held
    lease: Lease
    claims: Claims
    notes: Notes
    writer: Writer
    recovery: Recovery
    leader: Leader


def assemble(
    client: LedgerClient,
    options: LedgerOptions,
    *,
    is_watched: Callable[[str, Status], bool],
    on_lost: Callable[[], None],
    on_urgent: Callable[[Job], None],
    on_written: Callable[[Job, bool], None],
    publish: Publish,
) -> LedgerRoom:
    """Put the parts together; nothing is connected or claimed yet.

    `on_lost` is called when the lease is lost, after `on_written` was called, with False, for each order whose final status
    was still to be written; no order is held any more. See Lease for `on_urgent`, Writer for `on_written`.
    """
    held = Held()
    requeuer = Requeuer(client, ttl_seconds=options.time_to_live, publish=publish)

    def lost() -> None:
        # Other workers own the orders: nothing more is written about them, then nothing more is done about them.
        notes.clear()
        writer.drop()
        on_lost()

    lease = Lease(
        client,
        held,
        Reconciliation(client, held, requeuer),
        validity=Validity(options.lease),
        on_lost=lost,
        on_urgent=on_urgent,
        publish=publish,
    )
    watch_policy = WatchPolicy(is_watched, options.watch_interval)
    records = Records(client, lease, watch_policy, ttl_seconds=options.time_to_live)
    notes = Notes(records, held)
    writer = Writer(records, held, notes, gather_seconds=options.gather, on_written=on_written, publish=publish)
    claims = Claims(
        client,
        lease,
        held,
        records=records,
        writer=writer,
        requeuer=requeuer,
        ttl_seconds=options.time_to_live,
    )
    recovery = Recovery(client, lease, requeuer, pickup_seconds=options.pickup, publish=publish)
    leader = Leader(client, lease)
    return LedgerRoom(
        client=client,
        held=held,
        lease=lease,
        claims=claims,
        notes=notes,
        writer=writer,
        recovery=recovery,
        leader=leader,
    )
