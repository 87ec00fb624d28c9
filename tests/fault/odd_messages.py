"""Messages that differ from a good one in one header or field, from seeded dice. Nothing of the gate's code is used.

`python -m tests.fault.odd_messages --count 2000 --seed 1` sends them to one node and prints what became of them.
"""

import argparse
import base64
import copy
import gzip
import json
import random
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from neo_cancel import CancelOrder, CancelProducer
from neo_cancel.keys import named_key
from neo_cancel.record import OrderRecord
from tests.accepting import accept_call
from tests.chaos.stage import Server, Workers, write_accounts
from tests.fault.rig import SHORT, names_of
from worker.ops.process import Child, wait_until
from worker.sandbox.control import SandboxControl
from worker.sandbox.process import running_sandbox

SECRET = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0"
BURST = 10
_UCC = "ODD001"

Json = Any


class Raw:
    """JSON that Python would not write: put into the text as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


def _written(value: Json) -> str:
    raws: list[str] = []

    def keep(raw: Raw) -> str:
        raws.append(raw.text)
        return f"@raw{len(raws) - 1}@"

    text = json.dumps(value, default=keep)
    for at, raw in enumerate(raws):
        text = text.replace(f'"@raw{at}@"', raw)
    return text


VALUES: tuple[Json, ...] = (
    None, True, False, 0, 1, -1, 2**70, 0.5, float("nan"), float("inf"), float("-inf"), "", " ", "0", "x", "\x00",
    "\x1b[31m", "💥" * 40, "\ud800", "x\udfff", SECRET, SECRET * 10, SECRET * 20_000, "-1", "1e5", "NaN", "null", "{}",
    "2999-01-01T00:00:00", "2020-01-01T00:00:00+00:00", "not a time", "١٢٣٤٥", "%s%n", "os.system", "celery.chord",
    "utf-8", "UTF-8", "utf-16", "base64", "rot13", "binary", "zlib", "gzip", "application/x-python-serialize",
    "application/data", [], {}, [[]], [None], [None, None], [1, 2], [1, None], [None, 2], ["x", "y"], [SECRET], {"": None},
    {"a": {"b": [SECRET]}}, [[None, None], {}], {"exchange": None, "routing_key": None}, {"exchange": "", "routing_key": []},
    {"exchange": [], "routing_key": "routine"}, {"exchange": "x" * 5000, "routing_key": "elsewhere"},
    {"task": "x"}, [{"task": "x", "args": [SECRET]}], {"__type__": "datetime", "__value__": 5},
    {"__type__": "uuid", "__value__": SECRET}, {"__type__": "decimal", "__value__": "1e999999"},
    {"__type__": "decimal", "__value__": SECRET}, {"__type__": "bytes", "__value__": []},
    {"__type__": "base64", "__value__": "%"}, {"__type__": [], "__value__": 1}, {"__type__": "nothing", "__value__": 1},
    {"__type__": "bytes", "__value__": "abc"}, {"__type__": "date", "__value__": "2020-01-01"},
    Raw("1e999"), Raw("-0"), Raw("9" * 4_000), Raw("9" * 5_000), Raw("-" + "9" * 100_000), Raw("[" * 200 + "]" * 200),
    Raw("[" * 950 + "]" * 950), Raw("[" * 20_000 + "]" * 20_000), Raw('{"a":' * 900 + "1" + "}" * 900),
    Raw('{"a":' * 50_000 + "1" + "}" * 50_000), Raw('"\\ud800\\ud800"'), Raw("[" + "0," * 100_000 + "0]"),
)  # fmt: skip
"""What takes a field's place."""

HEADERS = (
    "lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit", "root_id",
    "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamped_headers", "stamps",
    "enqueued_ms", "chord", "chain", "callbacks", "errbacks", "compression", "meth", "utc", "taskset", "redelivered",
    "args", "kwargs", "properties", "delivery_info", "hostname", "reply_to", "correlation_id", "headers", "groups",
)  # fmt: skip
PROPERTIES = (
    "correlation_id", "reply_to", "delivery_mode", "delivery_info", "priority", "body_encoding", "delivery_tag",
    "content_type", "type", "expiration", "headers", "consumer_tag",
)  # fmt: skip
ENVELOPE = (
    "body",
    "content-encoding",
    "content-type",
    "headers",
    "properties",
    "task",
    "args",
    "kwargs",
    "redelivered",
)
DELIVERY = ("exchange", "routing_key", "redelivered", "consumer_tag", "priority")
CHUNK = ("v", "ucc", "lane", "batch", "orders", "x")
ORDER = (
    "ucc", "order_number", "variety", "lane", "amo", "trading_symbol", "strategy", "reason", "deadline_seconds", "x",
)  # fmt: skip
EMBED = ("callbacks", "errbacks", "chain", "chord", "x")


def good_message(order: CancelOrder) -> dict[str, Json]:
    """Write a message as the producer's script does."""
    call = accept_call([order], batch=None, ttl_seconds=60)
    return json.loads(f"{call.arguments[1]}1{call.arguments[2]}")  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Odd:
    """One message: what is odd about it, and its bytes."""

    what: str
    data: bytes


def odd(message: dict[str, Json], dice: random.Random, earlier: dict[str, Json]) -> Odd:
    """Spoil a good message; `earlier` is what a message sent before was like."""
    message = copy.deepcopy(message)
    kinds: tuple[Callable[[], Odd], ...] = (
        *[lambda: _replaced(message, ("headers", dice.choice(HEADERS)), dice)] * 8,
        *[lambda: _replaced(message, ("properties", dice.choice(PROPERTIES)), dice)] * 4,
        *[lambda: _replaced(message, (dice.choice(ENVELOPE),), dice)] * 2,
        lambda: _replaced(message, ("properties", "delivery_info", dice.choice(DELIVERY)), dice),
        lambda: _in_body(message, (0, 0, dice.choice(CHUNK)), dice),
        *[lambda: _in_body(message, (0, 0, "orders", 0, dice.choice(ORDER)), dice)] * 2,
        lambda: _in_body(message, (2, dice.choice(EMBED)), dice),
        lambda: _in_body(message, (dice.choice((0, 1, 2)),), dice),
        lambda: _same_as(message, earlier, dice),
        lambda: _encoded(message, dice),
        lambda: _no_message(message, dice),
    )
    return dice.choice(kinds)()


def _replaced(message: dict[str, Json], path: tuple[Json, ...], dice: random.Random) -> Odd:
    what = _put(message, path, dice)
    return Odd(what, _written(message).encode())


def _put(value: Json, path: tuple[Json, ...], dice: random.Random) -> str:
    *parents, last = path
    for name in parents:
        value = value[name]
    if isinstance(value, dict) and last in value and dice.random() < 0.1:
        del value[last]
        return f"{path} missing"
    # A list of orders is another message, not an odd one: an empty one asks a worker to look into the backlog.
    value[last] = dice.choice(
        [one for one in VALUES if not isinstance(one, list | Raw)] if last == "orders" else VALUES
    )
    shown = value[last].text if isinstance(value[last], Raw) else repr(value[last])
    return f"{path} {shown[:60]}"


def _in_body(message: dict[str, Json], path: tuple[Json, ...], dice: random.Random) -> Odd:
    said = json.loads(message["body"])
    what = _put(said, path, dice)
    message["body"] = _written(said)
    return Odd(f"body {what}", _written(message).encode())


def _same_as(message: dict[str, Json], earlier: dict[str, Json], dice: random.Random) -> Odd:
    """Take a name of a message that may still be in flight."""
    part, name = dice.choice((("headers", "id"), ("properties", "delivery_tag"), ("properties", "correlation_id")))
    message[part][name] = earlier[part][name]
    return Odd(f"{name} of another message", _written(message).encode())


def _encoded(message: dict[str, Json], dice: random.Random) -> Odd:
    body = message["body"].encode()
    forms = {
        "base64": base64.b64encode(body),
        "base64 with noise": b"%" + base64.b64encode(body),
        "base64 cut": base64.b64encode(body)[:-3],
        "base64 of gzip": base64.b64encode(gzip.compress(body)),
        "base64 of zlib": base64.b64encode(zlib.compress(body)),
        "base64 of UTF-16": base64.b64encode(body.decode().encode("utf-16")),
        "not base64": body,
        "base64 of nothing": b"",
    }
    form = dice.choice(list(forms))
    message["body"] = forms[form].decode()
    message["properties"]["body_encoding"] = "base64"
    if "of gzip" in form or "of zlib" in form:
        message["headers"]["compression"] = dice.choice(
            ("gzip", "application/x-gzip", "zlib", "application/x-zlib", "x")
        )
    return Odd(f"body {form}", _written(message).encode())


def _no_message(message: dict[str, Json], dice: random.Random) -> Odd:
    whole = _written(message).encode()
    forms = {
        "empty": b"", "a space": b" ", "no JSON": b"{not json", "no UTF-8": b"\xff\xfe\x00", "null": b"null", "true": b"true",
        "a number": b"17", "a huge number": b"9" * 6_000, "a text": b'"x"', "a list": b"[1, 2]", "an object": b"{}",
        "deep": b"[" * 50_000, "deep and closed": b"[" * 900 + b"]" * 900, "NaN": b"NaN",
        "cut": whole[: dice.randrange(len(whole))],
        "twice": whole + whole, "with a mark": b"\xef\xbb\xbf" + whole, "UTF-16": whole.decode().encode("utf-16"),
        "a type": b'{"__type__": "datetime", "__value__": 5}', "gzip": gzip.compress(whole),
        "old protocol": b'{"task": "neo_cancel.cancel_orders", "id": "1", "args": [], "kwargs": {}}',
        "only properties": b'{"properties": {"delivery_tag": "1"}}', "a line more": whole + b"\n{",
    }  # fmt: skip
    form = dice.choice(list(forms))
    return Odd(form, forms[form])


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a storm of odd messages.

    `good_ms` are the good orders' times from acceptance to the wire; `unforeseen` are lines of the log, from warnings up,
    that tell of no dead letter.
    """

    sent: int
    parked: int
    worked: int
    deaths: int
    left: list[str]
    good: int
    good_worked: int
    good_ms: list[float]
    unforeseen: list[str]
    secrets_told: int

    @property
    def is_sound(self) -> bool:
        return self.parked + self.worked == self.sent and self.good_worked == self.good and not self.harm

    @property
    def harm(self) -> list[Json]:
        return [what for what in (self.deaths, self.left, self.unforeseen, self.secrets_told) if what]

    def summary(self) -> dict[str, Json]:
        shown, times = asdict(self), sorted(self.good_ms) or [0.0]
        shown["good_ms"] = {"p50": times[len(times) // 2], "p99": times[-1 - len(times) // 100], "most": times[-1]}
        shown["unforeseen"] = Counter(self.unforeseen).most_common(10)
        return shown


class OddStage:
    """One node, its Redis, an account at a sandbox, and messages from dice. Use it with `with`."""

    def __init__(self, sandbox: SandboxControl, folder: Path, *, ucc: str = _UCC, respawn: bool = False) -> None:
        self.sandbox, self.folder, self.ucc, self._respawn = sandbox, folder, ucc, respawn

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.server = stack.enter_context(Server(self.folder))
            write_accounts(self.sandbox, self.folder / "accounts.json", [self.ucc])
            self.workers = stack.enter_context(
                Workers(
                    url=self.server.url,
                    accounts_file=self.folder / "accounts.json",
                    log_path=self.folder / "workers.log",
                    env={**SHORT, "NEO_CANCEL_VERIFICATION_WINDOW": "3"},
                )
            )
            self.producer = stack.enter_context(CancelProducer(self.server.url))
            self.node: Child = self.workers.start(respawn=self._respawn)
            wait_until(lambda: bool(self.server.client.zcard("nc:workers")), "a node", timeout_seconds=60)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def orders(self, count: int) -> list[CancelOrder]:
        made = [
            one for at in range(0, count, 2000) for one in self.sandbox.generate_orders(self.ucc, min(2000, count - at))
        ]
        return [CancelOrder(ucc=self.ucc, order_number=one["order_number"], deadline_seconds=60) for one in made]

    def storm(self, count: int, seed: int, *, burst: int = BURST, patience_seconds: float = 60.0) -> Report:
        """Send so many, in bursts with a good order behind each; wait until all have gone somewhere."""
        orders, good = self.orders(count), self.orders(-(-count // burst))
        earlier = good_message(orders[0])
        for at, order in enumerate(orders):
            dice = random.Random(f"{seed} {at}")
            message = good_message(order)
            made, earlier = odd(message, dice, earlier), message
            self.server.client.lpush(dice.choice(("risk", "routine")), made.data)
            if at % burst == burst - 1 or at == count - 1:
                self.producer.enqueue(good[at // burst])
                self._hope(self._lanes_are_empty, patience_seconds)
        self._hope(lambda: not self._left() and self._settled(orders) == count, patience_seconds)
        self._hope(lambda: all(record and record.is_final for record in self._records([*good])), patience_seconds)
        return self._report(orders, good)

    def until(self, is_true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        wait_until(is_true, what, timeout_seconds=seconds)

    def _hope(self, is_true: Callable[[], bool], seconds: float) -> None:
        """Wait while there is a node; what is not true by then shows in the report."""
        with suppress(TimeoutError):
            self.until(lambda: not self.node.is_running or is_true(), "the storm to be over", seconds)

    def _lanes_are_empty(self) -> bool:
        return not any(self.server.client.llen(lane) for lane in ("risk", "routine"))

    def _left(self) -> list[str]:
        """Name what still lies somewhere: queues, what Celery has not acknowledged, what a worker holds."""
        patterns = ("risk", "routine", "nc:unacked", "nc:unacked_index", "nc:held:*", "nc:backlog*", "nc:queued:*")
        return [key.decode() for pattern in patterns for key in self.server.client.scan_iter(pattern, count=1000)]

    def _records(self, orders: Sequence[CancelOrder]) -> list[OrderRecord | None]:
        values = self.server.client.mget([named_key(name) for name in names_of(orders)])
        return [value and OrderRecord.decode(value) for value in values]

    def _letters(self) -> int:
        return int(self.server.client.hget("nc:counters", "dead_letters") or 0)

    def _settled(self, orders: Sequence[CancelOrder]) -> int:
        return self._letters() + sum(record is not None and record.is_final for record in self._records(orders))

    def logged(self) -> list[dict[str, Json]]:
        log = self.workers.log_path.read_text(errors="replace")
        return [json.loads(line) for line in log.splitlines() if line.startswith("{")]

    def unforeseen(self) -> list[str]:
        """Read the lines of the log, from warnings up, that tell of no dead letter."""
        return [_line(line) for line in self.logged() if line["level"] in _BAD and "dead letter" not in line["event"]]

    def _report(self, orders: Sequence[CancelOrder], good: Sequence[CancelOrder]) -> Report:
        lines = self.logged()
        records = [record for record in self._records(good) if record is not None]
        return Report(
            sent=len(orders),
            parked=self._letters(),
            worked=sum(record is not None for record in self._records(orders)),
            deaths=sum(line["event"].startswith("worker died") for line in lines) + (not self.node.is_running),
            left=self._left(),
            good=len(good),
            good_worked=sum(record.status == "cancelled" for record in records),
            good_ms=[(record.send_latency_seconds or 60.0) * 1000 for record in records],
            unforeseen=self.unforeseen(),
            secrets_told=self.workers.log_path.read_bytes().count(SECRET.encode()),
        )


_BAD = ("warning", "error", "critical")


def _line(line: dict[str, Json]) -> str:
    return f"{line['level']}: {line['event']} {line.get('exception', '')[-200:]}"[:400]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.odd_messages", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--burst", type=int, default=BURST, help="odd messages before each good order")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_sandbox() as sandbox,
        OddStage(sandbox, Path(scratch), respawn=True) as stage,
    ):
        report = stage.storm(given.count, given.seed, burst=given.burst, patience_seconds=given.patience)
    print(json.dumps(report.summary(), indent=1))
    return 0 if report.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
