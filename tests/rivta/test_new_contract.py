"""
A contract of another family: what it takes to ask one that the program does not know.

The folder of such a contract holds just what stands at the top of this module.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar, Final, Protocol

import pytest

from fhir_gateway.model.errors import MalformedAnswer, SourceFault, WriteUnconfirmed
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.rivta.client import SoapClient
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, NAME, TEXT, element, elements
from fhir_gateway.rivta.envelope import (
    ContractAnswer,
    read_call,
    read_request,
    write_fault,
    write_response,
)
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.limit import LIST

PERSONS: Final = "urn:riv:tests:persons:person:5"
GET_NAMESPACE: Final = "urn:riv:tests:persons:person:GetPersonsResponder:5"
ADD_NAMESPACE: Final = "urn:riv:tests:persons:person:AddAddressResponder:5"


@dataclass(frozen=True, kw_only=True, repr=False)
class PersonType:
    """A person of the register."""

    NAMESPACE: ClassVar[str] = PERSONS

    id: str = element("personId", IDENTIFIER, required=True)
    name: str | None = element("name", NAME)


@dataclass(frozen=True, kw_only=True, repr=False)
class GetRequest:
    """The body of GetPersons."""

    NAMESPACE: ClassVar[str] = GET_NAMESPACE

    ids: tuple[str, ...] = elements("personId", IDENTIFIER)


@dataclass(frozen=True, kw_only=True, repr=False)
class GetResponse:
    """The body of GetPersonsResponse."""

    NAMESPACE: ClassVar[str] = GET_NAMESPACE

    persons: tuple[PersonType, ...] = elements("person", PersonType, rejects_items=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class AddRequest:
    """The body of AddAddress."""

    NAMESPACE: ClassVar[str] = ADD_NAMESPACE

    address: str | None = element("address", TEXT)


@dataclass(frozen=True, kw_only=True, repr=False)
class AddResponse:
    """The body of AddAddressResponse."""

    NAMESPACE: ClassVar[str] = ADD_NAMESPACE

    result: str = element("resultCode", required=True)


GET_PERSONS: Final = Contract(
    Interaction("GetPersons"), GET_NAMESPACE, GetRequest, GetResponse, limit=LIST
)
ADD_ADDRESS: Final = Contract(
    Interaction("AddAddress", writes=True), ADD_NAMESPACE, AddRequest, AddResponse
)


class PersonRegister(Protocol):
    """The port that belongs to the contract."""

    def get_persons(self, ids: tuple[str, ...]) -> tuple[PersonType, ...]:
        """Return the persons that the register has."""
        ...


@dataclass
class Producer:
    """A SOAP server on loopback: what it has received, and what it answers next."""

    url: str = ""
    status: int = 200
    answer: bytes = b""
    actions: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture(name="producer")
def _producer() -> Iterator[Producer]:
    producer = Producer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            producer.paths.append(self.path)
            producer.actions.append(self.headers["SOAPAction"])
            length = int(self.headers["Content-Length"])
            producer.bodies.append(self.rfile.read(length))
            self.send_response(producer.status)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(len(producer.answer)))
            self.end_headers()
            self.wfile.write(producer.answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        producer.url = f"http://127.0.0.1:{server.server_port}/" + "{interaction}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield producer
        server.shutdown()
        thread.join()


class SoapPersonRegister:
    """The register, asked over the client that every contract shares."""

    def __init__(self, endpoint: str) -> None:
        self._client = SoapClient(source=SourceName("register"), endpoint=endpoint)

    def get_persons(self, ids: tuple[str, ...]) -> tuple[PersonType, ...]:
        """Ask for persons."""
        response: GetResponse = self.ask(ids).response
        return response.persons

    def ask(self, ids: tuple[str, ...]) -> ContractAnswer:
        """Ask for persons, and return the answer with what was left out of it."""
        return self._client.call(
            GET_PERSONS,
            GetRequest(ids=ids),
            logical_address=LogicalAddress("SE2321000016-R01"),
            actor=Actor.agent(HsaId("SE2321000016-GW")),
            timeout=5,
        )

    def add_address(self, address: str) -> AddResponse:
        """Write."""
        response: AddResponse = self._client.call(
            ADD_ADDRESS,
            AddRequest(address=address),
            logical_address=LogicalAddress("SE2321000016-R01"),
            actor=Actor.agent(HsaId("SE2321000016-GW")),
            timeout=5,
        ).response
        return response


TOLVAN: Final = PersonType(id="P-1", name="Tolvan")


def test_a_new_contract_is_asked(producer: Producer) -> None:
    """A contract that the program does not know is asked like those that it knows."""
    producer.answer = write_response(GET_PERSONS, GetResponse(persons=(TOLVAN,)))
    register: PersonRegister = SoapPersonRegister(producer.url)

    assert register.get_persons(("P-1", "P-2")) == (TOLVAN,)


def test_a_new_contract_names_its_calls(producer: Producer) -> None:
    """The path, the action and the body have the contract's own name."""
    producer.answer = write_response(GET_PERSONS, GetResponse())

    SoapPersonRegister(producer.url).get_persons(("P-1", "P-2"))

    call = read_call(producer.bodies[0])
    assert (
        producer.paths,
        producer.actions,
        call.action,
        read_request(GET_PERSONS, call),
    ) == (
        ["/GetPersons"],
        [f'"{GET_NAMESPACE}:GetPersons"'],
        f"{{{GET_NAMESPACE}}}GetPersons",
        GetRequest(ids=("P-1", "P-2")),
    )


@pytest.mark.parametrize(
    "namespace",
    [
        pytest.param("urn:riv:tests:persons:person:5.1", id="a later minor version"),
        pytest.param(GET_NAMESPACE, id="that of the answer"),
    ],
)
def test_a_new_contract_is_read_leniently(producer: Producer, namespace: str) -> None:
    """An element in another namespace of the contract's family is read as meant."""
    document = write_response(GET_PERSONS, GetResponse(persons=(TOLVAN,)))
    producer.answer = document.replace(
        f'"{PERSONS}"'.encode(), f'"{namespace}"'.encode()
    )

    assert producer.answer != document
    assert SoapPersonRegister(producer.url).get_persons(("P-1",)) == (TOLVAN,)


def test_a_misspelt_element_of_a_new_contract_is_no_extension(
    producer: Producer,
) -> None:
    """What is unknown in the contract's own namespaces costs its item."""
    document = write_response(GET_PERSONS, GetResponse(persons=(TOLVAN,)))
    producer.answer = re.sub(rb"\bname\b", b"naming", document)

    answer = SoapPersonRegister(producer.url).ask(("P-1",))

    assert (answer.response, answer.rejected) == (
        GetResponse(),
        {"person/an element: is no element of the contract": 1},
    )


def test_an_answer_of_another_domain_is_not_believed(producer: Producer) -> None:
    """An answer of the same name in another domain's namespace is malformed."""
    document = write_response(GET_PERSONS, GetResponse())
    producer.answer = document.replace(b":tests:persons:", b":tests:animals:")

    with pytest.raises(MalformedAnswer):
        SoapPersonRegister(producer.url).get_persons(("P-1",))


def test_a_faulted_read_of_a_new_contract_is_a_fault(producer: Producer) -> None:
    """A contract that does not write can be asked again after a fault."""
    producer.status = 500
    producer.answer = write_fault(Fault(code="Server", text="VP009 no answer"))

    with pytest.raises(SourceFault) as raised:
        SoapPersonRegister(producer.url).get_persons(("P-1",))

    assert (raised.value.code, raised.value.interaction) == ("VP009", "GetPersons")


def test_a_faulted_write_of_a_new_contract_is_unconfirmed(producer: Producer) -> None:
    """A contract that says that it writes has an unknown outcome after a fault."""
    producer.status = 500
    producer.answer = write_fault(Fault(code="Server", text="VP009 no answer"))

    with pytest.raises(WriteUnconfirmed) as raised:
        SoapPersonRegister(producer.url).add_address("Storgatan 1")

    assert (raised.value.interaction, len(producer.bodies)) == ("AddAddress", 1)


def test_a_write_of_a_new_contract_is_sent(producer: Producer) -> None:
    """A definite answer to a write is returned."""
    producer.answer = write_response(ADD_ADDRESS, AddResponse(result="OK"))

    assert SoapPersonRegister(producer.url).add_address("Storgatan 1") == AddResponse(
        result="OK"
    )
