"""
HTTP that is hardly HTTP, to a gateway as `fhir-gateway serve` runs it.
"""

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from flow.served import Served, serving
from hypothesis import given
from hypothesis import strategies as st
from web.guarded import issuers_file, served_keys, token_for

from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_log_service

from .canary import NUMBER, SENT_NUMBER, Watch, process_titles
from .stopwatch import Stopwatch
from .texts import HOSTILE
from .tries import tried
from .world import judge

pytestmark = pytest.mark.flow

_LONGEST_S: Final = 5.0
_QUIET_S: Final = 0.15
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
# RFC 9110: what this server does not implement is no failure of its own.
_DESIGNED: Final = frozenset({501, 505})
_LIMITS: Final = ("SEARCHES", "REGION_CALLS", "FAILED_LOOKS", "REQUEST_KEYS")


@dataclass(frozen=True)
class Exchange:
    """The answers to some bytes, and whether the server then ended the connection."""

    statuses: tuple[int, ...]
    body: bytes
    has_ended: bool
    took_s: float


@pytest.fixture(name="served", scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("http")
    watch = Watch(tokens={_TOKEN})
    with (
        SandboxServer(port=0, slots=100) as sandbox,
        served_keys() as jwks_uri,
        serving(
            {
                "FHIR_GATEWAY_ISSUERS": str(issuers_file(folder, jwks_uri)),
                "FHIR_GATEWAY_LOG_SERVICE": str(write_log_service(folder, sandbox.url)),
                "FHIR_GATEWAY_ALLOWED_HOSTS": "gateway.test",
                "FHIR_GATEWAY_PUBLIC_SEARCH": "yes",
                "FHIR_GATEWAY_OPEN_DEMO": "no",
                **{f"FHIR_GATEWAY_LIMIT_{name}": "1000000" for name in _LIMITS},
            }
        ) as served,
    ):
        yield served
        watch.look("process titles", process_titles())
        watch.look_at_files(served.log.parent)

    assert watch.leaks == []


_TOKEN: Final = token_for("resident", NUMBER)


def send(served: Served, sent: bytes) -> Exchange:
    """Send bytes, and return what comes until the server is quiet, or ends."""
    began_s = time.monotonic()
    stopwatch = Stopwatch()
    received, has_ended, is_shut = b"", False, False
    with served.connect() as connection:
        connection.settimeout(_QUIET_S)
        try:
            connection.sendall(sent)
            while time.monotonic() - began_s < _LONGEST_S:
                try:
                    piece = connection.recv(65_536)
                except TimeoutError:
                    if received or is_shut:
                        if received:
                            break
                        continue
                    # It waits for the rest of a request, which does not come.
                    connection.shutdown(socket.SHUT_WR)
                    is_shut = True
                    continue
                if not piece:
                    has_ended = True
                    break
                received += piece
        except (ConnectionError, BrokenPipeError):
            has_ended = True
    return Exchange(
        statuses=tuple(int(each) for each in _STATUS.findall(received)),
        body=received,
        has_ended=has_ended,
        took_s=stopwatch.seconds,
    )


def check(got: Exchange) -> None:
    """No answer is a failure, comes late, or repeats what was sent."""
    for status in got.statuses or (400,):
        if status not in _DESIGNED:
            judge(status, {"Retry-After": "1"}, got.body, got.took_s)
    assert got.statuses or got.has_ended, got
    assert _TOKEN.encode() not in got.body


_METHODS = st.sampled_from(
    [
        *(
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
            "OPTIONS",
            "TRACE",
            "CONNECT",
        ),
        *("get", "GeT", "PROPFIND", "PRI", "A" * 300, "", "G\0T", "GET\t", "\u00e5"),
    ]
)
_TARGETS = st.sampled_from(
    [
        *(
            "/fhir/Slot?_count=1",
            "/fhir/metadata",
            "/health",
            "/",
            "*",
            "",
            "fhir/Slot",
        ),
        *(
            "http://evil.example/fhir/Slot",
            "/fhir//Slot",
            "/fhir/../health",
            "/a b",
            "//",
        ),
        *("/fhir/Slot?" + "a" * 9_000, "/" + "a" * 70_000, "/fhir/Slot#x", "/fhir/%00"),
        *(
            "/fhir/Appointment",
            "/fhir/Appointment/_search",
            "/fhir/Slot/_search",
            "/%zz",
        ),
        *(f"/fhir/Slot?start={SENT_NUMBER}", f"/fhir/Appointment/{SENT_NUMBER}"),
        f"/fhir/Slot?access_token={_TOKEN}",
    ]
)
_VERSIONS = st.sampled_from(
    ["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "http/1.1", ""]
)
_FIELDS = st.one_of(
    st.sampled_from(
        [
            *(
                "Accept: */*",
                "Accept: text/html",
                "Accept: a/b;q=x",
                "Accept: " + "a," * 500,
            ),
            *("Range: bytes=0-1", "Range: bytes=9-1,2-", "If-None-Exist: identifier=x"),
            *(
                "If-None-Exist: status=booked&_id=%ff",
                "If-None-Match: *",
                "If-Match: W/",
            ),
            *("If-Modified-Since: never", "Expect: 100-continue", "Expect: 200-ok"),
            *("Content-Type: application/fhir+json", "Content-Type: text/plain"),
            *("Content-Type: multipart/form-data; boundary=x", "Content-Type: a"),
            *("Content-Type: application/x-www-form-urlencoded", "Upgrade: h2c"),
            *(
                "Upgrade: websocket",
                "Connection: Upgrade, HTTP2-Settings",
                "TE: trailers",
            ),
            *(
                "Content-Encoding: gzip",
                "Content-Encoding: br, gzip",
                "Prefer: return=x",
            ),
            *("Cookie: a=b", "X-Request-Id: " + "x" * 5_000, "X-Request-Id: \x7f"),
            *("A: " + "b" * 70_000, "Bad Name: x", "Bad\tName: x", ": x", "NoColon"),
            *(" folded: x", "A: x\r\n folded", "A:\0", "Connection: close", "A:" * 99),
            *(f"Authorization: Bearer {_TOKEN}", "Authorization: Basic YTpi"),
            *("Host: evil.example", "Host: gateway.test:99999", "Host: a b", "Host: "),
            *("Origin: https://evil.example", "Origin: null", "Access-Control-X: 1"),
        ]
    ),
    st.builds("X-Any: {}".format, HOSTILE),
)
_LENGTHS = st.sampled_from(
    [
        *("Content-Length: 2", "Content-Length: 2\r\nContent-Length: 2"),
        *("Content-Length: 104857600", "Content-Length: -1", "Content-Length: 0x2"),
        *("Content-Length: 2, 2", "Content-Length: +2", "Content-Length: 2 "),
        *("Content-Length: " + "9" * 40, "Content-Length:", "Content-Length: 0"),
        *("Transfer-Encoding: chunked", "Transfer-Encoding: identity", ""),
    ]
)
_BODIES = st.sampled_from(
    [
        *(
            b"",
            b"{}",
            b"[]",
            b"{",
            b"\0\0",
            b"a" * 40_000,
            b"0\r\n\r\n",
            b"2\r\n{}\r\n0\r\n\r\n",
        ),
        *(
            b"zz\r\n{}\r\n0\r\n\r\n",
            b"-1\r\n",
            b"fffffffffffffffff\r\n{}",
            b"2;x=y\r\n{}\r\n",
        ),
        *(
            b"2\n{}\n0\n\n",
            b"2\r\n{}X\r\n0\r\n\r\n",
            b"1\r\n{\r\n" * 1_100 + b"0\r\n\r\n",
        ),
        b"0\r\nX-Trailer: y\r\n\r\n",
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return a request that is hardly one."""
    lines = [f"{draw(_METHODS)} {draw(_TARGETS)} {draw(_VERSIONS)}"]
    lines += draw(st.lists(st.just("Host: gateway.test") | _FIELDS, max_size=4))
    if draw(st.booleans()):
        lines.append("Host: gateway.test")
    lines.append(draw(_LENGTHS))
    lines = [line for line in lines if line]
    if draw(st.integers(0, 20)) == 0:
        lines += [f"X-Many-{n}: y" for n in range(draw(st.sampled_from([99, 2_000])))]
    end = draw(st.sampled_from(["\r\n"] * 8 + ["\n", "\r"]))
    head = end.join([*lines, "", ""]).encode("latin-1", "replace")
    if draw(st.integers(0, 30)) == 0:
        return head[: draw(st.integers(1, len(head)))]
    return head + draw(_BODIES)


@given(sent=requests() | st.binary(min_size=1, max_size=100))
@tried("HTTP", 0.95)
def test_bytes_that_are_hardly_http_are_refused(served: Served, sent: bytes) -> None:
    """The server answers, or ends the connection, and lives."""
    check(send(served, sent))


_SMUGGLED: Final = (
    b"GET /fhir/Appointment/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
)
_AMBIGUOUS = st.sampled_from(
    [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 6",
        b"Content-Length: 0\r\nContent-Length: 70",
        b"Content-Length: 70\r\nContent-Length: 0",
        b"Content-Length: 0, 70",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: identity, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer_Encoding: chunked\r\nContent-Length : 6",
        b"Content_Length: 70\r\nContent-Length: -0",
        b"Content-Length: 0x46",
    ]
)


@given(
    fields=_AMBIGUOUS,
    first=st.sampled_from([b"", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"0\n\n"]),
    path=st.sampled_from([b"/fhir/Slot/_search", b"/fhir/Appointment", b"/health"]),
)
@tried("HTTP", 0.1)
def test_no_request_hides_in_another(
    served: Served, fields: bytes, first: bytes, path: bytes
) -> None:
    """A request of which two servers could see another end is refused, and ends."""
    got = send(
        served,
        b"POST " + path + b" HTTP/1.1\r\nHost: gateway.test\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n"
        + fields
        + b"\r\n\r\n"
        + first
        + _SMUGGLED,
    )

    check(got)
    assert len(got.statuses) <= 1 or got.statuses[0] < 400, got
    assert 401 not in got.statuses[1:], got


def test_the_server_lives(served: Served) -> None:
    """After all of this a search is answered."""
    assert served.get("/fhir/Slot?_count=1").status_code == 200
