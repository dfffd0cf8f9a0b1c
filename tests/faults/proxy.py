"""
A proxy before a region that understands SOAP, and spoils calls by a plan.

It stands where the service platform does: it can deliver a message twice, answer VP009
for one that was carried out, and hand out the answer of another request. Everything is
real TCP on loopback.
"""

import gzip
import http.client
import re
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from faults.fault import Fault
from faults.scaled_time import ScaledTime
from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.envelope import CONTENT_TYPE, read_call, read_request
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.xml import UnreadableXml

__all__ = ["FaultProxy", "Received"]

_Choice = TypeVar("_Choice")

_BY_ACTION: Final = {
    contract.action: interaction for interaction, contract in CONTRACTS.items()
}
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_HEADERS_END: Final = b"\r\n\r\n"
_UPSTREAM_TIMEOUT_S: Final = 30.0

# Seconds of `ScaledTime`; the platform's own, and what its two tries can add up to.
_BETWEEN_DELIVERIES: Final = 2.0
_LATE: Final = 29.5
_TOO_LATE: Final = 45.0
_LATEST_DELIVERY: Final = 75.0
_SILENCE: Final = 600.0
_JUST_MADE: Final = 10.0
_AFTER_HINTS: Final = 12.0
_DRIP_S: Final = 0.02

_EARLY_HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preload\r\n\r\n"
_HUGE: Final = 100_000_000
_HUGE_PART: Final = b" " * 1_000_000
_BOMB: Final = gzip.compress(b" " * 64_000_000)
_NEVER_REACHED: Final = tuple(
    f"VP{number:03}"
    for number in range(1, 16)
    if number != 9  # VP009 is the one that says nothing
)
_WRONG_STATUSES: Final = (202, 206, 302, 404, 500, 503)
_COOKIE: Final = ("Set-Cookie", "session=1; Path=/")
_SOMEBODY_ELSE: Final = b"191212121212"  # Skatteverket's test person
_START: Final = re.compile(rb"(startTimeInclusive>[0-9]{6})([0-9]{2})")
_END: Final = re.compile(rb"(endTimeExclusive>[0-9]{6})([0-9]{2})")
_BOOKING_ID: Final = re.compile(
    rb"<([a-z0-9]+:)?bookingId>[^<]*</([a-z0-9]+:)?bookingId>"
)
_ERROR: Final = re.compile(rb"resultCode>ERROR<")
_OK: Final = re.compile(rb"(resultCode>)OK(<)")


@dataclass(kw_only=True)
class Received:
    """
    One call as it came from the gateway.

    Attributes:
        at: When it was whole, in seconds since 1970 of `ScaledTime`.
        is_whole: False when the gateway broke off while it sent.
        has_cookie: Whether it came with a cookie.
        actor: The resident whom the call is about: the number.
        start: What a write asks for, as on the wire.
        deliveries: When each delivery began and had been answered by the region.
    """

    region: str
    url: str
    at: float
    fault: Fault = Fault.NONE
    interaction: Interaction | None = None
    is_whole: bool = True
    has_cookie: bool = False
    actor: str | None = None
    unit: str | None = None
    start: str | None = None
    end: str | None = None
    booking_id: str | None = None
    deliveries: list[tuple[float, float]] = field(default_factory=list)

    @property
    def is_write(self) -> bool:
        """Return whether it changes a region's book."""
        return self.interaction in scheduling.WRITES


@dataclass(frozen=True, kw_only=True)
class _Reply:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", CONTENT_TYPE),)


class FaultProxy:
    """
    The proxy of one region.

    Args:
        region: What the region is called.
        upstream: Its host and port.
        clock: Says how long waits last.
        choose: Says what happens to a call of an interaction by an actor.
    """

    def __init__(
        self,
        region: str,
        upstream: tuple[str, int],
        clock: ScaledTime,
        choose: Callable[[Interaction, str | None], Fault],
    ) -> None:
        self.region = region
        self.received: list[Received] = []
        self._upstream = upstream
        self._clock = clock
        self._choose = choose
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._answers: dict[Interaction, deque[tuple[str | None, _Reply]]] = {}
        self._made_at: dict[str | None, float] = {}
        self._counted = 0
        self._listener: socket.socket | None = None
        self._full: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self._listen(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Return where it listens, or would."""
        return self._port

    def stop(self) -> None:
        """Let go of everything."""
        self._stopping.set()
        self._unlisten()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    # Faults of the port.

    def refuse_connections(self) -> None:
        """Listen no more: connecting fails at once."""
        self._unlisten()

    def ignore_connections(self) -> None:
        """Listen with a full queue: connecting is never answered."""
        self._unlisten()
        listener = self._bound()
        listener.listen(0)
        self._full = [listener]
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003 - the signature is socket's
            filler.connect_ex(("127.0.0.1", self._port))
            self._full.append(filler)

    def accept_connections(self) -> None:
        """Listen as before."""
        self._unlisten()
        self._listen(self._port)

    def _bound(self, port: int | None = None) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port if port is None else port))
        return listener

    def _listen(self, port: int) -> None:
        listener = self._bound(port)
        listener.listen(256)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._thread = threading.Thread(
            target=self._accept, args=(listener,), name=f"proxy {self.region}"
        )
        self._thread.daemon = True
        self._thread.start()

    def _unlisten(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            # Wakes the thread that accepts.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            if self._thread is not None:
                self._thread.join()
        for each in self._full:
            each.close()
        self._full = []

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    # Calls.

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(connection)
        try:
            with connection, suppress(OSError):
                pending = b""
                while not self._stopping.is_set():
                    pending, goes_on = self._exchange(connection, pending)
                    if not goes_on:
                        break
        finally:
            with self._lock:
                self._open.discard(connection)

    def _exchange(
        self, connection: socket.socket, pending: bytes
    ) -> tuple[bytes, bool]:
        while _HEADERS_END not in pending:
            part = connection.recv(65_536)
            if not part:
                return b"", False
            pending += part
        head, _, body = pending.partition(_HEADERS_END)
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (each.partition(":") for each in lines)
        }
        url = line.split(" ")[1]
        action = headers.get("soapaction", "").strip('"')
        interaction = _BY_ACTION.get(action)
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            try:
                part = connection.recv(65_536)
            except OSError:
                part = b""
            if not part:
                self._note(url, interaction, None)
                return b"", False
            body += part
        body, pending = body[:length], body[length:]
        received = self._note(url, interaction, body)
        received.has_cookie = "cookie" in headers
        call = _Call(
            connection=connection,
            url=url,
            headers={
                "Content-Type": headers.get("content-type", CONTENT_TYPE),
                "SOAPAction": headers.get("soapaction", ""),
            },
            body=body,
            received=received,
        )
        return pending, self._answer(call)

    def _note(
        self,
        url: str,
        interaction: Interaction | None,
        body: bytes | None,
    ) -> Received:
        received = Received(
            region=self.region,
            url=url,
            at=self._clock.seconds(),
            interaction=interaction,
            is_whole=body is not None,
        )
        if body is not None and interaction is not None:
            with suppress(UnreadableXml, ValueError):
                _describe(received, interaction, body)
            received.fault = self._choose(interaction, received.actor)
        with self._lock:
            self.received.append(received)
        return received

    def _answer(self, call: "_Call") -> bool:  # noqa: C901, PLR0911 - a table of faults
        """Do what the fault says; return whether the connection goes on."""
        received = call.received
        match received.fault:
            case Fault.RESET_BEFORE:
                return call.reset()
            case Fault.CLOSED_BEFORE:
                return False
            case Fault.SILENT_BEFORE:
                return self._be_silent(call)
            case Fault.VP009_BEFORE:
                return call.send(_platform_fault("VP009"))
            case Fault.NEVER_REACHED:
                return call.send(_platform_fault(self._next(_NEVER_REACHED)))
            case Fault.REFUSED:
                return call.send(_result(received, "ERROR"))
            case Fault.WRONG_OK:
                status = self._next(_WRONG_STATUSES)
                return call.send(_result(received, "OK", status=status))
            case Fault.ARRIVED_LATE:
                self._wait(call, _TOO_LATE)
                self._deliver(call)
                return False
            case Fault.CROSS_TALK:
                reply = self._deliver(call)
                return call.send(self._others_answer(received, reply))
            case Fault.TWICE | Fault.TWICE_VP009 | Fault.TWICE_NEVER_REACHED:
                return call.send(self._deliver_twice(call))
            case _:
                return self._spoil(call, self._deliver(call))

    def _spoil(self, call: "_Call", reply: _Reply) -> bool:  # noqa: C901, PLR0911, PLR0912 - a table of faults
        received = call.received
        match received.fault:
            case Fault.RESET_AFTER:
                return call.reset()
            case Fault.CLOSED_AFTER:
                return False
            case Fault.SILENT_AFTER:
                return self._be_silent(call)
            case Fault.VP009_AFTER:
                return call.send(_platform_fault("VP009"))
            case Fault.NEVER_REACHED_AFTER:
                return call.send(_platform_fault(self._next(_NEVER_REACHED)))
            case Fault.WRONG_STATUS:
                status = self._next(_WRONG_STATUSES)
                return call.send(_Reply(status=status, body=reply.body))
            case Fault.EARLY_HINTS:
                call.connection.sendall(_EARLY_HINTS)
                self._wait(call, _AFTER_HINTS)
                return call.send(reply)
            case Fault.ANSWERED_TWICE:
                call.send(reply)
                self._wait(call, _AFTER_HINTS)
                return call.send(reply)
            case Fault.TOO_MUCH:
                call.connection.sendall(_document(reply) + _document(reply)[:500])
                return True
            case Fault.COOKIE:
                headers = (*reply.headers, _COOKIE)
                return call.send(
                    _Reply(status=reply.status, body=reply.body, headers=headers)
                )
            case Fault.ANSWER_LATE:
                self._wait(call, _LATE)
                return call.send(reply)
            case Fault.ANSWER_TOO_LATE:
                self._wait(call, _TOO_LATE)
                return call.send(reply)
            case Fault.SLOW_DRIP:
                return self._drip(call, reply)
            case Fault.TRUNCATED:
                return call.send(reply, only=len(reply.body) // 2)
            case Fault.TRUNCATED_XML:
                return call.send(_changed(reply, reply.body[: len(reply.body) // 2]))
            case Fault.WRONG_PATIENT:
                actor = (received.actor or "").encode() or b"-"
                return call.send(
                    _changed(reply, reply.body.replace(actor, _SOMEBODY_ELSE))
                )
            case Fault.WRONG_TIME:
                return call.send(self._wrong_time(received, reply))
            case Fault.HTML:
                return call.send(
                    _Reply(
                        status=200,
                        body=b"<!DOCTYPE html><html><body>Paus</body></html>",
                        headers=(("Content-Type", "text/html"),),
                    )
                )
            case Fault.NO_CONTENT:
                return call.send(_Reply(status=204, body=b""))
            case Fault.WRONG_ENCODING:
                body = reply.body.replace(b">", b">\xe5\xe4", 3)
                return call.send(_changed(reply, body))
            case Fault.GZIP_BOMB:
                headers = (*reply.headers, ("Content-Encoding", "gzip"))
                return call.send(_Reply(status=200, body=_BOMB, headers=headers))
            case Fault.HUGE:
                return call.send_endless(_HUGE // len(_HUGE_PART))
            case Fault.INFO:
                return call.send(_changed(reply, _OK.sub(rb"\1INFO\2", reply.body)))
            case Fault.NO_ID:
                return call.send(_changed(reply, _BOOKING_ID.sub(b"", reply.body)))
            case Fault.EMPTY_ID:
                return call.send(
                    _changed(
                        reply,
                        _BOOKING_ID.sub(rb"<\1bookingId></\2bookingId>", reply.body),
                    )
                )
            case _:
                return call.send(reply)

    def _next(self, choices: Sequence[_Choice]) -> _Choice:
        """Return another choice each time."""
        with self._lock:
            self._counted += 1
            return choices[self._counted % len(choices)]

    def _deliver(self, call: "_Call") -> _Reply:
        """Let the region answer, unless the platform would long have given up."""
        received = call.received
        began = self._clock.seconds()
        if began - received.at > _LATEST_DELIVERY or self._stopping.is_set():
            return _platform_fault("VP009")
        upstream = http.client.HTTPConnection(
            *self._upstream, timeout=_UPSTREAM_TIMEOUT_S
        )
        try:
            upstream.request("POST", call.url, body=call.body, headers=call.headers)
            answer = upstream.getresponse()
            reply = _Reply(status=answer.status, body=answer.read())
        finally:
            upstream.close()
        received.deliveries.append((began, self._clock.seconds()))
        self._keep(received, reply)
        return reply

    def _deliver_twice(self, call: "_Call") -> _Reply:
        self._deliver(call)
        time.sleep(self._clock.real(_BETWEEN_DELIVERIES))
        reply = self._deliver(call)
        match call.received.fault:
            case Fault.TWICE_VP009:
                return _platform_fault("VP009")
            case Fault.TWICE_NEVER_REACHED:
                return _platform_fault(self._next(_NEVER_REACHED))
            case _:
                return reply

    def _keep(self, received: Received, reply: _Reply) -> None:
        interaction = received.interaction
        if interaction is None or reply.status != http.client.OK:
            return
        if (
            interaction == scheduling.MAKE_BOOKING
            and received.fault in (Fault.NONE, Fault.INFO)
            and not _ERROR.search(reply.body)
        ):
            with self._lock:
                self._made_at[received.actor] = self._clock.seconds()
        # An empty list names nobody: it could be anybody's answer.
        if (
            interaction == scheduling.GET_SUBJECT_OF_CARE_SCHEDULE
            and b"timeslotDetail>" not in reply.body
        ):
            return
        with self._lock:
            self._answers.setdefault(interaction, deque(maxlen=16)).append(
                (received.actor, reply)
            )

    def _others_answer(self, received: Received, own: _Reply) -> _Reply:
        interaction = received.interaction
        with self._lock:
            kept = list(self._answers.get(interaction, ())) if interaction else []
        return next(
            (reply for actor, reply in reversed(kept) if actor != received.actor),
            own if not received.is_write else _platform_fault("VP009"),
        )

    def _wrong_time(self, received: Received, reply: _Reply) -> _Reply:
        with self._lock:
            made_at = self._made_at.pop(received.actor, 0.0)
        if received.at - made_at > _JUST_MADE:
            # Later a region may well list another time: the unit has moved it.
            return reply
        body = reply.body
        for pattern in (_START, _END):
            body = pattern.sub(
                lambda found: found[1] + (b"27" if found[2] == b"28" else b"28"), body
            )
        return _changed(reply, body)

    def _be_silent(self, call: "_Call") -> bool:
        self._wait(call, _SILENCE)
        return False

    def _wait(self, call: "_Call", seconds: float) -> None:
        """Wait, not longer than the gateway does where nothing is to be done."""
        until = time.monotonic() + self._clock.real(seconds)
        gives_up = call.received.fault in (Fault.SILENT_AFTER, Fault.SILENT_BEFORE)
        while not self._stopping.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return
            if not gives_up:
                self._stopping.wait(left)
            elif select.select([call.connection], [], [], min(left, 0.2))[0]:
                return

    def _drip(self, call: "_Call", reply: _Reply) -> bool:
        document = _document(reply)
        for index in range(len(document)):
            if self._stopping.wait(_DRIP_S):
                return False
            call.connection.sendall(document[index : index + 1])
        return True


@dataclass(frozen=True, kw_only=True)
class _Call:
    connection: socket.socket
    url: str
    headers: dict[str, str]
    body: bytes
    received: Received

    def send(self, reply: _Reply, *, only: int | None = None) -> bool:
        if only is None:
            self.connection.sendall(_document(reply))
            return True
        document = _document(reply)
        self.connection.sendall(document[: len(document) - len(reply.body) + only])
        return False

    def send_endless(self, parts: int) -> bool:
        length = parts * len(_HUGE_PART)
        self.connection.sendall(
            f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {length}\r\n\r\n".encode()
        )
        for _ in range(parts):
            self.connection.sendall(_HUGE_PART)
        return True

    def reset(self) -> bool:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        return False


def _document(reply: _Reply) -> bytes:
    lines = [
        f"HTTP/1.1 {reply.status} {http.client.responses[reply.status]}",
        *(f"{name}: {value}" for name, value in reply.headers),
    ]
    if reply.status != http.client.NO_CONTENT:
        lines.append(f"Content-Length: {len(reply.body)}")
    return "\r\n".join((*lines, "", "")).encode() + reply.body


def _changed(reply: _Reply, body: bytes) -> _Reply:
    return _Reply(status=reply.status, body=body, headers=reply.headers)


def _platform_fault(code: str) -> _Reply:
    # Strings, since the proxy is not to share the mistakes of what it tests.
    return _Reply(
        status=500,
        body=(
            "<soapenv:Envelope"
            ' xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
            "<soapenv:Header/><soapenv:Body><soapenv:Fault>"
            "<faultcode>soap:Server</faultcode>"
            f"<faultstring>{code} Fel i tjänsteplattformen</faultstring>"
            "</soapenv:Fault></soapenv:Body></soapenv:Envelope>"
        ).encode(),
    )


def _result(received: Received, code: str, *, status: int = 200) -> _Reply:
    name = received.interaction.name if received.interaction else "-"
    return _Reply(
        status=status,
        body=(
            "<soapenv:Envelope"
            ' xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
            f"<soapenv:Body><r:{name}Response"
            f' xmlns:r="urn:riv:crm:scheduling:{name}Responder:1">'
            f"<r:resultCode>{code}</r:resultCode>"
            "<r:resultText>Det gick inte.</r:resultText>"
            f"</r:{name}Response></soapenv:Body></soapenv:Envelope>"
        ).encode(),
    )


def _describe(received: Received, interaction: Interaction, body: bytes) -> None:
    call = read_call(body)
    # Staff ask with a name of their own; whom they ask about stands in the body.
    about = next(
        (each.text for each in call.body.iter("{*}subject_of_care") if each.text),
        None,
    )
    received.actor = about or (call.actor.id if call.actor else None)
    if (
        interaction not in scheduling.WRITES
        and interaction != scheduling.GET_BOOKING_DETAILS
    ):
        return
    request: Any = read_request(CONTRACTS[interaction], call)
    slot = getattr(request, "requested_timeslot", None)
    holder = request if slot is None else slot
    received.unit = holder.healthcare_facility
    received.booking_id = holder.booking_id
    if slot is not None:
        received.start = slot.start_time_inclusive
        received.end = slot.end_time_exclusive
