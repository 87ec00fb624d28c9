"""One broken account among a hundred, in many ways: the others are worked on as if it were not there.

`python -m tests.fault.bad_accounts --ways 30` takes one worker through as many ways, and prints what became of the orders.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from neo_cancel import CancelOrder, CancelProducer, OrderRecord
from tests.chaos.stage import Server
from tests.fault.bad_brokers import running_bad_brokers
from tests.fault.rig import Rig, names_of
from worker.ledger.keys import named_key
from worker.ops.embedded import free_port
from worker.ops.process import wait_until
from worker.sandbox.process import running_sandbox

ACCOUNTS = 100
DEADLINE = 2.0
"""Seconds that the broken account's order has: it waits that long for what does not come."""
SECRET = "eyJhbGciOiJIUzI1NiJ9.ZG8tbm90LXRlbGw"
NO_SESSION = ("blocked", "expired")
NO_ANSWER = ("unknown", "refused", "blocked", "expired")

Session = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to break an account: what it is called, and the text of its entry in the file, made of a good session.

    `ends` are the final statuses its order may have; `is_told`: the log names the account and the rule.
    """

    what: str
    text: Callable[[dict[str, Any]], str]
    ends: Sequence[str] = NO_SESSION
    is_told: bool = True


def _without(field: str) -> Callable[[dict[str, Any]], str]:
    return lambda session: json.dumps({name: value for name, value in session.items() if name != field})


def _with(**fields: Any) -> Callable[[dict[str, Any]], str]:
    return lambda session: json.dumps({**session, **fields})


def _raw(field: str, text: str) -> Callable[[dict[str, Any]], str]:
    """Put in a text that Python would not write."""
    return lambda session: json.dumps({**session, field: "@raw@"}).replace('"@raw@"', text)


def _whole(text: str) -> Callable[[dict[str, Any]], str]:
    return lambda session: text


def ways(plain: str, secure: str) -> list[Way]:
    """List the ways; `plain` and `secure` are the addresses of bad brokers."""

    def at(url: str) -> Callable[[dict[str, Any]], str]:
        return _with(base_url=url)

    told = [
        Way("sid is null", _with(sid=None)),
        Way("a line break as it is in a token", _raw("auth", f'"{SECRET}\n"')),
        Way("a lone surrogate", _raw("sid", f'"{SECRET}\\ud800"')),
        Way("no bytes of UTF-8", _raw("auth", f'"{SECRET}\udcff"')),
        Way("a number of 5,000 digits", _raw("orders_per_second", "9" * 5000)),
        Way("no sid", _without("sid")),
        Way("no address", _without("base_url")),
        Way("null", _whole("null")),
        Way("a text", _whole(json.dumps(SECRET))),
        Way("a list", _whole(json.dumps([SECRET]))),
        Way("an empty object", _whole("{}")),
        Way("auth is a number", _with(auth=17)),
        Way("address is a list", _with(base_url=[SECRET])),
        Way("a huge object in a token's place", _with(sid={"a" * 1000: [SECRET] * 1000})),
        Way("a control character", _with(sid=SECRET + "\x00")),
        Way("a token of other letters", _with(auth=SECRET + "ü💥")),
        Way("an address without a scheme", at("broker.example")),
        Way("an address of another scheme", at("ftp://broker.example")),
        Way("an address without a host", at("https://")),
        Way("an impossible port", at("https://127.0.0.1:99999")),
        Way("a foreign address without TLS", at("http://broker.example")),
        Way("an unknown field", _with(password=SECRET)),
        Way("a field twice, wrong the second time", lambda session: json.dumps(session)[:-1] + ', "sid": 7}'),
        Way("a negative rate", _with(orders_per_second=-1)),
        Way("a rate that is no number", _raw("orders_per_second", "NaN")),
        Way("a rate without end", _raw("orders_per_second", "1e999")),
        Way("a rate that is a text", _with(orders_per_second=SECRET)),
        Way("one blank token", _with(sid="")),
        Way("nested deeply", _with(sid=json.loads("[" * 300 + "]" * 300))),
    ]
    quiet = [
        Way("a session that the broker refuses", _with(sid=SECRET, auth=SECRET), NO_SESSION, is_told=False),
        Way("a broker that hangs", at(f"{plain}/hangs"), NO_ANSWER, is_told=False),
        Way("a broker that closes", at(f"{plain}/closes"), NO_ANSWER, is_told=False),
        Way("a certificate that is not trusted", at(secure), NO_SESSION, is_told=False),
        Way("a name that does not resolve", at("https://no-such-broker.invalid"), NO_ANSWER, is_told=False),
        Way("a redirect", at(f"{plain}/redirects"), NO_ANSWER, is_told=False),
        Way("both tokens blank", _with(sid="", auth=""), NO_SESSION, is_told=False),
        Way("a token of 50 KB", _with(auth=SECRET * 1300), NO_ANSWER, is_told=False),
        Way("a broker that speaks no TLS", at(plain.replace("http", "https")), NO_SESSION, is_told=False),
        Way("a port where nothing listens", at(f"http://127.0.0.1:{free_port()}"), NO_ANSWER, is_told=False),
        *(
            Way(f"a broker: {kind}", at(f"{plain}/{kind}"), NO_ANSWER, is_told=False)
            for kind in ("moved", "fails", "html", "noise", "cut", "huge", "gzip", "limits")
        ),
    ]
    return [way for pair in zip(told, quiet, strict=False) for way in pair] + told[len(quiet) :] + quiet[len(told) :]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one way: the other accounts that were harmed, with status, the broken one's status, and what is wrong."""

    what: str
    harmed: Sequence[str]
    status: str
    wrong: Sequence[str]


class BadAccountStage:
    """One worker, its Redis, a sandbox and the bad brokers. Use `running_stage`."""

    def __init__(self, rig: Rig, server: "redis.Redis", producer: CancelProducer, brokers: tuple[str, str]) -> None:
        self.rig, self.server, self.producer, self.ways = rig, server, producer, ways(*brokers)

    def try_all(self, count: int) -> Iterator[Outcome]:
        """Take the worker through so many ways, one after the other. Each has a hundred accounts of its own."""
        for number, way in enumerate(self.ways[:count]):
            yield self.attempt(number, way)

    def attempt(self, number: int, way: Way) -> Outcome:
        uccs = [f"W{number:02}N{at:02}" for at in range(ACCOUNTS)]
        numbers = self._open(uccs)
        broken = uccs[number * 7 % ACCOUNTS]
        self._write(uccs, broken, way)
        orders = [
            CancelOrder(ucc=ucc, order_number=numbers[ucc], deadline_seconds=DEADLINE if ucc == broken else 60)
            for ucc in uccs
        ]
        began = len(self.log())
        self.producer.enqueue_many(orders)
        wait_until(lambda: all(one.is_final for one in self.records(orders)), way.what, timeout_seconds=90)
        records = {record.ucc: record for record in self.records(orders)}
        status = str(records.pop(broken).status)
        harmed = [
            f"{one.key} {one.status}" for one in records.values() if not (one.status == "cancelled" and one.verified)
        ]
        return Outcome(way.what, harmed, status, list(self._wrong(way, broken, status, self.log()[began:])))

    def _open(self, uccs: Sequence[str]) -> dict[str, str]:
        """Open accounts at the sandbox, with an order each; answer its number."""
        self.rig.accounts.clear()
        for ucc in uccs:
            session = self.rig.sandbox.create_account(ucc)
            self.rig.accounts[ucc] = {"base_url": session.base_url, "sid": session.sid, "auth": session.auth}
        made = self.rig.sandbox.create_orders([{"ucc": ucc} for ucc in uccs])
        return {order["ucc"]: order["order_number"] for order in made}

    def _write(self, uccs: Sequence[str], broken: str, way: Way) -> None:
        texts = {ucc: json.dumps(self.rig.accounts[ucc]) for ucc in uccs}
        texts[broken] = way.text(self.rig.accounts[broken])
        whole = "{" + ", ".join(f'"{ucc}": {text}' for ucc, text in texts.items()) + "}"
        fresh = self.rig.accounts_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(whole.encode(errors="surrogateescape"))
        fresh.rename(self.rig.accounts_file)

    def records(self, orders: Sequence[CancelOrder]) -> list[OrderRecord]:
        values: Any = self.server.mget([named_key(name) for name in names_of(orders)])
        return [OrderRecord.decode(value) for value in values]

    def log(self) -> str:
        return self.rig.log_path.read_text(errors="replace")

    @staticmethod
    def _wrong(way: Way, broken: str, status: str, log: str) -> Iterator[str]:
        if status not in way.ends:
            yield f"ended {status}"
        complaints = [line for line in log.splitlines() if f"account {broken}: " in line]
        if way.is_told and len(complaints) != 1:
            yield f"{len(complaints)} complaints"
        if SECRET in log:
            yield "the log has the value"


@contextmanager
def running_stage(folder: Path) -> Iterator[BadAccountStage]:
    with ExitStack() as stack:
        server = stack.enter_context(Server(folder))
        sandbox = stack.enter_context(running_sandbox())
        brokers = stack.enter_context(running_bad_brokers())
        rig = Rig(sandbox, server.url, folder)
        producer = stack.enter_context(rig.worker(NEO_CANCEL_VERIFICATION_WINDOW="30"))
        yield BadAccountStage(rig, server.client, producer, brokers)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.bad_accounts", description=__doc__)
    parser.add_argument("--ways", type=int, default=30)
    given = parser.parse_args()
    harmed, wrong, ends = 0, 0, Counter[str]()
    with tempfile.TemporaryDirectory() as scratch, running_stage(Path(scratch)) as stage:
        for outcome in stage.try_all(given.ways):
            print(f"{outcome.what:45} {outcome.status:10} {len(outcome.harmed)} harmed", *outcome.wrong, flush=True)
            harmed, wrong = harmed + len(outcome.harmed), wrong + len(outcome.wrong)
            ends[outcome.status] += 1
    print(json.dumps({"ways": ends.total(), "broken ended": ends, "others harmed": harmed, "wrong": wrong}))
    return 0 if harmed == wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
