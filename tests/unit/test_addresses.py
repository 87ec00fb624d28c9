"""A host with several addresses, on real sockets: a dead one delays nothing for long, and one that works is tried first."""

import asyncio
import contextlib
import socket

import httpx
import pytest

from tests.unit.test_broker_transport import Broker, whole
from worker.kotak.addresses import Addresses
from worker.kotak.transport import BrokerTransport

REFUSED, SILENT, ALIVE = "refuses", "is silent", "answers"


class Host:
    """A name with three addresses (ports of loopback), in the given order."""

    def __init__(self, stack, broker) -> None:
        self.asked, self.order, self.addresses = 0, [SILENT, REFUSED, ALIVE], {}
        self._stack, self._broker = stack, broker

    async def open(self):
        server = await asyncio.start_server(self._broker.serve, "127.0.0.1", 0)
        self._stack.callback(server.close)
        refusing, silent, *plugs = [self._stack.enter_context(socket.socket()) for _ in range(4)]
        refusing.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for plug in plugs:  # a full backlog
            plug.setblocking(False)
            plug.connect_ex(silent.getsockname())
        for name, one in ((ALIVE, server.sockets[0]), (REFUSED, refusing), (SILENT, silent)):
            self.addresses[name] = one.getsockname()

    async def resolve(self, host, port):
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", self.addresses[name]) for name in self.order]

    def name(self, address):
        return next(name for name, one in self.addresses.items() if one == address)

    async def next_order(self, addresses):
        return [self.name(info[4]) for info in await addresses._ordered(("broker.test", 443))]


@pytest.fixture
async def host():
    with contextlib.ExitStack() as stack:
        made = Host(stack, Broker(*[whole()] * 9))
        await made.open()
        yield made


async def peers_of(addresses, host, count):
    found = []
    for _ in range(count):
        with await addresses.connect("broker.test", 443, 5.0) as opened:
            found.append(host.name(opened.getpeername()))
    return found


async def test_a_dead_address_does_not_keep_the_others_from_being_tried(host):
    assert [ALIVE] == await peers_of(Addresses(host.resolve), host, 1)


async def test_the_address_that_worked_is_tried_first(host):
    addresses = Addresses(host.resolve)
    await peers_of(addresses, host, 2)
    assert [ALIVE, SILENT, REFUSED] == await host.next_order(addresses)
    assert 1 == host.asked


async def test_an_address_that_was_of_no_use_is_tried_last(host):
    """It takes connections and then speaks no TLS, for one."""
    addresses = Addresses(host.resolve)
    await peers_of(addresses, host, 1)
    addresses.failed("broker.test", 443, host.addresses[ALIVE])
    assert [SILENT, REFUSED, ALIVE] == await host.next_order(addresses)


@pytest.mark.parametrize(
    ("order", "error"), [([REFUSED], ConnectionRefusedError), ([SILENT], TimeoutError), ([], OSError)]
)
async def test_without_an_address_that_works_the_cause_is_told(host, order, error):
    host.order = order
    with pytest.raises(error):
        await Addresses(host.resolve).connect("broker.test", 443, 0.2)


async def test_addresses_that_failed_are_looked_up_anew(host):
    """They may have moved."""
    addresses, host.order = Addresses(host.resolve), [REFUSED]
    with pytest.raises(ConnectionRefusedError):
        await addresses.connect("broker.test", 443, 0.2)
    host.order = [ALIVE]
    assert [ALIVE] == await peers_of(addresses, host, 1)


async def test_a_look_up_that_failed_is_tried_again(host):
    fails = [socket.gaierror(socket.EAI_AGAIN, "later")]

    async def resolve(name, port):
        if fails:
            raise fails.pop()
        return await host.resolve(name, port)

    addresses = Addresses(resolve)
    with pytest.raises(socket.gaierror):
        await addresses.connect("broker.test", 443, 1.0)
    assert [ALIVE] == await peers_of(addresses, host, 1)


async def test_a_call_reaches_the_broker_beside_a_dead_address(host):
    """Each address has the connect time-out for itself."""
    transport = BrokerTransport(resolve=host.resolve)
    request = httpx.Request("GET", "http://broker.test/", extensions={"timeout": {"connect": 5.0, "read": 5.0}})
    assert 200 == (await transport.handle_async_request(request)).status_code
    await transport.aclose()
