"""A worker that is slow and keeps every promise: the proof that the judge asks for nothing that cannot be had.

It reads answers and pages without mistake (it is given their meaning), knows how late a book may be, and believes nothing
earlier. It shares no code with the worker under test and is no model for it: it is in no hurry.
"""

import asyncio
from typing import Final

from tests.simulation.accounts import PATHS, Request
from tests.simulation.book import Page
from tests.simulation.patience import WINDOW, Case
from tests.simulation.process import Process
from tests.simulation.records import Claim, Ending
from tests.simulation.truth import Version
from tests.simulation.wire import Meaning

__all__ = ["PatientWorker"]

READS: Final = 5.0
_MOST_SENDS: Final = 4
_STALE: Final = 0.02
_NOTHING_HAPPENED: Final = frozenset({Meaning.NOT_SENT, Meaning.SESSION, Meaning.TOO_FAST, Meaning.BLOCKED})
_UNSURE: Final = frozenset({Meaning.SILENCE, Meaning.TRANSIENT, Meaning.UNLISTED, Meaning.STRANGER})


class PatientWorker:
    """See the module. One task an order, one reader an account."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._cases: dict[str, Case] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._dead: dict[str, Version] = {}
        self._waits_until: dict[str, float] = {}

    @property
    def _now(self) -> float:
        return self._process.loop.time()

    def take(self, claim: Claim) -> None:
        self._begin(claim, claim.order.accepted_at + claim.order.plan.deadline, _MOST_SENDS)

    def watch(self, claim: Claim, *, may_send: bool) -> None:
        self._begin(claim, self._now + WINDOW, 1 if may_send else 0)

    def escalate(self, ucc: str, number: str) -> None: ...

    def abandon(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._cases.clear()

    async def stop(self, at: float) -> None:
        while self._now < at and any(case.last is None and case.sends for case in self._cases.values()):
            await asyncio.sleep(0.1)
        for task in self._tasks.values():
            task.cancel()

    def release(self, claim: Claim) -> Ending:
        case = self._cases.get(claim.order.number) or self._case(claim, 0.0)
        return self._ending(case, claim.status)

    def _begin(self, claim: Claim, deadline: float, most_sends: int) -> None:
        number, ucc = claim.order.number, claim.order.ucc
        case = self._cases[number] = self._case(claim, deadline)
        if ucc not in self._readers or self._readers[ucc].done():
            self._readers[ucc] = self._process.loop.create_task(self._read_on(ucc))
        self._tasks[number] = self._process.loop.create_task(self._work(case, most_sends))

    def _case(self, claim: Claim, deadline: float) -> Case:
        plan, said = claim.order.plan, claim.document
        first = said.get("first_sent_at", claim.order.accepted_at if claim.maybe_sent else None)
        variety, amo = said.get("variety", plan.asked), said.get("amo", plan.asked_amo)
        case = Case(claim, self._now, deadline, variety, amo, claim.maybe_sent, first)
        case.dead = self._dead.get(claim.order.number)
        return case

    # ------------------------------------------------------------------ reading

    async def _read_on(self, ucc: str) -> None:
        single = 0
        while cases := [case for case in self._cases.values() if case.claim.order.ucc == ucc]:
            asked_at = self._now
            pause = await self._process.rate.take_read(ucc, READS)
            await asyncio.sleep(pause)
            is_fresh = self._now - asked_at - pause < _STALE
            if is_fresh and (token := self._process.token(ucc)) is not None:
                single += 1
                number = cases[single // 2 % len(cases)].claim.order.number if single % 2 else None
                self._process.loop.create_task(self._read(ucc, token, number))
            await asyncio.sleep(0.4)

    async def _read(self, ucc: str, token: str, number: str | None) -> None:
        begun_at = self._now
        self._learn(ucc, await self._process.read(ucc, token, number), begun_at)

    def _learn(self, ucc: str, page: Page, begun_at: float) -> None:
        shown = {order.number: version for order, version in page.shown}
        for number, version in shown.items():
            if version is not None and version.life.is_dead:
                self._dead.setdefault(number, version)
        for number, case in self._cases.items():
            if case.claim.order.ucc != ucc:
                continue
            version = shown.get(number)
            if version is not None:
                case.see(version, begun_at)
            elif page.is_whole and number not in shown and begun_at >= case.since:
                case.misses.append(begun_at)

    # ------------------------------------------------------------------ working

    async def _work(self, case: Case, most_sends: int) -> None:
        while (status := case.settled(self._now)) is None:
            if case.sends < most_sends and self._is_open(case) and case.may_send(self._now):
                await self._send(case)
            await asyncio.sleep(0.05)
        verified = case.dead is not None or status == "not_found"
        number = case.claim.order.number
        ending = self._ending(case, status, verified=verified)
        if self._cases.pop(number, None) is case:
            self._tasks.pop(number)
            self._process.ended(ending)

    def _is_open(self, case: Case) -> bool:
        return self._now >= self._waits_until.get(case.claim.order.ucc, 0.0) and self._process.is_entitled()

    async def _send(self, case: Case) -> None:
        order, rate = case.claim.order, self._process.rate
        asked_at = self._now
        wait = await rate.take_one(order.ucc, is_risk=order.plan.is_risk)
        token = self._process.token(order.ucc)
        if wait or token is None:
            await asyncio.sleep(wait or 0.05)
            return
        if self._now - asked_at > _STALE or case.dead is not None or not self._process.is_entitled():
            return
        case.sends += 1
        case.first_sent_at = self._now if case.first_sent_at is None else case.first_sent_at
        request = Request(PATHS[case.variety], order.number, case.amo, "TCS-EQ", token)
        before, case.last = case.last, None
        answer = await self._process.cancel(order.ucc, request)
        await self._hear(case, answer.meaning, before)

    async def _hear(self, case: Case, meaning: Meaning, before: Meaning | None) -> None:
        now, ucc = self._now, case.claim.order.ucc
        if meaning in _NOTHING_HAPPENED:
            case.last, case.sends = before, case.sends - 1
            case.is_blocked |= meaning is Meaning.BLOCKED
            self._waits_until[ucc] = now + 1.0
            if meaning is Meaning.TOO_FAST:
                await self._process.rate.slow_down(ucc, 0.0)
            return
        case.last, case.replied_at, case.is_blocked = meaning, now, False
        case.unsure |= meaning in _UNSURE
        if meaning is Meaning.OK:
            case.ok_at = case.ok_at or now
        elif meaning is Meaning.DEFINITE:
            case.definite_at = now
        elif meaning in (Meaning.UNCLEAR, Meaning.UNLISTED):
            case.no_at = case.no_at or now

    def _ending(self, case: Case, status: str, *, verified: bool = False) -> Ending:
        document = dict(case.claim.document) | {"variety": case.variety, "amo": case.amo}
        if case.first_sent_at is not None:
            document["first_sent_at"] = case.first_sent_at
        filled = case.dead.filled if case.dead else None
        maybe_sent = case.unsure or bool(case.sends)
        return Ending(case.claim, status, verified, str(case.last or "none"), "", filled, maybe_sent, document)
