"""The question whether a node consumes, over Celery's remote control; and the command that asks it."""

import socket
import threading

import pytest
from celery import Celery

from config.settings import ConfigurationError, Settings
from worker.health import main
from worker.ops.ping import Pinger

HOST = socket.gethostname()


@pytest.fixture
def app():
    """Celery over a queue in memory."""
    with Celery("ping", broker="memory://", set_as_current=False) as app:
        app.conf.broker_transport_options = {"polling_interval": 0.001}
        yield app


@pytest.fixture
def node(app):
    """Answer pings as risk@HOST does."""
    with app.connection_for_write() as connection:
        handlers = {"ping": lambda state, **_: {"ok": "pong"}, "idle_lanes": lambda state, **_: {"idle": ["risk"]}}
        node = app.control.mailbox.Node(f"risk@{HOST}", handlers=handlers, channel=connection.channel())
        node.listen()
        is_over = threading.Event()

        def serve():
            while not is_over.is_set():
                try:
                    connection.drain_events(timeout=0.01)
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield node
        is_over.set()
        thread.join()


def test_a_node_that_consumes_answers(app, node):
    """`%h` is this host."""
    with Pinger(app) as pinger:
        assert pinger.answers("risk@%h", timeout_seconds=30)


def test_another_nodes_answer_does_not_count(app, node):
    """Only the one that was asked."""
    with Pinger(app) as pinger:
        assert not pinger.answers("routine@%h", timeout_seconds=0.02)


def test_a_node_names_the_lanes_that_it_does_not_consume(app, node):
    """None stands for no answer in time, or for a node of an earlier version, which knows no such question."""
    with Pinger(app) as pinger:
        assert ["risk"] == pinger.idle_lanes("risk@%h", timeout_seconds=30)
        assert pinger.idle_lanes("routine@%h", timeout_seconds=0.02) is None
        del node.handlers["idle_lanes"]
        assert pinger.idle_lanes("risk@%h", timeout_seconds=30) is None


def test_a_pinger_connects_as_the_workers_do():
    """With the options that the service's own app has."""
    url = "redis://127.0.0.1:1/0"
    with Pinger.from_settings(Settings(redis_url=url)) as pinger:
        assert (url, "nc:unacked") == (
            pinger._app.conf.broker_read_url,
            pinger._app.conf.broker_transport_options["unacked_key"],
        )


class Fake:
    """A Pinger with an answer for each question: idle lanes, None for no answer in time, or an error."""

    def __init__(self, *answers) -> None:
        self._answers = list(answers)
        self.asked = []
        self.is_closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_closed = True

    def idle_lanes(self, node):
        self.asked.append(node)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ([[]], 0, "risk@%h answers\n"),
        ([None, None, []], 0, "risk@%h answers\n"),
        ([None, None, None], 1, "risk@%h does not answer\n"),
        ([["risk"]], 1, "risk@%h does not consume risk\n"),
        ([None, ["risk", "routine"]], 1, "risk@%h does not consume risk, routine\n"),
    ],
)
def test_the_health_check_asks_three_times_at_most(answers, code, said, capsys):
    """One lost answer is no dead node."""
    pinger = Fake(*answers)
    assert (code, said) == (main(["risk@%h"], lambda _: pinger), capsys.readouterr().out)
    assert (["risk@%h"] * len(answers), True) == (pinger.asked, pinger.is_closed)


def refuses(_):
    raise ConfigurationError("no Redis: set NEO_CANCEL_REDIS_URL")


@pytest.mark.parametrize(
    ("arguments", "connect", "code", "said"),
    [
        ([], None, 2, "usage: python -m worker.health NODE\n"),
        (["risk", "routine"], None, 2, "usage: python -m worker.health NODE\n"),
        (["risk"], refuses, 2, "neo-cancel: no Redis: set NEO_CANCEL_REDIS_URL\n"),
        (["risk"], lambda _: Fake(OSError("redis://:secret@h")), 1, "neo-cancel: risk cannot be asked: OSError\n"),
    ],
)
def test_a_health_check_that_cannot_ask_says_so_in_one_line(arguments, connect, code, said, capsys):
    """The reason by its kind only: its text may hold a password."""
    assert (code, said) == (main(arguments, connect), capsys.readouterr().err)


def test_the_health_check_reads_the_command_line(monkeypatch, capsys):
    """Where no arguments are given."""
    monkeypatch.setattr("sys.argv", ["health", "risk@here"])
    assert 0 == main(connect=lambda _: Fake([]))
    assert "risk@here answers\n" == capsys.readouterr().out
