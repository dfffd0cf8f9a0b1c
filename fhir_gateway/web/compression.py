"""
Compression of answers: gzip for clients that accept it (RFC 9110, 8.4.1 and 12.5.3).

Only open data are compressed. The size of a compressed answer depends on what repeats
in it: where an answer holds personal data beside texts of the request, an observer of
sizes could guess the data (BREACH). Answers about a person are small anyway.
"""

import threading
import zlib
from collections import OrderedDict
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from flask import Response, g, request

from fhir_gateway.access.policy import Interaction, is_open
from fhir_gateway.web.field_value import MediaRange, list_members

__all__ = ["Compression"]

# Below one packet of a network, compression saves nothing.
_LEAST_BYTES: Final = 1400
# A page of fifty slots: 60 µs and 6 % of the size; level 6 takes 400 µs for 5 %.
_LEVEL: Final = 1
_GZIP_FORMAT: Final = 31
_MOST_MEMORABLE: Final = 256
# At most 4 MiB in a process: a page of fifty slots has 3 kB.
_MOST_KEPT: Final = 256
_MOST_KEPT_BYTES: Final = 16 * 1024
_COMPRESSIBLE: Final = frozenset(
    {
        *("application/fhir+json", "application/fhir+xml", "application/json"),
        *("application/fhir+ndjson", "application/ndjson", "application/x-ndjson"),
        *("text/html", "text/css", "text/javascript", "application/javascript"),
        *("text/plain", "image/svg+xml"),
    }
)


class Compression:
    """
    Compresses answers, and keeps those of a version that come again and again.

    Any thread may call.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def compressed(self, response: Response) -> Response:
        """Return an answer compressed, where its client accepts that and it pays."""
        header: str = request.environ.get("HTTP_ACCEPT_ENCODING", "")
        if (
            "gzip" not in header
            or response.status_code != HTTPStatus.OK
            or response.is_streamed
            or response.mimetype not in _COMPRESSIBLE
            or "Content-Encoding" in response.headers
            or not _is_open(g.get("interaction"))
        ):
            return response
        accepts = _accepts if len(header) > _MOST_MEMORABLE else _known_accepts
        body = response.get_data()
        if len(body) < _LEAST_BYTES or not accepts(header):
            return response
        response.set_data(self._packed(body, response.headers.get("ETag")))
        response.headers["Content-Encoding"] = "gzip"
        return response

    def _packed(self, body: bytes, etag: str | None) -> bytes:
        # Without an ETag, an answer may depend on what one client alone has sent.
        if etag is None:
            return _packed(body)
        # One version has several forms, which differ in their bytes.
        key = (etag, len(body), zlib.crc32(body))
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        packed = _packed(body)
        if len(packed) <= _MOST_KEPT_BYTES:
            with self._lock:
                self._kept[key] = packed
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return packed


def _packed(body: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    return packer.compress(body) + packer.flush()


def _is_open(interaction: Interaction | None) -> bool:
    """Return whether an interaction answers no person's data."""
    # What has no interaction is a document, a batch or a health check.
    if interaction is None:
        return request.method in ("GET", "HEAD")
    return is_open(interaction)


def _accepts(header: str) -> bool:
    codings = [MediaRange.of_member(member) for member in list_members(header.lower())]
    return any(each.type == "gzip" and each.quality > 0 for each in codings)


_known_accepts: Final = lru_cache(maxsize=256)(_accepts)
