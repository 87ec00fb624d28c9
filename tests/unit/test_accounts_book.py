"""The accounts with credentials, as their file says now: read at the start, watched, and wrong ones harm no other."""

import os

import pytest

from worker.accounts.book import AccountsBook
from worker.accounts.policies import Policies
from worker.accounts.rates import Rates
from worker.accounts.wishes import AccountWishes
from worker.orders.policy import CancelPolicy

GOOD = """
[AB123]
login = "automatic"
mobile = "+919999900001"
access_token = "an-access-token"
mpin = "135790"
totp_secret = { file = "totp" }
orders_per_second = 2
verify = false
"""


class Nothing:
    """A source that names no account."""

    def of(self, ucc):
        return None

    def subscribe(self, on_change):
        on_change()


@pytest.fixture
def files(tmp_path):
    secret, path = tmp_path / "totp", tmp_path / "accounts.toml"
    secret.touch(mode=0o600)
    secret.write_text("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    path.touch(mode=0o600)
    path.write_text(GOOD)
    return path, secret


def read(path, events):
    book = AccountsBook(path, {}, events.append)
    book.read_if_there()
    return book


def changed(path, text):
    """Write it anew, at another time."""
    path.write_text(text)
    about = path.stat()
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1_000_000))


def test_a_file_that_is_not_there_is_no_complaint(tmp_path):
    events = []
    book = read(tmp_path / "none.toml", events)
    assert ([], []) == (list(book.all()), events)


async def test_a_change_of_the_file_or_of_a_secret_s_file_is_seen(files):
    path, secret = files
    events, changes = [], []
    book = read(path, events)
    book.subscribe(lambda: changes.append(book.of("AB123").fingerprint))
    await book.watch()
    assert [] == changes
    changed(secret, "KBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    await book.watch()
    changed(path, GOOD + "\n")
    await book.watch()
    assert (2, 1, []) == (len(changes), len(set(changes)), events)


async def test_what_is_wrong_is_told_once_and_what_was_known_goes_on(files):
    path, _ = files
    events = []
    book = read(path, events)
    for text in ("[AB123]\nlogin = 5\n", "no toml [", "no toml ["):
        changed(path, text)
        await book.watch()
        assert "AB123" == book.of("AB123").ucc
    assert 2 == len(events)
    path.unlink()
    await book.watch()
    assert "AB123" == book.of("AB123").ucc


def test_an_account_s_own_rate_and_policy_come_from_the_first_file_that_names_it(files):
    book = read(files[0], [])
    wishes = AccountWishes(Nothing(), book)
    rates = Rates(wishes, 8.0)
    policies = Policies(wishes, CancelPolicy(verify=True))
    assert (2, 8.0) == (rates.of("AB123"), rates.of("CD456"))
    assert (False, True) == (policies.of("AB123").verify, policies.of("CD456").verify)
