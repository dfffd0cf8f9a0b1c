"""
The front of a web process: it receives each request whole, then gives it a thread.

Granian reads the head of a request outside Python, and the event loop waits for its
body; a thread gets whole requests only. So a client that sends half a request occupies
a connection, and never a thread. The interface is ASGI 3.0: it alone gives the path and
the header fields as they came, byte by byte.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, NoReturn
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from fhir_gateway.fhir.limits import MOST_BODY_PIECES
from fhir_gateway.web.request_body import (
    BROKEN_OFF,
    LATE,
    TOO_MANY_PIECES,
    UnreadBody,
    is_unbounded,
)
from fhir_gateway.web.request_head import FIELDS, REPEATED, UNDERSCORED
from fhir_gateway.web.resource import Handling

__all__ = ["BODY_WITHIN", "HttpFront", "HttpResponse"]

BODY_WITHIN: Final = timedelta(seconds=5)
"""How long a body may take to arrive."""

PATIENCE: Final = timedelta(seconds=5)
"""How long a request that may wait for a region or SQL waits for a thread."""

_CONSTANT: Final[Mapping[str, Any]] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    # Werkzeug's key: the input ends by itself, also without a Content-Length.
    "wsgi.input_terminated": True,
}
_LENGTH: Final = re.compile(rb"0*([0-9]{1,15})")
_LONG_LENGTH: Final = re.compile(rb"[0-9]+")
_LONGEST: Final = 10**15
_MOST_MEMORABLE: Final = 64

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response: status, header fields, body."""

    status: int
    headers: Iterable[tuple[str, str]]
    body: bytes


class HttpFront:
    """
    An ASGI application around a WSGI one.

    Half of the threads answer requests that may wait for a region or for SQL, the other
    half requests that read memory only: when all of the first kind hang, this server
    still answers the second kind. A ready response needs no thread.

    Args:
        app: The WSGI application.
        close: Closes the application, once every request is answered.
        threads: How many requests are answered at once, at least two.
        handling: Returns how a method on a path is handled. Of a body above the limit
            the application gets one byte more than the limit, or nothing where its
            length was stated, and refuses it.
        ready: The ready responses to GET, by path.
        ready_while_draining: Likewise, while this process is about to stop.
        is_draining: Returns whether it is about to stop: then each connection is closed
            with its answer, so that none is idle when the process stops.
        busy: Returns the answer to a request that has waited for a thread for too long.
        failed: Returns the answer where the application, or this front, failed.
        common: Returns the fields to add to an answer that is not the application's.
        body_within: How long a body may take to arrive. For a later or broken-off one,
            the application gets an input that raises when it is read.
        patience: How long a request that may wait for a region or SQL waits for a
            thread.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        close: Callable[[], None],
        threads: int,
        handling: Callable[[str, str], Handling],
        ready: Mapping[str, HttpResponse],
        ready_while_draining: Mapping[str, HttpResponse],
        is_draining: Callable[[], bool],
        busy: Callable[[], HttpResponse],
        failed: Callable[[Exception], HttpResponse],
        common: Callable[[WSGIEnvironment], Iterable[tuple[str, str]]],
        body_within: timedelta = BODY_WITHIN,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._app = app
        self._close = close
        self._handling = handling
        self._ready = ready
        self._ready_while_draining = ready_while_draining
        self._is_draining = is_draining
        self._busy = busy
        self._failed = failed
        self._common = common
        self._body_within_s = body_within.total_seconds()
        waiting = threads // 2
        self._waiting = _WorkerPool("waits", waiting, patience=patience)
        self._answering = _WorkerPool("answers", threads - waiting, patience=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the start and stop events of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request = _Request(scope)
        try:
            answer = await self._answer(request, receive)
        except Exception as error:  # noqa: BLE001 - nothing leaves but as JSON
            answer = self._own(self._failed(error), request)
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers
        ]
        if not request.is_read or request.has_unclear_end or self._is_draining():
            # The server would read the rest of the body as the next request, or what a
            # proxy in front took for a part of this one.
            headers.append((b"connection", b"close"))
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": headers,
            }
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for pool in (self._waiting, self._answering):
            pool.close()
        self._close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, request: "_Request", receive: Receive) -> HttpResponse:
        if request.method == "GET":
            answers = self._ready
            if self._is_draining():
                answers = self._ready_while_draining
            if ready := answers.get(request.path):
                return self._own(ready, request)
        handling = self._handling(request.method, request.path)
        body = await self._body(request, receive, handling.most_bytes)
        pool = self._waiting if handling.may_wait else self._answering
        try:
            return await pool.run(self._run, request.environ, body)
        except _NoThread:
            return self._own(self._busy(), request)

    def _own(self, answer: HttpResponse, request: "_Request") -> HttpResponse:
        return replace(
            answer, headers=[*answer.headers, *self._common(request.environ)]
        )

    async def _body(
        self, request: "_Request", receive: Receive, most_bytes: int
    ) -> BytesIO | UnreadBody:
        is_too_large = request.length is not None and request.length > most_bytes
        if request.is_read or request.is_unbounded or is_too_large:
            return BytesIO()
        read = BytesIO()
        pieces = 0
        try:
            async with asyncio.timeout(self._body_within_s):
                while not request.is_read and read.tell() <= most_bytes:
                    pieces += 1
                    if pieces > MOST_BODY_PIECES:
                        return TOO_MANY_PIECES
                    message = await receive()
                    if message["type"] != "http.request":
                        # The client is gone, or its chunks are malformed.
                        return BROKEN_OFF
                    read.write(message.get("body", b""))
                    request.is_read = not message.get("more_body", False)
        except TimeoutError:
            return LATE
        if read.tell() > most_bytes:
            # The bytes after it may not be a request.
            request.is_read = False
            read.truncate(most_bytes + 1)
        elif request.length not in (None, read.tell()):
            request.is_read = False
            return BROKEN_OFF
        read.seek(0)
        return read

    def _run(
        self, environ: WSGIEnvironment, body: BytesIO | UnreadBody
    ) -> HttpResponse:
        status = 500
        headers: list[tuple[str, str]] = []

        def start_response(
            line: str, given: list[tuple[str, str]], _: object = None, /
        ) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = int(line[:3]), given
            return _no_write

        environ["wsgi.input"] = body
        starting: StartResponse = start_response
        answer = self._app(environ, starting)
        content = b"".join(answer)
        if close := getattr(answer, "close", None):
            close()
        return HttpResponse(status=status, headers=headers, body=content)


class _Request:
    """
    The head of a request, in WSGI's terms (PEP 3333).

    Attributes:
        path: As it came, percent signs and all.
        length: The body's stated length; None without one.
        is_unbounded: The end of the body is unknown: the application refuses it.
        has_unclear_end: A proxy in front may see another end of the body than this
            server (RFC 9112, 6.1).
        is_read: The body was read to its end.
    """

    __slots__ = (
        *("environ", "has_unclear_end", "is_read", "is_unbounded", "length"),
        *("method", "path"),
    )

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        raw_path: bytes = scope["raw_path"]
        self.path = raw_path.decode("latin-1")
        query: bytes = scope["query_string"]
        host, port = scope["server"]
        fields: list[tuple[bytes, bytes]] = scope["headers"]
        environ: WSGIEnvironment = {
            **_CONSTANT,
            "REQUEST_METHOD": self.method,
            "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
            # PEP 3333 wants bytes as characters of Latin-1.
            "PATH_INFO": scope["path"].encode().decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "REQUEST_URI": (raw_path + b"?" + query).decode("latin-1")
            if query
            else self.path,
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "REMOTE_ADDR": scope["client"][0],
            "wsgi.url_scheme": scope["scheme"],
        }
        size = 0
        repeated: list[str] = []
        underscored: list[str] = []
        for field, content in fields:
            size += len(field) + len(content)
            name = _environ_name(field)
            if name is None:
                underscored.append(_named(field))
                continue
            value = content.decode("latin-1")
            if name in environ:
                repeated.append(name)
                value = f"{environ[name]},{value}"
            environ[name] = value
        environ[FIELDS] = (len(fields), size)
        environ[REPEATED] = repeated
        environ[UNDERSCORED] = underscored
        self.length = _length(environ)
        self.is_unbounded = is_unbounded(environ)
        coding = environ.get("HTTP_TRANSFER_ENCODING")
        self.has_unclear_end = coding is not None and (
            coding.strip().lower() != "chunked" or "CONTENT_LENGTH" in environ
        )
        self.is_read = (
            self.length in (None, 0)
            and "HTTP_TRANSFER_ENCODING" not in environ
            and not self.is_unbounded
        )
        self.environ = environ


def _length(environ: WSGIEnvironment) -> int | None:
    """Return the stated length, and write it into the environment in few digits."""
    text = environ.get("CONTENT_LENGTH", "").encode("latin-1")
    if match := _LENGTH.fullmatch(text):
        length = int(match[1])
    elif _LONG_LENGTH.fullmatch(text):
        length = _LONGEST
    else:
        # There is none, or the application refuses it.
        return None
    environ["CONTENT_LENGTH"] = str(length)
    return length


class _NoThread(Exception):
    """No thread became free in time."""


class _WorkerPool:
    """
    The threads for one kind of request; requests take them in order of arrival.

    Args:
        patience: How long a request waits for a thread; None for ever.
    """

    def __init__(self, name: str, threads: int, *, patience: timedelta | None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = asyncio.Semaphore(threads)
        self._patience_s = patience.total_seconds() if patience else None

    async def run(
        self,
        work: Callable[[WSGIEnvironment, BytesIO | UnreadBody], HttpResponse],
        environ: WSGIEnvironment,
        body: BytesIO | UnreadBody,
    ) -> HttpResponse:
        """
        Call a function on a thread of this pool.

        Raises:
            _NoThread: All threads were busy for too long.
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
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, work, environ, body
            )
        finally:
            self._free.release()

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()


def _environ_name(field: bytes) -> str | None:
    """
    Return WSGI's name of a header field; None for one that must be ignored.

    A name with an underscore would equal the one with a hyphen, which a proxy in front
    may have removed or set.
    """
    if len(field) > _MOST_MEMORABLE:
        return None if b"_" in field else _named(field)
    return _known_environ_name(field)


@lru_cache(maxsize=512)
def _known_environ_name(field: bytes) -> str | None:
    return None if b"_" in field else _named(field)


def _named(field: bytes) -> str:
    name = field.decode("latin-1").replace("-", "_").upper()
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def _no_write(_: bytes) -> NoReturn:
    raise NotImplementedError("an answer is returned, never written")
