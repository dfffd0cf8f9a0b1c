"""
HTTP for a call that must be sent at most once and must end in time.

Four things that `requests` does not promise by itself:

- *The whole answer arrives before the deadline*, headers and body. Its read timeout
  starts anew with every byte.
- *A failure before the message is sent can be told from one after*, TLS included.
- *Whoever stood still while it connected sends nothing*: by then others have given
  its message up.
- *A redirect is an answer like any other*: not followed, and its `Location` not even
  read, which could fail after a write has been done.
"""

import errno
import http.client
import io
import socket
import ssl
import time
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

__all__ = ["Session", "kind_of", "was_never_sent"]

_CONNECT_TIMEOUT_S: Final = 2.0
# Two addresses and the handshake may each take the whole of it.
_TIMES_TO_CONNECT: Final = 3

# What `requests` raises while it prepares a request. `InvalidHeader` is not among
# them: it also stands for a header of the answer.
_RAISED_BEFORE_CONNECTING: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)


class _CertificateMissing(requests.exceptions.ConnectionError):
    """A file of ours that TLS needs is not there; no connection was attempted."""


class Session(requests.Session):
    """
    A session that neither repeats nor redirects, and reads nothing of the environment.

    A request's `timeout` is how many seconds all of it may take.
    """

    def __init__(self) -> None:
        super().__init__()
        # The environment's proxies and .netrc are no business of a region's.
        self.trust_env = False
        adapter = _Adapter(max_retries=0, pool_maxsize=16)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature is requests'
        """Return None: there is nowhere to go."""
        return None


def was_never_sent(error: Exception) -> bool:
    """
    Return whether it is certain that not one byte of the message was sent.

    `ConnectionError` covers both: a reset after the producer has read the message
    raises it too. Only the reason that urllib3 gives tells. What an exception was
    raised *in the course of* says nothing: that may be an earlier call.
    """
    if isinstance(error, (*_RAISED_BEFORE_CONNECTING, _CertificateMissing)):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(reason, ConnectTimeoutError | NewConnectionError)


def kind_of(error: BaseException) -> str:
    """
    Return the names of an error and of what caused it: never their texts.

    Those can quote the answer: urllib3 repeats a line that is no chunk length.
    """
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < 10:  # noqa: PLR2004 - chains are short
        reason = getattr(cause, "reason", None)
        code = errno.errorcode.get(getattr(cause, "errno", None) or 0)
        # OpenSSL's reasons are constants, as CERTIFICATE_VERIFY_FAILED.
        detail = reason if isinstance(cause, ssl.SSLError) else code
        name = type(cause).__name__
        kinds.append(f"{name} {detail}" if detail else name)
        inner = (reason, *cause.args, cause.__cause__)
        cause = next((one for one in inner if isinstance(one, BaseException)), None)
    return ": ".join(kinds)


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

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - any writable buffer
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PunctualResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature is http.client's
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PunctualReader(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _PunctualResponse

    def connect(self) -> None:
        began = time.monotonic()
        super().connect()
        _check_awake(self, began)


class _SecureConnection(HTTPSConnection):
    response_class = _PunctualResponse

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
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature is requests'
        super().init_poolmanager(*args, **kwargs)
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

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature is requests'
        try:
            super().cert_verify(*args, **kwargs)  # type: ignore[no-untyped-call] # its stub has no types
        except OSError as error:
            raise _CertificateMissing("a certificate file is missing") from error
