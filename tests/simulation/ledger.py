"""The ledger's model: claims with fences, leases, messages, the watch list."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from tests.simulation.dice import Dice
from tests.simulation.history import History
from tests.simulation.loop import World
from tests.simulation.plan import Plan
from tests.simulation.records import Claim, Ending, Record
from tests.simulation.truth import Order

__all__ = ["LEASE_SECONDS", "Ledger"]

LEASE_SECONDS: Final = 2.5
_SWEEP_SECONDS: Final = 0.5
_LOST_SECONDS: Final = 3.0
_WATCH_SECONDS: Final = 5.0
_MESSAGE: Final = 8
_DOUBLED: Final = 0.05


class Messenger(Protocol):
    """A process that messages are delivered to."""

    def deliver(self, ucc: str, numbers: Sequence[str]) -> None: ...


class Ledger:
    """All records. Processes call its methods as steps of the server; see Server."""

    def __init__(self, world: World, plan: Plan, history: History, is_watched: Callable[[str, str], bool]) -> None:
        self._world, self._history, self._is_watched = world, history, is_watched
        self._seed = plan.seed
        self.day_ends_at = world.now + plan.day_ends_at
        self.records: dict[str, Record] = {}
        self.open = 0
        self._urgent: list[Record] = []
        self._leases: dict[str, float] = {}
        self._processes: dict[str, Messenger] = {}
        world.call_later(_SWEEP_SECONDS, self._sweep)

    @property
    def is_day_over(self) -> bool:
        """No order is watched any more, and none may be sent."""
        return self._world.now > self.day_ends_at

    # ------------------------------------------------------------------ messages

    def enqueue(self, orders: Sequence[Order], document: Callable[[Order], dict[str, Any]]) -> None:
        """Accept cancels of one account."""
        self.open += len(orders)
        for order in orders:
            self.records[order.number] = Record(order, document(order))
            self._history.add(
                self._world.now, "ledger", order.number, "accepted", order.plan.asked, order.plan.deadline
            )
        self._publish(orders[0].ucc, [order.number for order in orders])

    def urge(self, order: Order) -> None:
        """Have an order asked for again as a risk order: its record says so, and so must the worker that holds it."""
        record = self.records[order.number]
        if not record.is_final:
            record.document["lane"] = "risk"
            self._urgent.append(record)

    def _publish(self, ucc: str, numbers: list[str]) -> None:
        now = self._world.now
        for at in range(0, len(numbers), _MESSAGE):
            some = numbers[at : at + _MESSAGE]
            for number in some:
                self.records[number].heard_of_at = now
            record = self.records[some[0]]
            dice = Dice(self._seed, 3, record.order.plan.index, record.messages)
            record.messages += 1
            for _ in range(2 if dice.chance(_DOUBLED) else 1):
                if self._processes:
                    process = self._processes[dice.pick(list(self._processes))]
                    self._world.call_later(dice.between(0.0005, 0.004), process.deliver, ucc, some)

    def _sweep(self) -> None:
        """Do what recovery does twice a second: find dead workers and lost messages."""
        now = self._world.now
        for worker in [worker for worker, ends in self._leases.items() if ends <= now]:
            self._reap(worker)
        lost: dict[str, list[str]] = {}
        for number, record in self.records.items():
            if record.status == "queued" and record.owner is None and now - record.heard_of_at > _LOST_SECONDS:
                lost.setdefault(record.order.ucc, []).append(number)
        for ucc, numbers in lost.items():
            self._publish(ucc, numbers)
        self._world.call_later(_SWEEP_SECONDS, self._sweep)

    def _reap(self, worker: str) -> None:
        del self._leases[worker]
        self._processes.pop(worker, None)
        self._history.add(self._world.now, "ledger", "", "reaped", worker)
        back: dict[str, list[str]] = {}
        for number, record in self.records.items():
            if record.owner == worker:
                record.owner, record.maybe_sent = None, True
                self._put_back(record, back, number)
        for ucc, numbers in back.items():
            self._publish(ucc, numbers)

    def _put_back(self, record: Record, back: dict[str, list[str]], number: str) -> None:
        if record.is_final:
            record.watch_at = self._world.now
        else:
            record.status = "queued"
            back.setdefault(record.order.ucc, []).append(number)

    # ------------------------------------------------------------------ steps of the server

    def renew(self, worker: str, process: Messenger, *, is_first: bool) -> list[Order] | None:
        """Renew a lease, and answer which orders it holds became urgent; None where it was lost."""
        if not is_first and worker not in self._leases:
            return None
        self._leases[worker] = self._world.now + LEASE_SECONDS
        self._processes[worker] = process
        urgent = [record.order for record in self._urgent if record.owner == worker]
        self._urgent = [record for record in self._urgent if record.owner not in (worker, None)]
        return urgent

    def sign_off(self, worker: str) -> None:
        """End a lease that holds nothing any more."""
        self._processes.pop(worker, None)
        if worker in self._leases:
            self._leases[worker] = self._world.now

    def claim(self, worker: str, numbers: Sequence[str]) -> list[Claim] | None:
        """Take what nobody holds; None for a worker without a lease."""
        if worker not in self._leases:
            return None
        return [
            self._take(worker, self.records[number])
            for number in numbers
            if self.records[number].status == "queued" and self.records[number].owner is None
        ]

    def claim_watched(self, worker: str, most: int) -> list[Claim] | None:
        """Take what is due on the watch list."""
        if worker not in self._leases:
            return None
        now = self._world.now
        due = [
            one
            for one in self.records.values()
            if one.watch_at is not None and one.watch_at <= now and one.owner is None
        ]
        return [self._take(worker, record) for record in due[:most]]

    def _take(self, worker: str, record: Record) -> Claim:
        record.fence += 1
        record.owner, record.watch_at = worker, None
        if not record.is_final:
            record.status = "sending"
        return Claim(
            record.order,
            record.fence,
            record.maybe_sent,
            record.crashes,
            record.status,
            dict(record.document),
            is_watched=record.is_final,
            is_day_over=self.is_day_over,
        )

    def finish(self, worker: str, endings: Sequence[Ending]) -> list[bool]:
        """Write final statuses; False for an order that is in newer hands."""
        return [self._finish(worker, ending) for ending in endings]

    def _finish(self, worker: str, ending: Ending) -> bool:
        number = ending.claim.order.number
        record = self.records[number]
        if record.fence != ending.claim.fence or record.owner != worker:
            self._history.add(self._world.now, "ledger", number, "rejects", ending.status, worker)
            return False
        if not record.is_final:
            self.open -= 1
        if record.status != ending.status:
            record.ends.append((self._world.now, ending.status))
        record.status, record.is_final, record.owner = ending.status, True, None
        record.maybe_sent, record.document = ending.maybe_sent, ending.document
        if self._is_watched(record.order.ucc, ending.status) and not self.is_day_over:
            record.watch_at = self._world.now + _WATCH_SECONDS
        self._history.add(self._world.now, "ledger", number, "writes", ending.status)
        return True

    def release(self, worker: str, endings: Sequence[Ending]) -> None:
        """Take back what a worker lets go of, with what it knows."""
        back: dict[str, list[str]] = {}
        for ending in endings:
            number = ending.claim.order.number
            record = self.records[number]
            if record.fence == ending.claim.fence and record.owner == worker:
                record.owner = None
                record.maybe_sent, record.document = ending.maybe_sent, ending.document
                self._put_back(record, back, number)
        for ucc, numbers in back.items():
            self._publish(ucc, numbers)
