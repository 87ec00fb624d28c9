"""The parts of this room put together: what both files say of the accounts."""

import os
from dataclasses import dataclass

from config.settings import Settings
from worker.accounts.book import AccountsBook
from worker.accounts.file import AccountsFile
from worker.accounts.policies import Policies
from worker.accounts.rates import Rates
from worker.accounts.wishes import AccountWishes
from worker.observe.events import Publish
from worker.orders.policy import CancelPolicy

__all__ = ["Accounts", "open_accounts"]


@dataclass(frozen=True, slots=True)
class Accounts:
    """The file of ready sessions, the book of credentials, and what accounts set for themselves in either of them."""

    file: AccountsFile
    book: AccountsBook
    rates: Rates
    policies: Policies


def open_accounts(settings: Settings, publish: Publish) -> Accounts:
    """Read both files. Before the first order: a rate that is not known yet cannot be kept."""
    file = AccountsFile(settings.accounts_file, publish, settings.http_hosts)
    book = AccountsBook(settings.accounts_toml, os.environ, publish)
    file.read_if_there()
    book.read_if_there()
    wishes = AccountWishes(book, file)
    return Accounts(file, book, Rates(wishes, settings.orders_per_second), Policies(wishes, _policy(settings)))


def _policy(settings: Settings) -> CancelPolicy:
    return CancelPolicy(
        window=settings.verification_window,
        verify=settings.verify,
        backoff=settings.backoff,
        backoff_most=settings.backoff_most,
        watch_refused=settings.watch_refused,
    )
