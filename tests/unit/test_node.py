"""The command that runs a worker node: its options, what it asks of Celery, and its exit code."""

import gc
import logging
import socket

import pytest
import structlog
from celery import Celery

from config.settings import Settings
from worker.node import main

HOST = socket.gethostname()


class Workers:
    """Stands in for the app's class of workers, and for the one that is made: writes down how, and runs nothing."""

    Blueprint = Celery("blueprint", set_as_current=False).Worker.Blueprint

    def __init__(self) -> None:
        self.exitcode = None
        self.said = []

    def __call__(self, **options):
        self.said.append(options)
        return self

    def start(self):
        self.said.append("started")


@pytest.fixture
def app():
    """Celery without workers."""
    app = Celery("node", set_as_current=False)
    app.Worker = Workers()
    return app


@pytest.fixture
def _logging_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    gc.unfreeze()


def run(app, *arguments: str) -> int:
    return main(arguments, lambda: (app, Settings()))


def test_a_node_serves_its_lanes_with_threads(app):
    """Neither gossip nor mingle, and with the events that Flower shows."""
    assert 0 == run(app, "-Q", "risk", "-c", "8")
    expected = {
        "hostname": f"risk@{HOST}",
        "queues": ["risk"],
        "pool": "threads",
        "concurrency": 8,
        "without_gossip": True,
        "without_mingle": True,
        "task_events": True,
        "loglevel": "WARNING",
        "quiet": True,
    }
    assert [expected, "started"] == app.Worker.said


@pytest.mark.parametrize(
    ("arguments", "hostname", "queues"),
    [
        ([], f"risk-routine@{HOST}", ["risk", "routine"]),
        (["-Q", "routine,risk"], f"routine-risk@{HOST}", ["routine", "risk"]),
        (["-Q", "risk", "-n", "desk@%h"], f"desk@{HOST}", ["risk"]),
    ],
)
def test_a_node_is_named_after_its_lanes_and_this_host(app, arguments, hostname, queues):
    """Unless it is given a name."""
    run(app, *arguments)
    assert (hostname, queues) == (app.Worker.said[0]["hostname"], app.Worker.said[0]["queues"])


def test_a_node_consumes_the_queues_of_its_namespace(app, monkeypatch):
    """The lanes keep their names on the command line."""
    monkeypatch.setenv("NEO_CANCEL_NAMESPACE", "desk")
    run(app, "-Q", "risk")
    assert (f"risk@{HOST}", ["desk:risk"]) == (app.Worker.said[0]["hostname"], app.Worker.said[0]["queues"])


def test_the_exit_code_is_the_workers(app):
    """What Celery noted when it shut down."""
    app.Worker.exitcode = 70
    assert 70 == run(app)


@pytest.mark.usefixtures("_logging_as_before", "capfd")
def test_a_node_that_respawns_answers_what_its_child_ended_with(app):
    """The work is done in another process, which has all imports from this one."""
    assert 0 == run(app, "--respawn")
    assert [] == app.Worker.said
    assert app.finalized


def unreachable():
    raise AssertionError("usage errors need no settings")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-Q", "urgent"], "lane 'urgent': must be one of risk, routine"),
        (["-Q", ""], "lane '': must be one of"),
        (["-c", "0"], "'0': must be a whole number from 1"),
        (["-c", "many"], "'many': must be a whole number from 1"),
    ],
)
def test_wrong_usage_is_said_before_any_setting_is_read(arguments, said, capsys):
    """Exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments, unreachable)
    assert (2, True) == (ended.value.code, said in capsys.readouterr().err)


def test_help_needs_no_settings(capsys):
    """It names every option."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"], unreachable)
    said = capsys.readouterr().out
    assert (0, True) == (ended.value.code, all(option in said for option in ("--lanes", "--threads", "--respawn")))
