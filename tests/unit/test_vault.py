"""The vault: sealed for one account, opened by any of its keys, and no key in any complaint."""

import pytest
from pydantic import SecretStr

from config.settings import ConfigurationError
from worker import session_key
from worker.kotak.session import Session
from worker.sessions.stored import Stored, read_stored
from worker.sessions.vault import Vault, local_vault, new_key, open_vault

SESSION = Session("https://broker.test/x", "sid-secret", "auth-secret")
OLD, NEW = new_key(), new_key()


def vault(*keys):
    return Vault([SecretStr(key) for key in keys])


def private(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_what_is_sealed_is_opened_by_the_same_key_and_tells_nothing():
    sealed = vault(OLD).seal("AB123", SESSION)
    assert SESSION == vault(OLD).open("AB123", sealed)
    assert [] == [secret for secret in ("sid-secret", "auth-secret", "AB123", " ") if secret in sealed]


def test_a_session_of_another_account_is_not_opened():
    """Somebody who can write to Redis must not send one account's orders with another's session."""
    assert vault(OLD).open("AB124", vault(OLD).seal("AB123", SESSION)) is None


def test_the_first_key_seals_and_each_opens():
    sealed = vault(NEW, OLD).seal("AB123", SESSION)
    assert (SESSION, None) == (vault(NEW).open("AB123", sealed), vault(OLD).open("AB123", sealed))
    assert SESSION == vault(NEW, OLD).open("AB123", vault(OLD).seal("AB123", SESSION))


@pytest.mark.parametrize("noise", ["", "-", "nonsense", "gAAAAA"])
def test_noise_is_no_session(noise):
    assert vault(OLD).open("AB123", noise) is None


def test_keys_come_from_the_environment_or_a_file_or_there_are_none(tmp_path):
    sealed = vault(OLD).seal("AB123", SESSION)
    file = private(tmp_path / "keys", f"# the newest first\n{NEW}\n\n{OLD}\n")
    assert SESSION == open_vault(SecretStr(f"{NEW}, {OLD}"), None).open("AB123", sealed)
    assert SESSION == open_vault(SecretStr(" "), file).open("AB123", sealed)
    assert open_vault(None, None) is None


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("geheim", "NEO_CANCEL_SESSION_KEYS, key 1 is no session key"),
        ("OLD,x y", "key 2 is no"),
        (",", "has no key"),
    ],
)
def test_a_wrong_key_is_named_by_its_place_only(keys, complaint):
    with pytest.raises(ConfigurationError, match=complaint) as error:
        open_vault(SecretStr(keys.replace("OLD", OLD)), None)
    assert [] == [part for part in ("geheim", "x y", OLD) if part in str(error.value)]


def test_a_key_file_that_others_can_read_or_that_is_not_there_is_refused(tmp_path):
    file = private(tmp_path / "keys", OLD, 0o644)
    with pytest.raises(ConfigurationError, match="it has mode 644; `chmod 600"):
        open_vault(None, file)
    with pytest.raises(ConfigurationError, match="No such file"):
        open_vault(None, tmp_path / "none")


def test_processes_of_one_host_share_a_key_that_the_first_one_makes(tmp_path):
    first, second = local_vault(tmp_path / "own"), local_vault(tmp_path / "own")
    assert SESSION == second.open("AB123", first.seal("AB123", SESSION))
    assert 0o600 == (tmp_path / "own" / "session-key").stat().st_mode & 0o777
    assert ["session-key"] == [path.name for path in (tmp_path / "own").iterdir()]


def test_a_folder_that_others_may_write_to_has_no_key_of_ours(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    assert local_vault(folder) is None
    (tmp_path / "file").touch()
    assert local_vault(tmp_path / "file") is None


def test_what_is_stored_is_read_again_and_shows_no_secret():
    stored = Stored("AB123", "203.0.113.7", 17, 1000.0, 2000.0, "h1:1", SESSION)
    read = read_stored("AB123", "203.0.113.7", stored.sealed(vault(OLD)), vault(OLD))
    assert (stored, SESSION, 1000.0) == (read, read.session, read.seconds)
    assert "secret" not in repr(read)


@pytest.mark.parametrize("text", ["", "1 2", "a b c d e", "1 2 3 4 5 6"])
def test_what_nobody_sealed_is_nothing(text):
    assert read_stored("AB123", "-", text, vault(OLD)) is None


def test_without_a_vault_the_session_itself_is_not_written():
    text = Stored("AB123", "-", 17, 1000.0, 2000.0, "h1:1", SESSION).sealed(None)
    assert "17 1000000 2000000 h1:1 -" == text
    assert read_stored("AB123", "-", text, None).session is None


def test_the_command_prints_a_key(capsys):
    assert 0 == session_key.main([])
    assert vault(capsys.readouterr().out.strip())


def test_the_command_puts_a_new_key_in_front_of_the_old_ones(tmp_path, capsys):
    file = tmp_path / "keys"
    assert (0, 0) == (session_key.main([str(file)]), session_key.main([str(file)]))
    first, second = file.read_text().split()
    assert open_vault(None, file).open("AB123", vault(second).seal("AB123", SESSION))
    assert 0o600 == file.stat().st_mode & 0o777
    assert [] == [key for key in (first, second) if key in capsys.readouterr().out]


def test_the_command_says_which_file_cannot_be_written(tmp_path, capsys):
    assert 1 == session_key.main([str(tmp_path)])
    assert f"neo-cancel: {tmp_path}: Is a directory\n" == capsys.readouterr().err
