"""
Compares a request with its schema: order, namespaces, no empty or unknown elements.

The request is written again by the strict writer. Each difference between the two is a
fault of the request (crm:scheduling 1.1.5, chapter 3; RIVTABP21).
"""

from typing import Any

from lxml import etree

from fhir_gateway.rivta.binding import write
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.docbook import plain_line, plain_text

__all__ = ["first_difference"]


def first_difference(
    contract: Contract[Any, Any],
    request: Any,  # noqa: ANN401 - each contract has its own
    body: etree._Element,
) -> str | None:
    """
    Return the local name of the first element that differs from the schema.

    Args:
        contract: The contract of the request.
        request: The request, as read from `body`.
        body: The root of the received body.

    Returns:
        The name, never a value; None if nothing differs.
    """
    expected = etree.Element(contract.request_tag)
    write(request, expected)
    return _difference(expected, body)


def _difference(expected: etree._Element, received: etree._Element) -> str | None:
    for position, child in enumerate(received):
        if position >= len(expected) or child.tag != expected[position].tag:
            return _local(child)
        if len(child) == 0 and len(expected[position]) == 0:
            if not _is_text(child.text or "", expected[position].text or ""):
                return _local(child)
            continue
        difference = _difference(expected[position], child)
        if difference:
            return difference
    # It has at least the expected elements, since those were read from it.
    return None


def _is_text(received: str, read: str) -> bool:
    """Return whether a text was read whole, or all but what looks like a tag."""
    # A resident may write "<b>"; the reader takes it for a tag and removes it.
    return read in (received.strip(), plain_text(received), plain_line(received))


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]
