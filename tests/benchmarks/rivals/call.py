"""The cancel as every contender sends it: the same five headers, the same body, one session a process."""

import os
from typing import Final
from urllib.parse import quote_plus

import aiohttp
import orjson

__all__ = [
    "AT_ONCE",
    "BROKER_URL",
    "HEADERS",
    "IS_BARE",
    "REDIS_URL",
    "RESULT_SECONDS",
    "body",
    "cancel",
    "session",
    "url",
]

BROKER_URL: Final = os.environ.get("BENCH_BROKER_URL", "")
REDIS_URL: Final = os.environ.get("BENCH_REDIS_URL", "")
IS_BARE: Final = "BENCH_BARE" in os.environ
"""The rival keeps no result and acknowledges nothing, where it can be had so."""
RESULT_SECONDS: Final = 3600
AT_ONCE: Final = 64
"""Calls in flight of one process, for everybody."""

HEADERS: Final = {
    "accept": "application/json",
    "Sid": "sid",
    "Auth": "auth",
    "neo-fin-key": "neotradeapi",
    "Content-Type": "application/x-www-form-urlencoded",
}


def url(ucc: str) -> str:
    """Where the account's cancels go."""
    return f"{BROKER_URL}/{ucc}/quick/order/cancel"


def body(number: str) -> bytes:
    """The form of one cancel."""
    return b"jData=" + quote_plus(orjson.dumps({"on": number, "am": "NO"})).encode()


def session() -> aiohttp.ClientSession:
    """Make a session as our own worker's; call it inside the loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=30, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
    )


async def cancel(client: aiohttp.ClientSession, ucc: str, number: str) -> str:
    """Send one cancel and judge the answer in the shortest way there is. Raises ValueError unless it is "Ok"."""
    async with client.post(url(ucc), data=body(number), headers=HEADERS) as response:
        said = orjson.loads(await response.read())
    if said["stat"] != "Ok":
        raise ValueError(said)
    return "cancelled"
