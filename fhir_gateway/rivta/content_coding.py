"""
Content codings of an answer's body: gzip and deflate (RFC 9110, section 8.4.1).

A body is read to its end, checksum included, or not at all. urllib3 itself ignores
bytes after the end of a compressed body, and a missing checksum.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from urllib3.exceptions import DecodeError

__all__ = ["ACCEPTED", "decode_body"]

ACCEPTED: Final = "gzip, deflate"
"""The value of the header `Accept-Encoding` for callers of `decode_body`."""

_MOST_AT_ONCE: Final = 65_536
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_METHOD: Final = 0x0F
_DEFLATE: Final = 8
_NO_CODING: Final = ("", "identity")


def decode_body(
    chunks: Iterable[bytes], content_encoding: str | None
) -> Iterator[bytes]:
    """
    Yield the decoded body, in pieces of at most 64 KB if it is compressed.

    Args:
        chunks: The body as it arrives.
        content_encoding: The value of its header Content-Encoding.

    Raises:
        urllib3.exceptions.DecodeError: The body is not in this coding, or ends too
            early; or the coding is none of those accepted, or there are several.
    """
    codings = [each.strip().lower() for each in (content_encoding or "").split(",")]
    match [each for each in codings if each not in _NO_CODING]:
        case []:
            return iter(chunks)
        case ["gzip" | "x-gzip"]:
            return _inflate(chunks, _GZIP)
        case ["deflate"]:
            return _inflate(chunks, None)
        case _:
            raise DecodeError("a content coding that nobody asked for")


def _inflate(chunks: Iterable[bytes], form: int | None) -> Iterator[bytes]:
    """Yield a decompressed body; its first byte shows in which form it is."""
    stream = None
    for chunk in chunks:
        data, is_pending = chunk, False
        while data or is_pending:
            if stream is None:
                # RFC 9110, section 8.4.1.2: some servers omit the zlib format.
                is_raw = data[0] & _METHOD != _DEFLATE
                stream = zlib.decompressobj(form or (_RAW if is_raw else _ZLIB))
            elif stream.eof:
                # RFC 1952, section 2.2: a gzip file is a series of members.
                if form != _GZIP:
                    raise DecodeError("bytes follow the end of the body")
                stream = zlib.decompressobj(form)
            try:
                part = stream.decompress(data, _MOST_AT_ONCE)
            except zlib.error as error:
                raise DecodeError("the body is not in its content coding") from error
            # After a full piece the stream may hold more output without further input.
            is_pending = len(part) == _MOST_AT_ONCE and not stream.eof
            data = stream.unconsumed_tail or stream.unused_data
            if part:
                yield part
    if stream is not None and not stream.eof:
        raise DecodeError("the body ends within its content coding")
