"""
HTTP for one request: sent at most once, answered in time, on its own connection.

It promises what `requests` alone does not:

- *A connection carries one request.* It is closed after the answer, readable or not, so
  bytes that a server sends late, twice or in excess cannot become the answer to another
  request. HTTP/1.1 does not number answers: on a reused connection such bytes would
  look like the next answer.
- *An interim answer (1xx) is no answer* (RFC 9110, section 15.2): it is skipped.
  `http.client` skips 100 only, and would return 103 as the answer.
- *A call leaves nothing behind*: no cookie, no credentials, no redirect.
- *The whole answer arrives before the deadline*, headers and body. The read timeout
  of `requests` starts anew with every byte.
- *An answer to a request that could not be sent whole is not read.* urllib3 would.
- *A failure before the message is sent differs from one after* (`failure`), also within
  TLS.
- *A process that was suspended while it connected sends nothing*: by then other
  processes have given its message up.
- *A body is read to its end*, or not at all (`content_coding`).
- *A redirect is an answer like any other*: it is not followed. Its `Location` is not
  read either, since reading could fail after a write was carried out.
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
# The bytes of an answer with its HTTP framing: urllib3 limits neither the line with the
# length of a chunk nor the bytes after the last chunk.
_MOST_BYTES: Final = 2 * ANSWER.most_bytes

_CONNECT_TIMEOUT_S: Final = 2.0
# Two addresses and the handshake may each take the whole time to connect.
_TIMES_TO_CONNECT: Final = 3


class _UnexpectedHttp(http.client.HTTPException):
    """The bytes received are no answer to our request."""


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
        body: The decompressed body; longer than `most_bytes` if it was cut off.
        content_type: The value of its header Content-Type.
    """

    status: int
    body: bytes
    content_type: str | None = None


class Transport:
    """
    Makes requests, each over a connection of its own.

    Args:
        credentials: For mutual TLS. Changed files are read anew.
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
            url: The address to post to.
            document: The body.
            headers: The headers besides those of HTTP itself.
            timeout: The longest time for the whole call, in seconds.
            most_bytes: A longer body is cut off at some byte after this number.

        Raises:
            OSError: The call failed; `was_never_sent` shows whether bytes were sent.
            ValueError: The answer was no HTTP.
            urllib3.exceptions.HTTPError: The call failed within urllib3.
        """
        return self._ask(
            "POST", url, headers, document, timeout=timeout, most_bytes=most_bytes
        )

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        most_bytes: int,
    ) -> Reply:
        """
        Return what is at an address; parameters and errors are those of `post`.
        """
        return self._ask("GET", url, headers, timeout=timeout, most_bytes=most_bytes)

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        document: bytes | None = None,
        *,
        timeout: float,
        most_bytes: int,
    ) -> Reply:
        is_secure = url.lower().startswith("https:")
        context = self._tls_context() if is_secure else None
        with (
            _Session(context) as session,
            session.request(
                method,
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
        # Loading certifi's certificates takes 20 ms of CPU: too much for each call.
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
    The session of one call: it neither repeats a request nor follows a redirect.

    It reads nothing from the environment. It ends with its call, so that a cookie of
    one answer cannot go out with the request of another resident.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__()
        # The environment's proxies and .netrc are not meant for regions.
        self.trust_env = False
        self.mount("https://" if context else "http://", _Adapter(context))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature is requests'
        """Return None: no answer is a redirect."""
        return None


class _PunctualReader(io.RawIOBase):
    """
    Reads a socket until a deadline.

    The socket's own timeout covers one `recv` only: a source that sends a byte at a
    time could hold us for ever. Just before urllib3 reads an answer, it sets that
    timeout to the rest of `urllib3.Timeout(total=…)`. The deadline is computed from it.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)
        self._is_head = True
        self._read_bytes = 0

    def end_head(self) -> None:
        """End the limit for heads: the reader of the body has its own."""
        self._is_head = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - any writable buffer
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        # With a head, the first part of the body may be in the buffer already.
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
    """Does not read the answer to a request that could not be sent whole."""

    response_class = _PunctualResponse

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature is urllib3's
        try:
            super().request(*args, **kwargs)
        except ConnectionError as error:
            # urllib3 would read an answer nevertheless.
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
            # The message is sent after the handshake. A handshake that fails for any
            # reason (a certificate, the version, a timeout) has sent nothing of it.
            raise NewConnectionError(self, "the TLS handshake failed") from error


def _check_awake(connection: HTTPConnection, began: float) -> None:
    """
    Close a connection if the process was suspended while it connected.

    The operating system completes the connection without it. When the process runs
    again, nobody waits for the answer any more, and a write may have been given up.

    Raises:
        ConnectTimeoutError: Connecting took too long; not one byte was sent.
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
        """Do nothing: the TLS context has the certificates already."""
