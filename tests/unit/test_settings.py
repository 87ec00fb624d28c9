"""Settings and accounts are read once, and a wrong one is refused by its name and its rule, never with a secret."""

import json

import pytest

from config.settings import LOCAL_REDIS_URL_FILE, ConfigurationError, Settings, load_accounts, load_settings

SECRET = "eyJhbGciOiJIUzI1NiJ9"
ACCOUNT = {"base_url": "https://broker", "sid": SECRET, "auth": SECRET}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Work where no embedded server has left its address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEO_CANCEL_REDIS_URL", raising=False)


def test_a_setting_comes_from_its_variable(monkeypatch):
    monkeypatch.setenv("NEO_CANCEL_LEASE", "4.5")
    assert (4.5, 64) == (load_settings().lease, load_settings().threads)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE", "0.1"),
        ("LEASE", "soon"),
        ("THREADS", "0"),
        ("ORDERS_PER_SECOND", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("VERIFY", "maybe"),
        ("LOGIN_URL", "mis.kotaksecurities.com"),
        ("LOGIN_URL", "http://sandbox:8765"),
    ],
)
def test_a_wrong_setting_is_refused_by_the_name_of_its_variable(monkeypatch, name, value):
    monkeypatch.setenv(f"NEO_CANCEL_{name}", value)
    with pytest.raises(ConfigurationError, match=f"^NEO_CANCEL_{name}: "):
        load_settings()


@pytest.mark.parametrize("url", ["http://Sandbox:8765", "http://127.0.0.1:8765", "https://broker"])
def test_credentials_go_in_clear_only_to_this_machine_and_to_hosts_that_are_named(monkeypatch, url):
    monkeypatch.setenv("NEO_CANCEL_PLAIN_HTTP_HOSTS", "sandbox")
    monkeypatch.setenv("NEO_CANCEL_LOGIN_URL", url)
    assert url == load_settings().login_url


def test_the_hosts_that_a_login_may_name_are_in_small_letters(monkeypatch):
    monkeypatch.setenv("NEO_CANCEL_LOGIN_HOSTS", "Sandbox, broker.test,")
    assert {"sandbox", "broker.test"} == load_settings().trusted_hosts
    assert not Settings(login_hosts=None).trusted_hosts


@pytest.mark.parametrize("lease", ["20.5", "90", "inf"])
def test_a_lease_that_leaves_a_dead_worker_s_orders_no_time_is_refused(monkeypatch, lease):
    """Of a hundred routine orders with a lease of 90 s, 84 ended `unknown` when their worker died."""
    monkeypatch.setenv("NEO_CANCEL_LEASE", lease)
    rule = r"^NEO_CANCEL_LEASE: .* at most 20, a third of the routine lane's default deadline"
    with pytest.raises(ConfigurationError, match=rule):
        load_settings()


def test_the_longest_lease_is_a_third_of_the_shortest_default_deadline(monkeypatch):
    monkeypatch.setenv("NEO_CANCEL_LEASE", "20")
    assert 20 == load_settings().lease


def test_every_wrong_setting_is_named(monkeypatch):
    monkeypatch.setenv("NEO_CANCEL_LEASE", "0")
    monkeypatch.setenv("NEO_CANCEL_GATHER", "-1")
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert ["NEO_CANCEL_LEASE", "NEO_CANCEL_GATHER"] == [
        part.partition(":")[0] for part in str(refused.value).split("; ")
    ]


def test_a_configured_redis_goes_before_the_embedded_one(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / LOCAL_REDIS_URL_FILE).write_text("redis://127.0.0.1:6390/0\n")
    assert "redis://ours/0" == Settings(redis_url="redis://ours/0").resolved_redis_url
    assert "redis://127.0.0.1:6390/0" == Settings(redis_url=None).resolved_redis_url


def test_without_any_redis_it_is_said_what_to_do():
    with pytest.raises(ConfigurationError, match="set NEO_CANCEL_REDIS_URL, or start the embedded server"):
        _ = Settings(redis_url=None).resolved_redis_url


def accounts(tmp_path, said):
    path = tmp_path / "accounts.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return load_accounts(path)


def test_an_account_is_its_session_and_what_it_sets_for_itself(tmp_path):
    account = accounts(tmp_path, {"AB123": {**ACCOUNT, "orders_per_second": 5}})["AB123"]
    assert (SECRET, 5.0, None) == (account.auth.get_secret_value(), account.orders_per_second, account.verify)
    assert SECRET not in repr(account)


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("{", "is no JSON: JSONDecodeError"),
        ([], ": must be a JSON object of accounts"),
        ({"AB123": {**ACCOUNT, "base_url": "broker"}}, ", account AB123: base_url: "),
        ({"AB123": {**ACCOUNT, "base_url": "https://"}}, ", account AB123: base_url: Value error, must be http"),
        ({"AB123": {**ACCOUNT, "base_url": "https://broker:port"}}, ", account AB123: base_url: "),
        ({"AB123": {**ACCOUNT, "base_url": "https://broker/a\nb"}}, ", account AB123: base_url: "),
        (
            {"AB123": {**ACCOUNT, "base_url": "http://broker/a"}},
            ", account AB123: base_url: Value error, must be https",
        ),
        ({"AB123": {**ACCOUNT, "base_url": "http://127.0.0.1.evil.test"}}, ", account AB123: base_url: Value error, "),
        ({"AB123": {**ACCOUNT, "base_url": "http://localhost@broker"}}, ", account AB123: base_url: Value error, "),
        ({"AB123": {**ACCOUNT, "base_url": "http://0.0.0.0"}}, ", account AB123: base_url: Value error, "),
        ({"AB123": {**ACCOUNT, "sid": [SECRET]}}, ", account AB123: sid: "),
        ({"AB123": {**ACCOUNT, "auth": f"{SECRET}\n"}}, ", account AB123: auth: Value error, must be printable ASCII"),
        (
            {"AB123": {**ACCOUNT, "sid": f"{SECRET}\N{EURO SIGN}"}},
            ", account AB123: sid: Value error, must be printable",
        ),
        ({"AB123": {**ACCOUNT, "sid": ""}}, ", account AB123: sid: "),
        ({"AB123": {**ACCOUNT, "colour": "red"}}, ", account AB123: colour: "),
        ({"AB123": {**ACCOUNT, "orders_per_second": -1}}, ", account AB123: orders_per_second: "),
        ({"AB123": SECRET}, ", account AB123: "),
    ],
)
def test_a_wrong_accounts_file_is_refused_by_account_and_rule_without_its_tokens(tmp_path, said, rule):
    with pytest.raises(ConfigurationError) as refused:
        accounts(tmp_path, said)
    assert rule in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9:8765", "localhost:1", "LOCALHOST", "[::1]:80"])
def test_this_machine_may_be_spoken_to_in_clear(tmp_path, host):
    url = f"http://{host}/r1"
    assert url == accounts(tmp_path, {"AB123": {**ACCOUNT, "base_url": url}})["AB123"].base_url


def test_a_setting_names_the_hosts_that_may_be_spoken_to_in_clear(tmp_path):
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps({"AB123": {**ACCOUNT, "base_url": "http://Sandbox:8765"}}))
    settings = Settings(plain_http_hosts=" other, sandbox ,")
    assert {"AB123"} == load_accounts(path, settings.http_hosts).keys()
    with pytest.raises(ConfigurationError, match="NEO_CANCEL_PLAIN_HTTP_HOSTS"):
        load_accounts(path, Settings().http_hosts)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.json: No such file or directory"):
        load_accounts(tmp_path / "nowhere.json")
