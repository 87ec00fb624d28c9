"""The accounts file of the stack's own sandbox, and what is never taken for it."""

import json
import stat

import pytest

from config.settings import ConfigurationError
from worker.sandbox.control import SandboxSession
from worker.stack.own_accounts import OwnAccounts

LOOPBACK = "http://127.0.0.1:8765/r1"
SESSIONS = [
    SandboxSession("SBX01", LOOPBACK, "sid-1", "token-1"),
    SandboxSession("SBX02", LOOPBACK, "sid-2", "token-2"),
]
REAL = {"AB123": {"base_url": LOOPBACK, "sid": "real", "auth": "real-token"}}


@pytest.fixture
def own(tmp_path):
    return OwnAccounts(tmp_path / "accounts.json")


def change(own, accounts):
    own.path.write_text(json.dumps(accounts))


def test_what_was_written_is_own_and_is_removed_with_its_mark(own):
    """Nothing is left behind."""
    own.write(SESSIONS)
    assert own.are_there
    own.remove()
    assert [] == list(own.path.parent.iterdir())


def test_file_and_mark_are_for_their_owner_alone_and_the_mark_holds_no_token(own):
    """A session is a secret."""
    own.write(SESSIONS)
    assert [0o600, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in (own.path, own.mark)]
    assert "token" not in own.mark.read_text()


def test_a_real_file_that_took_the_place_of_an_own_one_is_kept(own):
    """It was written while the sandbox ran."""
    own.write(SESSIONS)
    change(own, REAL)
    own.remove()
    assert [own.path] == list(own.path.parent.iterdir())
    assert REAL == json.loads(own.path.read_text())


def test_sessions_behind_a_tunnel_on_loopback_are_real(own):
    """Where a broker is reached says nothing about what it is."""
    change(own, REAL)
    assert (False, False) == (own.are_there, own.may_be_written)


def test_one_real_account_makes_the_file_real(own):
    """It was added to the sandbox's."""
    own.write(SESSIONS)
    change(own, json.loads(own.path.read_text()) | REAL)
    own.remove()
    assert own.path.exists()


def test_another_rate_leaves_the_file_an_own_one(own):
    """A sandbox's account may be tuned: its session is still the stack's."""
    own.write(SESSIONS)
    accounts = json.loads(own.path.read_text())
    accounts["SBX01"]["orders_per_second"] = 5
    change(own, accounts)
    assert own.are_there


def test_what_a_killed_run_left_behind_is_replaced(own):
    """Its sandbox is gone."""
    own.write(SESSIONS[:1])
    following = OwnAccounts(own.path)
    assert following.may_be_written
    following.write(SESSIONS[1:])
    assert following.are_there
    assert ["SBX02"] == list(json.loads(own.path.read_text()))


def test_a_run_that_ends_while_it_writes_leaves_nothing_that_looks_real(own):
    """Mark and file cannot change in one step."""
    own.write(SESSIONS[:1])
    (own.path.parent / "accounts.json.new").mkdir()
    with pytest.raises(OSError, match=r"directory|permitted"):
        OwnAccounts(own.path).write(SESSIONS[1:])
    assert OwnAccounts(own.path).may_be_written


def test_a_real_file_is_never_written_over(own):
    """It came up after the run began."""
    change(own, REAL)
    with pytest.raises(ConfigurationError, match="was written by another process"):
        own.write(SESSIONS)
    own.remove()
    assert REAL == json.loads(own.path.read_text())


def test_a_run_that_wrote_nothing_removes_nothing(own):
    """The file is that of another run, which still works."""
    own.write(SESSIONS)
    OwnAccounts(own.path).remove()
    assert own.are_there


@pytest.mark.parametrize("text", ["{}", "{", "[]", '{"AB123": {}}'])
def test_what_holds_no_session_is_not_own(own, text):
    """It is left for its writer to mend."""
    own.write(SESSIONS)
    own.path.write_text(text)
    assert not own.are_there
