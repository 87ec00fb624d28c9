"""The asynchronous producer, called as if it were synchronous: one test text serves the twins."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any


class Blocking:
    """Call what is asynchronous as if it were not."""

    def __init__(self, twin: Any, runner: asyncio.Runner) -> None:
        self._twin, self._runner = twin, runner

    def __getattr__(self, name: str) -> Any:
        return self._plain(getattr(self._twin, name))

    def __len__(self) -> int:
        return len(self._twin)

    def __iter__(self) -> Iterator[Any]:
        return self._drained(aiter(self._twin))

    def __enter__(self) -> Any:
        return self._plain(self._twin.__aenter__())

    def __exit__(self, *error: object) -> None:
        self._plain(self._twin.__aexit__(*error))

    def __repr__(self) -> str:
        return repr(self._twin)

    def _plain(self, value: Any) -> Any:
        if inspect.iscoroutine(value):
            return self._plain(self._runner.run(value))
        if inspect.isasyncgen(value):
            return self._drained(value)
        if inspect.ismethod(value):
            return lambda *arguments, **options: self._plain(value(*arguments, **options))
        return Blocking(value, self._runner) if type(value).__name__.startswith("Async") else value

    def _drained(self, values: Any) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(values, None)

        while (value := self._runner.run(following())) is not None:
            yield value
