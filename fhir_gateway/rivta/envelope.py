"""
The SOAP 1.1 envelope of RIVTABP21: LogicalAddress, Actor, body, fault.

A request's headers are found by their local names alone, as the service platform does.

An envelope must hold one message only: at most one header, one body with one element,
and no text between. A second response, a fault beside a response, or a fault in the
header would contradict the message.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from lxml import etree

from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Actor, ActorType
from fhir_gateway.rivta.binding import differences_from, read, write, write_text
from fhir_gateway.rivta.contract import REGISTRY, Contract
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.limit import ANSWER, PERSONAL, Limit
from fhir_gateway.rivta.namespace import is_of_family
from fhir_gateway.rivta.processing_status import (
    ProcessingStatusRecord,
    read_processing_status,
    write_processing_status,
)
from fhir_gateway.rivta.rejection import MalformedElement, Rejections
from fhir_gateway.rivta.scheduling_1_1.types import CORE, EXTENSION
from fhir_gateway.rivta.xml import parse

__all__ = [
    "CONTENT_TYPE",
    "Call",
    "ContractAnswer",
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
HEADERS: Final = "urn:riv:interoperability:headers:1"
# WS-Addressing says only where an answer belongs, and a connection has one question at
# a time.
_UNDERSTOOD: Final = frozenset(
    {
        HEADERS,
        REGISTRY,
        "http://www.w3.org/2005/08/addressing",
        "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    }
)
# SOAP 1.1, section 4.2.2: a header for another actor is not for this client.
_THIS_ACTOR: Final = frozenset({"", "http://schemas.xmlsoap.org/soap/actor/next"})
_HEADER: Final = f"{{{SOAP}}}Header"
_NO_BODY: Final = "the envelope has no body"
_BODY: Final = f"{{{SOAP}}}Body"

Req = TypeVar("Req")
Res = TypeVar("Res")


class MalformedEnvelope(ValueError):
    """The document is XML, but no SOAP envelope with the expected body."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call:
    """
    A message that a producer has received, before its body is read.

    Attributes:
        action: The body root's tag, in Clark notation.
        body: The body's root.
    """

    action: str
    logical_address: LogicalAddress | None
    actor: Actor | None
    body: etree._Element


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ContractAnswer:
    """
    An answer that a consumer has received.

    Attributes:
        response: The contract's response, or the fault in its place.
        rejected: How many items of a list, and parts of items, could not be read, by
            the element and its fault.
        lost: The texts of their key elements (`element.elements`).
        processing_status: The report of an aggregating service about each of its
            sources; None when the answer has no such header.
    """

    response: Any
    rejected: Mapping[str, int] = field(default_factory=dict)
    lost: frozenset[str | None] = frozenset()
    processing_status: tuple[ProcessingStatusRecord, ...] | None = None

    @property
    def faults(self) -> list[str]:
        """Return the fault of each item, or part of an item, that was left out."""
        # Each sentence is in memory once, even if the list has it a thousand times.
        return list(Counter(self.rejected).elements())


def write_request(
    contract: Contract[Req, Res],
    request: Req,
    *,
    logical_address: LogicalAddress,
    actor: Actor | None,
) -> bytes:
    """
    Return the document of a request.

    Args:
        contract: The contract to call.
        request: The body.
        logical_address: The address by which the platform routes it.
        actor: Who asks; None where the contract has no header `Actor`.

    Raises:
        MalformedElement: A required value is missing or cannot be written.
    """
    envelope, header, body = _envelope(contract)
    _append(header, contract.address_namespace, "LogicalAddress", logical_address)
    if actor is not None:
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


def read_call(
    document: bytes, *, content_type: str | None = None, limit: Limit = ANSWER
) -> Call:
    """
    Return the message that a producer has received.

    Args:
        document: The message's body.
        content_type: The media type in its HTTP header.
        limit: Its size limit.

    Raises:
        UnreadableXml: The document is not XML that `rivta.xml` reads.
        MalformedEnvelope: It is no SOAP envelope with a body.
    """
    header, root = _read_envelope(document, content_type, limit)
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
    Return the fault in a producer's answer; None if the answer is none.

    Args:
        document: The answer's body.
        content_type: The media type in its HTTP header.

    Raises:
        UnreadableXml: The document is not XML that `rivta.xml` reads.
        MalformedEnvelope: It is no SOAP envelope with a body.
    """
    return _fault(_read_envelope(document, content_type, PERSONAL)[1])


def read_response(
    contract: Contract[Req, Res],
    document: bytes,
    *,
    content_type: str | None = None,
    limit: Limit = ANSWER,
) -> ContractAnswer:
    """
    Return a producer's answer: its response or its fault.

    Args:
        contract: The contract that was called.
        document: The answer's body.
        content_type: The media type in its HTTP header.
        limit: Its size limit.

    Raises:
        UnreadableXml: The document is not XML that `rivta.xml` reads.
        MalformedEnvelope: It is no SOAP envelope, holds another contract's answer, or
            more than one message.
        MalformedElement: A required value is missing or impossible.
    """
    header, root = _read_envelope(document, content_type, limit)
    fault = _fault(root)
    if fault is not None:
        return ContractAnswer(response=fault)
    if _local(root) != f"{contract.interaction.name}Response" or not is_of_family(
        root.tag, contract.namespace
    ):
        raise MalformedEnvelope("the body is not the answer to what was asked")
    rejected = Rejections()
    response = read(contract.response, root, rejected)
    status = None
    if header is not None:
        status = read_processing_status(header, rejected)
        for _ in filter(_must_be_understood, header):
            rejected.leave_out_item("Header", "must be understood, and is not", None)
    return ContractAnswer(
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
    """Return how the elements of a response differ from the contract."""
    _, root = _read_envelope(document, content_type, limit)
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
) -> tuple[etree._Element | None, etree._Element]:
    """Return an envelope's header, or None, and the one element of its body."""
    envelope = parse(document, content_type=content_type, limit=limit)
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise MalformedEnvelope("the document is no SOAP 1.1 envelope")
    header, body = envelope.find(_HEADER), envelope.find(_BODY)
    if body is None:
        raise MalformedEnvelope(_NO_BODY)
    if sorted(part.tag for part in envelope) not in ([_BODY], [_BODY, _HEADER]):
        raise MalformedEnvelope("the envelope has more than one header and one body")
    if header is not None and any(_local(each) == "Fault" for each in header):
        raise MalformedEnvelope("the header has a fault")
    for part in (envelope, header, body):
        if part is not None and _has_text(part):
            raise MalformedEnvelope("the envelope has text between its elements")
    if len(body) == 0:
        raise MalformedEnvelope(_NO_BODY)
    if len(body) > 1:
        raise MalformedEnvelope("the body has more than one element")
    return header, body[0]


def _must_be_understood(node: etree._Element) -> bool:
    """Return whether a header is unknown and may not be ignored (SOAP 1.1, 4.2.3)."""
    if not _is_yes(node.get(f"{{{SOAP}}}mustUnderstand", "")):
        return False
    namespace = node.tag.rpartition("}")[0][1:]
    return (
        namespace not in _UNDERSTOOD and node.get(f"{{{SOAP}}}actor", "") in _THIS_ACTOR
    )


def _is_yes(text: str) -> bool:
    return text.strip().lower() in ("1", "true")


def _has_text(node: etree._Element) -> bool:
    texts = (node.text, *(child.tail for child in node))
    return any(text and not text.isspace() for text in texts)


def _fault(root: etree._Element) -> Fault | None:
    if root.tag not in ("Fault", f"{{{SOAP}}}Fault"):
        return None
    # An adapter recognises a refusal by this text: two texts would contradict each
    # other.
    for name in ("faultcode", "faultstring"):
        if sum(_local(child) == name for child in root) > 1:
            raise MalformedEnvelope(f"the fault has more than one {name}")
    return Fault(
        code=_text(root, "faultcode") or "", text=_text(root, "faultstring") or ""
    )


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]


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
