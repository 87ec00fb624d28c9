"""Kill a worker every two seconds behind a long queue, and measure how soon what it held is in other hands."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from neo_cancel import CancelProducer
from neo_cancel.keys import named_key
from neo_cancel.record import FINAL, OrderRecord, Status
from tests.chaos.producing import make_orders
from tests.chaos.stage import Server, Workers, write_accounts
from tests.fault.truth import contradicts
from worker.ledger.keys import DEAD_LETTERS, held_key
from worker.sandbox.control import SandboxControl
from worker.sandbox.process import running_sandbox

__all__ = ["KillOptions", "run_kills"]

UCCS = tuple(f"CH{number:03d}" for number in range(100))
LOOK_SECONDS = 0.05
SETTLE_SECONDS = 300.0
DEADLINE_SECONDS = 3600.0  # nobody's time is up before the end
GOAL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class KillOptions:
    """What to do. The accounts' rate is such that the orders last as long as the kills; `env` goes to the workers."""

    seconds: float
    seed: int
    folder: Path
    orders: int = 20_000
    workers: int = 3
    every: float = 2.0
    appendfsync: str = "everysec"
    env: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Header:
    status: str
    fence: int
    crashes: int


@dataclass(slots=True)
class _Killed:
    """One killed worker: what it held, by name, with each order's fence. `waiting` is not yet in other hands."""

    worker: str
    at: float
    waiting: dict[str, tuple[int, int]]
    put_back_after: float | None = None
    moved_after: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    dead_letters: int = 0


def run_kills(options: KillOptions) -> dict[str, Any]:
    """Do it and answer seed, kills and figures."""
    rate = options.orders / len(UCCS) / options.seconds
    with (
        Server(options.folder, appendfsync=options.appendfsync) as server,
        running_sandbox("--seed", str(options.seed)) as sandbox,
    ):
        accounts = options.folder / "accounts.json"
        write_accounts(sandbox, accounts, UCCS)
        made = make_orders(sandbox, UCCS, options.orders, random.Random(f"orders {options.seed}"))
        orders = [replace(order, deadline_seconds=DEADLINE_SECONDS) for order in made]
        with Workers(
            url=server.url,
            accounts_file=accounts,
            log_path=options.folder / "workers.log",
            env={"NEO_CANCEL_ORDERS_PER_SECOND": f"{rate:.1f}", "NEO_CANCEL_LOG_LEVEL": "INFO", **options.env},
        ) as workers:
            return _Kills(options, server, sandbox, workers).play(orders)


class _Kills:
    """One run. A worker's turn to be killed comes when it has a lease: before that it is nobody's worker.

    The process that works is killed; its node starts another.
    """

    def __init__(self, options: KillOptions, server: Server, sandbox: SandboxControl, workers: Workers) -> None:
        self._options, self._server, self._sandbox, self._workers = options, server, sandbox, workers
        self._killed: list[_Killed] = []
        self._read_to = 0
        self._alive: dict[int, str] = {}  # process ids, and under which id each has its lease

    def play(self, orders: Sequence[Any]) -> dict[str, Any]:
        options, dice = self._options, random.Random(f"kills {self._options.seed}")
        for _ in range(options.workers):
            self._workers.start(respawn=True)
        while len(self._ready()) < options.workers:
            time.sleep(LOOK_SECONDS)
        with CancelProducer(self._server.url) as producer:
            producer.enqueue_many(orders)
        names = [f"{order.ucc}:{order.order_number}" for order in orders]
        started = time.monotonic()
        spared = 0
        for turn in range(1, int(options.seconds / options.every) + 1):
            self._look_until(started + turn * options.every)
            if ready := self._ready():
                self._kill(dice.choice(ready))
            else:
                spared += 1
        finals = self._settle(names)
        return self._report(names, spared, finals, time.monotonic() - started)

    def _ready(self) -> list[int]:
        """Say which processes have a lease; their logs tell under which id."""
        with self._workers.log_path.open("rb") as log:
            log.seek(self._read_to)
            read = log.read()
        self._read_to += read.rfind(b"\n") + 1
        for entry in self._workers.logged_in(read[: read.rfind(b"\n") + 1], "lease taken"):
            self._alive[entry["pid"]] = entry["worker"]
        return list(self._alive)

    def _kill(self, pid: int) -> None:
        worker = self._alive.pop(pid)
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        # Now that it is dead, nothing that it holds can change but by recovery, which waits for its lease to run out.
        held = [name.decode() for name in self._server.client.smembers(held_key(worker))]
        self._look()
        headers = self._headers(held)
        waiting = {
            name: (header.fence, header.crashes)
            for name, header in zip(held, headers, strict=True)
            if header is not None and header.status not in FINAL  # it ended before and was only being watched
        }
        self._killed.append(_Killed(worker, killed_at, waiting))

    def _headers(self, names: Sequence[str]) -> list[_Header | None]:
        """Read the six words alone: parsing a thousand documents at every look would cost the workers a core."""
        values = self._server.client.mget([named_key(name) for name in names]) if names else []
        words = [value.split(b" ", 6) if value else None for value in values]
        return [word and _Header(word[0].decode(), int(word[1]), int(word[5])) for word in words]

    def _look_until(self, ends_at: float) -> None:
        while time.monotonic() < ends_at:
            self._look()
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """See who was claimed since: a claim raises the fence."""
        for killed in self._killed:
            if not killed.waiting:
                continue
            if killed.put_back_after is None and not self._server.client.exists(held_key(killed.worker)):
                killed.put_back_after = time.monotonic() - killed.at
            names = list(killed.waiting)
            headers = self._headers(names)
            after = time.monotonic() - killed.at
            for name, header in zip(names, headers, strict=True):
                assert header is not None, name
                fence, crashes = killed.waiting[name]
                if header.fence > fence:
                    killed.moved_after.append((after, crashes))
                    del killed.waiting[name]
                elif header.status in FINAL:  # three deaths pointed at it
                    killed.dead_letters += 1
                    del killed.waiting[name]

    def _settle(self, names: Sequence[str]) -> dict[str, OrderRecord | None]:
        ends_at, unfinished = time.monotonic() + SETTLE_SECONDS, list(names)
        while unfinished and time.monotonic() < ends_at:
            self._look_until(time.monotonic() + 0.5)
            some = unfinished[:1000]
            headers = self._headers(some)
            ended = {name for name, header in zip(some, headers, strict=True) if header and header.status in FINAL}
            unfinished = [name for name in unfinished if name not in ended]
        values = self._server.client.mget([named_key(name) for name in names])
        return {name: value and OrderRecord.decode(value) for name, value in zip(names, values, strict=True)}

    def _report(
        self, names: Sequence[str], spared: int, records: Mapping[str, OrderRecord | None], seconds: float
    ) -> dict[str, Any]:
        truth = {f"{order['ucc']}:{order['order_number']}": order for order in self._sandbox.truth()}
        lost = [name for name in names if (record := records[name]) is None or not record.is_final]
        false = [name for name in names if (record := records[name]) and contradicts(record.status, truth.get(name))]
        known = [record for record in records.values() if record is not None]
        moved = sorted(after for killed in self._killed for after, _ in killed.moved_after)
        late = Counter(
            crashes for killed in self._killed for after, crashes in killed.moved_after if after > GOAL_SECONDS
        )
        put_back = sorted(killed.put_back_after for killed in self._killed if killed.put_back_after is not None)
        return {
            "seed": self._options.seed,
            "scenario": "kills",
            "kills": [
                {
                    "held": len(killed.moved_after) + killed.dead_letters + len(killed.waiting),
                    "put_back_after": killed.put_back_after and round(killed.put_back_after, 2),
                    "last_moved_after": round(max((after for after, _ in killed.moved_after), default=0.0), 2),
                    "dead_letters": killed.dead_letters,
                }
                for killed in self._killed
            ],
            "figures": {
                "orders": len(names),
                "of": len(names),
                "lost": len(lost),
                "false": len(false),
                "statuses": dict(Counter(str(record.status) for record in known)),
                "unknown": sum(record.status is Status.UNKNOWN for record in known),
                "dead_letters": int(self._server.client.llen(DEAD_LETTERS)),
                "kills": len(self._killed),
                "no_worker_to_kill": spared,
                # From the kill to the first claim by another worker, of each order that the killed one held.
                "moved": len(moved),
                "p50_moved_seconds": _quantile(moved, 0.5),
                "p99_moved_seconds": _quantile(moved, 0.99),
                "max_moved_seconds": _quantile(moved, 1.0),
                "moved_after_five_seconds": {f"{crashes} crashes": count for crashes, count in sorted(late.items())},
                "never_moved": sum(len(killed.waiting) for killed in self._killed),
                "p50_put_back_seconds": _quantile(put_back, 0.5),
                "max_put_back_seconds": _quantile(put_back, 1.0),
                "seconds": round(seconds, 1),
            },
            "lost": lost[:20],
            "false": [
                {"order": name, "record": getattr(records[name], "to_json", dict)(), "truth": truth.get(name)}
                for name in false[:20]
            ],
        }


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(share * len(values)))], 2) if values else None
