"""Progress on standard error: a bar on a terminal, else a line a second. Programs (--json) get none."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Step", "followed"]

_LINE_EVERY_SECONDS: Final = 1.0
_BAR_EVERY_SECONDS: Final = 0.1
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is counted: `word` says what becomes of it, `measured` answers how much is done and how much there is.

    Without `measured` the items are counted, `total` of them, from the first one on. With it, a step that takes less than a
    second shows no line.
    """

    word: str
    total: int = 0
    measured: Callable[[], tuple[int, int]] | None = None
    clock: Callable[[], float] = time.monotonic

    def state(self, count: int) -> tuple[int, int]:
        """Answer how much is done, and how much there is, after `count` items."""
        return (count, self.total) if self.measured is None else self.measured()


def followed(items: Iterable[_Item], step: Step, *, as_json: bool) -> Iterator[_Item]:
    """Pass items on and show how far they are."""
    if as_json:
        yield from items
    elif sys.stderr.isatty():
        yield from _with_bar(items, step)
    else:
        yield from _with_lines(items, step)


def _with_bar(items: Iterable[_Item], step: Step) -> Iterator[_Item]:
    columns = (TextColumn(step.word), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(step.word, total=step.state(0)[1])
        due, count = 0.0, 0
        for count, item in enumerate(items, start=1):
            if step.clock() >= due:
                due = step.clock() + _BAR_EVERY_SECONDS
                done, total = step.state(count)
                progress.update(task, completed=done, total=total)
            yield item
        done, total = step.state(count)
        progress.update(task, completed=done, total=total)


def _with_lines(items: Iterable[_Item], step: Step) -> Iterator[_Item]:
    due = 0.0 if step.measured is None else step.clock() + _LINE_EVERY_SECONDS
    for count, item in enumerate(items, start=1):
        if step.clock() >= due or (step.measured is None and count == step.total):
            due = step.clock() + _LINE_EVERY_SECONDS
            done, total = step.state(count)
            sys.stderr.write(f"{done} of {total} {step.word}\n")
            sys.stderr.flush()
        yield item
