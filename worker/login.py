"""`python -m worker.login AB123`: log an account in with a code that a person types. Its waiting orders go on by themselves.

The code is asked for without an echo when the login may begin; `--code -` reads it from standard input. As an argument it would
be seen in the list of processes, so that is refused. An account with a TOTP secret needs no code; for it this is a way to go
on after wrong credentials.
Exit codes: 0 logged in, 1 the broker refused, 2 wrong usage, settings or account, 3 too soon after another login, or Redis away.
"""

import argparse
import asyncio
import getpass
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from redis.exceptions import RedisError

from config.log import configure_logging
from config.settings import ConfigurationError, Settings, load_settings
from neo_cancel.connection import connect_async
from neo_cancel.errors import InvalidOrderError
from neo_cancel.namespace import Namespace
from worker.accounts.book import AccountsBook
from worker.kotak.transport import BrokerTransport
from worker.ledger.client import LedgerClient
from worker.ledger.server import Server
from worker.observe.events import publisher
from worker.observe.log import log_subscriber
from worker.sessions.assembly import open_logins
from worker.sessions.ports import EXTERNAL, Credentials, TotpSource
from worker.sessions.renewal import Renewal, Renewed
from worker.sessions.stored import Full, Stored, Wait

__all__ = ["Desk", "ExitCode", "main"]

_CODE: Final = re.compile("[0-9]{6}")


class ExitCode(IntEnum):
    """How it ended; see the module."""

    LOGGED_IN = 0
    REFUSED = 1
    USAGE = 2
    NOT_NOW = 3


@dataclass(frozen=True, slots=True)
class Desk:
    """What a login needs. `credentials` None: the accounts file names no such account."""

    credentials: Credentials | None
    renewal: Renewal
    codes: TotpSource
    ledger: LedgerClient


class _WrongCodeError(Exception):
    """What was typed is no code, or there is nobody to type one."""


def _open_desk(settings: Settings, ucc: str) -> Desk:
    """Make the collaborators; in the event loop. Raises ConfigurationError."""
    publish = publisher(log_subscriber(configure_logging(settings.log_level)))
    book, server = AccountsBook(settings.accounts_toml, os.environ, publish), Server()
    book.read_if_there()
    redis = connect_async(settings.resolved_redis_url, greet=server.greet)
    client = LedgerClient(redis, server, publish, Namespace(settings.namespace))
    logins = open_logins(settings, client, BrokerTransport(), publish)
    logins.want()
    return Desk(book.of(ucc), logins.renewal, logins.codes, client)


def main(arguments: Sequence[str] | None = None, open_desk: Callable[[Settings, str], Desk] = _open_desk) -> int:
    """Log in; see the module and ExitCode."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_log_in(load_settings(), options, open_desk))
    except (ConfigurationError, InvalidOrderError, _WrongCodeError) as error:
        return _end(ExitCode.USAGE, str(error))
    except (RedisError, OSError) as error:
        return _end(ExitCode.NOT_NOW, f"Redis does not answer ({type(error).__name__}): start it")
    except KeyboardInterrupt:
        return _end(ExitCode.NOT_NOW, "given up")


async def _log_in(
    settings: Settings, options: argparse.Namespace, open_desk: Callable[[Settings, str], Desk]
) -> ExitCode:
    desk = open_desk(settings, options.ucc)
    credentials = desk.credentials
    try:
        if credentials is None or credentials.login == EXTERNAL:
            return _end(ExitCode.USAGE, f"account {options.ucc}: the accounts file has no credentials for it")
        await desk.ledger.run("PING")
        ask = _code_of(credentials, desk.codes, has_input=options.code is not None)
        return _ended(options.ucc, await desk.renewal.log_in(credentials, ask))
    finally:
        await desk.ledger.aclose()


def _code_of(credentials: Credentials, codes: TotpSource, *, has_input: bool) -> Callable[[], Awaitable[str]]:
    """Find where the code comes from. Raises _WrongCodeError where a person would have to be asked and there is none."""
    secret = credentials.totp_secret
    if has_input:
        line = _checked(sys.stdin.readline())
    elif secret is not None:
        return lambda: codes.next_code(secret)
    elif not sys.stdin.isatty():
        raise _WrongCodeError("no terminal to ask for the code: give it through standard input, with --code -")
    else:
        line = None

    async def ask() -> str:
        return await asyncio.to_thread(_typed, credentials.ucc) if line is None else line

    return ask


def _typed(ucc: str) -> str:
    while True:
        try:
            return _checked(getpass.getpass(f"code of {ucc} (not shown): "))
        except _WrongCodeError as error:  # a slip of a finger is no attempt
            sys.stderr.write(f"{error}\n")


def _checked(line: str) -> str:
    if not _CODE.fullmatch(code := line.strip()):
        raise _WrongCodeError("a code is six digits")
    return code


def _ended(ucc: str, renewed: Renewed) -> ExitCode:
    if isinstance(renewed, Stored):
        sys.stdout.write(f"{ucc} is logged in; workers go on with it within a second or two\n")
        return ExitCode.LOGGED_IN
    if isinstance(renewed, Full):
        return _end(ExitCode.REFUSED, f"{ucc} has sessions at two other addresses: {', '.join(renewed.places)}")
    if isinstance(renewed, Wait) and renewed.why != "failures":
        return _end(ExitCode.NOT_NOW, f"{ucc} logged in a moment ago: try again in {renewed.seconds:.0f} s")
    return _end(ExitCode.REFUSED, f"{ucc} is not logged in")


def _end(code: ExitCode, text: str) -> ExitCode:
    sys.stderr.write(f"neo-cancel: {text}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.login",
        description="Log an account in with a code that is typed. Settings come from the environment, see README.md.",
        epilog="Exit codes: 0 logged in, 1 the broker refused, 2 wrong usage, settings or account, "
        "3 too soon after another login, or Redis away.",
    )
    parser.add_argument("ucc", type=str.upper, help="the client account, such as AB123")
    parser.add_argument("--code", choices=["-"], help="read the code from standard input instead of asking for it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
