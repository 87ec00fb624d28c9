"""A sandbox's accounts file: `python -m worker.stack.accounts URL` opens three accounts there and writes it out."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import httpx

from worker.ops.private import write_private
from worker.sandbox.control import SandboxControl, SandboxError, SandboxSession

__all__ = ["ACCOUNTS", "ORDERS", "open_accounts", "write_accounts"]

ACCOUNTS: Final = ("SBX01", "SBX02", "SBX03")
ORDERS: Final = 20
"""Open orders in each of them, to try things out on."""

_ARGUMENTS: Final = 2


def open_accounts(sandbox: SandboxControl) -> tuple[list[SandboxSession], list[str]]:
    """Open the accounts in a sandbox; answers their sessions and their open orders as UCC:ORDER_NUMBER."""
    sessions = [sandbox.create_account(ucc) for ucc in ACCOUNTS]
    orders = [order for ucc in ACCOUNTS for order in sandbox.generate_orders(ucc, ORDERS)]
    return sessions, [f"{order['ucc']}:{order['order_number']}" for order in orders]


def write_accounts(path: Path, sessions: Iterable[SandboxSession]) -> None:
    """Write the sessions for the workers to read; only this user may read them."""
    write_private(path, _written(sessions))


def _written(sessions: Iterable[SandboxSession]) -> str:
    accounts = {
        session.ucc: {"base_url": session.base_url, "sid": session.sid, "auth": session.auth} for session in sessions
    }
    return json.dumps(accounts, indent=2) + "\n"


def main() -> int:
    """Write the accounts file on standard output. Returns 0, 2 for wrong usage, 1 when there is no sandbox."""
    if len(sys.argv) != _ARGUMENTS:
        sys.stderr.write("usage: python -m worker.stack.accounts SANDBOX_URL > accounts.json\n")
        return 2
    try:
        with SandboxControl(sys.argv[1]) as sandbox:
            sessions, _ = open_accounts(sandbox)
    except (httpx.HTTPError, httpx.InvalidURL, SandboxError, ValueError) as error:
        sys.stderr.write(f"neo-cancel: no sandbox at {sys.argv[1]}: {type(error).__name__}\n")
        return 1
    sys.stdout.write(_written(sessions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
