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
    publish: Publish

    def want(self) -> None:
        """Share sessions on this host at least: some account logs in. For sessions that are shared this does nothing."""
        if not self.store.is_shared:
            self.store.share(local_vault(Path(tempfile.gettempdir()) / f"neo-cancel-{os.getuid()}"))
            text = "no session key is set: other hosts cannot use the sessions made here"
            to_do = "python -m worker.session_key FILE, then NEO_CANCEL_SESSION_KEY_FILE=FILE"
            self.publish(SessionsNotShared(text, to_do))


def open_logins(
    settings: Settings, ledger: LedgerClient, transport: httpx.AsyncBaseTransport, publish: Publish
) -> Logins:
    """Make them; nothing is written anywhere before they are wanted. Raises ConfigurationError."""
    policy = LoginPolicy(cool_down_seconds=settings.login_cool_down)
    vault = open_vault(settings.session_keys, settings.session_key_file)
    store = SessionStore(ledger, vault, policy, host=this_host())
    login = KotakLogin(
        transport, url=settings.login_url, trusted_hosts=settings.trusted_hosts, http_hosts=settings.http_hosts
    )
    codes = TotpCodes()
    return Logins(store, Renewal(store, login, codes, policy, publish), codes, publish)
