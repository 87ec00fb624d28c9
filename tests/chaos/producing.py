"""Two producers that enqueue all the while, and remember what was accepted and when."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from neo_cancel import CancelOrder, CancelProducer, NeoCancelError
from worker.sandbox.control import SandboxControl

__all__ = ["STATES", "Producing", "make_orders"]

STATES = ("open",) * 32 + ("trigger pending", "open pending", "cancelled", "complete", "rejected", "absent")
VARIETIES = ("regular",) * 8 + ("bracket", "cover")


def make_orders(sandbox: SandboxControl, uccs: Sequence[str], count: int, dice: random.Random) -> list[CancelOrder]:
    """Create orders of every kind at the sandbox, some of them ended already, some not there at all."""
    wanted: list[dict[str, Any]] = []
    absent: list[CancelOrder] = []
    for number in range(count):
        ucc, state, variety = dice.choice(uccs), dice.choice(STATES), dice.choice(VARIETIES)
        if state == "absent":
            absent.append(CancelOrder(ucc=ucc, order_number=f"99{number:013d}", variety=variety))
        else:
            wanted.append({"ucc": ucc, "state": state, "variety": variety})
    made: list[Mapping[str, Any]] = []
    for at in range(0, len(wanted), 2000):
        made += sandbox.create_orders(wanted[at : at + 2000])
    orders = [
        CancelOrder(
            ucc=order["ucc"],
            order_number=order["order_number"],
            variety=order["variety"],
            lane=dice.choice(("risk",) + ("routine",) * 9),
        )
        for order in made
    ]
    orders += absent
    dice.shuffle(orders)
    return orders


class Producing(threading.Thread):
    """One producer. What raises was not accepted and is repeated; what returns is remembered with its time."""

    def __init__(self, url: str, orders: Sequence[CancelOrder], *, seconds: float, seed: str) -> None:
        super().__init__(daemon=True)
        self._url, self._orders, self._seconds, self._dice = url, orders, seconds, random.Random(seed)
        self.accepted: dict[str, float] = {}
        self.errors = self.repeated = 0

    def run(self) -> None:
        started = time.monotonic()
        at, again = 0, list[CancelOrder]()
        with CancelProducer(self._url) as producer:
            while at < len(self._orders) or again:
                bulk, again = again, []
                if not bulk:
                    size = self._dice.choice((1, 7, 50, 120))
                    bulk = list(self._orders[at : at + size])
                    at += len(bulk)
                if self._dice.random() < 0.1:
                    bulk += self._dice.choices(self._orders[:at], k=3)  # asked for again
                    self.repeated += 3
                try:
                    producer.enqueue_many(bulk)
                except NeoCancelError:
                    self.errors += 1
                    again = bulk
                    time.sleep(0.2)
                    continue
                now = time.monotonic()
                for order in bulk:
                    self.accepted.setdefault(f"{order.ucc}:{order.order_number}", now)
                # In step with the clock: the last order goes out as the time runs out.
                due = started + self._seconds * at / max(1, len(self._orders))
                time.sleep(max(0.0, due - time.monotonic()))
