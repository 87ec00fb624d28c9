"""httpx's aiohttp transport for small whole replies: the hot path of a cancel, and errors that say what may have left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from multidict import CIMultiDict
from yarl import URL

__all__ = ["Prepared", "WholeReplyTransport", "prepared"]

_KEEPALIVE_SECONDS: Final = 30.0
_DNS_SECONDS: Final = 60
_SET_BY_AIOHTTP: Final = frozenset({"host", "content-length"})


class WholeReplyTransport(AiohttpTransport):
    """Sends over one aiohttp session and reads the reply to its end before it answers.

    httpx-aiohttp streams every reply through httpx's decoders and builds URL, headers and time-outs anew for each call;
    a cancel's reply is 60 bytes, so half of the time of a call went there. It also reports a connection that was cut after
    sending as a connect time-out, which for a cancel is the difference between "cannot have worked" and "nobody knows".

    It has no limit of connections: lanes bound the cancels in flight and evidence bounds the reads, each with its own
    order of who goes first, which a pool's queue would not know.

    No cookies: one account's must never reach another's call. No retries. No headers beside those of the request, Host and
    Content-Length. Make it inside the event loop that will use it. A caller that sends many alike prepares what they share
    with `prepared` and passes it in `request.extensions["prepared"]`.
    """

    def __init__(self) -> None:
        super().__init__(client=self._open, trust_env=False)
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEEPALIVE_SECONDS,
                ttl_dns_cache=_DNS_SECONDS,
                ssl=self.ssl_context,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.AsyncBaseTransport. Raises ConnectError or ConnectTimeout only where no byte has left."""
        if self._session is None:
            self._session = self.client = self._open()
        ready: Prepared | None = request.extensions.get("prepared")
        if ready is None:
            ready = prepared(str(request.url), request.headers.multi_items(), request.extensions.get("timeout", {}))
        try:
            async with self._session.request(
                request.method,
                ready.url,
                headers=ready.headers,
                data=b"".join(request.stream) or None,  # type: ignore[arg-type]
                allow_redirects=False,
                timeout=ready.timeout,
            ) as reply:
                content = await reply.read()
                return httpx.Response(
                    reply.status, headers=reply.raw_headers, stream=httpx.ByteStream(content), request=request
                )
        except aiohttp.ClientError as error:
            raise _translated(error, request) from error
        except TimeoutError as error:
            raise httpx.ReadTimeout(type(error).__name__, request=request) from error
        except OSError as error:
            raise httpx.ReadError(type(error).__name__, request=request) from error


@dataclass(frozen=True, slots=True)
class Prepared:
    """What calls to one address with one session share, in aiohttp's own types."""

    url: URL
    headers: CIMultiDict[str]
    timeout: aiohttp.ClientTimeout


def prepared(url: str, headers: Iterable[tuple[str, str]], timeouts: Mapping[str, float | None]) -> Prepared:
    """Prepare once what many calls share; `timeouts` in seconds under httpx's names: connect, read, pool."""
    return Prepared(
        URL(url, encoded=True),
        CIMultiDict((name, value) for name, value in headers if name.lower() not in _SET_BY_AIOHTTP),
        aiohttp.ClientTimeout(
            total=None,
            sock_connect=timeouts.get("connect"),
            sock_read=timeouts.get("read"),
            connect=timeouts.get("pool"),
        ),
    )


def _translated(error: aiohttp.ClientError, request: httpx.Request) -> httpx.TransportError:
    name = type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(name, request=request)
        case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
            return httpx.ConnectError(name, request=request)
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout(name, request=request)
        case aiohttp.ClientPayloadError() | aiohttp.ClientOSError() | aiohttp.ServerDisconnectedError():
            return httpx.ReadError(name, request=request)
        case _:
            return httpx.RemoteProtocolError(name, request=request)
