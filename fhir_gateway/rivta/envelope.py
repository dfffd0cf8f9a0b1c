"""
The SOAP 1.1 envelope of RIVTABP21: LogicalAddress, Actor, body, fault.

Reading finds headers by local name alone, as the service platform does.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar

from lxml import etree

from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Actor, ActorType
from fhir_gateway.rivta.binding import (
    MalformedElement,
    Rejections,
    differences_from,
    read,
    write,
    write_text,
)
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.limit import ANSWER, PERSONAL, Limit
from fhir_gateway.rivta.processing_status import (
    ProcessingStatusRecord,
    read_processing_status,
    write_processing_status,
)
from fhir_gateway.rivta.types import CORE, EXTENSION
from fhir_gateway.rivta.xml import parse

__all__ = [
    "CONTENT_TYPE",
    "Answer",
    "Call",
    "MalformedEnvelope",
    "differences",
    "read_call",
    "read_fault",
    "read_request",
    "read_response",
    "write_fault",
    "write_request",
    "write_response",
]

CONTENT_TYPE: Final = "text/xml; charset=UTF-8"
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTRY: Final = "urn:riv:itintegration:registry:1"
HEADERS: Final = "urn:riv:interoperability:headers:1"

Req = TypeVar("Req")
Res = TypeVar("Res")


class MalformedEnvelope(ValueError):
    """The document is XML, yet no SOAP envelope with the expected body."""


class _Part(Enum):
    HEADER = "Header"
    BODY = "Body"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call:
    """
    What a producer has received, before its body is read.

    Attributes:
        action: The body root's tag, in Clark notation.
        body: The body's root.
    """

    action: str
    logical_address: LogicalAddress | None
    actor: Actor | None
    body: etree._Element


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Answer:
    """
    What a consumer has received.

    Attributes:
        response: The contract's response, or the fault in its place.
        rejected: How many items of a list, and parts of items, could not be read, by
            the element and what is wrong with it.
        lost: The items among them, by their key element (`binding.elements`).
        processing_status: What an aggregating service says of each of its sources;
            None when no such header came.
    """

    response: Any
    rejected: Mapping[str, int] = field(default_factory=dict)
    lost: frozenset[str | None] = frozenset()
    processing_status: tuple[ProcessingStatusRecord, ...] | None = None

    @property
    def faults(self) -> list[str]:
        """Return what was wrong with each item or part of one that was left out."""
        # However many there are, each sentence is in memory once.
        return list(Counter(self.rejected).elements())


def write_request(
    contract: Contract[Req, Res],
    request: Req,
    *,
    logical_address: LogicalAddress,
    actor: Actor,
) -> bytes:
    """
    Return the document of a request.

    Raises:
        MalformedElement: A required value is missing or cannot be written.
    """
    envelope, header, body = _envelope(contract)
    _append(header, REGISTRY, "LogicalAddress", logical_address)
    actor_element = etree.SubElement(header, f"{{{HEADERS}}}Actor")
    _append(actor_element, HEADERS, "actorId", actor.id)
    _append(actor_element, HEADERS, "actorType", actor.type.value)
    write(request, etree.SubElement(body, contract.request_tag))
    return _document(envelope)


def write_response(
    contract: Contract[Req, Res],
    response: Res,
    *,
    processing_status: tuple[ProcessingStatusRecord, ...] | None = None,
) -> bytes:
    """
    Return the document of a response.

    Raises:
        MalformedElement: A required value is missing or cannot be written.
    """
    envelope, header, body = _envelope(contract)
    if processing_status is None:
        envelope.remove(header)
    else:
        write_processing_status(processing_status, header)
    write(response, etree.SubElement(body, contract.response_tag))
    return _document(envelope)


def write_fault(fault: Fault) -> bytes:
    """Return the document of a fault."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soapenv": SOAP})
    body = etree.SubElement(envelope, f"{{{SOAP}}}Body")
    element = etree.SubElement(body, f"{{{SOAP}}}Fault")
    # SOAP 1.1, section 4.4: these two stand in no namespace.
    etree.SubElement(element, "faultcode").text = fault.code
    etree.SubElement(element, "faultstring").text = fault.text
    return _document(envelope)


def read_call(document: bytes) -> Call:
    """
    Return what a producer has received.

    Raises:
        UnreadableXml: The document is not XML that is read here.
        MalformedEnvelope: It is no SOAP envelope with a body.
    """
    envelope = _read_envelope(document)
    root = _body_root(envelope)
    header = _child(envelope, _Part.HEADER)
    address = _text(header, "LogicalAddress") or _text(header, "To")
    return Call(
        action=root.tag,
        logical_address=LogicalAddress(address) if address else None,
        actor=_actor(header),
        body=root,
    )


def read_request(contract: Contract[Req, Res], call: Call) -> Req:
    """
    Return the request that a call carries.

    Raises:
        MalformedElement: A required value is missing or impossible.
    """
    return read(contract.request, call.body, Rejections())


def read_fault(document: bytes, *, content_type: str | None = None) -> Fault | None:
    """
    Return the fault that a producer answered; None for any other answer.

    Args:
        document: The answer's body.
        content_type: The media type that it came with.

    Raises:
        UnreadableXml: The document is not XML that is read here.
        MalformedEnvelope: It is no SOAP envelope with a body.
    """
    return _fault(_body_root(_read_envelope(document, content_type, PERSONAL)))


def read_response(
    contract: Contract[Req, Res],
    document: bytes,
    *,
    content_type: str | None = None,
    limit: Limit = ANSWER,
) -> Answer:
    """
    Return what a producer answered: its response or its fault.

    Args:
        contract: What was asked.
        document: The answer's body.
        content_type: The media type that it came with.
        limit: How large it may be.

    Raises:
        UnreadableXml: The document is not XML that is read here.
        MalformedEnvelope: It is no SOAP envelope, or carries another contract's answer.
        MalformedElement: A required value is missing or impossible.
    """
    envelope = _read_envelope(document, content_type, limit)
    root = _body_root(envelope)
    fault = _fault(root)
    if fault is not None:
        return Answer(response=fault)
    if _local(root) != f"{contract.interaction.value}Response":
        raise MalformedEnvelope("the body is not the answer to what was asked")
    rejected = Rejections()
    response = read(contract.response, root, rejected)
    header = _child(envelope, _Part.HEADER)
    status = None if header is None else read_processing_status(header, rejected)
    return Answer(
        response=response,
        rejected=dict(rejected.by_reason),
        lost=frozenset(rejected.keys),
        processing_status=status,
    )


def differences(
    contract: Contract[Req, Res],
    document: bytes,
    *,
    content_type: str | None = None,
    limit: Limit = ANSWER,
) -> list[str]:
    """Return how the elements of a response that was read differ from its class."""
    root = _body_root(_read_envelope(document, content_type, limit))
    return differences_from(contract.response, root)


def _envelope(
    contract: Contract[Any, Any],
) -> tuple[etree._Element, etree._Element, etree._Element]:
    envelope = etree.Element(
        f"{{{SOAP}}}Envelope",
        nsmap={
            "soapenv": SOAP,
            "itr": REGISTRY,
            "ih": HEADERS,
            "r": contract.namespace,
            "core": CORE,
            "ext": EXTENSION,
        },
    )
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    body = etree.SubElement(envelope, f"{{{SOAP}}}Body")
    return envelope, header, body


def _append(parent: etree._Element, namespace: str, name: str, text: str) -> None:
    if not text.strip():
        raise MalformedElement(name, "is required")
    write_text(name, text, etree.SubElement(parent, f"{{{namespace}}}{name}"))


def _document(envelope: etree._Element) -> bytes:
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def _read_envelope(
    document: bytes, content_type: str | None = None, limit: Limit = ANSWER
) -> etree._Element:
    envelope = parse(document, content_type=content_type, limit=limit)
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise MalformedEnvelope("the document is no SOAP 1.1 envelope")
    return envelope


def _body_root(envelope: etree._Element) -> etree._Element:
    body = _child(envelope, _Part.BODY)
    if body is None or len(body) == 0:
        raise MalformedEnvelope("the envelope has no body")
    return body[0]


def _fault(root: etree._Element) -> Fault | None:
    if _local(root) != "Fault":
        return None
    return Fault(
        code=_text(root, "faultcode") or "", text=_text(root, "faultstring") or ""
    )


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(envelope: etree._Element, part: _Part) -> etree._Element | None:
    return envelope.find(f"{{{SOAP}}}{part.value}")


def _text(parent: etree._Element | None, name: str) -> str | None:
    if parent is None:
        return None
    for child in parent:
        if _local(child) == name:
            return "".join(map(str, child.itertext())).strip() or None
    return None


def _actor(header: etree._Element | None) -> Actor | None:
    if header is None:
        return None
    for child in header:
        if _local(child) == "Actor":
            actor_id = _text(child, "actorId")
            try:
                actor_type = ActorType(_text(child, "actorType"))
            except ValueError:
                return None
            return Actor(id=actor_id, type=actor_type) if actor_id else None
    return None
