"""What may happen, as dice decide: the same seed throws the same dice."""

import random
from dataclasses import dataclass
from typing import Any

__all__ = ["EVENTS", "Event", "thrown"]

EVENTS = {
    "kill_worker": 6,
    "freeze_worker": 2,
    "kill_valkey": 1,
    "stop_valkey": 1,
    "cut_valkey": 3,
    "delay_valkey": 2,
    "cut_broker": 3,
    "delay_broker": 2,
    "double_messages": 4,
    "drop_messages": 4,
    "fault": 6,
    "clear_faults": 3,
    "fill_orders": 2,
}
"""Each with its weight."""

FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "reset", "on": "cancel"},
    {"fault": "reset", "on": "cancel", "after_effect": True},
    {"fault": "stall", "on": "cancel", "seconds": 1.5, "after_effect": True},
    {"fault": "truncate", "on": "cancel"},
    {"fault": "preset", "on": "cancel", "preset": "1005"},
    {"fault": "preset", "on": "cancel", "preset": "html_502", "after_effect": True},
    {"fault": "preset", "on": "cancel", "preset": "1006_cancelled"},
    {"fault": "rate_limit", "on": "cancel", "retry_after": 1},
    {"fault": "ack_only", "on": "cancel"},
    {"fault": "cancel_pending", "on": "cancel", "seconds": 1.0},
    {"fault": "reset", "on": "reads"},
    {"fault": "preset", "on": "reads", "preset": "html_504"},
    {"fault": "stall", "on": "reads", "seconds": 1.5},
    {"fault": "delay", "on": "any", "seconds": 0.3},
    {"fault": "fill_before", "on": "cancel"},
)


@dataclass(frozen=True, slots=True)
class Event:
    """One throw: when, what, and three dice for whatever it needs."""

    at: float
    name: str
    dice: tuple[float, float, float]


def thrown(seed: int, *, seconds: float, every: float, only: frozenset[str]) -> list[Event]:
    """Throw all dice at once; `every` is the mean time between events."""
    dice = random.Random(f"events {seed}")
    names = [name for name in EVENTS if not only or name in only]
    events: list[Event] = []
    at = every
    while at < seconds:
        name = dice.choices(names, weights=[EVENTS[name] for name in names])[0]
        events.append(Event(round(at, 2), name, (dice.random(), dice.random(), dice.random())))
        at += every * (0.5 + dice.random())
    return events
