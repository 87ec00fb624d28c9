"""`python -m worker.login`: where a code comes from, what a person reads, and the exit codes."""

import io

import fakeredis
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.session_stand import HERE, Account, Book, Broker, Process, RefusedLoginError, Trouble
from worker import login

TYPED = Account("AB123", login="typed", totp_secret=None)


class Stand:
    """Opens desks on a stand-in for Redis, and remembers the codes that the broker got."""

    def __init__(self, account, *outcomes):
        self.account, self.broker, self.codes = account, Broker(*outcomes, seconds=0.0), []
        self.server = fakeredis.FakeServer()

    def open(self, settings, ucc):
        client = fakeredis.FakeAsyncRedis(server=self.server)
        process = Process(client, self.broker, Book(self.account), login=self)
        return login.Desk(process.book.of(ucc), process.renewal, self, process.ledger)

    async def log_in(self, credentials, code):
        self.codes.append(code)
        return await self.broker.make(credentials.ucc, HERE)

    async def next_code(self, secret):
        return "654321"


def test_a_code_from_standard_input_logs_a_typed_account_in(monkeypatch, capsys):
    stand = Stand(TYPED)
    monkeypatch.setattr("sys.stdin", io.StringIO("123456\n"))
    assert login.ExitCode.LOGGED_IN == login.main(["ab123", "--code", "-"], stand.open)
    assert ["123456"] == stand.codes
    assert "AB123 is logged in; workers go on with it within a second or two\n" == capsys.readouterr().out


def test_an_account_with_a_totp_secret_needs_no_code():
    stand = Stand(Account("AB123"))
    assert (login.ExitCode.LOGGED_IN, ["654321"]) == (login.main(["AB123"], stand.open), stand.codes)


def test_a_code_on_the_command_line_is_refused(capsys):
    """It would be seen in the list of processes."""
    with pytest.raises(SystemExit) as error:
        login.main(["AB123", "--code", "123456"], Stand(TYPED).open)
    assert 2 == error.value.code


@pytest.mark.parametrize("typed", ["", "12345", "abcdef", "1234567"])
def test_what_is_no_code_is_no_attempt(typed, monkeypatch, capsys):
    stand = Stand(TYPED)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert (2, []) == (login.main(["AB123", "--code", "-"], stand.open), stand.codes)
    assert "neo-cancel: a code is six digits\n" == capsys.readouterr().err


def test_without_a_terminal_nobody_is_asked(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert 2 == login.main(["AB123"], Stand(TYPED).open)
    assert "no terminal to ask for the code" in capsys.readouterr().err


def test_a_second_login_too_soon_says_when_to_try_again(capsys):
    stand = Stand(Account("AB123"))
    login.main(["AB123"], stand.open)
    assert (3, 1) == (login.main(["AB123"], stand.open), len(stand.codes))
    assert "AB123 logged in a moment ago: try again in 45 s" in capsys.readouterr().err


def test_a_refusal_is_a_failure():
    stand = Stand(Account("AB123"), RefusedLoginError(Trouble.WRONG_MPIN))
    assert login.ExitCode.REFUSED == login.main(["AB123"], stand.open)


@pytest.mark.parametrize("ucc", ["AB999", "AB124"])
def test_an_account_without_credentials_is_named(ucc, capsys):
    stand = Stand(Account("AB124", login="external"))
    assert 2 == login.main([ucc], stand.open)
    assert f"account {ucc}: the accounts file has no credentials for it" in capsys.readouterr().err


def test_a_redis_that_is_away_is_an_exit_code(capsys):
    stand = Stand(Account("AB123"))
    stand.server.connected = False
    assert 3 == login.main(["AB123"], stand.open)
    assert f"Redis does not answer ({RedisConnectionError.__name__})" in capsys.readouterr().err
