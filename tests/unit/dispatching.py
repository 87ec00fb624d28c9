"""The dispatcher and what is around it, between a ledger and an orders room in memory."""

import asyncio
import gc
import sys
from contextlib import contextmanager

from neo_cancel.order import CancelOrder
from neo_cancel.record import Header, Status
from worker.dispatch.backlogs import Backlogs
from worker.dispatch.capacity import Capacity
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.group import Threads
from worker.dispatch.in_hand import InHand
from worker.dispatch.intake import Chunk
from worker.dispatch.probation import Probation
from worker.ledger.claims import Claimed
from worker.orders.job import Job

UCC = "AB123"
BACKLOG = f"nc:backlog:routine:{UCC}"


def job(number=1, *, lane="routine", ucc=UCC, crashes=0, watched=False):
    document = {
        "ucc": ucc,
        "order_number": f"{number:015d}",
        "variety": "regular",
        "lane": lane,
        "deadline_seconds": 60.0,
    }
    made = Job(Header("sending", 1, "w1", 1000, maybe_sent=False, crashes=crashes), document)
    made.is_watched = watched
    return made


def chunk(count=1, *, lane="routine", ucc=UCC, first=1, refusals=()):
    numbers = range(first, first + count)
    orders = tuple(CancelOrder(ucc=ucc, order_number=f"{number:015d}", lane=lane) for number in numbers)
    return Chunk(lane, {ucc: orders} if orders else {}, () if orders else (ucc,), tuple(refusals))


@contextmanager
def untuned():
    """Take back what a runtime tunes for the whole process."""
    switch, threshold = sys.getswitchinterval(), gc.get_threshold()
    try:
        yield
    finally:
        sys.setswitchinterval(switch)
        gc.set_threshold(*threshold)
        gc.unfreeze()


async def settle():
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Orders:
    """The orders room: it ends nothing by itself."""

    def __init__(self):
        self.taken, self.sends, self.escalated, self.stopped_at = [], [], [], []
        self.abandoned = 0
        self.on_stop = lambda: None

    def take(self, job, *, sends=0):
        self.taken.append(job)
        self.sends.append(sends)

    def escalate(self, job):
        assert job.is_risk
        self.escalated.append(job)

    def abandon(self):
        self.abandoned += 1

    async def stop(self, at):
        self.stopped_at.append(at)
        self.on_stop()
        await settle()


class Ledger:
    """Records in memory: claims give what is asked for, and the rest goes into the backlog."""

    def __init__(self):
        self.jobs, self.backlogs, self.watched, self.orphans = {}, {}, [], []
        self.claims, self.draws, self.released, self.left, self.letters = [], [], [], [], []
        self.suspects, self.cleared, self.crashes = [], 0, {}

    def __iter__(self):
        return iter(list(self.jobs.values()))

    def hold(self, job):
        self.jobs[job.name] = job
        return job

    async def claim(self, lane, orders, at_most):
        self.claims += [(lane, len(some), at_most[ucc]) for ucc, some in orders.items()]
        await asyncio.sleep(0)
        taken = {ucc: self._claim_of(lane, ucc, some, max(at_most[ucc], 0)) for ucc, some in orders.items()}
        left = sum(len(some) - len(taken[ucc]) for ucc, some in orders.items())
        return Claimed([one for some in taken.values() for one in some], left, {})

    def _claim_of(self, lane, ucc, orders, taken):
        made = [
            job(int(order.order_number), lane=lane, ucc=ucc, crashes=self.crashes.get(order.order_number, 0))
            for order in orders
        ]
        self.backlogs.setdefault(f"nc:backlog:{lane}:{ucc}", []).extend(made[taken:])
        return [self.hold(one) for one in made[:taken]]

    async def claim_watched(self, at_most):
        return [self.hold(one) for one in self.watched[:at_most]]

    async def release(self, jobs):
        self.released += jobs

    async def draw(self, at_most):
        self.draws += at_most.items()
        await asyncio.sleep(0)
        return [self._draw_of(backlog, count) for backlog, count in at_most.items()]

    def _draw_of(self, backlog, count):
        left = self.backlogs.get(backlog, [])
        drawn, self.backlogs[backlog] = left[:count], left[count:]
        return len(self.backlogs[backlog]), [self.hold(one) for one in drawn]

    async def adopt_backlog(self, lanes):
        mine = [backlog for backlog in self.orphans if backlog.split(":")[2] in lanes]
        if mine:
            self.orphans.remove(mine[0])
        return mine[0] if mine else None

    async def leave_backlogs(self, backlogs):
        self.left += backlogs

    async def suspect(self, job):
        await asyncio.sleep(0)
        self.suspects.append(job)

    async def clear_suspects(self):
        self.cleared += 1

    async def add_dead_letter(self, reason, message):
        self.letters.append((reason, message))


class Desk:
    """All of it wired as a worker wires it. `capacity`: orders of one account and lane, `most`: orders in all."""

    def __init__(self, *, capacity=100, threads=8, most=1000, probation_seconds=60.0, ledger=None):
        self.ledger, self.orders = ledger or Ledger(), Orders()
        self.events, self.begun = [], []
        self.days_over = set()
        self.capacity = Capacity(capacity, lambda _: 0.0, lambda _: 0)
        self.probation = Probation(self.ledger, self.orders.take, seconds=probation_seconds)
        self.in_hand = InHand(
            self.orders, self.capacity, self.probation, day_is_over=lambda job: job.name in self.days_over
        )
        self.backlogs = Backlogs(self.ledger, self.in_hand, self.capacity, self.events.append, look_seconds=0.01)
        self.dispatcher = Dispatcher(
            self.ledger,
            self.ledger,
            self.in_hand,
            self.backlogs,
            capacity=self.capacity,
            threads=Threads(threads),
            most=most,
            dead_letters=self.ledger,
            begun=lambda: self.begun.append(len(self.orders.taken)),
            publish=self.events.append,
        )

    def start(self, chunk):
        """Begin with a message, as a thread of Celery's would wait for it."""
        return asyncio.ensure_future(self.dispatcher.work(chunk))

    def end(self, *jobs, status=Status.CANCELLED):
        """End orders: their records are written."""
        for one in jobs or list(self.orders.taken):
            one.status = status
            self.ledger.jobs.pop(one.name, None)
            self.in_hand.ended(one)
