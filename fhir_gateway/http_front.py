"""
The front of a web process: takes each request whole, then gives it a thread.

Granian reads the head of a request outside Python, and the event loop waits for its
body; a thread meets whole requests only (RSGI, Granian's own interface). So a client
that sends half a request costs a connection, and never a thread.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import RequestTimeout

__all__ = ["BODY_WITHIN", "Exchange", "HttpFront", "Refusal", "RequestHead"]

BODY_WITHIN: Final = timedelta(seconds=5)
"""How long a body may take to arrive."""

PATIENCE: Final = timedelta(seconds=5)
"""How long a request that may have to wait for a region waits for a thread."""

_CONSTANT: Final[Mapping[str, Any]] = {
    "SCRIPT_NAME": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    # Werkzeug's: the input ends by itself, also where no Content-Length says when.
    "wsgi.input_terminated": True,
}

Refusal = Callable[[], tuple[int, list[tuple[str, str]], bytes]]
"""Returns the answer to a request that no thread can take: status, headers, body."""


class _Headers(Protocol):
    def get(self, key: str, default: None = None) -> str | None: ...
    def items(self) -> list[tuple[str, str]]: ...
    def __contains__(self, key: str) -> bool: ...


class RequestHead(Protocol):
    """What RSGI calls the scope: the head of a request. Header names are lower case."""

    method: str
    path: str
    query_string: str
    scheme: str
    server: str
    client: str
    authority: str | None

    @property
    def headers(self) -> _Headers:
        """Return the headers."""


class Exchange(Protocol):
    """What RSGI calls the protocol: reads the body in pieces, takes the answer."""

    def __aiter__(self) -> "Exchange":
        """Return the body."""

    async def __anext__(self) -> bytes:
        """Return the next piece of it."""

    def response_bytes(
        self, status: int, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        """Answer; what comes after the first answer is left out."""


class HttpFront:
    """
    An RSGI application around a WSGI one.

    Half of the threads answer what may have to wait for a region, the other half what
    never does: however many of the first kind hang, the second kind is answered.

    Args:
        app: The WSGI application.
        close: Lets go of the application, once every request is answered.
        threads: How many requests are answered at once, at least two.
        may_wait: Tells of a path whether its answer may have to wait for a region.
        refusal: The answer to a request that may have to wait, when it has waited for a
            thread for too long.
        most_bytes: The largest body to take; of a larger one the application gets a
            byte more, or nothing where its length was said, and refuses it.
        body_within: How long a body may take to arrive. For a later one the application
            gets an input that raises `RequestTimeout` when it is read.
        patience: How long a request that may have to wait waits for a thread.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        close: Callable[[], None],
        threads: int,
        may_wait: Callable[[str], bool],
        refusal: Refusal,
        most_bytes: int,
        body_within: timedelta = BODY_WITHIN,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._app = app
        self._close = close
        self._may_wait = may_wait
        self._refusal = refusal
        self._most_bytes = most_bytes
        self._body_within_s = body_within.total_seconds()
        waiting = threads // 2
        self._waiting = _Lane("waits", waiting, patience=patience)
        self._answering = _Lane("answers", threads - waiting, patience=None)

    async def __call__(self, head: RequestHead, exchange: Exchange) -> None:
        """Answer one request."""
        path = unquote_to_bytes(head.path)
        may_wait = self._may_wait(path.decode("utf-8", "replace"))
        lane = self._waiting if may_wait else self._answering
        try:
            body = await self._body(head, exchange)
        except TimeoutError:
            body = _LateBody()
        try:
            await lane.run(self._answer, head, exchange, path, body)
        except _NoThread:
            exchange.response_bytes(*self._refusal())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go of everything: every request is answered."""
        for lane in (self._waiting, self._answering):
            lane.close()
        self._close()

    async def _body(
        self, head: RequestHead, exchange: Exchange
    ) -> "BytesIO | _LateBody":
        headers = head.headers
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            return BytesIO()
        if length is not None and int(length) > self._most_bytes:
            return BytesIO()
        read = BytesIO()
        async with asyncio.timeout(self._body_within_s):
            async for piece in exchange:
                read.write(piece)
                if not piece or read.tell() > self._most_bytes:
                    break
        read.truncate(min(read.tell(), self._most_bytes + 1))
        read.seek(0)
        return read

    def _answer(
        self,
        head: RequestHead,
        exchange: Exchange,
        path: bytes,
        body: "BytesIO | _LateBody",
    ) -> None:
        status = 500
        headers: list[tuple[str, str]] = []

        def start_response(
            line: str, given: list[tuple[str, str]], _: object = None, /
        ) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = int(line[:3]), given
            return _no_write

        starting: StartResponse = start_response
        answer = self._app(self._environ(head, path, body), starting)
        content = b"".join(answer)
        if close := getattr(answer, "close", None):
            close()
        exchange.response_bytes(status, headers, content)

    def _environ(
        self, head: RequestHead, path: bytes, body: "BytesIO | _LateBody"
    ) -> WSGIEnvironment:
        host, _, port = head.server.rpartition(":")
        environ: WSGIEnvironment = {
            **_CONSTANT,
            "REQUEST_METHOD": head.method,
            # PEP 3333: bytes, as characters of Latin-1.
            "PATH_INFO": path.decode("latin-1"),
            "QUERY_STRING": head.query_string,
            "SERVER_NAME": host,
            "SERVER_PORT": port,
            "REMOTE_ADDR": head.client.rpartition(":")[0],
            "wsgi.url_scheme": head.scheme,
            "wsgi.input": body,
        }
        for header, value in head.headers.items():
            name = _environ_name(header)
            environ[name] = f"{environ[name]},{value}" if name in environ else value
        return environ


class _LateBody:
    """The input of a request whose body has not arrived in time."""

    def read(self, _: int = -1, /) -> NoReturn:
        """Refuse."""
        raise RequestTimeout


class _NoThread(Exception):
    """No thread has become free in time."""


class _Lane:
    """
    Threads of one kind, first come, first served.

    Args:
        patience: How long a request waits for a thread; None for ever.
    """

    def __init__(self, name: str, threads: int, *, patience: timedelta | None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = asyncio.Semaphore(threads)
        self._patience_s = patience.total_seconds() if patience else None

    async def run(self, work: Callable[..., None], *arguments: object) -> None:
        """
        Do something on a thread of this lane.

        Raises:
            _NoThread: All were taken for too long.
        """
        if self._free.locked():
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._free.acquire()
            except TimeoutError:
                raise _NoThread from None
        else:
            await self._free.acquire()
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._pool, work, *arguments
            )
        finally:
            self._free.release()

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown()


@lru_cache(maxsize=512)
def _environ_name(header: str) -> str:
    if header in ("content-type", "content-length"):
        return header.replace("-", "_").upper()
    # A name with an underscore must not pass for the same with a hyphen.
    return "HTTP_" + header.upper().replace("_", "__").replace("-", "_")


def _no_write(_: bytes) -> NoReturn:
    raise NotImplementedError("an answer is returned, never written")
