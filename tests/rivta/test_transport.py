"""
The transport: no answer is ever another question's, for any bytes at any time.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import pytest
import requests
import urllib3
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kept_connections import KeptConnections

from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import Unavailable, WriteUnconfirmed
from fhir_gateway.model.ids import LogicalAddress, SourceName
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.rivta.client import SoapClient
from fhir_gateway.rivta.envelope import read_call, read_request, read_response
from fhir_gateway.rivta.failure import was_never_sent
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.transport import Credentials, Reply, Transport

TIMEOUT_S: Final = 5.0
MOST_BYTES: Final = 1_000_000
FAILURES: Final = (OSError, ValueError, urllib3.exceptions.HTTPError)


class Server:
    """
    A server on loopback; each connection has a thread and goes on for ever.

    Args:
        answer: Is handed the connection and the body of each request that came on it.

    Attributes:
        heads: The heads of the requests that have come whole.
    """

    def __init__(self, answer: Callable[[socket.socket, bytes], None]) -> None:
        self.heads: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in (self._acceptor, *self._threads):
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        pending = b""
        with connection, suppress(OSError):
            while True:
                while b"\r\n\r\n" not in pending:
                    if not (part := connection.recv(65_536)):
                        return
                    pending += part
                head, _, pending = pending.partition(b"\r\n\r\n")
                found = re.search(rb"(?i)content-length: ([0-9]+)", head)
                assert found is not None
                length = int(found[1])
                while len(pending) < length:
                    if not (part := connection.recv(65_536)):
                        return
                    pending += part
                self.heads.append(head)
                body, pending = pending[:length], pending[length:]
                self._answer(connection, body)


# Every contract.


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recorded question with its answer."""

    interaction: Interaction
    question: bytes
    answer: bytes


def _recorded(interaction: Interaction) -> Recorded:
    folder = Path(__file__).parents[1] / "data" / "rivta"
    kind = "done" if interaction in scheduling.WRITES else "whole"
    return Recorded(
        interaction=interaction,
        question=(folder / f"{interaction.name}.whole.request.xml").read_bytes(),
        answer=(folder / f"{interaction.name}.{kind}.response.xml").read_bytes(),
    )


RECORDED: Final = tuple(_recorded(each) for each in CONTRACTS)


def _sound(body: bytes, status: str = "200 OK") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _answer_of(document: bytes) -> bytes:
    tag = read_call(document).action
    return next(
        each.answer
        for each in RECORDED
        if CONTRACTS[each.interaction].request_tag == tag
    )


def _asked(
    client: SoapClient, recorded: Recorded, timeout: float = TIMEOUT_S
) -> object:
    contract = CONTRACTS[recorded.interaction]
    return client.call(
        contract,
        read_request(contract, read_call(recorded.question)),
        logical_address=LogicalAddress("SE2321000016-A01"),
        actor=Actor.agent("SE2321000016-X99"),
        timeout=timeout,
    )


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 199 Unheard of\r\nContent-Length: 7\r\n\r\n",
    ],
    ids=["100", "102", "103", "103 twice", "199"],
)
def test_each_contract_gets_its_own_late_answer(interim: bytes) -> None:
    """After an interim answer the final one is waited for, whichever is asked."""

    def behave(connection: socket.socket, question: bytes) -> None:
        connection.sendall(interim)
        time.sleep(0.02)
        connection.sendall(_sound(_answer_of(question)))

    with Server(behave) as server:
        client = SoapClient(source=SourceName("norr"), endpoint=server.url)
        answers = [_asked(client, each) for each in RECORDED]

    assert answers == [
        read_response(CONTRACTS[each.interaction], each.answer) for each in RECORDED
    ]


def test_an_answer_that_comes_too_late_is_nobodys() -> None:
    """Each contract's answer comes once its question was given up; none is read."""
    first = threading.Event()

    def behave(connection: socket.socket, question: bytes) -> None:
        if not first.is_set():
            first.set()
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            time.sleep(0.2)
        connection.sendall(_sound(_answer_of(question)))

    for late in RECORDED:
        first.clear()
        with Server(behave) as server:
            client = SoapClient(source=SourceName("norr"), endpoint=server.url)
            with pytest.raises((Unavailable, WriteUnconfirmed)):
                _asked(client, late, timeout=0.1)
            answers = [_asked(client, each) for each in RECORDED]

        assert answers == [
            read_response(CONTRACTS[each.interaction], each.answer) for each in RECORDED
        ]


# Any manner of a server.


@dataclass(frozen=True)
class Pause:
    """The server waits so long."""

    seconds: float


@dataclass(frozen=True)
class Part:
    """The server sends bytes; `own` stands for the answer to what came last."""

    data: bytes


CUT: Final = "cut"
OWN: Final = b"<own/>"
Script = Sequence["Part | Pause | str"]


def _body(number: int) -> bytes:
    # Long enough for a length to be wrong by something.
    return b"<q%d/>" % number * 20


def _framed(own: bytes) -> st.SearchStrategy[bytes]:
    """Return the ways of framing an answer, sound and not."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
    size = 20 * len(b"<q0/>")
    lengths = st.sampled_from([size, size - 7, size + 7, 0, 5, 10_000])
    chunked = b"Transfer-Encoding: chunked\r\n"
    chunk = b"%x\r\n" % size + own + b"\r\n"
    return st.one_of(
        st.just(head + b"Content-Length: %d\r\n\r\n" % size + own),
        lengths.map(lambda n: head + b"Content-Length: %d\r\n\r\n" % n + own),
        lengths.map(
            lambda n: head + b"Content-Length: %d\r\n" % n + chunked + b"\r\n" + chunk
        ),
        lengths.map(
            lambda n: (
                head
                + b"Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (size, n)
                + own
            )
        ),
        st.sampled_from(
            [
                head + b"\r\n" + own,
                head + chunked + b"\r\n" + chunk + b"0\r\n\r\n",
                head + chunked + b"\r\n" + chunk + b"0\r\nX: y\r\n\r\n" + own,
                head + chunked + b"\r\n" + chunk + b"zz\r\n",
                head + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n" + own,
                b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                b"Content-Length: %d\r\n\r\n" % size + own,
                b"HTTP/1.1 204 No Content\r\n\r\n" + own,
                b"HTTP/1.1 304 Not Modified\r\n\r\n" + own,
                b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n" % size + own,
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + own,
                own,
            ]
        ),
    )


PARTS: Final = st.one_of(
    st.sampled_from(
        [
            Part(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Part(b"HTTP/1.1 102 Processing\r\n\r\n"),
            Part(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
            Part(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n"),
            Part(b"HTTP/1.1 200 OK\r\n"),
            Part(b"\r\n"),
            Part(b"\x00\xff"),
            Part(OWN),
        ]
    ),
    _framed(OWN).map(Part),
    _framed(OWN).map(Part),
    st.sampled_from([Pause(0.002), Pause(0.02), Pause(0.08)]),
    st.just(CUT),
)
SCRIPTS: Final = st.lists(
    st.lists(PARTS, min_size=1, max_size=5), min_size=1, max_size=3
)


def _exchanges(
    transport: Transport, scripts: Sequence[Script], timeout: float
) -> Iterator[tuple[int, Reply]]:
    """
    Ask numbered questions, one after the other, of a server that follows scripts.

    The n-th question is answered by the n-th script, on any connection.

    Yields:
        The number of each question that was answered, with the answer.
    """

    def behave(connection: socket.socket, question: bytes) -> None:
        number = int(question)
        for step in scripts[number % len(scripts)]:
            if isinstance(step, Part):
                connection.sendall(step.data.replace(OWN, _body(number)))
            elif isinstance(step, Pause):
                time.sleep(step.seconds)
            else:
                connection.shutdown(socket.SHUT_RDWR)

    with Server(behave) as server:
        for number in range(4):
            with suppress(*FAILURES):
                yield (
                    number,
                    transport.post(
                        server.url,
                        b"%d" % number,
                        {},
                        timeout=timeout,
                        most_bytes=MOST_BYTES,
                    ),
                )


def _mixed_up(
    transport: Transport, scripts: Sequence[Script], *, timeout: float = 0.04
) -> list[int]:
    """Return the questions with an answer that has bytes of another answer."""
    return [
        number
        for number, reply in _exchanges(transport, scripts, timeout)
        if set(re.findall(rb"<q([0-9])/>", reply.body)) - {b"%d" % number}
    ]


HINTS: Final = Part(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n")
ANSWER: Final = Part(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + OWN)


@given(scripts=SCRIPTS)
@example(scripts=[[HINTS, Pause(0.02), ANSWER]])
@example(scripts=[[ANSWER, Pause(0.002), ANSWER]])
@example(scripts=[[ANSWER, ANSWER], [Pause(0.08)]])
@settings(max_examples=examples(100), deadline=None)
def test_no_answer_has_bytes_of_another_questions(scripts: list[Script]) -> None:
    """An answer is its question's own, however a server sends, cuts and delays."""
    assert _mixed_up(Transport(), scripts) == []


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([HINTS, Pause(0.1), ANSWER], id="hints, and the answer later"),
        pytest.param([ANSWER, Pause(0.1), ANSWER], id="an answer twice"),
    ],
)
def test_kept_connections_mix_answers_up(script: Script) -> None:
    """The same servers give a program that keeps connections others' answers."""
    mixed_up = _mixed_up(KeptConnections(), [script, [ANSWER]], timeout=TIMEOUT_S)

    assert mixed_up != []


def test_no_answer_to_half_a_request_is_read() -> None:
    """An answer from before the request had been sent whole answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.recv(1)
                connection.sendall(_sound(b"<early/>"))

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(FAILURES) as raised:
            Transport().post(
                f"http://127.0.0.1:{listener.getsockname()[1]}/",
                b" " * 50_000_000,
                {},
                timeout=TIMEOUT_S,
                most_bytes=MOST_BYTES,
            )
        thread.join()

    assert not was_never_sent(raised.value)


def test_a_certificate_that_was_replaced_is_used(tmp_path: Path) -> None:
    """The files of TLS are read again when they have changed, without a restart."""
    trust = tmp_path / "trust.pem"
    transport = Transport(Credentials(trust=str(trust)))

    def failure() -> Exception:
        with pytest.raises(requests.exceptions.ConnectionError) as raised:
            transport.post(
                "https://127.0.0.1:9/", b"", {}, timeout=1, most_bytes=MOST_BYTES
            )
        return raised.value

    kinds = [type(failure()).__name__]
    trust.write_bytes(Path(requests.certs.where()).read_bytes())
    kinds.append(type(failure()).__name__)
    trust.write_text("no certificate")
    kinds.append(type(failure()).__name__)

    assert kinds == ["CertificateUnusable", "ConnectionError", "CertificateUnusable"]
