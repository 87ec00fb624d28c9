"""Whether a worker node is well: it answers through Redis, and consumes every lane that it was told to."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from config.settings import ConfigurationError, Settings
from worker.ops.ping import Pinger

__all__ = ["Health", "Wellness", "look_at"]

_TRIES: Final = 3


class Health(IntEnum):
    """What a look at a node gave. UNKNOWN: it cannot be asked, which need not be its fault; Redis may be away."""

    WELL = 0
    UNWELL = 1
    UNKNOWN = 2


@dataclass(frozen=True, slots=True)
class Wellness:
    """The result of a look, and a line about it without a secret."""

    health: Health
    line: str


def look_at(node: str, settings: Settings, connect: Callable[[Settings], Pinger] = Pinger.from_settings) -> Wellness:
    """Ask a node, three times at most: one lost answer is no dead node. Raises ConfigurationError where there is no Redis."""
    try:
        with connect(settings) as pinger:
            answers = (pinger.idle_lanes(node) for _ in range(_TRIES))
            idle = next((answer for answer in answers if answer is not None), None)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - each reason why the question fails ends in the same line
        return Wellness(Health.UNKNOWN, f"{node} cannot be asked: {type(error).__name__}")
    if idle is None:
        return Wellness(Health.UNWELL, f"{node} does not answer")
    if idle:
        return Wellness(Health.UNWELL, f"{node} does not consume {', '.join(idle)}")
    return Wellness(Health.WELL, f"{node} answers")
