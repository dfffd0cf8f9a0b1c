"""
Reading XML from outside, safely.

SOAP 1.1 forbids document type declarations, so none is accepted: that closes entity
expansion and external references at once. Size and depth are capped.
"""

from typing import Final

from lxml import etree

__all__ = ["MAX_BYTES", "UnreadableXml", "parse"]

# The service platform's own limit for a message (skltp/vp, maxMessageSize).
MAX_BYTES: Final = 15_728_640


class UnreadableXml(ValueError):
    """The bytes are not XML that this program is willing to read."""


def parse(document: bytes) -> etree._Element:
    """
    Return the root of a document, free of comments and processing instructions.

    Raises:
        UnreadableXml: It is too large, not well formed, nested more than 256 deep, or
            has a document type declaration.
    """
    if len(document) > MAX_BYTES:
        raise UnreadableXml(f"the document is larger than {MAX_BYTES} bytes")
    # One parser for each document: lxml's parsers are not shared between threads.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        # libxml2's message quotes the document, which may hold personal data, so it is
        # not even the cause.
        raise UnreadableXml("the document is not well-formed XML") from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr] # lxml-stubs lack it
        raise UnreadableXml("the document has a document type declaration")
    return root
