"""The gate reads a message before Celery does: what cannot be used never gets there, and the rest has begun by then."""

import base64
import json
from contextlib import nullcontext
from queue import Empty

import pytest
from fakeredis import FakeRedis
from kombu.utils.json import loads
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError

from neo_cancel.errors import InvalidOrderError
from neo_cancel.messages import TASK_NAME
from neo_cancel.order import CancelOrder
from tests.accepting import accept_call
from worker.consuming.envelope import Message, read
from worker.consuming.kinds import KINDS, Kind
from worker.consuming.transport import GatedDelivery, _Gate, subscribers
from worker.dispatch.intake import Chunk
from worker.ledger.keys import DEAD_LETTERS, DEAD_LETTERS_KEPT
from worker.observe.events import MessageRefused

ONE_KIND = {TASK_NAME: KINDS[TASK_NAME]}
ORDER = CancelOrder(ucc="AB123", order_number="251015000123456", deadline_seconds=60.0)


@pytest.fixture
def published():
    events = []
    subscribers.append(events.append)
    yield events
    subscribers.clear()


def good():
    """A message as the producer's script writes it."""
    call = accept_call([ORDER], batch="b", ttl_seconds=60)
    return json.loads(f"{call.arguments[1]}1{call.arguments[2]}")


def headed(**headers):
    message = good()
    message["headers"].update(headers)
    return message


def proper(**properties):
    message = good()
    message["properties"].update(properties)
    return message


def bodied(said):
    return {**good(), "body": said if isinstance(said, str) else json.dumps(said)}


def without(part, name):
    message = good()
    del message[part][name]
    return message


def test_a_message_of_the_producer_is_read():
    message = good()
    kind = KINDS["neo_cancel.cancel_orders"]
    assert Message(message["headers"]["id"], kind, Chunk("routine", {"AB123": [ORDER]})) == read(message)


def test_a_body_in_base64_is_read():
    """Celery's own senders write it so."""
    message = proper(body_encoding="base64")
    message["body"] = base64.b64encode(message["body"].encode()).decode()
    assert isinstance(read(message), Message)


def test_numbers_that_only_celery_reads_make_no_message_unreadable():
    """NaN is no JSON, but Python's own senders write it."""
    message = good()
    message["body"] = message["body"].replace('"deadline_seconds": 60.0', '"deadline_seconds": NaN')
    assert 1 == len(read(message).value.refusals)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (17, "message: must be a JSON object, Celery protocol 2"),
        ({"headers": [], "properties": {}}, "message: headers and properties must be objects"),
        ({"headers": {}}, "message: headers and properties must be objects"),
        (headed(task="os.system"), "headers.task='os.system': must be neo_cancel.cancel_orders"),
        (headed(task=["x"]), "headers.task=['x']: must be neo_cancel.cancel_orders"),
        (headed(id=None), "headers.id: must be a string"),
        (headed(id=""), "headers.id: must be 1 to 255 printable characters"),
        (headed(id="x" * 256), "headers.id: must be 1 to 255 printable characters"),
        (headed(id="\ud800"), "headers.id: must be 1 to 255 printable characters"),
        (headed(id="a\nb"), "headers.id: must be 1 to 255 printable characters"),
        (headed(eta="2999-01-01T00:00:00"), "headers.eta: is not supported"),
        (headed(stamps={"a": 1}), "headers.stamps: is not supported"),
        (headed(stamped_headers=["a"]), "headers.stamped_headers: is not supported"),
        (headed(compression="gzip"), "headers.compression: is not supported"),
        (headed(timelimit=[1, None]), "headers.timelimit: is not supported"),
        (without("properties", "delivery_tag"), "properties.delivery_tag: must be a string"),
        (proper(correlation_id=1), "properties.correlation_id: must be a string"),
        (proper(delivery_info=[]), "properties.delivery_info: must hold exchange and routing_key"),
        (proper(delivery_info={"exchange": ""}), "properties.delivery_info: must hold exchange and routing_key"),
        (proper(body_encoding="rot13"), "properties.body_encoding: must be utf-8 or base64"),
        ({**good(), "content-type": "application/x-python-serialize"}, "content-type: must be application/json"),
        ({**good(), "content-encoding": "rot13"}, "content-encoding: must be utf-8"),
        (bodied("<xml/>"), "body: must be a string of JSON"),
        ({**good(), "body": 3}, "body: must be a string of JSON"),
        (bodied('[["\ud800"], {}, {}]'), "body: must be a string of JSON"),
        ({**proper(body_encoding="base64"), "body": "%%%"}, "body: must be a string of JSON"),
        (bodied([[], {}, {}]), "body: must be [[argument], {}, options]"),
        (bodied([[{}], {"x": 1}, {}]), "body: must be [[argument], {}, options]"),
        (bodied([[{}, {}], {}, {}]), "body: must be [[argument], {}, options]"),
        (
            bodied([[{}], {}, {"callbacks": [{"task": "x"}]}]),
            "body: callbacks, errbacks, chain and chord are not supported",
        ),
        (bodied([[{"v": 3}], {}, None]), "v=3: this worker reads versions 1 and 2"),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_in_the_words_of_the_wire(message, reason):
    assert reason == read(message, ONE_KIND)


@pytest.mark.parametrize("name", ["eta", "expires", "chord", "group", "compression", "timelimit"])
@pytest.mark.parametrize("value", ["", 0, False, [], {}], ids=repr)
def test_what_celery_would_obey_is_absent_or_null_and_nothing_else(name, value):
    """Celery asks `is not None`: what Python calls false would end its worker."""
    assert f"headers.{name}: is not supported" == read(headed(**{name: value}))
    assert isinstance(read(headed(**{name: None})), Message)
    assert isinstance(read({**good(), "headers": {"task": TASK_NAME, "id": "1"}}), Message)


def test_celery_gets_a_message_that_the_gate_wrote():
    """Whatever else stands in a sender's message, however odd, cannot reach Celery or kombu."""
    message = headed(argsrepr="a" * 1000, lang=[], retries="x", root_id={}, origin=0, ignore_result=True, enqueued_ms=7)
    message["properties"].update(priority="high", reply_to=[], delivery_info={"exchange": "x", "routing_key": "y"})
    message["x"] = 1
    sealed = read(message).sealed("risk")
    assert {"body", "headers", "properties", "content-type", "content-encoding"} == sealed.keys()
    message_id = message["headers"]["id"]
    shown = {"argsrepr": "a" * 200, "kwargsrepr": "{}", "ignore_result": True, "enqueued_ms": 7}
    assert {"lang": "py", "task": TASK_NAME, "id": message_id, "root_id": message_id, **shown} == sealed["headers"]
    assert ({"exchange": "", "routing_key": "risk"}, 0) == (
        sealed["properties"]["delivery_info"],
        sealed["properties"]["priority"],
    )


def test_each_delivery_has_a_tag_of_its_own_and_reads_as_the_message_did():
    """Two messages with one tag would acknowledge each other; a message that comes back passes the gate once more."""
    found = read(good())
    first, second = found.sealed("risk"), found.sealed("risk")
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]
    assert (found, found.sealed("routine").keys()) == (read(first), first.keys())


def test_what_a_message_says_about_itself_is_left_out_where_it_is_no_text_or_number():
    found = read(headed(argsrepr=["x"], enqueued_ms="soon", ignore_result="x"))
    assert (None, None, False) == (found.shown, found.enqueued_ms, found.ignores_result)
    assert "(AB123 1 order routine)" == found.sealed("routine")["headers"]["argsrepr"]


def test_a_message_nested_too_deeply_to_be_shown_is_refused():
    """Some 30 levels of JSON can be read and not be said again; a complaint that shows them would end the worker."""
    answers = [read(bodied(f'[[{{"v": {"[" * depth}{"]" * depth}}}], {{}}, {{}}]')) for depth in range(900, 1100)]
    assert all(isinstance(answer, str) for answer in answers)


def sweep(argument):
    if argument != "all":
        raise InvalidOrderError("sweep", argument, "must be all")
    return argument


SWEEP = Kind("neo_cancel.sweep", sweep, lambda runtime, value: runtime.sweep(value))


@pytest.mark.parametrize(("argument", "expected"), [("all", "all"), ("some", "sweep='some': must be all")])
def test_a_further_kind_of_message_is_a_line_in_the_table(argument, expected):
    message = {**headed(task="neo_cancel.sweep"), "body": json.dumps([[argument], {}, {}])}
    found = read(message, {**ONE_KIND, SWEEP.task: SWEEP})
    assert expected == (found.value if isinstance(found, Message) else found)


# ---------------------------------------------------------------------- in kombu's transport


class Channel:
    """A channel that consumes from both lanes, and where the gate puts what it refuses."""

    active_queues = ("risk", "routine")

    def __init__(self):
        self.letters, self.acknowledged = [], []

    def add_dead_letter(self, reason, message):
        json.dumps(message)
        self.letters.append((reason, message))

    def basic_ack(self, delivery_tag):
        self.acknowledged.append(delivery_tag)


class OtherChannel(Channel):
    """A channel for what Celery says to itself."""

    active_queues = ()


class Kombu:
    """A transport of kombu's, as far as it delivers; it raises what `failures` hold."""

    def __init__(self):
        self.channels, self.delivered, self.failures = [OtherChannel(), Channel()], [], []

    def _deliver(self, message, queue):
        self.delivered.append(message)
        self.known = self.in_delivery
        if self.failures:
            raise self.failures.pop()


class Transport(GatedDelivery, Kombu):
    def __init__(self):
        super().__init__()
        self.begun = []
        self.head_start = [self.begun.append]

    @property
    def letters(self):
        return self.channels[1].letters


@pytest.mark.parametrize("queue", ["risk", "routine"])
def test_work_begins_before_celery_has_the_message(queue):
    transport, message = Transport(), good()
    transport._deliver(message, queue)
    assert [read(message)] == transport.begun == [read(one) for one in transport.delivered]
    assert (transport.begun, None) == ([transport.known], transport.in_delivery)
    assert queue == transport.delivered[0]["properties"]["delivery_info"]["routing_key"]


def test_a_refused_message_never_reaches_celery():
    transport, message = Transport(), headed(task="os.system")
    transport._deliver(message, "risk")
    assert ([], []) == (transport.begun, transport.delivered)
    assert [(read(message), message)] == transport.letters
    assert [] == transport.channels[1].acknowledged


def test_a_refused_message_is_published_by_reason_size_and_lane_without_its_content(published):
    transport = Transport()
    messages = [headed(eta="2026"), headed(task="se=cr: et")]
    for message in messages:
        transport._deliver(message, "risk")
    reasons = ["headers.eta: is not supported", "headers.task: must be neo_cancel.cancel_orders"]
    sizes = [len(json.dumps(message)) for message in messages]
    assert [MessageRefused(*one, "risk") for one in zip(reasons, sizes, strict=True)] == published


def test_a_message_too_deep_to_be_written_again_is_refused_without_its_text():
    transport, deep = Transport(), []
    for _ in range(100_000):
        deep = [deep]
    transport._deliver(headed(eta=deep), "risk")
    assert [("headers.eta: is not supported", "")] == transport.letters


@pytest.mark.parametrize("error", [KeyError("x"), AttributeError("tzinfo"), DataError("a list")], ids=repr)
def test_what_a_delivery_raises_over_its_message_parks_and_acknowledges_it(error, published):
    """A KeyError, too, which kombu takes for a lost connection."""
    transport, message = Transport(), good()
    transport.failures.append(error)
    transport._deliver(message, "risk")
    reason = f"message: cannot be delivered ({type(error).__name__})"
    assert [(reason, message)] == transport.letters
    assert [transport.delivered[0]["properties"]["delivery_tag"]] == transport.channels[1].acknowledged
    assert ([reason], None) == ([event.reason for event in published], transport.in_delivery)


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), BrokenPipeError(), ResponseError("OOM")], ids=repr)
def test_what_a_connection_raises_is_for_celery_and_parks_nothing(error):
    transport = Transport()
    transport.failures.append(error)
    with pytest.raises(type(error)):
        transport._deliver(good(), "risk")
    assert ([], [], None) == (transport.letters, transport.channels[1].acknowledged, transport.in_delivery)


def test_work_that_cannot_begin_parks_its_message():
    transport = Transport()
    transport.head_start = [lambda message: message.no_such_thing]
    transport._deliver(good(), "risk")
    assert ([], ["message: cannot be delivered (AttributeError)"]) == (
        transport.delivered,
        [reason for reason, _ in transport.letters],
    )


def test_what_celery_says_to_itself_passes():
    """Remote control and events have queues of their own."""
    transport = Transport()
    transport._deliver({"method": "ping"}, "celery.pidbox")
    assert ([], [{"method": "ping"}]) == (transport.begun, transport.delivered)
    assert transport.known is None


def test_a_control_message_that_raises_ends_no_worker():
    transport = Transport()
    transport.failures.append(TypeError("no properties"))
    transport._deliver(17, "celery.pidbox")
    assert [("message: cannot be delivered (TypeError)", 17)] == transport.channels[0].letters


class Pool:
    pass


class Client:
    """A client of redis-py's, as far as replies have callbacks."""

    def __init__(self, pool):
        self.connection_pool, self.callbacks = pool, {}

    def set_response_callback(self, command, callback):
        self.callbacks[command] = callback


class KombuChannel:
    """A channel of kombu's, as far as it reads."""

    def __init__(self):
        self.connection = type("Connection", (), {"client": object(), "in_delivery": None})()
        self.pool, self.made, self.letters, self.answer = Pool(), 0, [], None

    def _connparams(self, asynchronous=False):
        return {"asynchronous": asynchronous}

    def _create_client(self, asynchronous=False):
        self.made += 1
        return Client(self.pool)

    def _brpop_read(self, **options):
        """Read as kombu does: the reply through the client's callback, then its text."""
        client = self._create_client(asynchronous=True)
        _, item = client.callbacks["BRPOP"](self.answer())
        return loads(item)

    def _handle_message(self, client, reply):
        return {"type": b"pmessage", "data": reply}

    def message_to_python(self, raw_message):
        return type("KombuMessage", (), {"raw": raw_message, "_decoded_cache": None})()


class GatedChannel(_Gate, KombuChannel):
    def add_dead_letter(self, reason, message):
        self.letters.append((reason, message))


@pytest.mark.parametrize(
    ("data", "letter"),
    [
        (b"{not json", ("message: must be JSON (JSONDecodeError)", "{not json")),
        (b"\xff\xfe", ("message: must be JSON (UnicodeDecodeError)", "b'\\xff\\xfe'")),
        ("9" * 5000, ("message: must be JSON (ValueError)", "9" * 5000)),
        (
            b'{"__type__": "datetime", "__value__": 5}',
            ("message: must be JSON (TypeError)", '{"__type__": "datetime", "__value__": 5}'),
        ),
        (b"[" * 50_000, ("message: must be JSON (RecursionError)", "[" * 50_000)),
    ],
    ids=["no JSON", "no text", "a huge number", "a wrong type of kombu's", "deep"],
)
def test_what_is_no_json_becomes_a_dead_letter_as_it_came(data, letter):
    channel = GatedChannel()
    channel.answer = lambda: ("risk", data)
    assert channel._brpop_read() is True
    assert [letter] == channel.letters


@pytest.mark.parametrize(
    "error", [RedisConnectionError("gone"), Empty(), KeyError("fd"), ResponseError("OOM")], ids=repr
)
def test_what_is_raised_before_a_message_has_come_is_for_celery(error):
    def answer():
        raise error

    channel = GatedChannel()
    channel.answer = answer
    with pytest.raises(type(error)):
        channel._brpop_read()
    assert [] == channel.letters


def test_a_control_message_that_cannot_be_read_is_kept_aside_and_has_no_data_for_kombu():
    """kombu would write all of it into the log."""
    channel, data = GatedChannel(), b'{"__type__": "datetime", "__value__": 5}'
    assert {"type": b"pmessage", "data": None} == channel._handle_message(None, data)
    assert [("control message: must be JSON (TypeError)", data.decode())] == channel.letters


@pytest.mark.parametrize("data", [b'{"method": "ping"}', 1, None], ids=repr)
def test_a_control_message_and_the_count_of_a_subscription_pass(data):
    channel = GatedChannel()
    assert data == channel._handle_message(None, data)["data"]
    assert [] == channel.letters


def test_celery_is_given_what_the_gate_has_read():
    channel = GatedChannel()
    assert channel.message_to_python({})._decoded_cache is None
    channel.connection.in_delivery = found = read(good())
    assert {"args": [found.argument], "kwargs": {}} == channel.message_to_python({})._decoded_cache
    assert found.argument == json.loads(found.body)[0][0]


def test_a_dead_letter_is_kept_with_its_reason_and_counted():
    """The oldest ones make room once there are too many."""
    client = FakeRedis()
    client.rpush(DEAD_LETTERS, *["old"] * DEAD_LETTERS_KEPT)

    class Kept(_Gate, KombuChannel):
        def conn_or_acquire(self):
            return nullcontext(client)

    Kept().add_dead_letter("body: must be a string of JSON", {"body": 3})
    newest = json.loads(client.lindex(DEAD_LETTERS, 0))
    assert ("body: must be a string of JSON", '{"body": 3}') == (newest["reason"], newest["message"])
    assert (DEAD_LETTERS_KEPT, b"1") == (client.llen(DEAD_LETTERS), client.hget("nc:counters", "dead_letters"))


def test_what_is_json_is_read_as_kombu_reads_it():
    channel = GatedChannel()
    channel.answer = lambda: ("risk", b'"read"')
    assert ("read", []) == (channel._brpop_read(), channel.letters)


def test_a_channel_builds_one_client_for_a_pool():
    """Building one costs more than most calls; a pool that was replaced after a disconnect needs another."""
    channel = GatedChannel()
    first = channel._create_client()
    assert first is channel._create_client()
    channel.pool = Pool()
    assert first is not channel._create_client()
    assert 2 == channel.made


def test_an_asynchronous_client_is_built_each_time():
    channel = GatedChannel()
    assert channel._create_client(asynchronous=True) is not channel._create_client(asynchronous=True)


@pytest.mark.parametrize("lost", ["connection", "client"])
def test_a_channel_whose_connection_is_gone_raises_what_celery_expects(lost):
    """kombu's AttributeError would end the worker's consuming for good."""
    channel = GatedChannel()
    if lost == "connection":
        channel.connection = None
    else:
        channel.connection.client = None
    with pytest.raises(RedisConnectionError):
        channel._connparams()


def test_a_channel_with_a_connection_has_its_parameters():
    assert {"asynchronous": True} == GatedChannel()._connparams(asynchronous=True)
