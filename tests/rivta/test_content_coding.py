"""
Content codings: a body is read to its end, or not at all.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import DecodeError

from fhir_gateway.rivta.content_coding import decode_body

TEXT: Final = b"<a>" + bytes(range(256)) * 20 + b"</a>"


def raw_deflate(text: bytes) -> bytes:
    """Return a deflate stream without the zlib format around it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


WRITERS: Final[dict[str, tuple[str | None, Callable[[bytes], bytes]]]] = {
    "none": (None, bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip, as upper case": ("X-GZIP", gzip.compress),
    "gzip and identity": ("gzip, identity", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
}
PACKED: Final = ["gzip", "deflate", "raw deflate"]
ANY_WRITER: Final = pytest.mark.parametrize("name", list(WRITERS))
ANY_PACKER: Final = pytest.mark.parametrize("name", PACKED)


def chunks(body: bytes, size: int) -> Iterator[bytes]:
    """Yield a body in pieces."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def read(body: bytes, coding: str | None, size: int = 1_000) -> bytes:
    """Return a whole body, decoded."""
    return b"".join(decode_body(chunks(body, size), coding))


@ANY_WRITER
@given(text=st.binary(max_size=2_000), size=st.integers(1, 500))
def test_what_is_written_is_read(name: str, text: bytes, size: int) -> None:
    """A body is read in each coding, however it arrives."""
    coding, write = WRITERS[name]

    assert read(write(text), coding, size) == text


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_gzip_of_several_members_is_read(size: int) -> None:
    """A gzip file is a series of members (RFC 1952, section 2.2)."""
    body = gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(b"more")

    assert read(body, "gzip", size) == TEXT + b"more"


@ANY_PACKER
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"<x/>", id="text"),
        pytest.param(b"\0", id="padding"),
        pytest.param(b"\x1f", id="the first byte of a member"),
        pytest.param(gzip.compress(b"x" * 99)[:-1], id="a member that is cut short"),
        pytest.param(gzip.compress(b"x")[:-8] + bytes(8), id="a wrong checksum"),
    ],
)
def test_bytes_behind_the_end_are_refused(name: str, size: int, more: bytes) -> None:
    """What follows the end of a body may be another answer, or damage."""
    coding, write = WRITERS[name]

    with pytest.raises(DecodeError):
        read(write(TEXT) + more, coding, size)


@ANY_PACKER
@given(kept=st.integers(1, 10_000))
def test_a_body_that_is_cut_short_is_refused(name: str, kept: int) -> None:
    """Also when nothing but its checksum is missing."""
    coding, write = WRITERS[name]
    body = write(TEXT)

    with pytest.raises(DecodeError):
        read(body[: min(kept, len(body) - 1)], coding)


@pytest.mark.parametrize(
    "coding", ["br", "zstd", "gzip, gzip", "gzip,deflate", "compress", "gzip;q=1"]
)
def test_other_codings_are_refused(coding: str) -> None:
    """What was not asked for cannot be read."""
    with pytest.raises(DecodeError):
        read(gzip.compress(TEXT), coding)


@pytest.mark.parametrize("coding", [None, "", "identity", "gzip", "deflate"])
def test_no_body_is_an_empty_one(coding: str | None) -> None:
    """Some answers have no body, in spite of their header."""
    assert read(b"", coding) == b""


@ANY_PACKER
def test_a_bomb_comes_in_small_pieces(name: str) -> None:
    """A reader can stop long before a gigabyte is unpacked."""
    coding, write = WRITERS[name]
    bomb = write(b" " * 50_000_000)

    first = next(decode_body([bomb], coding))

    assert len(first) <= 65_536
