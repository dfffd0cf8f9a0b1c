"""
The front of a web process, called as its web server calls it.
"""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.limits import MOST_BODY_PIECES
from fhir_gateway.http_front import HttpFront, HttpResponse
from fhir_gateway.web.resource import Handling

_MOST_BYTES: Final = 100
_READY: Final = HttpResponse(status=200, headers=[("X-Ready", "yes")], body=b"ready")
_BUSY: Final = HttpResponse(status=503, headers=[], body=b"busy")


@dataclass
class Application:
    """A WSGI application that keeps what it was called with."""

    environs: list[WSGIEnvironment] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def __call__(
        self, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        """Answer 200, or fail, or wait."""
        self.environs.append(environ)
        self.bodies.append(environ["wsgi.input"].read())
        if environ["PATH_INFO"] == "/waits":
            self.began.set()
            self.gate.wait(20)
        if environ["PATH_INFO"] == "/fails":
            raise KeyError("191212121212")
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]


@dataclass(frozen=True)
class Received:
    """The response that a client received."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def closes(self) -> bool:
        """Return whether the connection ends with this answer."""
        return (b"connection", b"close") in self.headers


@dataclass
class Fronted:
    """A front, and what a test asks of it."""

    front: HttpFront
    app: Application
    failures: list[Exception]

    def scope(
        self,
        path: str = "/x",
        *,
        method: str = "GET",
        headers: Iterable[tuple[bytes, bytes]] = (),
        version: str = "1.1",
    ) -> dict[str, Any]:
        """Return the head of a request as ASGI has it."""
        target, _, query = path.partition("?")
        return {
            "type": "http",
            "http_version": version,
            "method": method,
            "path": target,
            "raw_path": target.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": list(headers),
            "server": ("127.0.0.1", "8080"),
            "client": ("127.0.0.1", "1"),
            "scheme": "http",
        }

    async def ask(
        self, scope: dict[str, Any], *pieces: bytes, breaks_off: bool = False
    ) -> Received:
        """Ask, with a body in pieces; without any the body never comes."""
        waiting = list(pieces)
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if not waiting and breaks_off:
                return {"type": "http.disconnect"}
            if not waiting:
                await asyncio.Event().wait()
            piece = waiting.pop(0)
            return {
                "type": "http.request",
                "body": piece,
                "more_body": breaks_off or bool(waiting),
            }

        async def send(message: Any) -> None:
            sent.append(message)

        await self.front(scope, receive, send)
        start, body = sent
        return Received(start["status"], start["headers"], body["body"])

    def request(
        self, scope: dict[str, Any], *pieces: bytes, breaks_off: bool = False
    ) -> Received:
        """Ask, and wait for the answer."""
        return asyncio.run(self.ask(scope, *pieces, breaks_off=breaks_off))


@contextmanager
def fronted(*, most_bytes: int = _MOST_BYTES, **options: Any) -> Iterator[Fronted]:
    """Give a front with one thread of each kind."""
    app = Application()
    failures: list[Exception] = []

    def failed(error: Exception) -> HttpResponse:
        failures.append(error)
        return HttpResponse(status=500, headers=[], body=b"failed")

    front = HttpFront(
        app,
        close=lambda: None,
        threads=2,
        handling=lambda _, path: Handling(
            may_wait=path == "/waits", most_bytes=most_bytes
        ),
        ready={"/health": _READY},
        ready_while_draining={},
        is_draining=lambda: False,
        busy=lambda: _BUSY,
        failed=failed,
        common=lambda environ: [("X-Common", environ["PATH_INFO"])],
        **options,
    )
    yield Fronted(front, app, failures)
    app.gate.set()


@pytest.fixture(name="one")
def _one() -> Iterator[Fronted]:
    with fronted() as made:
        yield made


# Heads.


def test_a_head_is_passed_on_as_it_came(one: Fronted) -> None:
    """Path and query byte by byte, and a header that comes twice with both values."""
    scope = one.scope(
        "/a?b=%41", headers=[(b"x-a", b"1"), (b"host", b"h"), (b"x-a", b"\xe5")]
    )
    scope["raw_path"] = b"/%61"

    one.request(scope)

    (environ,) = one.app.environs
    assert {
        name: environ.get(name)
        for name in ("PATH_INFO", "QUERY_STRING", "REQUEST_URI", "HTTP_X_A")
    } == {
        "PATH_INFO": "/a",
        "QUERY_STRING": "b=%41",
        "REQUEST_URI": "/%61?b=%41",
        "HTTP_X_A": "1,å",
    }


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"if_match", "HTTP_IF_MATCH"),
        (b"idempotency_key", "HTTP_IDEMPOTENCY_KEY"),
        (b"if-none_exist", "HTTP_IF_NONE_EXIST"),
        (b"x_" + b"a" * 100, "HTTP_X_" + "A" * 100),
        (b"content_type", "CONTENT_TYPE"),
        (b"content_length", "CONTENT_LENGTH"),
        (b"transfer_encoding", "HTTP_TRANSFER_ENCODING"),
    ],
)
def test_a_field_with_an_underscore_passes_for_no_other(
    one: Fronted, field: bytes, name: str
) -> None:
    """It is overlooked: a proxy may have removed or set the one with a hyphen."""
    one.request(one.scope(headers=[(field, b"1")]))

    assert name not in one.app.environs[0]


@pytest.mark.parametrize("count", [1, 5])
def test_fields_are_counted_as_they_came(one: Fronted, count: int) -> None:
    """Also those that are overlooked or come twice."""
    one.request(one.scope(headers=[(b"a_b", b"123"), (b"c", b"1")] * count))

    assert one.app.environs[0]["fhir_gateway.fields"] == (2 * count, 8 * count)


def test_a_field_that_came_twice_is_named(one: Fronted) -> None:
    """The application refuses two values of a field that has one."""
    one.request(one.scope(headers=[(b"idempotency-key", b"a")] * 2))

    assert one.app.environs[0]["fhir_gateway.repeated"] == ["HTTP_IDEMPOTENCY_KEY"]


def test_a_field_with_an_underscore_is_named(one: Fronted) -> None:
    """The application refuses some of those that it does not read."""
    one.request(one.scope(headers=[(b"client_cert", b"1"), (b"a-b", b"2")]))

    assert one.app.environs[0]["fhir_gateway.underscored"] == ["HTTP_CLIENT_CERT"]


@pytest.mark.parametrize("path", ["/health", "/fails"])
def test_the_fronts_own_answers_have_the_common_fields(one: Fronted, path: str) -> None:
    """The application adds them to its answers by itself."""
    received = one.request(one.scope(path))

    assert (b"X-Common", path.encode()) in received.headers


# Bodies.


def test_a_body_in_pieces_is_one(one: Fronted) -> None:
    """The application meets whole bodies only."""
    received = one.request(
        one.scope(method="POST", headers=[(b"content-length", b"6")]),
        b"ab",
        b"cd",
        b"ef",
    )

    assert (one.app.bodies, received.closes) == ([b"abcdef"], False)


def test_a_body_in_too_many_pieces_ends_its_connection() -> None:
    """Each piece costs much more than its bytes: nothing more of it is read."""
    with fronted(most_bytes=2_000) as made:
        accepted, refused = (
            made.request(
                made.scope(method="POST", headers=[(b"transfer-encoding", b"chunked")]),
                *[b"x"] * pieces,
            )
            for pieces in (MOST_BODY_PIECES, MOST_BODY_PIECES + 1)
        )

    assert (accepted.closes, made.app.bodies) == (False, [b"x" * MOST_BODY_PIECES])
    assert refused.closes
    assert [type(each).__name__ for each in made.failures] == ["RequestEntityTooLarge"]


@pytest.mark.parametrize(
    "length", [b"101", b"9" * 20, b"9" * 5_000, b"0" * 5_000 + b"101"]
)
def test_a_body_whose_length_is_too_large_is_not_waited_for(
    one: Fronted, length: bytes
) -> None:
    """The application refuses it by its length, and the connection ends."""
    received = one.request(
        one.scope(method="POST", headers=[(b"content-length", length)])
    )

    assert (one.app.bodies, received.closes) == ([b""], True)
    assert int(one.app.environs[0]["CONTENT_LENGTH"]) > _MOST_BYTES
    assert len(one.app.environs[0]["CONTENT_LENGTH"]) < 20


def test_a_length_with_thousands_of_zeros_is_that_length(one: Fronted) -> None:
    """It stops nothing."""
    received = one.request(
        one.scope(method="POST", headers=[(b"content-length", b"0" * 5_000 + b"2")]),
        b"ab",
    )

    assert (received.status, one.app.bodies) == (200, [b"ab"])


def test_a_body_that_grows_too_large_ends_its_connection(one: Fronted) -> None:
    """Of a body without a length one byte more than the most is passed on."""
    received = one.request(
        one.scope(method="POST", headers=[(b"transfer-encoding", b"chunked")]),
        b"x" * 70,
        b"x" * 70,
    )

    assert (one.app.bodies, received.closes) == ([b"x" * 101], True)


def test_a_body_that_does_not_come_ends_its_connection() -> None:
    """The application gets an input that refuses, and the rest may come too late."""
    with fronted(body_within=timedelta(milliseconds=10)) as made:
        received = made.request(
            made.scope(method="POST", headers=[(b"content-length", b"2")])
        )

    assert received.closes
    assert [type(each).__name__ for each in made.failures] == ["RequestTimeout"]


@pytest.mark.parametrize(
    "head", [(b"content-length", b"4"), (b"transfer-encoding", b"chunked")]
)
@pytest.mark.parametrize("pieces", [[], [b"ab"], [b"ab", b"cd"]])
def test_a_body_that_breaks_off_is_not_passed_on(
    one: Fronted, head: tuple[bytes, bytes], pieces: list[bytes]
) -> None:
    """The application gets an input that refuses, and the connection ends."""
    received = one.request(
        one.scope(method="POST", headers=[head]), *pieces, breaks_off=True
    )

    assert (one.app.bodies, received.closes) == ([], True)
    assert [type(each).__name__ for each in one.failures] == ["Problem"]


@pytest.mark.parametrize("body", [b"", b"ab", b"abcdef"])
def test_a_body_of_another_length_is_not_passed_on(one: Fronted, body: bytes) -> None:
    """Where it ends nobody can be sure."""
    received = one.request(
        one.scope(method="POST", headers=[(b"content-length", b"4")]), body
    )

    assert (one.app.bodies, received.closes) == ([], True)
    assert [type(each).__name__ for each in one.failures] == ["Problem"]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"transfer-encoding", b"identity, chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"xchunked")],
        [(b"transfer-encoding", b"chunked"), (b"content-length", b"2")],
    ],
)
def test_a_body_with_two_possible_ends_ends_its_connection(
    one: Fronted, headers: list[tuple[bytes, bytes]]
) -> None:
    """A proxy may see another end, so nothing after it is a request (RFC 9112, 6.1)."""
    received = one.request(one.scope(method="POST", headers=headers), b"ab")

    assert received.closes


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_of_http_1_0_a_body_without_a_length_ends_its_connection(
    one: Fronted, method: str
) -> None:
    """Nobody can say whether there is one, so that nothing behind it is read."""
    received = one.request(one.scope(method=method, version="1"), b"")

    assert (one.app.environs[0]["SERVER_PROTOCOL"], received.closes) == ("HTTP/1", True)


@pytest.mark.parametrize(
    ("method", "version", "headers"),
    [
        ("GET", "1.0", []),
        ("POST", "1.0", [(b"content-length", b"0")]),
        ("POST", "1.1", []),
    ],
)
def test_what_has_no_body_for_certain_keeps_its_connection(
    one: Fronted, method: str, version: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """A GET has none, a length of 0 says so, and HTTP/1.1 says so by saying nothing."""
    received = one.request(
        one.scope(method=method, version=version, headers=headers), b""
    )

    assert (received.status, received.closes) == (200, False)


_LENGTHS: Final = (
    st.integers(0, 2 * _MOST_BYTES).map(lambda number: b"%d" % number)
    | st.sampled_from([b"-1", b"+1", b" 1", b"1,1", b"1_0"])
    | st.binary(max_size=30)
)


@settings(max_examples=examples(30))
@given(_LENGTHS)
@example(b"2")
@example(b"-1")
def test_any_length_is_survived(length: bytes) -> None:
    """A body shorter than its Content-Length is refused; no length fails otherwise."""
    with fronted(body_within=timedelta(milliseconds=10)) as made:
        received = made.request(
            made.scope(method="POST", headers=[(b"content-length", length)]), b"x"
        )

    is_too_short = length.isdigit() and 1 < int(length) <= _MOST_BYTES
    failures = [type(each).__name__ for each in made.failures]
    assert (received.status, failures) == (
        (500, ["Problem"]) if is_too_short else (200, [])
    )


# Threads.


def test_what_stands_ready_needs_no_thread(one: Fronted) -> None:
    """While a thread waits, it is answered by none of the others."""

    async def ask() -> Received:
        taken = asyncio.create_task(one.ask(one.scope("/waits")))
        await asyncio.to_thread(one.app.began.wait)
        received = await one.ask(one.scope("/health"))
        one.app.gate.set()
        await taken
        return received

    received = asyncio.run(ask())

    assert (received.status, received.body, len(one.app.environs)) == (200, b"ready", 1)


def test_what_may_wait_holds_up_nothing_else() -> None:
    """While all that may wait hangs, the rest is answered; who waits too long, 503."""
    with fronted(patience=timedelta(milliseconds=50)) as made:

        async def ask() -> tuple[Received, Received]:
            hanging = asyncio.create_task(made.ask(made.scope("/waits")))
            await asyncio.to_thread(made.app.began.wait)
            refused = await made.ask(made.scope("/waits"))
            answered = await made.ask(made.scope("/reads"))
            made.app.gate.set()
            await hanging
            return refused, answered

        refused, answered = asyncio.run(ask())

    assert (refused.status, refused.body) == (503, b"busy")
    assert (answered.status, answered.body) == (200, b"done")


def test_a_failure_is_answered_and_logged(one: Fronted) -> None:
    """Nothing that an application raises leaves the front."""
    received = one.request(one.scope("/fails"))

    assert (received.status, received.body) == (500, b"failed")
    assert [type(each) for each in one.failures] == [KeyError]


def test_it_ends_with_its_process() -> None:
    """The end of the process lets go of the application once."""
    closed = []
    front = HttpFront(
        Application(),
        close=lambda: closed.append(True),
        threads=2,
        handling=lambda *_: Handling(),
        ready={},
        ready_while_draining={},
        is_draining=lambda: False,
        busy=lambda: _BUSY,
        failed=lambda _: _BUSY,
        common=lambda _: [],
    )
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(front({"type": "lifespan"}, receive, send))

    assert closed == [True]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
