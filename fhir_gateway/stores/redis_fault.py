"""
Faults of Redis, in words for the operator.

The text of redis-py's error is read and never passed on: it may hold a part of a
command.
"""

import socket
import ssl
from collections.abc import Iterator
from enum import Enum
from typing import Final

import redis

__all__ = ["RedisFault", "redis_fault"]


class RedisFault(Enum):
    """A fault of Redis; the value says what is wrong and what to do."""

    AWAY = "it cannot be asked; is it running?"
    REFUSED = "nobody listens there; is it running, and is the port right?"
    LATE = "it did not answer in time; is it running, and can it be reached from here?"
    NO_SUCH_HOST = "no host of that name is known; correct the name"
    NO_SOCKET = "there is no such socket; is it running, and is the path right?"
    NOT_PERMITTED = "this process may not use that socket; see who owns it"
    NO_TLS = (
        "leads to something that speaks no TLS: write redis:// in the place of"
        " rediss://, or give the port where it does"
    )
    TLS_LATE = (
        "it answered no TLS in time; if it speaks none there, write redis:// in the"
        " place of rediss://, or give the port where it does"
    )
    UNTRUSTED = (
        "leads to a server with a certificate that is not trusted: give its authority's"
        " file in ssl_ca_certs, and the host that the certificate names"
    )
    NO_DATABASE = (
        "has a number of a database that this Redis does not have: give a lower one, or"
        " none"
    )
    NO_CLUSTER = "leads to a Redis that is no cluster: leave cluster=true out"
    NO_REDIS = "leads to something that is no Redis"
    REFUSED_LOGIN = "has a user name or a password that Redis refuses, or lacks them"

    @property
    def is_configuration(self) -> bool:
        """Return whether the fault lasts until the operator changes a setting."""
        return self in _CONFIGURATION


_CONFIGURATION: Final = frozenset(
    {
        RedisFault.NO_TLS,
        RedisFault.UNTRUSTED,
        RedisFault.NO_DATABASE,
        RedisFault.NO_CLUSTER,
        RedisFault.NO_REDIS,
        RedisFault.REFUSED_LOGIN,
    }
)
_BY_KIND: Final[tuple[tuple[type[BaseException], RedisFault], ...]] = (
    (redis.exceptions.InvalidResponse, RedisFault.NO_REDIS),
    (redis.exceptions.AuthenticationError, RedisFault.REFUSED_LOGIN),
    (redis.exceptions.AuthenticationWrongNumberOfArgsError, RedisFault.REFUSED_LOGIN),
    (redis.exceptions.NoPermissionError, RedisFault.REFUSED_LOGIN),
    (ssl.SSLCertVerificationError, RedisFault.UNTRUSTED),
    (socket.gaierror, RedisFault.NO_SUCH_HOST),
    (ConnectionRefusedError, RedisFault.REFUSED),
    (FileNotFoundError, RedisFault.NO_SOCKET),
    (PermissionError, RedisFault.NOT_PERMITTED),
    (TimeoutError, RedisFault.LATE),
    (redis.exceptions.TimeoutError, RedisFault.LATE),
)
# These faults have no exception class of their own.
_BY_TEXT: Final = (
    ("WRONG_VERSION_NUMBER", RedisFault.NO_TLS),
    ("RECORD_LAYER_FAILURE", RedisFault.NO_TLS),
    # A Redis without TLS reads the handshake as a command, and waits for the rest.
    ("handshake operation timed out", RedisFault.TLS_LATE),
    ("DB index", RedisFault.NO_DATABASE),
    ("Cluster mode is not enabled", RedisFault.NO_CLUSTER),
    ("cluster support disabled", RedisFault.NO_CLUSTER),
)


def redis_fault(error: BaseException) -> RedisFault:
    """Return the fault behind an error of redis-py; `AWAY` when it is not known."""
    chain = list(_chain(error))
    for each in chain:
        for text, fault in _BY_TEXT:
            if text in str(each):
                return fault
    for each in chain:
        for kind, fault in _BY_KIND:
            if isinstance(each, kind):
                return fault
    return RedisFault.AWAY


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__
