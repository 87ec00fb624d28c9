"""The state machine's ground: a server, two workers, the model, and what can be read of all."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

import redis
import redis.asyncio
from hypothesis.stateful import RuleBasedStateMachine

from neo_cancel import CancelOrder
from neo_cancel.enqueue import enqueue_call
from neo_cancel.parcels import Parcel
from neo_cancel.record import DEAD, OrderRecord
from neo_cancel.scripts import ScriptCall
from tests.property.ledger_model import Model, Wish
from tests.property.ledger_names import LANES, LONG_LIFE, SHORT_LIFE, UCCS
from tests.property.ledger_worker import Worker
from worker.ledger.keys import BACKLOGS, RISK_QUEUED, ROUTINE_QUEUED, WATCH, WORKERS, backlog_key, held_key, named_key
from worker.orders.job import Job

__all__ = ["LedgerGround", "order_of"]

ASKED = b', "asked": {'


def order_of(name: str, **about: Any) -> CancelOrder:
    """Write the order UCC:ORDER_NUMBER."""
    ucc, _, number = name.partition(":")
    return CancelOrder(ucc=ucc, order_number=number, **about)


class LedgerGround(RuleBasedStateMachine):
    """Two workers and any number of producers, at one server; `model` is what the ledger must know."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.server = redis.Redis.from_url(url)
        self.server.flushall()
        self.runner = asyncio.Runner()
        self.client = redis.asyncio.Redis.from_url(url)
        self.workers = [self.start_worker() for _ in range(2)]
        self.model = Model()
        self.disk: deque[tuple[Model, list[tuple[bytes, int, bytes]]]] = deque(maxlen=6)
        self.looks: list[tuple[str, ScriptCall]] = []
        self.seen: dict[str, OrderRecord] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def call(self, call: ScriptCall) -> Any:
        return self.server.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)

    def start_worker(self) -> Worker:
        worker = Worker(self.client)
        self.run(worker.room.lease.renew())
        return worker

    # ------------------------------------------------------------------ asking

    def ask(
        self,
        names: Sequence[str],
        lane: str,
        *,
        waiting: Sequence[str] = (),
        seconds: float = 60.0,
        lives: int = LONG_LIFE,
        variety: str = "regular",
    ) -> None:
        """Accept orders of one lane in one step, those in `waiting` into their accounts' backlogs."""

        def orders(some: Sequence[str]) -> list[CancelOrder]:
            return [order_of(name, lane=lane, deadline_seconds=seconds, variety=variety) for name in sorted(some)]

        backlogs = {ucc: orders([name for name in waiting if name.startswith(ucc)]) for ucc in UCCS}
        parcel = Parcel(lane, orders(names), {ucc: some for ucc, some in backlogs.items() if some})
        before, asked_at = {name: self.raw(name) for name in (*names, *waiting)}, self.time()
        answers = self.call(enqueue_call(parcel, batch=None, ttl_seconds=lives))
        for order, answer in zip(parcel.everyone, answers, strict=True):
            name = f"{order.ucc}:{order.order_number}"
            if name not in self.model.spoilt:
                assert (answer % 2 if answer < 3 else 1, name) == (self.expected(before[name]) % 2, name)
            if answer and self.raw(name) != before[name] and name in self.model.spoilt:
                self.model.doubtful.add(name)
                self.model.spoilt[name] = self.raw(name) or b""
            self.asked(name, answer, Wish(lane == "risk", asked_at + seconds, self.time() + seconds), lives)

    @staticmethod
    def expected(value: bytes | None) -> int:
        """Say what a request for an order is answered: 0 accepted, 1 attached, 2 dead already."""
        if value is None:
            return 0
        record = OrderRecord.decode(value)
        return 2 if record.status in DEAD else 0 if record.is_final else 1

    def asked(self, name: str, answer: int, wish: Wish, lives: int) -> None:
        if lives > SHORT_LIFE:
            self.model.patient.add(name)
        if answer == 0:
            self.model.begin(name, wish)
        elif answer in (1, 3):
            self.model.attach(name, wish)
        # A new request may start a new job; the proof of a dead order stays.
        if name in self.seen and self.seen[name].status not in DEAD:
            del self.seen[name]

    # ------------------------------------------------------------------ reading

    def time(self) -> float:
        seconds, microseconds = self.server.time()
        return float(seconds + microseconds / 1e6)

    def raw(self, name: str) -> bytes | None:
        """Read a record; None also for a key of another kind."""
        value: Any = self.server.mget([named_key(name)])[0]
        return value if value is None else bytes(value)

    def record(self, name: str) -> OrderRecord:
        value = self.raw(name)
        assert value is not None, name
        return OrderRecord.decode(value)

    def records(self) -> list[OrderRecord]:
        """Read all that were accepted and can be read."""
        return [self.record(name) for name in sorted(self.model.accepted) if name not in self.model.spoilt]

    def is_spoilt_still(self, name: str) -> bool:
        """Tell whether what was spoilt stands there yet. Scripts write before a document and at its end."""
        if name not in self.model.spoilt:
            return False
        there, was = self.raw(name) or b"", self.model.spoilt[name]
        documents = [
            text.split(b" ", 6)[6].partition(ASKED)[0].rstrip(b"}") for text in (there, was) if text.count(b" ") > 5
        ]
        return there == was or (len(documents) == 2 and documents[0] == documents[1])

    def places(self) -> dict[str, set[str]]:
        """Read who is where: in registered workers' hands, by worker, or in one of the lists."""
        with self.server.pipeline() as reads:
            workers = [worker.decode() for worker in self.server.zrange(WORKERS, 0, -1)]
            for key in (RISK_QUEUED, ROUTINE_QUEUED, WATCH, BACKLOGS):
                reads.zrange(key, 0, -1)
            backlogs = [backlog_key(lane, ucc) for lane in LANES for ucc in UCCS]
            for backlog in backlogs:
                reads.lrange(backlog, 0, -1)
            for worker in workers:
                reads.smembers(held_key(worker))
            read = [{member.decode() for member in some} for some in reads.execute()]
        end = 4 + len(backlogs)
        drawn = zip(backlogs, read[4:end], strict=True)
        in_backlog = [names for backlog, names in drawn if backlog in read[3]]
        places = {"queued": read[0] | read[1], "watched": read[2], "backlogs": set().union(*in_backlog)}
        return places | dict(zip(workers, read[end:], strict=True))

    def has_tasks(self) -> bool:
        return any(worker.tasks for worker in self.workers)

    def busy(self, at: int) -> Worker:
        return self.workers[at] if self.workers[at].tasks else self.workers[1 - at]

    def hear_of(self, job: Job) -> None:
        """A worker writes what it knows of an order: perhaps a later deadline, which the server has forgotten."""
        if job.name in self.model.wishes:
            self.model.attach(job.name, Wish(is_risk=False, until=0.0, at_latest=job.deadline_at))
