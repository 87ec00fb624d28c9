"""The parts of this room put together: where sessions are kept, and who makes them."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx

from config.settings import Settings
from worker.kotak.login import KotakLogin
from worker.kotak.totp import TotpCodes
from worker.ledger.client import LedgerClient
from worker.observe.events import Publish
from worker.observe.login_events import SessionsNotShared
from worker.sessions.policy import LoginPolicy
from worker.sessions.renewal import Renewal
from worker.sessions.store import SessionStore, this_host
from worker.sessions.vault import local_vault, open_vault

__all__ = ["Logins", "open_logins"]


@dataclass(frozen=True, slots=True)
class Logins:
    """What makes sessions, and where they are kept."""

    store: SessionStore
    renewal: Renewal
    codes: TotpCodes


def open_logins(
    settings: Settings, ledger: LedgerClient, transport: httpx.AsyncBaseTransport, publish: Publish, *, are_wanted: bool
) -> Logins:
    """Make them. `are_wanted`: some account logs in, so that a missing key is worth a word. Raises ConfigurationError."""
    policy = LoginPolicy(cool_down_seconds=settings.login_cool_down)
    vault = open_vault(settings.session_keys, settings.session_key_file)
    if vault is None:
        vault = local_vault(Path(tempfile.gettempdir()) / f"neo-cancel-{os.getuid()}")
        if are_wanted:
            text = "no session key is set: other hosts cannot use the sessions made here"
            publish(SessionsNotShared(text, "python -m worker.session_key FILE, then NEO_CANCEL_SESSION_KEY_FILE=FILE"))
    store = SessionStore(ledger, vault, policy, host=this_host())
    login = KotakLogin(
        transport, url=settings.login_url, trusted_hosts=settings.trusted_hosts, http_hosts=settings.http_hosts
    )
    codes = TotpCodes()
    return Logins(store, Renewal(store, login, codes, policy, publish), codes)
