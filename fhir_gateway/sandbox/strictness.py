"""
Holding a request to its schema: order, namespaces, no empty and no unknown elements.

What the strict writer makes of the request is the only spelling there is, so whatever
differs from it is wrong (crm:scheduling 1.1.5, chapter 3; RIVTABP21).
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
    Return the local name of the first element that is not as the schema has it.

    Args:
        contract: What the request is of.
        request: What was read from `body`.
        body: The root as received.

    Returns:
        None when all is well; never a value, only a name.
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
    # There is never less in it than expected: what is expected was read from it.
    return None


def _is_text(received: str, read: str) -> bool:
    """Return whether a text was read as it is, or without what looks like markup."""
    # A resident may write "<b>"; what reads a text takes it for a tag.
    return read in (received.strip(), plain_text(received), plain_line(received))


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]
