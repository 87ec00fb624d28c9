"""Sessions, rates and policies of the accounts follow the accounts file, which is read again when it has changed."""

import json
import os

import pytest

from neo_cancel.record import Status
from worker.accounts.file import AccountsFile
from worker.accounts.policies import Policies
from worker.accounts.rates import Rates
from worker.accounts.sessions import FileSessions
from worker.kotak.replies import NoSessionError
from worker.kotak.session import Session
from worker.observe.events import AccountsExposed, AccountsUnreadable
from worker.orders.policy import CancelPolicy

OLD, NEW = Session("https://broker", "sid-1", "auth-1"), Session("https://broker", "sid-2", "auth-2")


class Desk:
    """An accounts file and those that read it."""

    def __init__(self, path):
        self.path, self.writes, self.events = path, 0, []
        self.file = AccountsFile(path, self.events.append)
        self.sessions = FileSessions(self.file)
        self.rates = Rates(self.file, 8.0)
        self.policies = Policies(self.file, CancelPolicy(window=3.0))

    def write(self, **accounts):
        """Replace the file; its time of change is later each time, whatever the clock's resolution."""
        said = {}
        for ucc, (session, own) in accounts.items():
            said[ucc] = {"base_url": session.base_url, "sid": session.sid, "auth": session.auth, **own}
        self.write_text(json.dumps(said))

    def write_text(self, text):
        self.path.touch(mode=0o600)
        self.path.write_text(text)
        self.writes += 1
        os.utime(self.path, ns=(self.writes * 10**9, self.writes * 10**9))

    def count_readings(self):
        """Answer a list that grows by one each time that the file is read anew."""
        readings = []
        self.file.subscribe(lambda: readings.append(1))
        return readings


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "accounts.json")
    made.write(AB123=(OLD, {}))
    return made


async def test_a_session_comes_from_the_file(desk):
    assert OLD == await desk.sessions.current("AB123")


async def test_an_account_that_the_file_does_not_name_has_no_session(desk):
    with pytest.raises(NoSessionError):
        await desk.sessions.current("CD456")


async def test_an_account_that_is_added_has_its_session_without_a_restart(desk):
    await desk.sessions.current("AB123")
    desk.write(AB123=(OLD, {}), CD456=(NEW, {}))
    assert NEW == await desk.sessions.current("CD456")


async def test_a_session_that_works_is_not_looked_for_again(desk):
    """A cancel costs no look at the disk; a new session is found when the old one is refused."""
    await desk.sessions.current("AB123")
    desk.write(AB123=(NEW, {}))
    assert OLD == await desk.sessions.current("AB123")


async def test_a_refused_session_is_replaced_by_the_one_that_was_written_meanwhile(desk):
    await desk.sessions.current("AB123")
    desk.write(AB123=(NEW, {}))
    assert NEW == await desk.sessions.renew("AB123", OLD)
    assert NEW == await desk.sessions.current("AB123")


async def test_one_reading_serves_all_whose_session_was_refused(desk):
    await desk.sessions.current("AB123")
    desk.write(AB123=(NEW, {}))
    await desk.sessions.renew("AB123", OLD)
    desk.path.unlink()
    assert NEW == await desk.sessions.renew("AB123", OLD)
    assert [] == desk.events


@pytest.mark.parametrize("left", [{"AB123": (OLD, {"verify": False})}, {}])
async def test_there_is_no_new_session_while_the_file_holds_the_refused_one_or_none(desk, left):
    await desk.sessions.current("AB123")
    desk.write(**left)
    assert await desk.sessions.renew("AB123", OLD) is None


async def test_a_file_that_has_not_changed_is_not_read_again(desk):
    await desk.sessions.current("AB123")
    readings = desk.count_readings()
    assert await desk.sessions.renew("AB123", OLD) is None
    assert [] == readings


async def test_a_file_that_cannot_be_read_changes_nothing_and_is_told(desk):
    """It may be half written; neither the event nor its words hold what is secret."""
    await desk.sessions.current("AB123")
    desk.write_text('{"AB123": {"sid": "sid-2"')
    assert await desk.sessions.renew("AB123", OLD) is None
    assert OLD == await desk.sessions.current("AB123")
    told = f"accounts file {desk.path} is no JSON: JSONDecodeError"
    assert [AccountsUnreadable(told, to_do=f"mend {desk.path}")] == desk.events


async def test_a_wrong_account_goes_on_as_it_was_and_the_others_are_read(desk):
    """A token that no header can carry is named by its account and field, and never shown."""
    await desk.sessions.current("AB123")
    desk.write(AB123=(Session("https://broker", "sid-2", "auth-2\n"), {}), CD456=(NEW, {}))
    assert NEW == await desk.sessions.current("CD456")
    assert OLD == await desk.sessions.current("AB123")
    [told] = desk.events
    assert f"accounts file {desk.path}, account AB123: auth: Value error, must be printable ASCII" in told.error
    assert "auth-2" not in told.error


GOOD = b'{"base_url": "https://broker", "sid": "sid-2", "auth": "auth-2"}'
BAD = [
    GOOD.replace(b"auth-2", b"auth\n-2"),
    GOOD.replace(b"auth-2", b"auth\xff-2"),
    GOOD.replace(b"auth-2", b"auth\\ud800"),
    GOOD[:-1] + b', "orders_per_second": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("bad", BAD)
async def test_what_no_text_should_hold_is_the_fault_of_its_account_alone(desk, bad):
    """A line break in a token made the whole file one that is no JSON: no account had a session."""
    desk.path.write_bytes(b'{"AB123": ' + bad + b', "CD456": ' + GOOD + b"}")
    assert NEW == await desk.sessions.current("CD456")
    with pytest.raises(NoSessionError):
        await desk.sessions.current("AB123")
    [told] = desk.events
    assert "account AB123: " in told.error


async def test_a_file_may_begin_with_a_mark(desk):
    desk.path.write_bytes(b"\xef\xbb\xbf" + b'{"CD456": ' + GOOD + b"}")
    assert NEW == await desk.sessions.current("CD456")


async def test_a_file_that_is_not_there_is_told(desk):
    desk.path.unlink()
    with pytest.raises(NoSessionError):
        await desk.sessions.current("AB123")
    assert [AccountsUnreadable] == [type(event) for event in desk.events]


async def test_a_file_that_all_may_read_is_used_and_told_once(desk):
    """Not again with each session that is written, but again once it was private."""
    desk.path.chmod(0o604)
    await desk.sessions.current("AB123")
    desk.write(AB123=(NEW, {}))
    desk.file.read_if_changed()
    rule = f"{desk.path} must be for its owner alone, who may open it to a group: it has mode 604"
    told = AccountsExposed(rule, to_do=f"chmod 600 {desk.path}")
    assert (NEW, [told]) == (await desk.sessions.current("AB123"), desk.events)
    for mode in (0o640, 0o604):
        desk.path.chmod(mode)
        desk.file.read_if_changed()
    assert [told, told] == desk.events


async def test_a_session_is_not_sent_in_clear(desk):
    """Its account has no session, and what must be changed is told."""
    desk.write(AB123=(Session("http://broker", "sid-1", "auth-1"), {}))
    with pytest.raises(NoSessionError):
        await desk.sessions.current("AB123")
    [told] = desk.events
    assert "account AB123: base_url: Value error, must be https://" in told.error


async def test_a_host_that_is_named_may_be_spoken_to_in_clear(desk):
    """A sandbox in a network of containers, for one."""
    plain = Session("http://broker", "sid-1", "auth-1")
    desk.write(AB123=(plain, {}))
    assert plain == await FileSessions(AccountsFile(desk.path, desk.events.append, {"broker"})).current("AB123")


@pytest.mark.parametrize(("own", "rate"), [({}, 8.0), ({"orders_per_second": 2.5}, 2.5), ({"orders_per_second": 0}, 0)])
def test_a_rate_is_the_account_s_own_or_the_process_s(desk, own, rate):
    desk.write(AB123=(OLD, own))
    desk.file.read_if_changed()
    assert (rate, 8.0) == (desk.rates.of("AB123"), desk.rates.of("CD456"))


def test_the_first_question_for_a_rate_is_answered_from_the_file(desk):
    """An account limited to 2 got 8 at once from a worker that had not read the file yet."""
    desk.write(AB123=(OLD, {"orders_per_second": 2}))
    assert 2 == desk.rates.of("AB123")


def test_asking_for_a_rate_again_reads_no_file(desk):
    """It is asked for with every turn, also of an account that the file does not name."""
    assert (8.0, 8.0) == (desk.rates.of("AB123"), desk.rates.of("CD456"))
    desk.write(AB123=(OLD, {"orders_per_second": 1}), CD456=(OLD, {"orders_per_second": 1}))
    assert (8.0, 8.0) == (desk.rates.of("AB123"), desk.rates.of("CD456"))


@pytest.mark.parametrize(
    ("own", "policy"),
    [
        ({}, CancelPolicy(window=3.0)),
        ({"verify": False}, CancelPolicy(window=3.0, verify=False)),
        ({"watch_refused": True}, CancelPolicy(window=3.0, watch_refused=True)),
    ],
)
def test_a_policy_is_the_process_s_with_what_the_account_sets_for_itself(desk, own, policy):
    """The first order of an account is judged by the account's own rules, too."""
    desk.write(AB123=(OLD, own))
    assert policy == desk.policies.of("AB123")


def test_an_account_may_take_back_what_the_process_sets(desk):
    policies = Policies(desk.file, CancelPolicy(watch_refused=True))
    desk.write(AB123=(OLD, {"watch_refused": False}))
    assert (False, True) == (policies.of("AB123").watch_refused, policies.of("CD456").watch_refused)


def test_a_policy_changes_with_the_file(desk):
    assert desk.policies.of("AB123").verify
    desk.write(AB123=(OLD, {"verify": False}))
    assert desk.policies.of("AB123").verify
    desk.policies.of("CD456")
    assert not desk.policies.of("AB123").verify


@pytest.mark.parametrize(
    ("status", "watched"),
    [
        (Status.UNKNOWN, (True, True)),
        (Status.REFUSED, (True, False)),
        (Status.BLOCKED, (True, True)),
        (Status.CANCELLED, (False, False)),
        (Status.EXPIRED, (False, False)),
    ],
)
def test_what_ended_without_proof_is_watched_and_what_was_refused_where_the_account_asks(desk, status, watched):
    desk.write(AB123=(OLD, {"watch_refused": True}), CD456=(OLD, {}))
    assert watched == (desk.policies.is_watched("AB123", status), desk.policies.is_watched("CD456", status))
