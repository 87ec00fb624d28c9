"""Celery's options: nothing of a strategy's environment is obeyed, and every URL is written the way kombu wants it."""

import os
import subprocess
import sys

import pytest
from celery import Celery

from config.settings import Settings
from worker.consuming.celery_options import celery_options
from worker.consuming.transport import GatedSentinelTransport, GatedTransport


def options(url):
    return celery_options(Settings(redis_url=url))


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("unix:///tmp/redis.sock", "redis+socket:///tmp/redis.sock"),
        ("unix:///tmp/redis.sock?db=3", "redis+socket:///tmp/redis.sock?virtual_host=3"),
        ("unix://u:p%40@/tmp/redis.sock?db=3", "redis+socket://u:p%40@/tmp/redis.sock?virtual_host=3"),
        ("unix:///tmp/redis.sock?username=u&password=p%40", "redis+socket://u:p%40@/tmp/redis.sock"),
        ("redis://:p%40@host:6379?db=3", "redis://:p%40@host:6379/3"),
        ("redis://host/1?db=3", "redis://host/3"),
        ("rediss://host:6379/0", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("rediss://host/0?x=1", "rediss://host/0?x=1&ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
        (
            "sentinel://u:p@one:26379,two:26379/main?db=2",
            "sentinel://u:p@one:26379/2;sentinel://u:p@two:26379/2",
        ),
        ("sentinel://one:26379", "sentinel://one:26379/0"),
    ],
)
def test_a_url_is_written_as_kombu_reads_it(url, written):
    made = options(url)
    assert [written] * 4 == [
        made[name] for name in ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
    ]


@pytest.mark.parametrize(("url", "master"), [("sentinel://one/main", "main"), ("sentinel://one", "mymaster")])
def test_the_master_s_name_goes_apart(url, master):
    made = options(url)
    assert master == made["broker_transport_options"]["master_name"]
    assert {"master_name": master} == made["result_backend_transport_options"]


def test_nothing_that_kombu_shares_between_apps_has_its_usual_name():
    """Another app on the same database would command these workers, or take their bindings for its own."""
    made = options("redis://host/0")
    theirs = Celery("other", set_as_current=False).conf
    names = ("control_exchange", "event_exchange", "event_queue_prefix")
    assert [] == [name for name in names if made[name] == theirs[name]]
    keys = {key: name for key, name in made["broker_transport_options"].items() if key.startswith(("keyprefix", "una"))}
    assert 6 == sum(isinstance(name, str) and name.startswith("nc:") for name in keys.values())


def test_every_name_has_the_namespace_in_front():
    """The queues and the results, too, which in the default namespace have Celery's plain names."""
    ours, desk = (celery_options(Settings(redis_url="redis://h/0", namespace=name)) for name in ("nc", "desk"))
    assert ["risk", "routine"] == sorted(queue.name for queue in ours["task_queues"])
    assert ["desk:risk", "desk:routine"] == sorted(queue.name for queue in desk["task_queues"])
    assert ["desk:risk", "desk:routine"] == sorted(queue.routing_key for queue in desk["task_queues"])
    assert ({}, {"global_keyprefix": "desk:"}) == tuple(
        made["result_backend_transport_options"] for made in (ours, desk)
    )
    assert ("desk", "desk.events", "desk:routine") == (
        desk["control_exchange"],
        desk["event_exchange"],
        desk["task_default_queue"],
    )
    assert "nc" not in str(desk["broker_transport_options"]).replace("encoding", "").replace("cancel", "")


@pytest.mark.parametrize("transport", [GatedTransport, GatedSentinelTransport])
def test_the_channel_takes_the_names_of_its_keys_from_the_options(transport):
    taken = transport.Channel.from_transport_options
    made = options("redis://host/0")["broker_transport_options"]
    assert [] == [name for name in made if name.startswith(("keyprefix", "unacked", "namespace")) and name not in taken]


def test_a_setting_of_another_app_in_the_environment_does_not_win(monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://other:1/0")
    app = Celery("test", set_as_current=False)
    app.config_from_object(options("redis://ours:1/0"))
    assert ["redis://ours:1/0"] * 2 == [app.conf.broker_read_url, app.conf.broker_write_url]
    assert "ours" == app.connection_for_read().hostname


FOREIGN = {
    f"CELERY_{name}": "redis://other:1/0"
    for name in ("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL", "RESULT_BACKEND")
}
ASK = """
import os
from worker.app import app
from celery import signals
os.environ.update(CELERY_BROKER_URL="redis://other:1/0", CELERY_RESULT_BACKEND="redis://other:1/0")
signals.worker_init.send(None)
conf = app.conf
print(conf.broker_url, conf.broker_read_url, conf.broker_write_url, conf.result_backend, app.connection_for_read().hostname)
"""


def test_a_worker_s_process_obeys_no_variable_of_another_app():
    """Nor one that Celery's command line writes after it has imported the app."""
    ours = "redis://127.0.0.1:1/0"
    environment = {**os.environ, **FOREIGN, "CELERY_LOADER": "no.such:Loader", "NEO_CANCEL_REDIS_URL": ours}
    environment["PYTHONPATH"] = ".:producers"
    asked = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False)
    assert [*[ours] * 4, "127.0.0.1"] == asked.stdout.split()[-5:], asked.stderr
