"""The accounts file that a person writes: what it may hold, and complaints that name the rule and never the value."""

import os
import pickle
import shutil
from dataclasses import replace

import pytest
from pydantic import SecretStr

from config.credentials import LoginKind, read_accounts_toml, read_credentials
from tests.compose import PROJECT

MOBILE, TOKEN, MPIN, TOTP = "+919876543210", "5f3c-access-token-9a1b", "482916", "JBSWY3DPEHPK3PXP"
SECRETS = (MOBILE, TOKEN, MPIN, TOTP, "9876543210")
KEYS = ("mobile", "access_token", "mpin", "totp_secret")
AUTOMATIC = f"""
login = "automatic"
mobile = "{MOBILE}"
access_token = "{TOKEN}"
mpin = "{MPIN}"
totp_secret = "{TOTP}"
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "accounts.toml"


def read(path, text, environ=None, mode=0o600):
    path.touch()
    path.chmod(0o600)
    path.write_text(text)
    path.chmod(mode)
    accounts, complaints = read_credentials(path, environ or {})
    assert not [secret for secret in SECRETS if secret in f"{accounts}{complaints}"]
    return accounts, complaints


def test_an_account_is_its_login_its_secrets_and_its_limits(path):
    accounts, complaints = read(path, f"[AB123]{AUTOMATIC}orders_per_second = 5\nverify = false\nvarieties = ['cover']")
    account = accounts["AB123"]
    secrets = [account.mobile, account.access_token, account.mpin, account.totp_secret]
    assert [MOBILE, TOKEN, MPIN, TOTP] == [secret.get_secret_value() for secret in secrets]
    assert ("AB123", LoginKind.AUTOMATIC, {"cover"}) == (account.ucc, account.login, account.varieties)
    limits = (account.orders_per_second, account.reads_per_second, account.verify, account.watch_refused)
    assert (5.0, None, False, None) == limits
    assert {} == complaints


def test_all_varieties_are_allowed_unless_some_are_named(path):
    accounts, _ = read(path, f"[AB123]{AUTOMATIC}")
    assert {"regular", "bracket", "cover"} == accounts["AB123"].varieties


def test_an_account_that_logs_in_elsewhere_needs_no_secret(path):
    accounts, complaints = read(path, "[AB123]\nlogin = 'external'")
    account = accounts["AB123"]
    assert ({}, ["", "", ""]) == (
        complaints,
        [secret.get_secret_value() for secret in (account.mobile, account.access_token, account.mpin)],
    )
    assert account.totp_secret is None


@pytest.mark.parametrize("given", ["jbsw y3dp ehpk 3pxp", "JBSWY3DPEHPK3PXP", "JBSWY3DPEHPK3PXPJA======"])
def test_a_totp_secret_is_taken_as_an_authenticator_shows_it(path, given):
    accounts, _ = read(path, f"[AB123]{AUTOMATIC}".replace(TOTP, given))
    assert accounts["AB123"].totp_secret.get_secret_value().startswith(TOTP)


def test_secrets_come_from_the_environment_and_from_files_of_their_own(path):
    (path.parent / "secrets").mkdir()
    for name, value in (("relative", f"{MPIN}\n"), ("absolute", f"  {TOTP}\n")):
        (path.parent / "secrets" / name).write_text(value)
        (path.parent / "secrets" / name).chmod(0o400)
    text = f"""[AB123]
    login = "automatic"
    mobile = {{ env = "MOBILE" }}
    access_token = {{ env = "TOKEN" }}
    mpin = {{ file = "secrets/relative" }}
    totp_secret = {{ file = "{path.parent}/secrets/absolute" }}
    """
    accounts, complaints = read(path, text, {"MOBILE": MOBILE, "TOKEN": f"{TOKEN} "}, mode=0o644)
    inline, _ = read(path, f"[AB123]{AUTOMATIC}")
    assert (inline, {}) == (accounts, complaints)


def test_a_reading_names_the_files_that_secrets_stand_in(path):
    """Whether they can be read or not: a change of one is a change of the accounts."""
    read(path, "[AB123]\nlogin = 'typed'\nmpin = {file = 'missing'}\nmobile = {file = '/run/secrets/mobile'}")
    found = read_accounts_toml(path, {}).files
    assert {str(path.parent / "missing"), "/run/secrets/mobile"} == set(map(str, found))


def without(key):
    return "\n".join(line for line in AUTOMATIC.splitlines() if not line.startswith(key))


def with_key(key, value):
    return f"{without(key)}\n{key} = {value}"


@pytest.mark.parametrize(
    ("text", "key", "rule"),
    [
        *((without(key), key, "is missing, and login = 'automatic' needs it") for key in KEYS),
        (without("login"), "login", "Field required"),
        (with_key("login", "'by hand'"), "login", "Input should be 'automatic', 'typed' or 'external'"),
        (f"{AUTOMATIC}colour = 'red'", "colour", "is unknown"),
        (f"{AUTOMATIC}'{MPIN}' = 'mpin'", "a key", "is unknown"),
        (with_key("mobile", "'9876543210'"), "mobile", "Value error, must be + and 8 to 15 digits"),
        (with_key("mpin", MPIN), "mpin", "must be a text in quotes, or {env"),
        (with_key("mpin", f"'{MPIN}\\n'".replace("'", '"')), "mpin", "Value error, must be six digits"),
        (with_key("mpin", f"['{MPIN}']"), "mpin", "must be a text in quotes"),
        (with_key("mpin", f"{{env = '{MPIN}'}}"), "mpin", "what `env` names is not there, or is blank"),
        (with_key("mpin", f"{{file = '{MPIN}'}}"), "mpin", "the file that it names: No such file or directory"),
        (with_key("mpin", "{file = '.'}"), "mpin", "the file that it names: Is a directory"),
        (with_key("mpin", f"{{file = 'a', env = '{MPIN}'}}"), "mpin", "must be a text in quotes"),
        (with_key("mpin", f"{{value = '{MPIN}'}}"), "mpin", "must be a text in quotes"),
        (with_key("mpin", '{file = "a\\u0000b"}'), "mpin", "must be a text in quotes"),
        (with_key("access_token", f"'Bearer {TOKEN}'"), "access_token", "Value error, must be printable ASCII"),
        (with_key("access_token", f'"{TOKEN}\\r\\nAuth: x"'), "access_token", "Value error, must be printable ASCII"),
        (with_key("access_token", "''"), "access_token", "Value error, must be printable ASCII"),
        (with_key("totp_secret", f"'otpauth://totp/x?secret={TOTP}'"), "totp_secret", "Value error, must be base32"),
        (with_key("totp_secret", f"'{TOTP}1'"), "totp_secret", "Value error, must be base32"),
        (with_key("totp_secret", f"'{TOTP}A'"), "totp_secret", "Value error, must be base32"),
        (f"{AUTOMATIC}orders_per_second = -1", "orders_per_second", "Input should be greater than or equal to 0"),
        (f"{AUTOMATIC}orders_per_second = '8'", "orders_per_second", "Input should be a valid number"),
        (f"{AUTOMATIC}orders_per_second = inf", "orders_per_second", "Input should be a finite number"),
        (f"{AUTOMATIC}reads_per_second = 0", "reads_per_second", "Input should be greater than 0"),
        (f"{AUTOMATIC}verify = 1", "verify", "Input should be a valid boolean"),
        (f"{AUTOMATIC}varieties = ['iceberg']", "varieties.0", "Input should be 'regular', 'bracket' or 'cover'"),
        (f"{AUTOMATIC}varieties = []", "varieties", "Frozenset should have at least 1 item"),
    ],
)
def test_a_wrong_account_is_named_with_its_key_and_the_rule_and_harms_no_other(path, text, key, rule):
    accounts, complaints = read(path, f"[AB123]\n{text}\n[CD456]{AUTOMATIC}")
    assert {"CD456"} == accounts.keys()
    assert {"AB123"} == complaints.keys()
    assert f"accounts file {path}, account AB123: {key}: {rule}" in complaints["AB123"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"[AB123]{AUTOMATIC}[AB123]{AUTOMATIC}", "account AB123 stands in it twice, at line 7, column "),
        (f"[AB123]{AUTOMATIC}mpin = '{MPIN}'\nverify = true", "a key stands in it twice, at line "),
        (f"[AB123]\nmpin = {MPIN}a", "is no TOML, at line 2, column "),
        (f"[AB123]\nmpin = '{MPIN}", "is no TOML, at "),
        (f"[AB123]\nmpin {MPIN}", "is no TOML, at line 2, column "),
        ("a = " + "[" * 100_000, "is no TOML: RecursionError"),
        ("a = " + "9" * 5000, "is no TOML: ValueError"),
    ],
)
def test_a_file_that_is_no_toml_or_names_something_twice_is_complained_of_by_its_line(path, text, rule):
    accounts, complaints = read(path, text)
    assert {} == accounts
    assert {""} == complaints.keys()
    assert complaints[""].startswith(f"accounts file {path}: {rule}")


@pytest.mark.parametrize(
    ("name", "shown"), [(f'mpin = "{MPIN}"', "mpin"), ("[ab-123]", "a key"), (f'["{MOBILE}"]', "a key")]
)
def test_what_belongs_to_no_account_is_complained_of_and_harms_no_account(path, name, shown):
    accounts, complaints = read(path, f"{name}\n[AB123]{AUTOMATIC}")
    assert {"AB123"} == accounts.keys()
    assert f": {shown}: every key belongs to a table that is named by its account" in complaints[""]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_a_secret_in_a_file_that_others_may_open_is_not_used(path, mode):
    """An account without a secret in it is."""
    accounts, complaints = read(path, f"[AB123]{AUTOMATIC}[CD456]\nlogin = 'external'", mode=mode)
    assert {"CD456"} == accounts.keys()
    assert (
        f"account AB123: mobile: must not stand in a file that others may open: chmod 600 {path}" in complaints["AB123"]
    )


@pytest.mark.parametrize("mode", [0o404, 0o644])
def test_a_secret_file_that_others_may_open_is_not_used(path, mode):
    secret = path.parent / "mpin"
    secret.write_text(MPIN)
    secret.chmod(mode)
    _, complaints = read(path, "[AB123]\n" + with_key("mpin", "{file = 'mpin'}"))
    assert "mpin: the file that it names must not be open to others" in complaints["AB123"]


def test_the_group_may_read_it(path):
    accounts, _ = read(path, f"[AB123]{AUTOMATIC}", mode=0o640)
    assert {"AB123"} == accounts.keys()


@pytest.mark.parametrize("content", [b"\xff\xfe4829", b" \n", b"4" * 9000])
def test_a_secret_file_that_holds_no_secret_is_complained_of(path, content):
    secret = path.parent / "mpin"
    secret.write_bytes(content)
    secret.chmod(0o600)
    accounts, complaints = read(path, "[AB123]\n" + with_key("mpin", "{file = 'mpin'}"))
    assert ({}, {"AB123"}) == (accounts, complaints.keys())


def test_a_pipe_in_the_place_of_a_secret_is_not_waited_for(path):
    os.mkfifo(path.parent / "mpin", 0o600)
    _, complaints = read(path, "[AB123]\n" + with_key("mpin", "{file = 'mpin'}"))
    assert "mpin: the file that it names: is no regular file" in complaints["AB123"]


def test_a_file_that_is_not_there_is_named(path):
    assert ({}, {"": f"accounts file {path}: No such file or directory"}) == read_credentials(path, {})
    assert read_accounts_toml(path, {}).accounts is None


def fingerprints(path, *changes):
    accounts = read(path, f"[AB123]{AUTOMATIC}")[0]
    return [replace(accounts["AB123"], **change).fingerprint for change in changes]


def test_the_fingerprint_changes_with_each_secret_and_with_the_kind_of_login(path):
    changes = [{}, *({key: SecretStr("654321")} for key in ("mobile", "access_token", "mpin", "totp_secret"))]
    changes += [{"login": LoginKind.TYPED}, {"totp_secret": None}, {"ucc": "CD456"}]
    # What one loses the next one has: where a secret ends counts.
    changes += [
        {"mobile": SecretStr("1"), "access_token": SecretStr("23")},
        {"mobile": SecretStr("12"), "access_token": SecretStr("3")},
    ]
    found = fingerprints(path, *changes)
    assert len(changes) == len(set(found))


def test_the_fingerprint_stays_with_other_changes_and_in_other_processes(path):
    found = fingerprints(path, {}, {"verify": True, "orders_per_second": 1.0, "varieties": frozenset()})
    assert ["561cfc6f750e1050"] * 2 == found


def test_no_secret_shows_in_what_is_made_of_an_account(path):
    account = read(path, f"[AB123]{AUTOMATIC}")[0]["AB123"]
    shown = f"{account!r} {account} {account.fingerprint} {pickle.loads(pickle.dumps(account))!r}"  # noqa: S301
    assert [] == [secret for secret in SECRETS if secret in shown]


def test_the_example_is_an_accounts_file(path):
    shutil.copy(PROJECT / "config" / "accounts.example.toml", path)
    path.chmod(0o600)
    (path.parent / "secrets").mkdir()
    (path.parent / "secrets" / "cd456-mpin").write_text("123456\n")
    (path.parent / "secrets" / "cd456-mpin").chmod(0o400)
    environ = {"CD456_MOBILE": "+919876500002", "CD456_ACCESS_TOKEN": "x" * 36}
    accounts, complaints = read_credentials(path, environ)
    assert {} == complaints
    assert ["automatic", "typed", "external"] == [account.login for account in accounts.values()]
