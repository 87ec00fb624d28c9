"""Twenty thousand inputs nobody would send on purpose: errors that name what is wrong, no traceback, no dead worker."""

import base64
import contextlib
import copy
import io
import json
import random
import re
import sys
from functools import partial

import httpx
import pytest

from config.log import configure_logging
from config.settings import ConfigurationError, Settings, load_accounts
from neo_cancel import CancelOrder, CancelProducer, NeoCancelError
from neo_cancel.cli import main
from neo_cancel.cli.exits import ExitCode
from neo_cancel.errors import InvalidOrderError
from tests.accepting import accept_call
from tests.bulk_files import read_orders
from tests.fault.rig import names_of
from worker.consuming.envelope import Message, read
from worker.dispatch.intake import read_chunk
from worker.observe.events import publisher
from worker.observe.log import log_subscriber
from worker.runtime import Runtime

SECRET = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0"
NUMBER = "251015000123456"
ODD = (
    None, True, False, 0, 1, -1, 2**70, 0.5, float("nan"), float("inf"), "", " ", "x", "\x00", "\x1b[31m", "💥" * 40,
    "\ud800", "A" * 5000, "-1", "1e5", "2.5E+14", "NaN", "risk", "routine", "regular", "bracket", "AB123", NUMBER,
    "١٢٣٤٥٦٧٨٩٠١", "../../etc", "%s%n", "{}", "[]", "null", [], {}, [[]], [None], {"": None}, {"a": {"b": [1]}},
)  # fmt: skip


def odd(dice):
    return copy.deepcopy(dice.choice(ODD))


def places(value, path=()):
    """Walk over everything inside."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def spoilt(value, dice):
    """Replace, drop or add something, at some depth."""
    value = copy.deepcopy(value)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        path = dice.choice(list(places(value)))
        if not path:
            if dice.random() < 0.1:
                return odd(dice)
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        if dice.random() < 0.25:
            del parent[path[-1]]
        else:
            parent[path[-1]] = odd(dice)
        if isinstance(parent, dict) and dice.random() < 0.2:
            parent[str(odd(dice))] = odd(dice)
    return value


def scratched(data, dice):
    """Change bytes."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(4):
            case 0:
                changed[at:at] = dice.choice((b'"', b"\0", b"\xff", b"\n", b",", b"{", b"\xef\xbb\xbf", b";", b"'"))
            case 1:
                del changed[at : at + dice.randint(1, 20)]
            case 2:
                changed[at : at + 1] = bytes([dice.randrange(256)])
            case _:
                changed[at:at] = changed[: dice.randint(0, 40)]
    return bytes(changed)


CSV = (
    b"ucc,order_number,variety,amo,trading_symbol,lane,strategy,reason,deadline_seconds\n"
    b'AB123,251015000123456,regular,no,,routine,s1,"a ""reason""",60\nAB124,251015000123457,cover,,,risk,,,\n'
)
LINES = b'{"ucc": "AB123", "order_number": "251015000123456"}\n{"ucc": "AB124", "order_number": "251015000123457"}\n'


def arguments(dice):
    """A command line, mostly with something wrong in it."""
    wait = ["--wait", "--timeout", dice.choice(["0", "0.01", "-1", "nan", "x"])] if dice.random() < 0.3 else []
    flags = dice.choices(["--json", "--risk", "--amo", "--skip-bad", "--symbol", "--deadline", "--variety", "--x"], k=2)
    words = [str(odd(dice)).replace("\0", "?") for _ in range(dice.randint(0, 3))]
    verb = dice.choice(["order", "order", "bulk", "bulk", "status", "watch", "", "--help", "ordr"])
    named = ["AB123", NUMBER] if verb == "order" else ["-"] if verb == "bulk" else words[:2]
    if verb == "watch":
        wait = ["--timeout", "0"]
    line = [verb, *named, *wait, *dice.sample(flags, dice.randint(0, 2)), *dice.sample(words, min(len(words), 1))]
    if dice.random() < 0.3:
        line[dice.randrange(len(line))] = str(odd(dice)).replace("\0", "?")
    return line


def test_the_command_line_answers_every_input_with_a_sentence(redis_url, monkeypatch, capsys):
    """2,500 command lines and files."""
    monkeypatch.setenv("NEO_CANCEL_REDIS_URL", redis_url)
    for number in range(2500):
        dice = random.Random(f"cli {number}")
        given = scratched(dice.choice((CSV, LINES)), dice) if dice.random() < 0.8 else CSV
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        monkeypatch.setattr(sys, "argv", ["neo-cancel", *arguments(dice)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code in list(ExitCode), sys.argv
        assert "Traceback" not in said.out + said.err, sys.argv
        assert not re.search(r"unexpected \w*(Error|Exception)", said.err), (sys.argv, said.err)


def test_every_file_is_read_or_refused():
    """4,000 files."""
    for number in range(4000):
        dice = random.Random(f"file {number}")
        data = scratched(dice.choice((CSV, LINES)), dice)
        with contextlib.suppress(InvalidOrderError):
            found = read_orders(data)
            assert found.orders or found.bad


def test_the_producer_refuses_by_field_and_rule(redis_url):
    """4,000 calls."""
    wire = {
        "ucc": "AB123", "order_number": NUMBER, "variety": "regular", "amo": True, "trading_symbol": "TCS-EQ",
        "lane": "risk", "strategy": "s", "reason": "r", "deadline_seconds": 5.0,
    }  # fmt: skip
    accepted = 0
    with CancelProducer(redis_url) as producer:
        for number in range(4000):
            dice = random.Random(f"producer {number}")
            fields = spoilt(wire, dice)
            with contextlib.suppress(NeoCancelError):
                if dice.random() < 0.3:
                    producer.enqueue_many(dice.choice(([odd(dice)], [], [CancelOrder.from_wire(wire), odd(dice)])))
                elif isinstance(fields, dict):
                    fields = {name: value for name, value in fields.items() if name in wire}
                    producer.enqueue(CancelOrder(**{"ucc": None, "order_number": None, **fields}))
                    accepted += 1
                else:
                    CancelOrder.from_wire(fields)
    assert 0 < accepted < 3000


def good_message():
    call = accept_call([CancelOrder(ucc="AB123", order_number=NUMBER)], batch="b", ttl_seconds=60)
    return json.loads(f"{call.arguments[1]}1{call.arguments[2]}")


def spoilt_message(dice):
    """A message with something wrong in its envelope, or in what the envelope holds."""
    message = good_message()
    said = json.loads(message["body"])
    match dice.randrange(4):
        case 0:
            return spoilt(message, dice)
        case 1:
            message["body"] = json.dumps(spoilt(said, dice))
        case 2:
            said[0][0]["orders"] = spoilt(said[0][0]["orders"], dice)
            message["body"] = json.dumps(said)
        case _:
            message["body"] = base64.b64encode(scratched(message["body"].encode(), dice)).decode()
            message["properties"]["body_encoding"] = "base64"
    return message


def test_the_gate_says_yes_or_why_not():
    """8,000 messages."""
    messages = [spoilt_message(random.Random(f"gate {number}")) for number in range(8000)]
    found = [read(message) for message in messages]
    assert all(":" in complaint for complaint in found if isinstance(complaint, str))
    chunks = [message.value for message in found if isinstance(message, Message)]
    assert 500 < len(chunks) < 7000
    assert {"risk", "routine"} == {chunk.lane for chunk in chunks}
    assert all(order.ucc == ucc for chunk in chunks for ucc, orders in chunk.orders.items() for order in orders)


@pytest.fixture
def runtime(redis_url, tmp_path):
    (tmp_path / "accounts.json").write_text("{}")
    settings = Settings(redis_url=redis_url, accounts_file=tmp_path / "accounts.json", gather=0.0)
    log = configure_logging("ERROR")
    runtime = Runtime(settings, publisher(log_subscriber(log)))
    runtime.start()
    yield runtime
    runtime.close()


def test_whatever_passes_the_gate_is_worked_on_or_a_dead_letter(runtime):
    """1,200 chunks in a worker's own loop; accounts nobody has a session for end at once."""
    refused = []
    for number in range(1200):
        dice = random.Random(f"chunk {number}")
        chunk = json.loads(good_message()["body"])[0][0]
        chunk["orders"][0]["order_number"] = f"{number:015d}"
        said = spoilt(chunk, dice)
        try:
            chunk = read_chunk(said)
        except InvalidOrderError as error:
            refused.append(str(error))
            continue
        work = partial(runtime.dispatcher.work, chunk)
        if number % 2:
            runtime.expect(str(number), work)
        assert "orders" in runtime.answer(str(number), work)
    assert 100 < len(refused) < 800
    assert all(":" in reason for reason in refused)


def test_a_real_worker_outlives_hundreds_of_bad_messages(stage):
    """400 messages, some of them no JSON at all, then a good one."""
    child, _ = stage.start_worker()
    for number in range(400):
        dice = random.Random(f"worker {number}")
        data = json.dumps(spoilt_message(dice)).encode()
        stage.server.client.lpush("routine", scratched(data, dice) if number % 2 else data)
    orders = stage.make(2)
    stage.producer.enqueue_many(orders)
    stage.assert_true(names_of(orders))
    assert child.is_running
    assert b"Unrecoverable" not in stage.workers.log_path.read_bytes()
    assert [] == stage.workers.logged("internal error")
    assert stage.counter("dead_letters") > 200


FORMS = {
    "accounts": {"ucc": "AB123", "orders_per_second": 5},
    "orders": [{"ucc": "AB123", "state": "open", "quantity": 5}],
    "orders/state": {"order_number": NUMBER, "state": "open", "filled_quantity": None},
    "truth/lookup": {"order_numbers": [NUMBER]},
    "sessions/expire": {"ucc": "AB123"},
    "faults": {"fault": "delay", "on": "cancel", "seconds": 0.1, "probability": 0.0},
}


def test_the_sandbox_control_api_never_fails_itself(shared_sandbox):
    """1,500 requests: 200, or 400 with field and message."""
    with httpx.Client(base_url=f"{shared_sandbox.base_url}/_sandbox/", trust_env=False) as client:
        for number in range(1500):
            dice = random.Random(f"sandbox {number}")
            path = dice.choice(list(FORMS))
            data = json.dumps(spoilt(FORMS[path], dice)).encode()
            reply = client.post(path, content=scratched(data, dice) if dice.random() < 0.3 else data)
            assert reply.status_code in (200, 400), (path, data, reply.text)
            if reply.status_code == 400:
                assert {"field", "message"} <= reply.json()["error"].keys()
    shared_sandbox.clear_faults()


def test_an_accounts_file_is_read_or_refused_without_its_secrets(tmp_path):
    """2,000 files."""
    path = tmp_path / "accounts.json"
    account = {"base_url": "http://127.0.0.1:1", "sid": SECRET, "auth": SECRET, "orders_per_second": 5, "verify": True}
    for number in range(2000):
        dice = random.Random(f"accounts {number}")
        data = json.dumps(spoilt({"AB123": account, "AB124": account}, dice)).encode()
        path.write_bytes(scratched(data, dice) if number % 2 else data)
        told = f"accounts file {path}"
        try:
            load_accounts(path)
        except ConfigurationError as error:
            told = str(error)
        assert SECRET not in told
        assert str(path) in told
