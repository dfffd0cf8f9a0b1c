"""
The HTTP server of the sandbox: regions with ledgers and fault rules, and an issuer.

    POST   /rivta/<region>     a message of crm:scheduling 1.1
    POST   /rivta/log          a message of StoreLog 2.0, to the log service
    GET    /ledger/<region>    its received writes and its bookings
    GET    /faults/<region>    its fault rules
    POST   /faults/<region>    add a rule
    DELETE /faults/<region>    remove all rules
           …/log               the same of the log service
    POST   /invitations/<region>       invite a resident, see `invitation_order.py`
    DELETE /invitations/<region>/<id>  take an open invitation back
    *      /issuer/…           the issuer of tokens, see `issuer/app.py`
    POST   /mandates           the register of guardians and proxies
    GET    /                   the regions, their endpoints, the kinds of fault
    GET    /health             200

It answers every client and stores all that it receives: never bind it to a public
address.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, Self
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication

from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.rivta.envelope import CONTENT_TYPE
from fhir_gateway.rivta.limit import ANSWER
from fhir_gateway.sandbox.agenda import Agenda, density
from fhir_gateway.sandbox.catalogue import DEFAULT_SLOTS, SandboxRegion, regions
from fhir_gateway.sandbox.fault_rule import BadRule, FaultKind, fault_rule_from_json
from fhir_gateway.sandbox.invitation_order import (
    BadOrder,
    invitation_order_from_json,
)
from fhir_gateway.sandbox.issuer.app import METADATA_PATH, MOST_BYTES, PATH, issuer_app
from fhir_gateway.sandbox.log_receiver import LogReceiver
from fhir_gateway.sandbox.mandate_answers import MalformedQuestion, mandate_answer
from fhir_gateway.sandbox.population_register import PopulationRegister
from fhir_gateway.sandbox.region import Region
from fhir_gateway.sandbox.reply import Reply
from fhir_gateway.sandbox.stoppable_http_server import StoppableHttpServer
from fhir_gateway.sandbox.wsgi_answer import wsgi_answer

__all__ = ["DEFAULT_AUDIENCE", "DEFAULT_PORT", "LOG_RECEIVER", "SandboxServer"]

DEFAULT_PORT: Final = 8090
LOG_RECEIVER: Final = "log"
"""The name of the log service in URLs; no region has it."""

DEFAULT_AUDIENCE: Final = "http://127.0.0.1:8080/fhir"
"""The FHIR base of a gateway that listens where it does without settings."""

_DEFAULT_SEED: Final = 1
_POLL_S: Final = 0.05
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_JSON: Final = "application/json; charset=UTF-8"


class SandboxServer:
    """
    All regions behind one port.

    Args:
        host: The address to listen on; loopback by default.
        port: The port to listen on; 0 for any free one.
        slots: The approximate number of free times of all regions together.
        seed: Another seed gives other times.
        clock: The clock of the regions; times that have begun are not listed.
        audience: The FHIR base that the issuer's access tokens are for.

    Raises:
        OSError: The port is in use.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        slots: int = DEFAULT_SLOTS,
        seed: int = _DEFAULT_SEED,
        clock: Clock = now,
        audience: str = DEFAULT_AUDIENCE,
    ) -> None:
        self._catalogue = regions(slots)
        self._stopping = threading.Event()
        agenda = Agenda(seed=seed, density=density(self._catalogue, slots))
        by_name = {
            str(region.name): Region(
                region, agenda=agenda, clock=clock, wait=self._wait
            )
            for region in self._catalogue
        }
        receiver = LogReceiver(LOG_RECEIVER, wait=self._wait)
        self._httpd = _Httpd((host, port), by_name, receiver)
        self._httpd.issuer = issuer_app(self.issuer, audience, clock)
        self._thread: threading.Thread | None = None
        self._has_served = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the URL of the server, without a final slash."""
        host, port = self._httpd.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    @property
    def issuer(self) -> str:
        """Return the name of the issuer, which is its URL as clients of here see it."""
        url = self.url.replace("//0.0.0.0:", "//127.0.0.1:")
        return f"{url.replace('//[::]:', '//[::1]:')}{PATH}"

    def endpoint(self, region: str) -> str:
        """Return the SOAP endpoint of a region."""
        return f"{self.url}/rivta/{region}"

    def answering_s(self, region: str) -> float:
        """Return the total seconds that a region has spent on answers so far."""
        return self._httpd.regions[region].answering_s

    def regions(self) -> tuple[SandboxRegion, ...]:
        """Return the regions of the server."""
        return self._catalogue

    def sell_naively(self, *, naively: bool) -> None:
        """Let every region sell a time without limit, or each place once as before."""
        for region in self._httpd.regions.values():
            region.sell_naively(naively=naively)

    def start(self) -> None:
        """Serve in the background."""
        self._thread = threading.Thread(
            target=self.serve_forever, name="sandbox", daemon=True
        )
        self._has_served = True
        self._thread.start()

    def serve_forever(self) -> None:
        """Serve until another thread calls `stop`, or an exception is raised."""
        self._has_served = True
        self._httpd.serve_forever(poll_interval=_POLL_S)

    def stop(self) -> None:
        """Stop at once: end all waiting calls and close all connections."""
        self._stopping.set()
        if self._has_served:
            self._httpd.shutdown()
        self._httpd.server_close()
        self._httpd.close_connections()
        if self._thread:
            self._thread.join()

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)


class _Httpd(StoppableHttpServer):
    def __init__(
        self,
        address: tuple[str, int],
        regions: Mapping[str, Region],
        receiver: LogReceiver,
    ) -> None:
        self.regions = regions
        self.producers: Mapping[str, Region | LogReceiver] = {
            **regions,
            receiver.name: receiver,
        }
        self.register = PopulationRegister()
        self.issuer: WSGIApplication | None = None
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one packet
    server: _Httpd

    def version_string(self) -> str:
        return "fhir-gateway-sandbox"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's own signature
        """Log nothing: bodies hold personal numbers, and paths may too."""

    def parse_request(self) -> bool:
        """Read the headers; the first line has been read."""
        self._began = time.perf_counter()
        return super().parse_request()

    def do_GET(self) -> None:
        match self._path():
            case _ if self._is_for_issuer():
                self._issuer()
            case []:
                self._json(HTTPStatus.OK, self._index())
            case ["health"]:
                self._json(HTTPStatus.OK, {"status": "up"})
            case ["ledger", name] if producer := self._producer(name):
                self._json(HTTPStatus.OK, producer.ledger_json())
            case ["faults", name] if producer := self._producer(name):
                self._faults(HTTPStatus.OK, producer)
            case _:
                self._nothing_here()

    def do_POST(self) -> None:
        match self._path():
            case ["rivta", name] if producer := self._producer(name):
                self._soap(producer)
            case ["faults", name] if producer := self._producer(name):
                self._add_fault(producer)
            case ["invitations", name] if region := self.server.regions.get(name):
                self._invite(region)
            case ["mandates"]:
                self._mandate()
            case _ if self._is_for_issuer():
                self._issuer()
            case _:
                self.close_connection = True
                self._nothing_here()

    def do_PUT(self) -> None:
        if self._is_for_issuer():
            self._issuer()
        else:
            self.close_connection = True
            self._nothing_here()

    do_OPTIONS = do_PUT  # noqa: N815 - http.server's own name

    def do_DELETE(self) -> None:
        match self._path():
            case ["faults", name] if producer := self._producer(name):
                producer.rules.clear()
                self._faults(HTTPStatus.OK, producer)
            case ["invitations", name, booking_id] if (
                region := self.server.regions.get(name)
            ) and region.withdraw(booking_id):
                self._json(HTTPStatus.OK, {"withdrawn": booking_id})
            case _:
                self._nothing_here()

    def _soap(self, producer: Region | LogReceiver) -> None:
        soap_action = self.headers.get("SOAPAction", "")
        if producer.refuses(soap_action):
            self._reset()
            return
        document = self._body()
        if document is None:
            return
        reply = producer.answer(document, soap_action)
        if reply is None:
            self._reset()
        else:
            self._reply(producer, reply)
        # Counted before the answer is sent: a client that has it reads the new total.
        producer.add_answering_time(time.perf_counter() - self._began)

    def _reply(self, producer: Region | LogReceiver, reply: Reply) -> None:
        if reply.interim is not None:
            self.send_response_only(reply.interim)
            self.end_headers()
            self.wfile.flush()
            producer.wait(reply.pause_s)
        self._send(reply.status, CONTENT_TYPE, reply.body, reply.headers)
        if reply.is_repeated:
            self.wfile.flush()
            producer.wait(reply.pause_s)
            self._send(reply.status, CONTENT_TYPE, reply.body, reply.headers)

    def _add_fault(self, producer: Region | LogReceiver) -> None:
        body = self._body()
        if body is None:
            return
        try:
            rule = fault_rule_from_json(json.loads(body), producer.interactions)
        except BadRule as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)} | _valid_faults())
        except ValueError:
            self._json(HTTPStatus.BAD_REQUEST, {"error": "not JSON"} | _valid_faults())
        else:
            producer.rules.add(rule)
            self._faults(HTTPStatus.CREATED, producer)

    def _invite(self, region: Region) -> None:
        body = self._body()
        if body is None:
            return
        try:
            order = invitation_order_from_json(json.loads(body), region.catalogue)
        except BadOrder as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except ValueError:
            self._json(HTTPStatus.BAD_REQUEST, {"error": "not JSON"})
        else:
            invited = region.invite(order)
            if invited is None:
                self._json(HTTPStatus.CONFLICT, {"error": "no free time"})
            else:
                self._json(HTTPStatus.CREATED, invited)

    def _mandate(self) -> None:
        body = self._body(most_bytes=MOST_BYTES)
        if body is None:
            return
        try:
            answer = mandate_answer(self.server.register, body)
        except MalformedQuestion as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        else:
            self._json(HTTPStatus.OK, answer)

    def _is_for_issuer(self) -> bool:
        path = urlsplit(self.path).path
        return path in (PATH, METADATA_PATH) or path.startswith(f"{PATH}/")

    def _issuer(self) -> None:
        has_body = "Content-Length" in self.headers or self.command in ("POST", "PUT")
        body = self._body(most_bytes=MOST_BYTES) if has_body else b""
        if body is None or self.server.issuer is None:
            return
        answer = wsgi_answer(
            self.server.issuer, self.command, self.path, self.headers, body
        )
        self._send(answer.status, answer.content_type, answer.body, answer.headers)

    def _faults(self, status: int, producer: Region | LogReceiver) -> None:
        self._json(
            status,
            {"region": producer.name, "faults": producer.rules.as_json()},
        )

    def _index(self) -> dict[str, Any]:
        host = self.headers.get("Host", "")
        return {
            "regions": [
                {
                    "name": region.catalogue.name,
                    "style": region.catalogue.style.value,
                    "endpoint": f"http://{host}/rivta/{region.catalogue.name}",
                    "ledger": f"http://{host}/ledger/{region.catalogue.name}",
                    "faults": f"http://{host}/faults/{region.catalogue.name}",
                    "agent": region.catalogue.agent,
                    "aggregated_address": region.catalogue.aggregated_address,
                    "units": len(region.catalogue.units),
                }
                for region in self.server.regions.values()
            ],
            "log_service": {
                "endpoint": f"http://{host}/rivta/{LOG_RECEIVER}",
                "ledger": f"http://{host}/ledger/{LOG_RECEIVER}",
                "faults": f"http://{host}/faults/{LOG_RECEIVER}",
            },
        } | _valid_faults()

    def _nothing_here(self) -> None:
        self._json(HTTPStatus.NOT_FOUND, {"error": "nothing here", "see": "/"})

    def _path(self) -> list[str]:
        return [part for part in urlsplit(self.path).path.split("/") if part]

    def _producer(self, name: str) -> Region | LogReceiver | None:
        return self.server.producers.get(name)

    def _body(self, most_bytes: int = ANSWER.most_bytes) -> bytes | None:
        """Return the body; None if it cannot be read, which has then been answered."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self._unread(HTTPStatus.LENGTH_REQUIRED)
            return None
        if int(length) > most_bytes:
            self._unread(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        return self.rfile.read(int(length))

    def _unread(self, status: HTTPStatus) -> None:
        # The server would read the rest as the next request.
        self.close_connection = True
        self._json(status, {"error": status.phrase})

    def _json(self, status: int, data: object) -> None:
        self._send(status, _JSON, json.dumps(data, ensure_ascii=False).encode())

    def _send(
        self,
        status: int,
        content_type: str,
        body: bytes,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Close the connection with a reset, not like after an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # It is closed when the handler has closed its files. A socket that is shut down
        # first would end without a reset.
        self.connection.close()


def _valid_faults() -> dict[str, Any]:
    return {"fault_kinds": [kind.value for kind in FaultKind]}
