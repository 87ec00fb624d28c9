"""Where an order is: in its account's queue, waiting for evidence, or in flight. One router puts it where its machine says."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from neo_cancel.record import Status
from worker.kotak.order_book import BookPage, Row
from worker.kotak.replies import TooLateError
from worker.observe.events import Ended, InternalError, Publish
from worker.orders.account_evidence import ReadingPolicy
from worker.orders.account_queue import QueuePolicy
from worker.orders.backoff import Draw
from worker.orders.evidence import Evidence
from worker.orders.finding import LookResult
from worker.orders.job import Job
from worker.orders.machine import OrderMachine
from worker.orders.policy import CancelPolicy
from worker.orders.ports import Broker, Ledger, RateLimiter, ReadBudget
from worker.orders.queue import AccountQueues
from worker.orders.sender import Sender
from worker.orders.steps import Finish, Look, Send, Step

__all__ = ["Router", "World"]

_STOP_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class World:
    """All that the orders of one process have to do with, and that knows nothing of them.

    `clock` gives seconds since the epoch, the same for all workers; `draw` is random.uniform or its like. While
    `is_entitled` says no, nothing is sent.
    """

    broker: Broker
    rate_limiter: RateLimiter
    read_budget: ReadBudget
    ledger: Ledger
    clock: Callable[[], float]
    draw: Draw
    publish: Publish
    is_entitled: Callable[[], bool] = lambda: True


class Router:
    """Takes orders to their final status, as many at a time as it is given.

    An order is in one place at a time; each place hands it back here, and what its machine answers says where it goes next.
    Only an order in flight is a task.
    """

    def __init__(
        self,
        world: World,
        policy_of: Callable[[str], CancelPolicy],
        *,
        sending: QueuePolicy | None = None,
        reading: ReadingPolicy | None = None,
    ) -> None:
        self._ledger, self._clock, self._publish = world.ledger, world.clock, world.publish
        self._machine = OrderMachine(policy_of, world.draw, world.publish, world.broker.codes)
        self.queues = AccountQueues(
            world.rate_limiter,
            sending or QueuePolicy(),
            clock=world.clock,
            is_entitled=world.is_entitled,
            on_turn=self._turn,
            on_deadline=self._time_up,
            publish=world.publish,
        )
        self._evidence = Evidence(
            world.broker,
            world.read_budget,
            reading or ReadingPolicy(),
            clock=world.clock,
            is_quiet=self.queues.is_quiet,
            on_look=self._found,
            on_page=self._page_came,
            on_row=self._row_came,
            on_deadline=self._time_up,
        )
        self._sender = Sender(
            world.broker, world.rate_limiter, self.queues, world.ledger, clock=world.clock, publish=world.publish
        )
        self._in_flight: dict[asyncio.Task[None], Job] = {}

    def take(self, job: Job, *, sends: int = 0) -> None:
        """Work on an order until it ends; then its status is in the job, and the ledger is told to write it.

        A watched order may be sent `sends` times, and may end with the status that it had.
        """
        self._step(job, lambda: self._machine.begin(job, self._clock(), sends=sends))

    def escalate(self, job: Job) -> None:
        """Let an order that became urgent overtake, wherever it is."""
        self.queues.escalate(job)

    def extend(self, job: Job, until: float) -> None:
        """Work on an order until then, in seconds since the epoch, wherever it is; the pauses that it is in go on."""
        job.extend(until)

    async def stop(self, at: float) -> None:
        """Let go of every order, of one in flight at the latest `at`, by the loop's clock. Nothing is written for them."""
        loop = asyncio.get_running_loop()
        self._withdraw()
        while self._in_flight and loop.time() < at:
            await asyncio.wait(self._in_flight, timeout=_STOP_LOOK_SECONDS, return_when="FIRST_COMPLETED")
            self._withdraw()
        self.abandon()
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    def abandon(self) -> None:
        """Let go of every order at once; see `stop`."""
        self._withdraw()
        for task in self._in_flight:
            task.cancel()

    async def forget_idle(self) -> None:
        """Let go of what is kept for accounts that have nothing to do."""
        self.queues.forget_idle()
        self._evidence.forget_idle()

    def close(self) -> None:
        """Stop reading and giving turns, after `stop`."""
        self._evidence.close()
        self.queues.close()

    def _withdraw(self) -> None:
        self.queues.withdraw()
        self._evidence.withdraw()

    # ------------------------------------------------------------------ what happened

    def _turn(self, job: Job, granted_at: float) -> None:
        self._machine.remember(job, self._clock())
        task = asyncio.create_task(self._send(job, granted_at))
        self._in_flight[task] = job
        task.add_done_callback(self._landed)

    def _landed(self, task: "asyncio.Task[None]") -> None:
        # A task that was cancelled before its first step never used its turn.
        self.queues.release(self._in_flight.pop(task))

    async def _send(self, job: Job, granted_at: float) -> None:
        try:
            verdict = await self._sender.call(job, granted_at)
            self.queues.release(job)
            verdict = await self._sender.heed(job, verdict)
        except TooLateError:
            self.queues.release(job)
            self._put(job, Send(until=job.waits_until))
            return
        except Exception as error:  # noqa: BLE001 (whatever goes wrong with one order must not lose it)
            self._fail(job, error)
            return
        self._step(job, lambda: self._machine.replied(job, verdict, self._clock()))

    def _found(self, job: Job, result: LookResult) -> None:
        self._step(job, lambda: self._machine.found(job, result, self._clock()))

    def _page_came(self, ucc: str, page: BookPage, began_at: float, looking: Sequence[Job]) -> None:
        """Let every order of an account know what a page shows; those that it shows dead end, wherever they are."""
        shown = {job.order_number: job.find_on(page, began_at) for job in self.queues.orders(ucc)} if page.dead else {}
        dead = [number for number, result in shown.items() if number in page.dead and isinstance(result.finding, Row)]
        for job in self.queues.take_out(ucc, dead) if dead else ():
            self._put(job, self._machine.see(job, shown[job.order_number], self._clock()) or Send())
        for job in self._held(ucc, looking):
            self._machine.glimpse(job, shown.get(job.order_number) or job.find_on(page, began_at))

    def _row_came(self, ucc: str, result: LookResult, looking: Sequence[Job]) -> None:
        """Let an order know what a late read of it shows, wherever it is by now."""
        for job in self._held(ucc, looking):
            if isinstance(result.finding, Row) and job.order_number == result.finding.order_number:
                self._machine.glimpse(job, result)

    def _held(self, ucc: str, looking: Sequence[Job]) -> list[Job]:
        """List the account's orders. In flight, the reply is waited for, and counts for whose cancel it was."""
        in_flight = [job for job in self._in_flight.values() if job.ucc == ucc]
        return [*looking, *in_flight, *self.queues.orders(ucc)]

    def _time_up(self, job: Job) -> None:
        self._step(job, lambda: self._machine.time_up(job, self._clock()))

    # ------------------------------------------------------------------ what comes next

    def _step(self, job: Job, next_step: Callable[[], Step]) -> None:
        try:
            self._put(job, next_step())
        except Exception as error:  # noqa: BLE001 (see _send)
            self._fail(job, error)

    def _put(self, job: Job, step: Step) -> None:
        """Put an order where its next step says; what comes after its deadline does not happen any more."""
        now = self._clock()
        if not isinstance(step, Finish) and (seen := self._evidence.known_dead(job)) is not None:
            step = self._machine.see(job, seen, now) or step
        while not isinstance(step, Finish) and now >= _ends_at(job, step):
            step = self._machine.time_up(job, now)
        if isinstance(step, Send):
            if step.not_before > now:
                self._ledger.note(job, Status.WAITING, step.waiting_for)
            elif not self.queues.is_free(job):
                self._ledger.note(job, Status.WAITING, "pace")
            job.waits_until = _ends_at(job, step)
            self.queues.enqueue(job, not_before=step.not_before)
        elif isinstance(step, Look):
            self._ledger.note(job, Status.VERIFYING)
            offset = asyncio.get_running_loop().time() - now
            self._evidence.enqueue(
                job,
                not_before=step.not_before + offset,
                until=_ends_at(job, step) + offset,
                patient=step.patient,
                thorough=step.thorough,
            )
        else:
            self._finish(job, step, now)

    def _finish(self, job: Job, end: Finish, now: float) -> None:
        self._machine.conclude(job, end, now)
        if end.status is not None:
            code, batch, verified = (job.document.get(name) for name in ("code", "batch", "verified"))
            self._publish(Ended(job.name, str(job.status), job.attempts, code, batch, verified=bool(verified)))
        self._ledger.finish(job)

    def _fail(self, job: Job, error: Exception) -> None:
        self._publish(InternalError(repr(error), order=job.name))
        job.status, job.course = Status.UNKNOWN, None
        job.update(text=f"internal error: {type(error).__name__}", final_at=self._clock())
        self._ledger.finish(job)


def _ends_at(job: Job, step: Send | Look) -> float:
    """Say when the step is not worth doing any more."""
    if isinstance(step, Look) and step.until is not None:
        return step.until
    return min(job.deadline_at, math.inf if step.until is None else step.until)
