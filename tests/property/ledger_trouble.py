"""What harms a ledger: a server that forgets, lives that end, records that are spoilt, neighbours that delete keys."""

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from neo_cancel.record import Status
from tests.property.ledger_model import spoilt
from tests.property.ledger_names import LANES, NAMES, SHORT_LIFE, WORKERS_AT
from tests.property.ledger_rules import LedgerWork
from worker.ledger.keys import BACKLOGS, RISK_QUEUED, ROUTINE_QUEUED, WATCH, WORKERS, named_key

__all__ = ["LedgerTrouble"]

ENDED = (b"cancelled", b"not_found", b"expired")
"""How an order ended that nothing looks at any more: that its record cannot be read then stays unnoticed."""

DELETED = ("nc:queued:*", "nc:backlogs", "nc:backlog:*", "nc:held:*", "nc:workers", "nc:taken:*", "nc:urgent:*", "r*")


class LedgerTrouble(LedgerWork):
    """Whatever happens, recovery and the sweep bring every order to an end."""

    # ------------------------------------------------------------------ the server

    @invariant()
    def everything_goes_to_the_disk_sooner_or_later(self) -> None:
        keys = self.server.keys()
        with self.server.pipeline() as reads:
            for key in keys:
                reads.pttl(key).dump(key)
            read = reads.execute()
        self.disk.append((self.model.copied(), list(zip(keys, read[::2], read[1::2], strict=True))))

    @rule(back=st.integers(1, 5))
    def lose_the_last_steps(self, back: int) -> None:
        """Restart after a power cut. What was accepted last may be forgotten, and so may claims and results."""
        self.restore(back)

    @rule(at=WORKERS_AT)
    def claim_and_lose_the_claim(self, at: int) -> None:
        self.ask_again_and_deliver_at_once(at, NAMES)
        self.restore(0)

    def restore(self, back: int) -> None:
        model, kept = self.disk[max(0, len(self.disk) - 1 - back)]
        with self.server.pipeline() as writes:
            writes.flushall()
            for key, ttl_ms, value in kept:
                writes.restore(key, max(0, ttl_ms), value)
            writes.execute()
        self.model, self.seen = model.copied(), {}

    @rule()
    def let_short_lives_end(self) -> None:
        """The time passes that impatient producers gave their orders. It ends no order that another one asked for."""
        for name in NAMES:
            if 0 <= self.server.pttl(named_key(name)) <= SHORT_LIFE * 1000:
                assert name not in self.model.patient
                self.server.delete(named_key(name))
                self.model.forget(name)
                self.seen.pop(name, None)

    # ------------------------------------------------------------------ neighbours

    @rule(name=st.sampled_from(NAMES), kind=st.integers(0, 99))
    def spoil_a_record(self, name: str, kind: int) -> None:
        value = self.raw(name)
        if value is None or name in self.model.spoilt or name not in self.model.accepted:
            return
        self.model.is_harmed = True
        self.seen.pop(name, None)
        self.model.spoilt[name] = spoilt(kind, value)
        self.server.set(named_key(name), self.model.spoilt[name], keepttl=True)

    @rule(name=st.sampled_from(NAMES))
    def put_another_kind_of_key_in_a_record_s_place(self, name: str) -> None:
        if name in self.model.accepted:
            self.model.is_harmed = True
            self.seen.pop(name, None)
            self.model.spoilt[name] = b""
            self.model.patient.discard(name)
            self.server.delete(named_key(name))
            self.server.rpush(named_key(name), "a list")
            self.server.expire(named_key(name), 600)

    @rule(pattern=st.sampled_from(DELETED), which=st.integers(0, 9))
    def delete_a_key(self, pattern: str, which: int) -> None:
        """A neighbour on the same Redis, or a finger that slipped."""
        if keys := sorted(self.server.keys(pattern)):
            self.model.is_harmed = True
            self.server.delete(keys[which % len(keys)])

    @rule(lane=st.sampled_from(LANES))
    def delete_the_list_of_backlogs(self, lane: str) -> None:
        """While orders wait in one, and its message has gone."""
        self.ask((), lane, waiting=NAMES)
        self.model.is_harmed = True
        self.server.delete(BACKLOGS, lane)

    # ------------------------------------------------------------------ rest

    @rule()
    def come_to_rest(self) -> None:
        """All leases run out; recovery and the sweep do what they can, while no worker takes a message or draws."""
        if leases := dict.fromkeys(self.server.zrange(WORKERS, 0, -1), 1):
            self.server.zadd(WORKERS, leases)
        self.looks.clear()
        self.workers = [self.start_worker(), self.start_worker()]
        harmed = [name for name in self.model.spoilt if self.is_spoilt_still(name) and name not in self.model.doubtful]
        for _ in range(3):
            self.recover(0)
            self.sweep(0)
        for name in harmed:
            # One that waits at its place is read, and ended, by the worker that takes it.
            if not self.is_spoilt_still(name):
                assert Status.UNKNOWN == self.record(name).status
                assert self.server.zscore(WATCH, name) is not None, name
        for name in list(self.model.doubtful):
            self.learn_what_was_written_anew(name)
        self.model.is_harmed = False
        self.every_order_is_somewhere()

    def settle(self) -> None:
        """Recovery, the sweep and the messages that they write bring every order to its end."""
        self.come_to_rest()
        for _ in range(30):
            self.run(self.workers[0].room.lease.renew())
            for lane in LANES:
                while message := self.server.rpop(lane):
                    self.take(0, message)
            self.draw(0, LANES, ("AB123", "CD456"))
            self.look_at_the_watch_list(0)
            while self.workers[0].tasks:
                self.finish(0, 0, Status.CANCELLED)
            if not self.leftovers():
                break
            self.recover(0)
        assert [] == [record for record in self.records() if not record.is_final]
        assert 0 == self.leftovers()
        assert all(value.split(b" ")[0] in ENDED for value in self.model.spoilt.values()), self.model.spoilt

    def leftovers(self) -> int:
        return sum(self.server.zcard(key) for key in (RISK_QUEUED, ROUTINE_QUEUED, BACKLOGS, WATCH))

    # ------------------------------------------------------------------ what is always so

    @precondition(lambda self: not self.model.is_harmed)
    @invariant()
    def every_order_is_somewhere(self) -> None:
        places = self.places()
        for record in self.records():
            if record.owner is not None:
                assert record.key in places.get(record.owner, ()), record
            elif record.status is Status.QUEUED:
                assert record.key in places["queued"] | places["backlogs"], record
            elif record.status in (Status.UNKNOWN, Status.REFUSED):
                is_given_up = record.crashes >= 5 or (record.text or "").startswith("dead letter")
                assert is_given_up or record.key in places["watched"], record
            else:
                assert record.is_final, record
