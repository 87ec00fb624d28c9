"""What happens to a ledger in ordinary work: requests, messages, claims, notes, results, deaths, recovery."""

import json
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from neo_cancel.record import DEAD, HARMLESS, Status
from tests.property.ledger_base import LedgerGround, order_of
from tests.property.ledger_model import Wish
from tests.property.ledger_names import ENDS, LANES, LONG_LIFE, NAMES, SHORT_LIFE, UCCS, WATCHED, WORKERS_AT
from worker.ledger.keys import WATCH, WORKERS
from worker.ledger.steps import Asked, PutBack, claim_call, requeue_call
from worker.orders.job import Job

__all__ = ["LedgerWork"]

SOME = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)


class LedgerWork(LedgerGround):
    """Every rule is something that really happens between two others."""

    # ------------------------------------------------------------------ producers

    @rule(
        names=SOME,
        in_message=st.integers(0, 3),
        lane=st.sampled_from(LANES),
        seconds=st.sampled_from([1.0, 60.0, 300.0, 3000.0]),
        lives=st.sampled_from([SHORT_LIFE, SHORT_LIFE, LONG_LIFE]),
        variety=st.sampled_from(["regular", "regular", "bracket", "cover"]),
    )
    def ask_for_some(  # noqa: PLR0917 (Hypothesis shows them by name)
        self, names: Sequence[str], in_message: int, lane: str, seconds: float, lives: int, variety: str
    ) -> None:
        """By any producer, whatever it was that others asked for; some in the message, the others in backlogs."""
        ahead, waiting = names[:in_message], names[in_message:]
        self.ask(ahead, lane, waiting=waiting, seconds=seconds, lives=lives, variety=variety)

    # ------------------------------------------------------------------ messages

    def pop(self) -> bytes | None:
        found = self.server.rpop("risk") or self.server.rpop("routine")
        return found if isinstance(found, bytes) else None

    @rule(at=WORKERS_AT, at_most=st.sampled_from([100, 100, 100, 1, 0]))
    def deliver(self, at: int, at_most: int) -> None:
        if message := self.pop():
            self.take(at, message, at_most=at_most)

    def take(self, at: int, message: bytes, *, at_most: int = 100) -> None:
        unknown = {name for name in NAMES if self.raw(name) is None or name in self.model.spoilt}
        self.run(self.workers[at].take(message, at_most=at_most))
        for name in unknown:
            self.learn_what_was_written_anew(name)

    def learn_what_was_written_anew(self, name: str) -> None:
        """An order that came without a record, or with a spoilt one, was accepted from its message."""
        if self.raw(name) is None or self.is_spoilt_still(name):
            return
        record = self.record(name)
        self.model.begin(name, Wish(record.lane == "risk", record.deadline_at, record.deadline_at))
        self.model.patient.add(name)
        self.seen.pop(name, None)

    @rule(at=WORKERS_AT, names=SOME)
    def ask_again_and_deliver_at_once(self, at: int, names: Sequence[str]) -> None:
        self.ask(names, "risk")
        self.deliver(at, at_most=100)

    @rule(kind=st.sampled_from(["doubled", "dropped"]), lane=st.sampled_from(LANES))
    def upset_messages(self, kind: str, lane: str) -> None:
        if kind == "dropped":
            self.server.rpop(lane)
        elif message := self.server.lindex(lane, 0):
            self.server.lpush(lane, message)

    # ------------------------------------------------------------------ workers

    @rule(at=WORKERS_AT, name=st.sampled_from(NAMES))
    def claim_and_never_hear_of_it(self, at: int, name: str) -> None:
        asked = [Asked(name.partition(":")[0], [name], 100)]
        self.run(self.workers[at].client.call(claim_call(self.workers[at].id, "routine", asked)))

    @rule(at=WORKERS_AT, lanes=st.sampled_from([*LANES, LANES]), uccs=st.sampled_from([UCCS[:1], UCCS]))
    def draw(self, at: int, lanes: str | Sequence[str], uccs: Sequence[str]) -> None:
        self.run(self.workers[at].draw([lanes] if isinstance(lanes, str) else lanes, uccs))
        self.learn_what_was_mended()

    @rule(at=WORKERS_AT)
    def look_at_the_watch_list(self, at: int) -> None:
        if due := dict.fromkeys(self.server.zrange(WATCH, 0, -1), 1):
            self.server.zadd(WATCH, due)
        self.workers[at].tasks += self.run(self.workers[at].room.claims.claim_watched(3))
        self.learn_what_was_mended()

    def learn_what_was_mended(self) -> None:
        """A spoilt record was ended, or written over by the worker that holds it; what was asked for meanwhile may be lost."""
        for name in [name for name in self.model.spoilt if not self.is_spoilt_still(name)]:
            record = self.record(name)
            self.model.begin(name, Wish(False, 0.0, record.deadline_at))
            self.model.patient.add(name)
            self.seen.pop(name, None)

    @precondition(lambda self: self.has_tasks())
    @rule(at=WORKERS_AT)
    def note(self, at: int) -> None:
        worker = self.busy(at)
        for job in worker.tasks:
            worker.room.notes.note(job, Status.VERIFYING)
            self.hear_of(job)
        for _ in range(2):
            self.run(worker.room.notes.write())
        self.learn_what_was_mended()

    @precondition(lambda self: self.has_tasks())
    @rule(at=WORKERS_AT, which=st.integers(0, 5), status=st.sampled_from(ENDS))
    def finish(self, at: int, which: int, status: Status) -> None:
        worker = self.busy(at)
        job = worker.tasks.pop(which % len(worker.tasks))
        told = Wish(job.is_risk, job.deadline_at, job.deadline_at)
        if job.name not in self.model.accepted or job.name in self.model.spoilt:
            # Forgotten, or not to be read: the result may be all that is left of it.
            self.run(worker.finish(job, status))
            if self.raw(job.name) is not None and not self.is_spoilt_still(job.name):
                # What was asked for meanwhile may have outlived the spoiling.
                latest = max(told.until, self.record(job.name).deadline_at)
                self.model.begin(job.name, replace(told, at_latest=latest))
                self.model.patient.add(job.name)
                self.seen.pop(job.name, None)
            return
        before = self.record(job.name)
        is_ours = before.fence == job.fence and before.owner == worker.id
        is_forgotten = before.fence < job.fence and before.status not in DEAD
        if is_forgotten and before.is_final:  # an end takes an end's place: only what its worker knows is left
            self.model.begin(job.name, told)
        elif is_forgotten or is_ours:
            self.hear_of(job)
        asks_more = before.deadline_at > job.deadline_at + 0.002 or (before.lane == "risk" and not job.is_risk)
        goes_on = not before.is_final and asks_more and status not in HARMLESS
        written = self.run(worker.finish(job, status))
        assert (is_ours or is_forgotten) == written
        after = self.record(job.name)
        expected = (Status.QUEUED if goes_on else status, None)
        assert (after == before) if not written else (after.status, after.owner) == expected
        if written:
            self.model.patient.add(job.name)
        if written and (before.status in WATCHED or before.fence < job.fence or goes_on):
            # Unknown is what proof may replace; and the server may have forgotten that the order was asked for again.
            self.seen.pop(job.name, None)

    @precondition(lambda self: self.has_tasks())
    @rule(at=WORKERS_AT)
    def watch_what_ended_unknown(self, at: int) -> None:
        self.finish(at, 0, Status.UNKNOWN)
        self.look_at_the_watch_list(at)

    @rule(at=WORKERS_AT)
    def release(self, at: int) -> None:
        worker = self.workers[at]
        jobs: list[Job] = [job for job in worker.tasks if not job.is_watched]
        worker.tasks[:] = [job for job in worker.tasks if job.is_watched]
        for job in jobs:
            self.hear_of(job)
        self.run(worker.room.claims.release(jobs))
        self.learn_what_was_mended()

    @rule(at=WORKERS_AT)
    def renew(self, at: int) -> None:
        """Keep the lease, hear what was asked for meanwhile, and compare what is held."""
        self.run(self.workers[at].room.lease.renew())
        self.learn_what_was_mended()

    @rule(at=WORKERS_AT)
    def let_the_lease_run_out(self, at: int) -> None:
        """Freeze it: it believes in its lease, and works on as soon as it wakes up."""
        self.server.zadd(WORKERS, {self.workers[at].id: 1}, xx=True)

    @rule(at=WORKERS_AT)
    def die(self, at: int) -> None:
        self.let_the_lease_run_out(at)
        self.workers[at] = self.start_worker()

    # ------------------------------------------------------------------ recovery

    @rule(name=st.sampled_from(NAMES), why=st.sampled_from(["died", "lost"]), to_end=st.booleans())
    def look_before_putting_back(self, name: str, why: str, to_end: bool) -> None:
        """Recovery reads an order, and something else comes between that and its next step."""
        if name not in self.model.accepted or name in self.model.spoilt:
            return
        record = self.record(name)
        ends = self.server.zscore(WORKERS, record.owner or "-")
        if (record.owner is None) == (why == "lost") and (record.owner is None or ends == 0):
            wire = json.dumps(order_of(name).to_wire())
            orders = [PutBack(*name.split(":"), record.fence, wire)]
            owner = record.owner or "-"
            call = requeue_call(lane=record.lane, owner=owner, orders=orders, why=why, crashes=0, to_end=to_end)
            self.looks.append((name, call))

    @precondition(lambda self: self.looks)
    @rule()
    def put_back_late(self) -> None:
        name, call = self.looks.pop(0)
        if name in self.model.accepted:
            self.call(call)

    @rule()
    def find_the_dead(self) -> None:
        """The first half of a recovery pass: the lease is lost for good, its orders are still to be moved."""
        if leases := self.server.zrangebyscore(WORKERS, 0, 1):
            self.server.zadd(WORKERS, dict.fromkeys(leases, 0))

    @rule(at=WORKERS_AT)
    def recover(self, at: int) -> None:
        self.run(self.workers[at].room.recovery.run_pass())
        self.learn_what_was_mended()

    @rule(at=WORKERS_AT)
    def sweep(self, at: int) -> None:
        self.run(self.workers[at].walk())
        self.learn_what_was_mended()
