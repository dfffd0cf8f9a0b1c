"""
The HTTP interface of the sandbox: SOAP, ledgers, fault rules, and an issuer.

    POST   /rivta/<region>     a message of crm:scheduling 1.1
    POST   /rivta/log          a message of StoreLog 2.0, to the log service
    GET    /ledger/<region>    its received writes and its bookings
    GET    /faults/<region>    its fault rules
    POST   /faults/<region>    add a rule
    DELETE /faults/<region>    remove all rules
           …/log               the same of the log service
           …/platform          the same of the service platform, …/aggregator and
                               …/catalogue of the services behind it
    GET    /platform           how the platform behaves, see `platform/options.py`
    PUT    /platform           let it behave otherwise
    GET    /index              who keeps the engagement index, and whom it notifies
    PUT    /index              change that, see `platform/index_options.py`
    POST   /invitations/<region>       invite a resident, see `invitation_order.py`
    DELETE /invitations/<region>/<id>  take an open invitation back
    *      /issuer/…           the issuer of tokens, see `issuer/app.py`
    POST   /mandates           the register of guardians and proxies
    GET    /                   the regions, their endpoints, the kinds of fault
    GET    /health             200
"""

import json
import socket
import struct
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication

from fhir_gateway.rivta.envelope import CONTENT_TYPE
from fhir_gateway.rivta.limit import ANSWER
from fhir_gateway.sandbox.fault_rule import BadRule, fault_rule_from_json
from fhir_gateway.sandbox.index_page import fault_kinds, index_page
from fhir_gateway.sandbox.invitation_order import (
    BadOrder,
    invitation_order_from_json,
)
from fhir_gateway.sandbox.issuer.app import METADATA_PATH, MOST_BYTES, PATH
from fhir_gateway.sandbox.log_receiver import LogReceiver
from fhir_gateway.sandbox.mandate_answers import MalformedQuestion, mandate_answer
from fhir_gateway.sandbox.platform.index_options import (
    BadIndexOptions,
    index_options_from_json,
)
from fhir_gateway.sandbox.platform.national import SERVICES, National
from fhir_gateway.sandbox.platform.options import (
    BadOptions,
    platform_options_from_json,
)
from fhir_gateway.sandbox.population_register import PopulationRegister
from fhir_gateway.sandbox.region import Region
from fhir_gateway.sandbox.reply import Reply
from fhir_gateway.sandbox.soap_producer import SoapProducer
from fhir_gateway.sandbox.stoppable_http_server import StoppableHttpServer
from fhir_gateway.sandbox.wsgi_answer import wsgi_answer

__all__ = ["SandboxHttpd"]

T = TypeVar("T")

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_JSON: Final = "application/json; charset=UTF-8"


class SandboxHttpd(StoppableHttpServer):
    """
    The HTTP server.

    Args:
        address: Where to listen.
        regions: The regions by name.
        receiver: The log service.
        national: The platform and the services behind it.

    Attributes:
        issuer: The issuer of tokens; the server's address is a part of its name.
    """

    def __init__(
        self,
        address: tuple[str, int],
        regions: Mapping[str, Region],
        receiver: LogReceiver,
        national: National,
    ) -> None:
        self.regions = regions
        self.receiver = receiver.name
        self.national = national
        self.producers: Mapping[str, SoapProducer] = {
            **regions,
            receiver.name: receiver,
            **national.producers(),
        }
        self.register = PopulationRegister()
        self.issuer: WSGIApplication | None = None
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one packet
    server: SandboxHttpd

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
                self._json(HTTPStatus.OK, self._index_page())
            case ["platform"]:
                self._json(
                    HTTPStatus.OK, self.server.national.platform.options.as_json()
                )
            case ["index"]:
                self._json(HTTPStatus.OK, self.server.national.index.options.as_json())
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
        if self._path() == ["platform"]:
            self._set_platform()
        elif self._path() == ["index"]:
            self._set_index()
        else:
            self.do_OPTIONS()

    def do_OPTIONS(self) -> None:
        if self._is_for_issuer():
            self._issuer()
        else:
            self.close_connection = True
            self._nothing_here()

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

    def _soap(self, producer: SoapProducer) -> None:
        soap_action = self.headers.get("SOAPAction", "")
        if producer.refuses(soap_action):
            self._reset()
            return
        document = self._body()
        if document is None:
            return
        reply = producer.answer(document, soap_action, self.headers)
        if reply is None:
            self._reset()
        else:
            self._reply(producer, reply)
        # Counted before the answer is sent: a client that has it reads the new total.
        producer.add_answering_time(time.perf_counter() - self._began)

    def _reply(self, producer: SoapProducer, reply: Reply) -> None:
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

    def _add_fault(self, producer: SoapProducer) -> None:
        rule = self._described(
            lambda data: fault_rule_from_json(
                data, producer.interactions, producer.fault_kinds
            ),
            hint=fault_kinds(),
        )
        if rule is not None:
            producer.rules.add(rule)
            self._faults(HTTPStatus.CREATED, producer)

    def _invite(self, region: Region) -> None:
        order = self._described(
            lambda data: invitation_order_from_json(data, region.catalogue)
        )
        if order is None:
            return
        invited = region.invite(order)
        if invited is None:
            self._json(HTTPStatus.CONFLICT, {"error": "no free time"})
        else:
            self._json(HTTPStatus.CREATED, invited)

    def _set_platform(self) -> None:
        options = self._described(platform_options_from_json)
        if options is not None:
            self.server.national.platform.options = options
            self._json(HTTPStatus.OK, options.as_json())

    def _set_index(self) -> None:
        index = self.server.national.index
        options = self._described(
            lambda data: index_options_from_json(
                data, index.options, self.server.regions.keys()
            )
        )
        if options is not None:
            index.behave(options)
            self._json(HTTPStatus.OK, options.as_json())

    def _described(
        self, read: Callable[[object], T], *, hint: Mapping[str, Any] | None = None
    ) -> T | None:
        """Return what the JSON body describes; None if nothing: that is answered."""
        body = self._body()
        if body is None:
            return None
        try:
            return read(json.loads(body))
        except (BadIndexOptions, BadOptions, BadOrder, BadRule) as error:
            fault = str(error)
        except ValueError:
            fault = "not JSON"
        self._json(HTTPStatus.BAD_REQUEST, {"error": fault, **(hint or {})})
        return None

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

    def _faults(self, status: int, producer: SoapProducer) -> None:
        self._json(
            status,
            {"region": producer.name, "faults": producer.rules.as_json()},
        )

    def _index_page(self) -> dict[str, Any]:
        return index_page(
            f"http://{self.headers.get('Host', '')}",
            (region.catalogue for region in self.server.regions.values()),
            {
                "log_service": self.server.receiver,
                **{name: name for name in SERVICES},
            },
        )

    def _nothing_here(self) -> None:
        self._json(HTTPStatus.NOT_FOUND, {"error": "nothing here", "see": "/"})

    def _path(self) -> list[str]:
        return [part for part in urlsplit(self.path).path.split("/") if part]

    def _producer(self, name: str) -> SoapProducer | None:
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
