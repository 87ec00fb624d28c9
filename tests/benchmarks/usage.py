"""What processes used, read from /proc; None where there is none."""

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["cpu_seconds", "machine_seconds", "resident_bytes"]

_PROC = Path("/proc")
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """User and system time of these processes and their children, so far."""
    if not (_PROC / "self/stat").exists():
        return None
    return sum(map(_ticks, _family(pids))) * _TICK


def machine_seconds() -> float | None:
    """Time that all processors of this machine were in use, by whomever, so far."""
    if not (_PROC / "stat").exists():
        return None
    user, nice, system, _, _, irq, softirq, *_ = map(int, (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + softirq) * _TICK


def resident_bytes(pids: Iterable[int]) -> int | None:
    """Memory in use by these processes, now."""
    if not (_PROC / "self/statm").exists():
        return None
    return sum(int((_PROC / str(pid) / "statm").read_text().split()[1]) for pid in pids) * _PAGE


def _ticks(pid: int) -> int:
    # The name in parentheses may hold spaces.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _family(pids: Iterable[int]) -> list[int]:
    family = list(pids)
    for pid in family:
        for children in (_PROC / str(pid) / "task").glob("*/children"):
            family += map(int, children.read_text().split())
    return family
