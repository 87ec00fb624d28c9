"""Hurt a running system for a while, let it settle, and compare every accepted order with the sandbox's truth."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from neo_cancel.keys import named_key
from neo_cancel.record import OrderRecord, Status, split
from tests.chaos.events import FAULTS, Event, thrown
from tests.chaos.producing import Producing, make_orders
from tests.chaos.proxy import Proxy
from tests.chaos.stage import Server, Workers, write_accounts
from tests.fault.truth import contradicts
from worker.ledger.keys import COUNTERS, DEAD_LETTERS, WORKERS, held_key
from worker.sandbox.control import SandboxControl
from worker.sandbox.process import running_sandbox

__all__ = ["Options", "run"]

UCCS = ("CH001", "CH002", "CH003", "CH004")
LEASE_SECONDS = 2.0
SETTLE_SECONDS = 150.0
SAMPLE_SECONDS = 0.05
LOST_WINDOW_SECONDS = 1.0
WORKER_ENV = {
    "NEO_CANCEL_LEASE": str(LEASE_SECONDS),
    "NEO_CANCEL_ORDERS_PER_SECOND": "0",
    "NEO_CANCEL_READS_PER_SECOND": "30",
    "NEO_CANCEL_CALL_TIMEOUT": "1.5",
    "NEO_CANCEL_READ_TIMEOUT": "1",
    "NEO_CANCEL_CONNECT_TIMEOUT": "0.5",
    "NEO_CANCEL_BOOK_TIMEOUT": "2",
    "NEO_CANCEL_WATCH_INTERVAL": "0.5",
    "NEO_CANCEL_ACCOUNT_ORDERS_AT_ONCE": "200",
    "NEO_CANCEL_LOG_LEVEL": "INFO",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What to do. `only` names the events that may happen, all without it; `env` goes to the workers."""

    seconds: float
    seed: int
    folder: Path
    orders: int = 4000
    workers: int = 3
    every: float = 1.0
    only: frozenset[str] = frozenset()
    appendfsync: str = "everysec"
    env: Mapping[str, str] = field(default_factory=dict[str, str])


async def run(options: Options) -> dict[str, Any]:
    """Do it and answer seed, events and figures."""
    uccs, dice = UCCS, random.Random(f"orders {options.seed}")
    with (
        Server(options.folder, appendfsync=options.appendfsync) as server,
        running_sandbox("--seed", str(options.seed)) as sandbox,
    ):
        port = urlsplit(sandbox.base_url).port or 0
        async with Proxy(server.port) as to_valkey, Proxy(port) as to_broker:
            accounts = options.folder / "accounts.json"
            write_accounts(sandbox, accounts, uccs, ports=(port, to_broker.port))
            orders = make_orders(sandbox, uccs, options.orders, dice)
            with Workers(
                url=f"redis://127.0.0.1:{to_valkey.port}/0",
                accounts_file=accounts,
                log_path=options.folder / "workers.log",
                env={**WORKER_ENV, **options.env},
            ) as workers:
                chaos = _Chaos(options, server, sandbox, workers, proxies=(to_valkey, to_broker))
                return await chaos.play(orders)


class _Chaos:
    """One run."""

    def __init__(
        self,
        options: Options,
        server: Server,
        sandbox: SandboxControl,
        workers: Workers,
        *,
        proxies: tuple[Proxy, Proxy],
    ) -> None:
        self._options, self._server, self._sandbox, self._workers = options, server, sandbox, workers
        self._to_valkey, self._to_broker = proxies
        self._done: list[dict[str, Any]] = []
        self._later: list[asyncio.Task[None]] = []
        self._excused: list[tuple[float, float]] = []
        self._written: list[tuple[float, int]] = []
        self._moved_after: list[float] = []
        self._is_up = True

    async def play(self, orders: Sequence[Any]) -> dict[str, Any]:
        options = self._options
        for _ in range(options.workers):
            self._workers.start()
        await self._until(lambda: self._server.client.zcard(WORKERS) >= options.workers, "workers to start", 60)
        producers = [
            Producing(self._server.url, orders[at::2], seconds=options.seconds * 0.95, seed=f"{options.seed} {at}")
            for at in range(2)
        ]
        started = time.monotonic()
        sampling = asyncio.create_task(self._sample())
        for producer in producers:
            producer.start()
        only = options.only
        for event in thrown(options.seed, seconds=options.seconds, every=options.every, only=only):
            await asyncio.sleep(max(0.0, started + event.at - time.monotonic()))
            told = await getattr(self, f"_{event.name}")(event)
            self._done.append({"at": round(time.monotonic() - started, 2), "event": event.name, "told": told})
        await asyncio.gather(*self._later)
        await self._make_peace()
        for producer in producers:
            await asyncio.to_thread(producer.join, 60)
        sampling.cancel()
        accepted = self._accepted(producers)
        peace_at = time.monotonic()
        unfinished = await self._settle(list(accepted))
        return self._report(accepted, unfinished, producers, time.monotonic() - peace_at, len(orders))

    # ------------------------------------------------------------------ events

    async def _kill_worker(self, event: Event) -> Any:
        if self._leases() < 2:
            return None  # somebody must be left to notice
        child = self._workers.running[int(event.dice[0] * len(self._workers.running))]
        before = self._held() if self._is_up else {}
        self._workers.kill(child)
        self._later.append(asyncio.create_task(self._watch_moves(time.monotonic(), before)))
        self._workers.start()
        return child.name

    async def _freeze_worker(self, event: Event) -> Any:
        if self._leases() < 2 or len(self._workers.running) < 2:
            return None
        child = self._workers.running[int(event.dice[0] * len(self._workers.running))]
        self._workers.freeze(child)
        seconds = LEASE_SECONDS * (1.5 + 1.5 * event.dice[1])

        async def thaw() -> None:
            await asyncio.sleep(seconds)
            self._workers.thaw(child)

        self._later.append(asyncio.create_task(thaw()))
        return f"{child.name} {seconds:.1f} s"

    async def _kill_valkey(self, event: Event) -> Any:
        killed_at = time.monotonic()
        self._is_up = False
        await asyncio.to_thread(self._server.kill)
        told = "killed"
        if self._options.appendfsync == "everysec":
            # What a machine that loses its power forgets: the process alone would have left it to the kernel.
            window = event.dice[0] * LOST_WINDOW_SECONDS
            sizes = [size for at, size in self._written if at <= killed_at - window]
            if sizes:
                self._server.lose_last_writes(sizes[-1])
            self._excused.append((killed_at - window - 2 * SAMPLE_SECONDS - 0.05, killed_at))
            told = f"lost {window:.2f} s"
        await self._down_for(event.dice[1])
        return told

    async def _stop_valkey(self, event: Event) -> Any:
        self._is_up = False
        await asyncio.to_thread(self._server.stop)
        await self._down_for(event.dice[1])
        return "stopped"

    async def _down_for(self, die: float) -> None:
        await asyncio.sleep(die * die * 4)
        await asyncio.to_thread(self._server.start)
        self._written.clear()
        self._is_up = True

    async def _cut_valkey(self, event: Event) -> Any:
        return await self._cut(self._to_valkey, event)

    async def _cut_broker(self, event: Event) -> Any:
        return await self._cut(self._to_broker, event)

    async def _cut(self, proxy: Proxy, event: Event) -> Any:
        proxy.is_shut = True
        count = proxy.cut()
        await asyncio.sleep(event.dice[0])
        proxy.is_shut = False
        return f"{count} connections for {event.dice[0]:.2f} s"

    async def _delay_valkey(self, event: Event) -> Any:
        return await self._delay(self._to_valkey, 0.2 * event.dice[0], event)

    async def _delay_broker(self, event: Event) -> Any:
        return await self._delay(self._to_broker, 1.0 * event.dice[0], event)

    async def _delay(self, proxy: Proxy, seconds: float, event: Event) -> Any:
        proxy.delay_seconds = seconds

        async def stop() -> None:
            await asyncio.sleep(0.5 + 2 * event.dice[1])
            proxy.delay_seconds = 0.0

        self._later.append(asyncio.create_task(stop()))
        return f"{seconds:.2f} s"

    async def _double_messages(self, event: Event) -> Any:
        return self._with_messages(event, self._double)

    def _double(self, lane: str, at: int) -> bool:
        message = self._server.client.lindex(lane, at)
        return message is not None and bool(self._server.client.lpush(lane, message))

    async def _drop_messages(self, event: Event) -> Any:
        return self._with_messages(event, lambda lane, _: self._server.client.rpop(lane) is not None)

    def _with_messages(self, event: Event, act: Callable[[str, int], bool]) -> int:
        lane = "risk" if event.dice[0] < 0.3 else "routine"
        with contextlib.suppress(redis.RedisError):
            return sum(act(lane, at) for at in range(1 + int(event.dice[1] * 10)))
        return 0

    async def _fault(self, event: Event) -> Any:
        fault = FAULTS[int(event.dice[0] * len(FAULTS))]
        probability = 0.05 + 0.4 * event.dice[1]
        await asyncio.to_thread(self._sandbox.add_fault, **fault, probability=probability)
        return f"{fault} {probability:.2f}"

    async def _clear_faults(self, _: Event) -> Any:
        await asyncio.to_thread(self._sandbox.clear_faults)

    async def _fill_orders(self, event: Event) -> Any:
        """Execute some orders behind the API's back."""
        working = [order for order in await asyncio.to_thread(self._sandbox.truth) if order["standing"] == "working"]
        some = random.Random(event.dice[0]).sample(working, min(5, len(working)))
        for order in some:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(self._sandbox.set_state, order["order_number"], "complete")
        return len(some)

    # ------------------------------------------------------------------ looking on

    async def _sample(self) -> None:
        while True:
            if self._is_up:
                with contextlib.suppress(OSError, ValueError):
                    self._written.append((time.monotonic(), self._server.written()))
            await asyncio.sleep(SAMPLE_SECONDS)

    def _leases(self) -> int:
        with contextlib.suppress(redis.RedisError):
            return int(self._server.client.zcount(WORKERS, time.time() * 1000, "+inf"))
        return 0

    def _held(self) -> dict[str, dict[str, int]]:
        """Read what each worker holds, with the fences."""
        held: dict[str, dict[str, int]] = {}
        with contextlib.suppress(redis.RedisError):
            for worker in self._server.client.zrange(WORKERS, 0, -1):
                names = [name.decode() for name in self._server.client.smembers(held_key(worker.decode()))]
                held[worker.decode()] = dict(zip(names, (fence for fence, _ in self._states(names)), strict=True))
        return held

    def _states(self, names: Sequence[str]) -> list[tuple[int, bool]]:
        values = self._server.client.mget([named_key(name) for name in names]) if names else []
        headers = [split(value)[0] if value else None for value in values]
        return [(header.fence, header.owner is None) if header else (0, True) for header in headers]

    async def _watch_moves(self, killed_at: float, before: Mapping[str, Mapping[str, int]]) -> None:
        """Measure how long the orders of the worker that was killed took to be in other hands."""
        waiting: dict[str, int] = {}
        dead: str | None = None
        while time.monotonic() < killed_at + 15 and (dead is None or waiting):
            await asyncio.sleep(0.1)
            try:
                alive = {worker.decode() for worker in self._server.client.zrangebyscore(WORKERS, "(0", "+inf")}
                gone = [worker for worker in before if worker not in alive]
                if dead is None and gone and self._is_up:
                    dead, waiting = gone[0], dict(before[gone[0]])
                now = time.monotonic()
                names = list(waiting)
                for name, (fence, is_free) in zip(names, self._states(names), strict=True):
                    if fence > waiting[name] or (is_free and self._is_final(name)):
                        del waiting[name]
                        self._moved_after.append(now - killed_at)
            except redis.RedisError:
                continue
        self._moved_after += [15.0] * len(waiting)

    def _is_final(self, name: str) -> bool:
        value = self._server.client.get(named_key(name))
        return value is None or OrderRecord.decode(value).is_final

    # ------------------------------------------------------------------ peace

    async def _make_peace(self) -> None:
        for proxy in (self._to_valkey, self._to_broker):
            proxy.delay_seconds, proxy.is_shut = 0.0, False
        await asyncio.to_thread(self._sandbox.clear_faults)

    def _accepted(self, producers: Sequence[Producing]) -> dict[str, bool]:
        """Name what was accepted, and whether the server had a right to forget it."""
        first: dict[str, float] = {}
        for producer in producers:
            for name, at in producer.accepted.items():
                first[name] = min(at, first.get(name, at))
        return {name: any(since <= at <= until for since, until in self._excused) for name, at in first.items()}

    async def _settle(self, names: Sequence[str]) -> set[str]:
        ends_at = time.monotonic() + SETTLE_SECONDS
        proof_at = None
        while time.monotonic() < ends_at:
            records = await asyncio.to_thread(self._records, names)
            unfinished = {name for name, record in records.items() if record is not None and not record.is_final}
            unproven = any(record is not None and record.status is Status.UNKNOWN for record in records.values())
            if not unfinished:
                proof_at = proof_at or time.monotonic() + 10  # the watch list gets a moment, too
                if not unproven or time.monotonic() > proof_at:
                    return set()
            await asyncio.sleep(0.25)
        return unfinished

    def _records(self, names: Sequence[str]) -> dict[str, OrderRecord | None]:
        records: dict[str, OrderRecord | None] = {}
        for at in range(0, len(names), 1000):
            some = names[at : at + 1000]
            values = self._server.client.mget([named_key(name) for name in some])
            records |= {
                name: OrderRecord.decode(value) if value else None for name, value in zip(some, values, strict=True)
            }
        return records

    def _report(
        self,
        accepted: Mapping[str, bool],
        unfinished: set[str],
        producers: Sequence[Producing],
        settled_after: float,
        orders: int,
    ) -> dict[str, Any]:
        records = self._records(list(accepted))
        truth = {f"{order['ucc']}:{order['order_number']}": order for order in self._sandbox.truth()}
        lost = [
            name
            for name, may_be_forgotten in accepted.items()
            if (records[name] is None and not may_be_forgotten) or name in unfinished
        ]
        false = [
            {"order": name, "status": record.status, "record": record.to_json(), "truth": truth.get(name)}
            for name, record in records.items()
            if record is not None
            and record.is_final
            and contradicts(record.status, truth.get(name))
            # Forgotten and asked for again: dead for sure, only by whose cancel nobody can know any more.
            and not (accepted[name] and record.status is Status.ALREADY_CANCELLED and _is_cancelled(truth.get(name)))
        ]
        known = [record for record in records.values() if record is not None]
        latencies = sorted(record.final_latency_seconds for record in known if record.final_latency_seconds is not None)
        endpoints: Mapping[str, int] = self._sandbox.stats()["endpoints"]
        calls = sum(endpoints.get(name, 0) for name in ("regular", "bracket", "cover"))
        counters = self._server.client.hgetall(COUNTERS)
        return {
            "seed": self._options.seed,
            "appendfsync": self._options.appendfsync,
            "events": self._done,
            "figures": {
                "orders": len(accepted),
                "of": orders,
                "lost": len(lost),
                "false": len(false),
                "forgotten": sum(record is None for record in records.values()),
                "unknown": sum(record.status is Status.UNKNOWN for record in known),
                "statuses": dict(Counter(str(record.status) for record in known)),
                "recovered": int(counters.get(b"recovered", 0)),
                "dead_letters": int(self._server.client.llen(DEAD_LETTERS)),
                "producer_errors": sum(producer.errors for producer in producers),
                "asked_again": sum(producer.repeated for producer in producers),
                "broker_calls_per_order": round(calls / max(1, len(accepted)), 3),
                "p50_final_seconds": _quantile(latencies, 0.5),
                "p99_final_seconds": _quantile(latencies, 0.99),
                "moved_on": len(self._moved_after),
                "p99_moved_on_seconds": _quantile(sorted(self._moved_after), 0.99),
                "settled_after_seconds": round(settled_after, 2),
                "internal_errors": self._workers.logged("internal error")[:5],
            },
            "lost": [{"order": name, "record": getattr(records[name], "to_json", dict)()} for name in lost[:20]],
            "false": false[:20],
        }

    async def _until(self, is_true: Callable[[], bool], what: str, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while not is_true():
            if time.monotonic() > ends_at:
                raise TimeoutError(f"waited {seconds:g} s for {what}")
            await asyncio.sleep(0.05)


def _is_cancelled(truth: Mapping[str, Any] | None) -> bool:
    return truth is not None and truth["standing"] == "cancelled"


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(share * len(values)))], 3) if values else None
