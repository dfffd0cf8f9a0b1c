"""
Unknown elements: which of them the schemas permit as extensions.

`rivta/binding.py` says what the reader does with the others.
"""

import re
from typing import Final

from lxml import etree

from fhir_gateway.rivta.element import Layout
from fhir_gateway.rivta.namespace import (
    NO_EXTENSIONS,
    is_own,
    likeness_of,
    without_one_letter,
)
from fhir_gateway.rivta.rejection import SOME_ELEMENT

__all__ = [
    "counts_by_local_name",
    "is_extension",
    "is_fault",
    "is_of_riv",
    "local_name",
    "name_to_show",
    "refers_elsewhere",
    "reports_error",
]

_RIV: Final = "urn:riv:"
_FAULT: Final = "fault"
# A response with an error in a vendor's own elements is no answer. Contracts with a
# result code of their own say themselves what they did.
_RESULT_CODE: Final = "resultcode"
_ERRORS: Final = re.compile(r"error|exception|failure")
_NO_ERROR: Final = frozenset({"", "0", "false", "no", "none", "null", "ok", "info"})
# An element that holds so many different elements of an item is one, or a list of them.
_ENOUGH_OF_AN_ITEM: Final = 2


def counts_by_local_name(layout: Layout, node: etree._Element) -> bool:
    """Return whether the local name alone identifies an element."""
    tag = node.tag
    return "}" not in tag or tag.startswith(layout.family) or tag in layout.tags


def is_extension(layout: Layout, node: etree._Element) -> bool:
    """Return whether the schemas permit an unknown element."""
    namespace, _, name = node.tag.rpartition("}")
    namespace = namespace[1:]
    likeness = likeness_of(name)
    return not (
        not namespace
        or namespace in NO_EXTENSIONS
        or is_own(layout.own_namespaces, namespace)
        or likeness in layout.likenesses
        or not layout.near_parts.isdisjoint(without_one_letter(likeness))
        or is_fault(node)
        or _holds_known(layout, node)
        or reports_error(layout, node)
    )


def _holds_known(layout: Layout, node: etree._Element) -> bool:
    """Return whether an element holds some of the contract's, or a fault."""
    of_items = set()
    for inner in node.iterdescendants():
        namespace, _, name = inner.tag.rpartition("}")
        likeness = likeness_of(name)
        if likeness in layout.inner_likenesses:
            of_items.add(likeness)
        if (
            likeness in layout.likenesses
            or len(of_items) >= _ENOUGH_OF_AN_ITEM
            or is_own(layout.own_namespaces, namespace[1:])
            or is_fault(inner)
        ):
            return True
    return False


def reports_error(layout: Layout, node: etree._Element) -> bool:
    """Return whether an unknown element of a response says that its writer failed."""
    # Only a response has parts; an unknown element of an item is about the item alone.
    if not layout.inner_likenesses or _RESULT_CODE in (
        layout.likenesses | layout.inner_likenesses
    ):
        return False
    return any(map(_is_error, node.iter()))


def _is_error(node: etree._Element) -> bool:
    likeness = likeness_of(local_name(node))
    if likeness != _RESULT_CODE and not _ERRORS.search(likeness):
        return False
    # Attributes with a namespace, as xsi:nil, say how to read the element.
    attributes = (
        str(each) for name, each in node.attrib.items() if "}" not in str(name)
    )
    # The parts of an error describe it, under any names.
    said = (*attributes, *(part.text or "" for part in node.iter()))
    return any(each.strip().lower() not in _NO_ERROR for each in said)


def is_fault(node: etree._Element) -> bool:
    """Return whether an element is named like a SOAP fault."""
    return likeness_of(local_name(node)) == _FAULT


def refers_elsewhere(node: etree._Element) -> bool:
    """Return whether an element without content may have it in another place."""
    # Those of other namespaces, as xsi:type, say how to read and not what.
    return any(
        "}" not in name or name.endswith(("}href", "}ref"))
        for name in map(str, node.attrib)
    )


def is_of_riv(node: etree._Element) -> bool:
    """Return whether an element has a namespace of RIV-TA."""
    return str(node.tag).lower().startswith(f"{{{_RIV}")


def name_to_show(layout: Layout, node: etree._Element) -> str:
    """Return the name of an unknown element, if it is near one of the contract's."""
    # A writer can put anything into a name, a person's name too.
    likeness = likeness_of(local_name(node))
    is_near = likeness in layout.likenesses or not layout.near_names.isdisjoint(
        without_one_letter(likeness)
    )
    return local_name(node) if is_near else SOME_ELEMENT


def local_name(node: etree._Element) -> str:
    """Return an element's name without its namespace."""
    return node.tag.rpartition("}")[2]
