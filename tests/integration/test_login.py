"""The login against the sandbox: codes are checked there, and each of its refusals ends in the trouble that it is."""

import base64
import time

import pytest
from pydantic import SecretStr

from config.credentials import Credentials, LoginKind
from worker.kotak.client import KotakClient, Timeouts
from worker.kotak.login import KotakLogin, LoginRefused, LoginTrouble
from worker.kotak.totp import TotpCodes
from worker.kotak.transport import BrokerTransport
from worker.sandbox.process import running_sandbox

UCC, MPIN = "AB123", "482916"


@pytest.fixture(scope="module")
def running():
    with running_sandbox() as control:
        yield control


@pytest.fixture
def secret():
    """A secret of the test's own: none of its codes has been used."""
    return base64.b32encode(f"{time.monotonic_ns():020}".encode()).decode()


@pytest.fixture
def sandbox(running, secret):
    running.reset()
    running.create_account(UCC, mpin=MPIN, totp_secret=secret)
    return running


@pytest.fixture
async def transport():
    made = BrokerTransport()
    yield made
    await made.aclose()


@pytest.fixture
def login(sandbox, transport):
    return KotakLogin(transport, url=sandbox.base_url, call_seconds=1.0)


@pytest.fixture
def credentials(secret):
    hidden = [SecretStr(part) for part in ("+919876543210", "access-token-5f3c", MPIN, secret)]
    return Credentials(UCC, LoginKind.AUTOMATIC, *hidden)


async def code_of(credentials):
    return await TotpCodes().next_code(credentials.totp_secret)


async def test_an_account_logs_in_and_its_session_reads_the_book(sandbox, login, transport, credentials):
    made = await login.log_in(credentials, await code_of(credentials))
    assert ("127.0.0.1", 0.0) == (made.egress_ip, made.clock_skew)
    assert f"{sandbox.base_url}/r1" == made.session.base_url
    assert {UCC: 1} == sandbox.stats()["logins"]
    page = await KotakClient(transport, Timeouts()).read_book(made.session)
    assert 200 == page.reply.http_status


async def test_a_session_ends_at_the_midnight_that_its_token_names(login, credentials):
    made = await login.log_in(credentials, await code_of(credentials))
    assert 0 == (made.expires_at + 19_800) % 86_400
    assert 0 < made.expires_at - time.time() <= 86_400


async def test_a_code_is_good_once(sandbox, login, credentials):
    code = await code_of(credentials)
    await login.log_in(credentials, code)
    with pytest.raises(LoginRefused) as refused:
        await login.log_in(credentials, code)
    assert (LoginTrouble.WRONG_TOTP, "401") == (refused.value.kind, refused.value.code)
    assert {UCC: 1} == sandbox.stats()["logins"]


async def refusal(login, credentials, code=None):
    with pytest.raises(LoginRefused) as refused:
        await login.log_in(credentials, code or await code_of(credentials))
    shown = f"{refused.value} {refused.value!r}"
    secrets = (credentials.mobile, credentials.access_token, credentials.mpin, credentials.totp_secret)
    assert [] == [secret for secret in secrets if secret.get_secret_value() in shown]
    return refused.value.kind


async def test_a_wrong_code_is_a_wrong_totp(login, credentials):
    right = await code_of(credentials)
    wrong = f"{(int(right) + 500_000) % 1_000_000:06}"
    assert LoginTrouble.WRONG_TOTP == await refusal(login, credentials, wrong)


async def test_a_wrong_mpin_is_one(sandbox, login, credentials):
    sandbox.create_account(UCC, mpin="000000", totp_secret=credentials.totp_secret.get_secret_value())
    assert LoginTrouble.WRONG_MPIN == await refusal(login, credentials)
    assert not sandbox.stats()["logins"].get(UCC)


async def test_an_account_that_the_broker_does_not_know_is_a_wrong_ucc(login, secret):
    """It comes with HTTP 200 and a code 429."""
    hidden = [SecretStr(part) for part in ("+919876543210", "access-token-5f3c", MPIN, secret)]
    unknown = Credentials("ZZ999", LoginKind.AUTOMATIC, *hidden)
    assert LoginTrouble.WRONG_UCC == await refusal(login, unknown)


@pytest.mark.parametrize("on", ["login", "validate"])
@pytest.mark.parametrize(
    "case",
    [
        ({"fault": "preset", "preset": "100008"}, LoginTrouble.NOT_WHITELISTED),
        ({"fault": "preset", "preset": "100008_http401"}, LoginTrouble.NOT_WHITELISTED),
        ({"fault": "preset", "preset": "100008", "status": 403}, LoginTrouble.NOT_WHITELISTED),
        ({"fault": "preset", "preset": "html_502"}, LoginTrouble.TRANSIENT),
        ({"fault": "preset", "preset": "html_502", "status": 200}, LoginTrouble.TRANSIENT),
        ({"fault": "preset", "preset": "empty_502"}, LoginTrouble.TRANSIENT),
        ({"fault": "preset", "preset": "429_json"}, LoginTrouble.TRANSIENT),
        ({"fault": "preset", "preset": "login_invalid_ucc"}, LoginTrouble.WRONG_UCC),
        ({"fault": "preset", "preset": "garbage"}, LoginTrouble.UNREADABLE),
        ({"fault": "preset", "preset": "200032"}, LoginTrouble.UNREADABLE),
        ({"fault": "stall", "seconds": 3}, LoginTrouble.TRANSIENT),
        ({"fault": "reset"}, LoginTrouble.TRANSIENT),
        ({"fault": "truncate"}, LoginTrouble.TRANSIENT),
    ],
)
async def test_a_fault_of_the_broker_ends_in_its_trouble_after_one_call(sandbox, login, credentials, on, case):
    """Nothing is tried again down here: a second try would cost the code, and perhaps the account."""
    fault, trouble = case
    sandbox.add_fault(**fault, on=on)
    assert trouble == await refusal(login, credentials)
    # A fault on `login` meets both calls of a login, and the first one ends it.
    assert 1 == len(sandbox.requests(endpoint="validate" if on == "validate" else "login"))


async def test_a_time_out_after_the_broker_has_acted_is_transient(sandbox, login, credentials):
    sandbox.add_fault("stall", on="validate", seconds=3, after_effect=True)
    assert LoginTrouble.TRANSIENT == await refusal(login, credentials)
    assert {UCC: 1} == sandbox.stats()["logins"]
