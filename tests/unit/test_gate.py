"""The gate reads a message before Celery does: what cannot be used never gets there, and the rest has begun by then."""

import base64
import json
from contextlib import nullcontext

import pytest
from fakeredis import FakeRedis
from redis.exceptions import ConnectionError as RedisConnectionError

from neo_cancel.enqueue import enqueue_call
from neo_cancel.errors import InvalidOrderError
from neo_cancel.messages import TASK_NAME
from neo_cancel.order import CancelOrder
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
    call = enqueue_call([ORDER], batch="b", ttl_seconds=60)
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
    assert Message(message["headers"]["id"], kind, Chunk("AB123", "routine", (ORDER,))) == read(message)


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
        (headed(eta="2999-01-01T00:00:00"), "headers.eta: is not supported"),
        (headed(stamps={"a": 1}), "headers.stamps: is not supported"),
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
        ({**proper(body_encoding="base64"), "body": "%%%"}, "body: must be a string of JSON"),
        (bodied([[], {}, {}]), "body: must be [[argument], {}, options]"),
        (bodied([[{}], {"x": 1}, {}]), "body: must be [[argument], {}, options]"),
        (bodied([[{}, {}], {}, {}]), "body: must be [[argument], {}, options]"),
        (
            bodied([[{}], {}, {"callbacks": [{"task": "x"}]}]),
            "body: callbacks, errbacks, chain and chord are not supported",
        ),
        (bodied([[{"v": 2}], {}, None]), "v=2: this worker reads version 1"),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_in_the_words_of_the_wire(message, reason):
    assert reason == read(message, ONE_KIND)


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
    """Where the gate puts what it refuses."""

    def __init__(self):
        self.letters = []

    def add_dead_letter(self, reason, message):
        json.dumps(message)
        self.letters.append((reason, message))


class Kombu:
    """A transport of kombu's, as far as it delivers."""

    def __init__(self):
        self.channels, self.delivered = [Channel()], []

    def _deliver(self, message, queue):
        self.delivered.append(message)


class Transport(GatedDelivery, Kombu):
    def __init__(self):
        super().__init__()
        self.begun = []
        self.head_start = [self.begun.append]


@pytest.mark.parametrize("queue", ["risk", "routine"])
def test_work_begins_before_celery_has_the_message(queue):
    transport, message = Transport(), good()
    transport._deliver(message, queue)
    assert ([read(message)], [message]) == (transport.begun, transport.delivered)


def test_a_refused_message_never_reaches_celery():
    transport, message = Transport(), headed(task="os.system")
    transport._deliver(message, "risk")
    assert ([], []) == (transport.begun, transport.delivered)
    assert [(read(message), message)] == transport.channels[0].letters


def test_a_refused_message_is_published_by_reason_size_and_lane_without_its_content(published):
    transport, message = Transport(), headed(eta="2026")
    transport._deliver(message, "risk")
    assert [MessageRefused("headers.eta: is not supported", len(json.dumps(message)), "risk")] == published


def test_a_message_too_deep_to_be_written_again_is_refused_without_its_text():
    transport, deep = Transport(), []
    for _ in range(100_000):
        deep = [deep]
    transport._deliver(headed(eta=deep), "risk")
    assert [("headers.eta: is not supported", "")] == transport.channels[0].letters


def test_what_celery_says_to_itself_passes():
    """Remote control and events have queues of their own."""
    transport = Transport()
    transport._deliver({"method": "ping"}, "celery.pidbox")
    assert ([], [{"method": "ping"}]) == (transport.begun, transport.delivered)


class Pool:
    pass


class KombuChannel:
    """A channel of kombu's, as far as it reads."""

    def __init__(self):
        self.connection = type("Connection", (), {"client": object()})()
        self.pool, self.made, self.letters, self.answer = Pool(), 0, [], None

    def _connparams(self, asynchronous=False):
        return {"asynchronous": asynchronous}

    def _create_client(self, asynchronous=False):
        self.made += 1
        return type("Client", (), {"connection_pool": self.pool})()

    def _brpop_read(self, **options):
        return self.answer()


class GatedChannel(_Gate, KombuChannel):
    def add_dead_letter(self, reason, message):
        self.letters.append((reason, message))


@pytest.mark.parametrize(
    ("data", "letter"),
    [
        ("{not json", ("message: must be JSON (JSONDecodeError)", "{not json")),
        (b"\xff\xfe", ("message: must be JSON (UnicodeDecodeError)", "b'\\xff\\xfe'")),
    ],
)
def test_what_is_no_json_becomes_a_dead_letter_as_it_came(data, letter):
    channel = GatedChannel()
    channel.answer = lambda: json.loads(data if isinstance(data, str) else data.decode())
    assert channel._brpop_read() is True
    assert [letter] == channel.letters


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
    channel.answer = lambda: "read"
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
