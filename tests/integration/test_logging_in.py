"""Accounts that log in by themselves: a real node, the sandbox's login, no session given by anybody."""

from functools import partial

import pytest
import redis

from neo_cancel import CancelOrder, CancelProducer, Status
from tests.fault.rig import PATIENT
from tests.nodes import running_worker
from worker.ops.process import wait_until
from worker.sandbox.process import running_sandbox

wait = partial(wait_until, timeout_seconds=PATIENT)
SECRETS = {
    "mobile": "+919999900001",
    "access_token": "an-access-token-that-is-random",
    "mpin": "135790",
}


def secrets_of(ucc):
    """A TOTP secret of its own: a code is used once."""
    number = int(ucc[2:])
    return SECRETS | {"totp_secret": f"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3P{chr(65 + number)}A"}


@pytest.fixture
def sandbox():
    with running_sandbox() as running:
        yield running


class Desk:
    """Accounts in a file with their credentials, and workers that log them in."""

    def __init__(self, sandbox, redis_url, folder):
        self.sandbox, self.redis_url, self.folder = sandbox, redis_url, folder
        (folder / "accounts.json").write_text("{}")
        (folder / "accounts.json").chmod(0o600)
        self.toml = folder / "accounts.toml"

    def write(self, *uccs, **more):
        lines = []
        for ucc in uccs:
            about = {"login": "automatic", **secrets_of(ucc), **more}
            lines += [f"[{ucc}]", *(f"{key} = {value!r}" for key, value in about.items()), ""]
        self.toml.touch(mode=0o600)
        self.toml.write_text("\n".join(lines))

    def accounts(self, count, **rules):
        uccs = [f"AB{at:03}" for at in range(count)]
        for ucc in uccs:
            self.sandbox.create_account(ucc, **secrets_of(ucc), **rules)
        return uccs

    def orders(self, uccs, each):
        return [
            CancelOrder(ucc=ucc, order_number=made["order_number"], deadline_seconds=170)
            for ucc in uccs
            for made in self.sandbox.generate_orders(ucc, each)
        ]

    def worker(self, **env):
        return running_worker(
            redis_url=self.redis_url,
            accounts_file=self.folder / "accounts.json",
            log_path=self.folder / "worker.log",
            env={
                "NEO_CANCEL_ACCOUNTS_TOML": str(self.toml),
                "NEO_CANCEL_LOGIN_URL": self.sandbox.base_url,
                "NEO_CANCEL_LOGIN_COOL_DOWN": "1",
                **env,
            },
        )

    def logins(self, uccs):
        return [self.sandbox.logins(ucc)["logins"] for ucc in uccs]


@pytest.fixture
def desk(sandbox, redis_url, tmp_path):
    return Desk(sandbox, redis_url, tmp_path)


def test_the_first_order_of_an_account_logs_it_in_and_its_own_rate_holds(desk):
    uccs = desk.accounts(2)
    desk.write(*uccs, orders_per_second=2)
    with desk.worker(), CancelProducer(desk.redis_url) as producer:
        status = producer.enqueue_many(desk.orders(uccs, 6)).wait(PATIENT)
    assert {Status.CANCELLED: 12} == dict(status.counts)
    assert [1, 1] == desk.logins(uccs)
    assert all(busiest <= 2 for busiest in desk.sandbox.stats()["busiest_second"].values())


def test_sessions_that_end_in_mid_bulk_cost_one_login_each_over_three_processes_and_no_order(desk):
    """However many orders meet the end of a session."""
    uccs = desk.accounts(5)
    desk.write(*uccs, orders_per_second=40)
    with desk.worker(), desk.worker(), desk.worker(), CancelProducer(desk.redis_url) as producer:
        producer.enqueue_many(desk.orders(uccs, 1)).wait(PATIENT)
        before = sum(desk.logins(uccs))
        bulk = producer.enqueue_many(desk.orders(uccs, 60))
        wait(lambda: len(desk.sandbox.requests(endpoint="cancel")) >= 40, "some to be sent")
        desk.sandbox.expire_sessions()
        status = bulk.wait(PATIENT)
    assert {Status.CANCELLED: 300} == dict(status.counts)
    assert (5, 10) == (before, sum(desk.logins(uccs)))


def test_an_account_that_is_written_down_while_its_orders_wait_is_logged_in(desk):
    uccs = desk.accounts(1)
    with desk.worker(), CancelProducer(desk.redis_url) as producer:
        bulk = producer.enqueue_many(desk.orders(uccs, 3))
        wait(lambda: any(record and record.waiting_for == "session" for record in bulk.records()), "orders that wait")
        desk.write(*uccs)
        assert {Status.CANCELLED: 3} == dict(bulk.wait(PATIENT).counts)


def test_no_secret_is_in_redis_or_in_the_log(desk, redis_url):
    uccs = desk.accounts(1)
    desk.write(*uccs)
    with desk.worker(NEO_CANCEL_LOG_LEVEL="DEBUG"), CancelProducer(desk.redis_url) as producer:
        producer.enqueue_many(desk.orders(uccs, 3)).wait(PATIENT)
        found = [part for part in secrets_of(uccs[0]).values() if part.encode() in everything_in(redis_url)]
    assert [] == found
    log = (desk.folder / "worker.log").read_text()
    assert [] == [part for part in secrets_of(uccs[0]).values() if part in log]


def everything_in(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        return b"\n".join(client.dump(key) or b"" for key in client.scan_iter())
