"""
Why a call failed and whether its message was sent, from the exceptions of `requests`.
"""

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import requests
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    NewConnectionError,
)

__all__ = ["CertificateUnusable", "kind_of", "reason_of", "was_never_sent"]

# The exceptions of `requests` while it prepares a request. `InvalidHeader` is not among
# them: a header of the answer can raise it too.
_RAISED_BEFORE_CONNECTING: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)

_MOST_CAUSES: Final = 10
_REASONS: Final[dict[type[BaseException], str]] = {
    socket.gaierror: "its host name is not known (DNS)",
    urllib3.exceptions.NameResolutionError: "its host name is not known (DNS)",
    ConnectionRefusedError: "the connection was refused",
    ConnectionResetError: "the connection was reset",
    ConnectTimeoutError: "no connection was made in time",
    urllib3.exceptions.ReadTimeoutError: "the answer did not come in time",
    urllib3.exceptions.DecodeError: "the answer is not in the encoding that it names",
    http.client.IncompleteRead: "the answer was cut short",
    http.client.BadStatusLine: "it does not speak HTTP there",
    http.client.LineTooLong: "it does not speak HTTP there",
}
# OpenSSL's reasons for an answer in plain text.
_TLS_REASONS: Final = dict.fromkeys(
    ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"), "it does not speak TLS there"
)


class CertificateUnusable(requests.exceptions.ConnectionError):
    """A file that TLS needs cannot be loaded; no connection was tried."""


def was_never_sent(error: Exception) -> bool:
    """
    Return whether it is certain that not one byte of the message was sent.

    `ConnectionError` alone does not show it: a reset after the producer has read the
    message raises it too. Only the reason that urllib3 gives shows it. The exception's
    `__context__` does not: that may be the exception of an earlier call.
    """
    if isinstance(error, (*_RAISED_BEFORE_CONNECTING, CertificateUnusable)):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(reason, ConnectTimeoutError | NewConnectionError)


def kind_of(error: BaseException) -> str:
    """
    Return the names of an error and of its causes, without their texts.

    The texts can quote the answer: urllib3 repeats a line that is no chunk length.
    """
    kinds: list[str] = []
    for cause in _causes(error):
        code = errno.errorcode.get(getattr(cause, "errno", None) or 0)
        # OpenSSL's reasons are constants, for example CERTIFICATE_VERIFY_FAILED.
        detail = (
            getattr(cause, "reason", None) if isinstance(cause, ssl.SSLError) else code
        )
        name = type(cause).__name__
        kinds.append(f"{name} {detail}" if detail else name)
    return ": ".join(kinds)


def reason_of(error: BaseException) -> str:
    """Return in plain words why a connection failed, if the cause is known."""
    if isinstance(error, CertificateUnusable):
        return "a certificate file of ours cannot be read"
    # The innermost cause is the most exact: urllib3 presents a refused connection as
    # one that took too long.
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, ssl.SSLCertVerificationError):
            # OpenSSL's own constant, for example "certificate has expired".
            message = getattr(cause, "verify_message", "") or "no reason given"
            return f"its certificate is not accepted: {message}"
        if isinstance(cause, ssl.SSLError):
            message = getattr(cause, "reason", "") or "no reason given"
            return _TLS_REASONS.get(message, f"the TLS handshake failed: {message}")
        for kind, reason in _REASONS.items():
            if isinstance(cause, kind):
                return reason
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
    return kind_of(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then its cause, then the cause of that, and so on."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        inner = (getattr(cause, "reason", None), *cause.args, cause.__cause__)
        cause = next((one for one in inner if isinstance(one, BaseException)), None)
