"""Flower beside running workers: who works, on what, and nothing of it without a password."""

import httpx
import pytest

from neo_cancel import CancelOrder, CancelProducer
from worker.ops.interruption import Interruption
from worker.ops.process import wait_until
from worker.stack.accounts import open_accounts, write_accounts
from worker.stack.parts import Stack

pytestmark = pytest.mark.timeout(600)

SECONDS = 60.0
LANES = ("risk", "routine")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Run everything, and cancel 20 orders in one message of each lane, and one more alone."""
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


def test_both_nodes_are_there_with_their_lanes(stack, flower):
    workers = flower.get("/api/workers", params={"refresh": "true"}).json()
    assert sorted(stack.nodes) == sorted(workers)
    for node, about in workers.items():
        assert [node.partition("@")[0]] == [queue["name"] for queue in about["active_queues"]]


def test_every_task_says_account_count_and_lane_how_it_ended_and_how_long_it_took(flower):
    wait_until(lambda: 3 == len(finished(flower)), "three tasks to succeed", timeout_seconds=SECONDS)
    tasks = finished(flower)
    shown = {"(SBX01 20 orders risk)", "(SBX02 20 orders routine)", "(SBX03 1 order routine)"}
    assert shown == {task["args"] for task in tasks}
    assert all(task["runtime"] > 0 for task in tasks)
    assert all(task["worker"].partition("@")[0] in task["args"] for task in tasks)


def test_no_secret_is_shown(stack, flower):
    accounts = (stack.root / "accounts.json").read_text()
    pages = ["/api/tasks", "/api/workers?refresh=true", "/tasks", *(f"/worker/{node}" for node in stack.nodes)]
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
