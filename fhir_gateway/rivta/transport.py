"""
HTTP for one question: sent at most once, answered in time, on a connection of its own.

What `requests` does not promise by itself:

- *A connection carries one question.* It is closed after the answer, understood or not,
  so nothing that a server sends late, twice or too much can become the answer to
  another question. HTTP/1.1 numbers no answers: on a kept connection nobody could tell.
- *An interim answer (1xx) is no answer* (RFC 9110, section 15.2): it is skipped.
  `http.client` skips 100 only, and would return 103 as the answer.
- *Nothing is remembered*: no cookie, no credentials, no redirect.
- *The whole answer arrives before the deadline*, headers and body. Its read timeout
  starts anew with every byte.
- *An answer to a request that could not be sent whole is not read.* urllib3 would.
- *A failure before the message is sent can be told from one after* (`failure`), TLS
  included.
- *Whoever stood still while it connected sends nothing*: by then others have given
  its message up.
- *A body is understood to its end*, or not at all (`content_coding`).
- *A redirect is an answer like any other*: not followed, and its `Location` not even
  read, which could fail after a write has been done.
"""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    NewConnectionError,
    ProtocolError,
)
from urllib3.util.ssl_ import create_urllib3_context

from fhir_gateway.rivta.content_coding import ACCEPTED, decode_body
from fhir_gateway.rivta.failure import CertificateUnusable
from fhir_gateway.rivta.limit import ANSWER, MOST_OF_HEADS

__all__ = [
    "Credentials",
    "Reply",
    "Transport",
]

_CHUNK_BYTES: Final = 65_536
# Of an answer with all that HTTP wraps around it: urllib3 limits neither the line with
# the length of a chunk nor what follows the last chunk.
_MOST_BYTES: Final = 2 * ANSWER.most_bytes

_CONNECT_TIMEOUT_S: Final = 2.0
# Two addresses and the handshake may each take the whole of it.
_TIMES_TO_CONNECT: Final = 3


class _UnexpectedHttp(http.client.HTTPException):
    """What came is no answer to a POST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """
    Mutual TLS: paths of PEM files.

    Attributes:
        certificate: Our certificate and its key in one file, or None.
        trust: The certificates that we trust, or None for those of `certifi`.
    """

    certificate: str | None = None
    trust: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reply:
    """
    The final answer to a request.

    Attributes:
        status: The HTTP status, 200 or more.
        body: The body, decompressed; more than `most_bytes` when it was cut off.
        content_type: The media type, as its header says it.
    """

    status: int
    body: bytes
    content_type: str | None = None


class Transport:
    """
    Posts documents, each over a connection of its own.

    Args:
        credentials: For mutual TLS. Their files are read anew when they have changed.
    """

    def __init__(self, credentials: Credentials | None = None) -> None:
        self._credentials = credentials or Credentials()
        self._lock = threading.Lock()
        self._loaded: tuple[object, ssl.SSLContext] | None = None

    def post(
        self,
        url: str,
        document: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float,
        most_bytes: int,
    ) -> Reply:
        """
        Send a document once and return the answer to it.

        Args:
            url: Where to.
            document: The body.
            headers: The headers besides those of HTTP itself.
            timeout: Seconds that all of it may take.
            most_bytes: A longer body is cut off, somewhere beyond this.

        Raises:
            OSError: It failed; `was_never_sent` tells whether anything was sent.
            ValueError: The answer was no HTTP.
            urllib3.exceptions.HTTPError: It failed, in urllib3's words.
        """
        is_secure = url.lower().startswith("https:")
        context = self._tls_context() if is_secure else None
        with (
            _Session(context) as session,
            session.post(
                url,
                data=document,
                headers={
                    **headers,
                    "Accept-Encoding": ACCEPTED,
                    "Connection": "close",
                },
                timeout=timeout,
                stream=True,
            ) as response,
        ):
            body = bytearray()
            chunks = response.raw.stream(_CHUNK_BYTES, decode_content=False)
            for chunk in decode_body(chunks, response.headers.get("Content-Encoding")):
                body += chunk
                if len(body) > most_bytes:
                    break
            return Reply(
                status=response.status_code,
                body=bytes(body),
                content_type=response.headers.get("Content-Type"),
            )

    def _tls_context(self) -> ssl.SSLContext:
        # To load certifi's certificates takes 20 ms of CPU: too much for each call.
        certificate = self._credentials.certificate
        trust = self._credentials.trust or DEFAULT_CA_BUNDLE_PATH
        paths = [Path(path) for path in (trust, certificate) if path]
        try:
            stamp = [path.stat().st_mtime_ns for path in paths]
            with self._lock:
                if self._loaded is None or self._loaded[0] != stamp:
                    context = create_urllib3_context()
                    context.load_verify_locations(trust)
                    if certificate:
                        context.load_cert_chain(certificate)
                    self._loaded = stamp, context
                return self._loaded[1]
        except OSError as error:
            raise CertificateUnusable("a certificate file is unusable") from error


class _Session(requests.Session):
    """
    One call's session: it neither repeats nor redirects.

    It reads nothing of the environment, and ends with its call, so that nothing that
    one answer sets (a cookie) can go out with another resident's question.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__()
        # The environment's proxies and .netrc are no business of a region's.
        self.trust_env = False
        self.mount("https://" if context else "http://", _Adapter(context))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature is requests'
        """Return None: there is nowhere to go."""
        return None


class _PunctualReader(io.RawIOBase):
    """
    Reads a socket until a deadline.

    The socket's own timeout holds for one `recv` only: a source that drips would hold
    us for ever. urllib3 sets it to what is left of `urllib3.Timeout(total=…)` just
    before it reads an answer, which gives the deadline.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)
        self._is_head = True
        self._read_bytes = 0

    def end_head(self) -> None:
        """Let what follows be as long as its reader likes."""
        self._is_head = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - any writable buffer
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        # Beside a head a buffer full of the body may have been read.
        if self._read_bytes > (MOST_OF_HEADS if self._is_head else _MOST_BYTES):
            raise _UnexpectedHttp("longer than any answer")
        self._sock.settimeout(left)
        count = self._raw.readinto(buffer)
        self._read_bytes += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PunctualResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature is http.client's
        super().__init__(sock, *args, **kwargs)
        self._punctual = _PunctualReader(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._punctual)

    def begin(self) -> None:
        while self.headers is None:
            super().begin()
            if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise _UnexpectedHttp("nobody asked for another protocol")
            if self.status < HTTPStatus.OK:
                self.headers = self.msg = None
        self._punctual.end_head()


class _WholeRequest(HTTPConnection):
    """Reads no answer to a request that could not be sent whole."""

    response_class = _PunctualResponse

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature is urllib3's
        try:
            super().request(*args, **kwargs)
        except ConnectionError as error:
            # urllib3 would look for an answer all the same.
            raise ProtocolError("the request could not be sent whole") from error


class _Connection(_WholeRequest):
    def connect(self) -> None:
        began = time.monotonic()
        super().connect()
        _check_awake(self, began)


class _SecureConnection(_WholeRequest, HTTPSConnection):
    def connect(self) -> None:
        began = time.monotonic()
        try:
            super().connect()
            _check_awake(self, began)
        except (ConnectTimeoutError, NewConnectionError):
            raise
        except (OSError, urllib3.exceptions.HTTPError) as error:
            # The message is sent after the handshake, so whatever ended it, nothing
            # was sent: a certificate of theirs or ours, no common version, silence.
            raise NewConnectionError(self, "the TLS handshake failed") from error


def _check_awake(connection: HTTPConnection, began: float) -> None:
    """
    Give up a connection that was made by a process which stood still meanwhile.

    The system goes on connecting without it. As it wakes nobody waits for the answer
    any more, and a write may have been given up.

    Raises:
        ConnectTimeoutError: It did; not one byte was sent.
    """
    limit = connection.timeout
    if limit is not None and time.monotonic() - began > _TIMES_TO_CONNECT * limit:
        connection.close()
        raise ConnectTimeoutError(connection, "connecting took too long")


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature is requests'
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(  # noqa: PLR0917 - the signature is requests'
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - the signature is requests'
        timeout: Any = None,  # noqa: ANN401 - same
        verify: bool | str = True,  # noqa: FBT001, FBT002 - same
        cert: Any = None,  # noqa: ANN401 - same
        proxies: Any = None,  # noqa: ANN401 - same
    ) -> requests.Response:
        timeout = urllib3.Timeout(
            connect=min(_CONNECT_TIMEOUT_S, timeout), total=timeout
        )
        return super().send(request, stream, timeout, verify, cert, proxies)

    def cert_verify(self, *args: Any) -> None:  # noqa: ANN401 - the signature is requests'
        """Do nothing: the context has the certificates already."""
