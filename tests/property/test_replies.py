"""Whatever the broker sends: reading and judging it never raises, and nothing but evidence makes an order dead.

A generated body is met in four circumstances (HTTP status, headers, variety), so that the 2,200 bodies of the first three
tests make 8,800 replies; with 1,400 books and 300 histories of up to 12 steps they are more than 10,000.
"""

import random

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from neo_cancel.order import Variety
from neo_cancel.record import DEAD, Status
from worker.kotak.codes import KOTAK, Action
from worker.kotak.order_book import OrderState, Row, read_page
from worker.kotak.replies import MAX_RETRY_AFTER_SECONDS, NoReply, NotSent, Reply, parse_reply
from worker.orders.case import Case
from worker.orders.finding import Finding, LookResult
from worker.orders.settlement import at_deadline, settle
from worker.orders.steps import Finish
from worker.orders.verdict import judge
from worker.sandbox.presets import PRESETS

CHECKED = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
SMALL = {
    name: preset.body for name, preset in PRESETS.items() if name not in ("2mb_noise", "deep_json") and preset.body
}
REAL = [body.encode() if isinstance(body, str) else orjson.dumps(body) for body in SMALL.values()]
REAL.append(b'{"nOrdNo":"260722000000001","stat":"Ok","stCode":200}')
ROW = {
    "nOrdNo": "260722000000001", "ordSt": "open", "prod": "NRML", "trdSym": "TCS-EQ", "qty": 10, "fldQty": "0",
    "unFldSz": 10, "ordGenTp": "--", "rejRsn": "--", "updRecvTm": 1784700000500000000,
}  # fmt: skip
KEYS = [
    "stat", "stCode", "emsg", "errMsg", "message", "error", "data", "fault", "desc", "code", "errorCode", "nOrdNo",
    "status", "description",
]  # fmt: skip
WORDS = [
    "Ok",
    "ok",
    " OK ",
    "Not_Ok",
    "cancelled",
    "complete",
    "",
    "--",
    200,
    1005,
    1006,
    1021,
    429,
    100008,
    "1006",
    5203,
]

varieties = st.sampled_from(list(Variety))
STATUSES = [200, 201, 302, 400, 401, 403, 404, 408, 422, 424, 429, 500, 502, 503, 504, 100, 599]
statuses = st.sampled_from(STATUSES)
headers = st.just({}) | st.fixed_dictionaries({"retry-after": st.text(max_size=30) | st.floats().map(str)})
seeds = st.integers(0, 2**32)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORDS)
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(KEYS), json_values, max_size=8)


def encoded(value):
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return repr(value).encode(errors="replace")


@st.composite
def mutated(draw, originals):
    """A real reply with bytes cut out, put in and replaced."""
    body = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(["cut", "insert", "replace", "truncate"])):
            case "cut":
                del body[at : at + draw(st.integers(1, 8))]
            case "insert":
                body[at:at] = draw(
                    st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"}", b",", b"\x00", b'"stat":"Ok",'])
                )
            case "replace" if at < len(body):
                body[at] = draw(st.integers(0, 255))
            case _:
                del body[at:]
    return bytes(body)


def says_ok(body):
    """The independent opinion: a JSON object whose top-level `stat` is Ok."""
    try:
        said = orjson.loads(body)
    except ValueError:
        return False
    stat = said.get("stat") if isinstance(said, dict) else None
    return isinstance(stat, str) and stat.strip().lower() == "ok"


def check(seed, head, body):
    dice = random.Random(seed)
    for status in dice.sample(STATUSES, 4):
        check_one(status, head, body, dice.choice(list(Variety)))


def check_one(status, head, body, variety):
    reply = parse_reply(status, head, body, now=1_784_700_000.0)
    verdict = judge(reply, codes=KOTAK, variety=variety, order_number="260722000000001")
    assert reply.ok <= says_ok(body)
    assert (verdict.action is Action.ACKNOWLEDGED) == (reply.ok and 200 <= status < 300)
    assert verdict.retry_after_seconds is None or 0.0 <= verdict.retry_after_seconds <= MAX_RETRY_AFTER_SECONDS
    assert verdict.may_have_acted or verdict.action is not Action.LOOK
    if variety != Variety.REGULAR and verdict.action is Action.RETRY:
        assert not verdict.may_have_acted, "an exit is not sent again while its outcome is open"


@settings(CHECKED, max_examples=900)
@given(seeds, headers, st.binary(max_size=200))
def test_bytes_are_never_success(seed, head, body):
    """Any bytes at all."""
    check(seed, head, body)


@settings(CHECKED, max_examples=400)
@given(seeds, headers, (json_values | objects).map(encoded))
@example(0, {}, b'{"stat":"Ok"}')
def test_any_json_is_judged(seed, head, body):
    """Any JSON, most of it with the broker's own keys in the wrong places."""
    check(seed, head, body)


@settings(CHECKED, max_examples=900)
@given(seeds, headers, mutated(REAL))
def test_real_replies_with_damage_are_judged(seed, head, body):
    """Replies seen in the wild, damaged on the way."""
    check(seed, head, body)


def check_page(status, body):
    page = read_page(status, {}, body)
    if page.rows is None:
        return
    assert status == 200
    assert says_ok(body)
    for number, row in page.rows.items():
        assert number == row.order_number
        assert row.state in OrderState


row_fields = st.fixed_dictionaries(
    {}, optional={key: leaves | st.sampled_from([value, "cancelled", "9" * 400]) for key, value in ROW.items()}
)
books = st.fixed_dictionaries(
    {"stat": st.sampled_from(["Ok", "ok", "Not_Ok", 1]), "data": st.lists(row_fields | json_values, max_size=4)}
)


@settings(CHECKED, max_examples=500)
@given(statuses, (books | json_values | books.map(lambda book: {"stat": "Ok", "data": book})).map(encoded))
@example(200, encoded({"stat": "Ok", "data": [{**ROW, "updRecvTm": "9" * 400}]}))
def test_any_book_is_read(status, body):
    """Any JSON as an order book: rows need stat Ok and HTTP 200, and reading them never raises."""
    check_page(status, body)


@settings(CHECKED, max_examples=900)
@given(statuses, mutated([encoded({"stat": "Ok", "data": [ROW, {**ROW, "nOrdNo": "260722000000002"}]}), *REAL]))
def test_a_damaged_book_is_read(status, body):
    """A real book with bytes cut, put in and replaced."""
    check_page(status, body)


replies = st.builds(
    Reply,
    http_status=statuses,
    ok=st.booleans(),
    code=st.none() | st.sampled_from(["1005", "1006", "1021", "1009", "100022", "100008", "429", "5203", "7777"]),
    text=st.none() | st.just("text"),
)
rows = st.builds(
    Row,
    order_number=st.just("260722000000001"),
    state=st.sampled_from(OrderState),
    said=st.just(""),
    variety=st.none() | varieties,
    amo=st.booleans(),
    trading_symbol=st.none(),
    filled_quantity=st.none() | st.integers(0, 10),
    unfilled_quantity=st.none(),
    reason=st.none(),
    changed_at=st.none() | st.floats(0, 200),
)
steps = st.lists(
    st.one_of(
        replies,
        st.just(NoReply()) | st.builds(NotSent, st.just("refused"), st.booleans()),
        rows,
        st.sampled_from(Finding),
    ),
    max_size=12,
)
DEAD_STATES = {OrderState.CANCELLED, OrderState.FILLED, OrderState.GONE}


@settings(CHECKED, max_examples=300)
@given(varieties, st.booleans(), steps, st.floats(0, 30))
def test_no_history_makes_an_order_dead_without_evidence(variety, was_crashed, history, window):
    """Any replies and looks in any order: dead means stat Ok or a dead row; `filled` and `gone` always mean a row."""
    case = Case(variety, unsure=was_crashed, first_sent_at=100.0 if was_crashed else None)
    was_acknowledged = False
    for at, step in enumerate(history):
        now = 100.0 + at
        if not isinstance(step, Row | Finding):
            verdict = judge(step, codes=KOTAK, variety=variety, order_number="260722000000001")
            was_acknowledged |= verdict.action is Action.ACKNOWLEDGED
            case.take(verdict, now)
            continue
        decision = settle(case, LookResult(step, "book", now), now=now, window=window)
        status = decision.status if isinstance(decision, Finish) else None
        assert (status is not None) == isinstance(decision, Finish)
        is_dead_row = isinstance(step, Row) and step.state in DEAD_STATES
        if status in DEAD:
            assert is_dead_row or (status is Status.CANCELLED and was_acknowledged and not decision.verified)
        assert not is_dead_row or status in DEAD
        if status is Status.NOT_FOUND:
            assert step is Finding.MISSING
        if status is not None:
            return  # the work has ended
    last = at_deadline(case, window=window)
    if last.status in DEAD:
        assert last.status is Status.CANCELLED
        assert was_acknowledged
        assert not last.verified
