"""Flower beside running workers: who works, on what, and nothing of it without a password."""

import ast
import json
from urllib.parse import urlsplit

import httpx
import pytest

from neo_cancel import CancelOrder, CancelProducer
from neo_cancel.connection import connect
from worker.ops.interruption import Interruption
from worker.ops.process import wait_until
from worker.stack.accounts import open_accounts, write_accounts
from worker.stack.parts import Stack

pytestmark = pytest.mark.timeout(600)

SECONDS = 60.0
LANES = ("risk", "routine")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Run everything, and cancel 20 orders in one message of each lane, one more alone, and one that must fail."""
    patch = pytest.MonkeyPatch()
    patch.delenv("FLOWER_BASIC_AUTH", raising=False)
    root = tmp_path_factory.mktemp("stack")
    with Stack(root=root, env={}, interruption=Interruption()) as stack:
        stack.start_redis()
        stack.launch_nodes(lanes=LANES, processes=1, threads=8, accounts_file=root / "accounts.json")
        stack.launch_flower()
        with stack.start_sandbox() as sandbox:
            sessions, names = open_accounts(sandbox)
        write_accounts(root / "accounts.json", sessions)
        stack.wait()
        cancel(stack, [name.split(":") for name in names])
        yield stack
    patch.undo()


def cancel(stack, orders):
    cancels = [
        CancelOrder(ucc=ucc, order_number=number, lane="risk" if ucc == "SBX01" else "routine")
        for ucc, number in orders
        if ucc != "SBX03"
    ]
    with httpx_of(stack) as flower:
        # Flower shows what it has heard: it must hear the nodes before there is anything to tell.
        wait_until(lambda: 2 == len(heard(flower)), "Flower to hear both nodes", timeout_seconds=SECONDS)
    with CancelProducer(stack.redis_url) as producer:
        producer.enqueue_many(cancels).wait(timeout_seconds=SECONDS)
        producer.enqueue(CancelOrder(ucc="SBX03", order_number=orders[-1][1])).wait(timeout_seconds=SECONDS)
        # An account without a session.
        lost = CancelOrder(ucc="NOBODY", order_number=orders[-1][1], deadline_seconds=0.5)
        assert "blocked" == producer.enqueue(lost).wait(timeout_seconds=SECONDS).status


@pytest.fixture(scope="module")
def desk(stack, tmp_path_factory):
    """Run Flower alone, for a namespace without workers in which three orders of two accounts wait."""
    with Stack(
        root=tmp_path_factory.mktemp("desk"), env={"NEO_CANCEL_NAMESPACE": "desk"}, interruption=Interruption()
    ) as desk:
        desk.use_redis(stack.redis_url)
        desk.launch_flower()
        with CancelProducer(stack.redis_url, namespace="desk") as producer:
            for ucc, number in (("AB123", "1"), ("AB123", "2"), ("CD456", "3")):
                producer.enqueue(CancelOrder(ucc=ucc, order_number=f"25101500012345{number}"))
        desk.wait()
        yield desk


def httpx_of(stack, password=None):
    auth = ("neo-cancel", stack.flower_password if password is None else password)
    return httpx.Client(base_url=stack.flower_url, auth=auth, trust_env=False, timeout=SECONDS)


def heard(flower):
    return [worker for worker in flower.get("/workers", params={"json": "1"}).json()["data"] if worker["status"]]


@pytest.fixture
def flower(stack):
    with httpx_of(stack) as client:
        yield client


def finished(flower):
    tasks = flower.get("/api/tasks").json().values()
    return [task for task in tasks if task["state"] == "SUCCESS"]


def wait_for_all(flower):
    def ended():
        return [task for task in flower.get("/api/tasks").json().values() if task["state"] != "STARTED"]

    wait_until(lambda: 4 == len(ended()), "four tasks to end", timeout_seconds=SECONDS)


def listed(flower):
    """Read the list of tasks as the page does."""
    form = {"draw": 1, "start": 0, "length": 50, "order[0][column]": 0, "columns[0][data]": "received"}
    return flower.post("/tasks/datatable", data=form).json()["data"]


def test_both_nodes_are_there_with_their_lanes(stack, flower):
    workers = flower.get("/api/workers", params={"refresh": "true"}).json()
    assert sorted(stack.nodes) == sorted(workers)
    for node, about in workers.items():
        assert [node.partition("@")[0]] == [queue["name"] for queue in about["active_queues"]]


def test_every_task_says_account_count_and_lane_how_it_ended_and_how_long_it_took(flower):
    wait_for_all(flower)
    tasks = finished(flower)
    shown = {"(SBX01 20 orders risk)", "(SBX02 20 orders routine)", "(SBX03 1 order routine)"}
    assert shown == {task["args"] for task in tasks}
    assert all(task["runtime"] > 0 for task in tasks)
    assert all(task["worker"].partition("@")[0] in task["args"] for task in tasks)


def test_the_list_shows_account_count_lane_state_and_result(flower):
    """In its first columns."""
    page = flower.get("/tasks").text
    columns = [part.partition('"')[0] for part in page.split('data-column="')[1:]]
    assert ["args", "state", "result", "received", "runtime", "worker", "uuid"] == columns


def test_a_task_says_what_became_of_every_order(flower):
    """From the beginning of its result."""
    wait_for_all(flower)
    [shown] = [task for task in listed(flower) if task["args"] == "(SBX01 20 orders risk)"]
    said = ast.literal_eval(shown["result"])
    assert ("SUCCESS", "outcome", "done") == (shown["state"], next(iter(said)), said["outcome"])
    expected = {"ended": {"cancelled": 20}, "lane": "risk", "accounts": 1, "orders": 20, "claimed": 20}
    assert expected.items() <= said.items()


def test_a_task_with_an_order_that_may_still_work_stands_out_and_comes_once(stack, flower):
    """Its state is found by Flower's search; nothing is redelivered or retried, and no node logs a failed task."""
    wait_for_all(flower)
    [shown] = [task for task in listed(flower) if task["state"] == "BLOCKED"]
    assert ("(NOBODY 1 order routine)", 0) == (shown["args"], shown["retries"])
    assert {"outcome": "blocked", "ended": {"blocked": 1}}.items() <= ast.literal_eval(shown["result"]).items()
    assert [shown["uuid"]] == list(flower.get("/api/tasks", params={"state": "BLOCKED"}).json())
    with connect(stack.redis_url) as redis:
        assert (0, 0) == (redis.llen("routine"), redis.exists("nc:unacked"))
        assert "SUCCESS" == json.loads(redis.get(f"celery-task-meta-{shown['uuid']}"))["status"]
    assert "raised unexpected" not in (stack.root / "log" / "routine.log").read_text()


def lengths(flower):
    queues = flower.get("/api/queues/length").raise_for_status().json()["active_queues"]
    return {queue["name"]: queue["messages"] for queue in queues}


def test_the_queues_of_the_nodes_and_their_lengths_are_shown(flower):
    assert {"risk": 0, "routine": 0} == lengths(flower)


def test_the_lengths_are_those_of_the_namespace(desk):
    """Flower knows the queues without a node."""
    with httpx_of(desk) as flower:
        assert {"desk:risk": 0, "desk:routine": 3} == lengths(flower)


@pytest.mark.parametrize(("service", "queue"), [("stack", "risk"), ("desk", "desk:routine")])
def test_the_page_of_the_broker_names_server_and_queues_without_the_password(service, queue, request):
    service = request.getfixturevalue(service)
    with httpx_of(service) as flower:
        page = flower.get("/broker").raise_for_status().text
    assert f"redis://:**@{service.redis_url.rpartition('@')[2]}" in page
    assert f"<td>{queue}</td>" in page
    assert urlsplit(service.redis_url).password not in page


def test_no_secret_is_shown(stack, flower):
    accounts = (stack.root / "accounts.json").read_text()
    pages = [
        "/api/tasks",
        "/api/workers?refresh=true",
        "/api/queues/length",
        "/tasks",
        "/broker",
        *(f"/worker/{node}" for node in stack.nodes),
    ]
    shown = "".join(flower.get(page).text for page in pages)
    secrets = [part for part in accounts.split('"') if len(part) > 20 and not part.startswith("http")]
    assert secrets
    secrets.append((stack.root / "redis" / "password").read_text())
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize("path", ["/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks"])
@pytest.mark.parametrize("password", [None, "wrong"])
def test_nothing_is_shown_without_the_password(stack, path, password):
    auth = None if password is None else ("neo-cancel", password)
    reply = httpx.get(f"{stack.flower_url}{path}", auth=auth, trust_env=False, timeout=SECONDS)
    assert 401 == reply.status_code
    assert "SBX01" not in reply.text


def test_nothing_can_be_changed_even_with_the_password(stack, flower):
    refused = flower.post(f"/api/worker/shutdown/{stack.nodes[0]}")
    assert refused.status_code >= 400
    stack.check()


def test_the_password_is_in_no_process_list(stack):
    commands = [part for children in stack._stages.values() for child in children for part in child.popen.args]
    assert stack.flower_password
    assert not [part for part in commands if stack.flower_password in part]


def test_it_listens_on_loopback_only(stack):
    assert stack.flower_url.startswith("http://127.0.0.1:")
    commands = [child.popen.args for children in stack._stages.values() for child in children]
    assert 1 == sum("--address=127.0.0.1" in command for command in commands)
