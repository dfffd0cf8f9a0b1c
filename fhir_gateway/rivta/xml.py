"""
Reading XML from outside, safely.

SOAP 1.1 forbids document type declarations, so none is accepted: that closes entity
expansion and external references at once. Size, depth and the number of elements are
capped, before anything is parsed where that can be.
"""

import re
from typing import Final

from lxml import etree

from fhir_gateway.rivta.limit import ANSWER, Limit

__all__ = ["NIL_WITH_CONTENT", "UnreadableXml", "parse"]

_BYTE_ORDER_MARK: Final = re.compile(
    rb"\xef\xbb\xbf|\xfe\xff|\xff\xfe|\x00\x00\xfe\xff"
)
_DECLARED: Final = re.compile(
    rb"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)"
)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
# In none of these does a document begin with a "<" of one byte.
_WIDE: Final = re.compile(r"(?:utf-?(?:16|32)|ucs-?[24]|iso-10646)", re.IGNORECASE)
_HTML: Final = re.compile(
    rb"(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?:(?!-->).)*+-->\s*+)*+"
    rb"<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
# Where an HTML page says that it is one.
_BEGINNING: Final = 2048
_INSTANCE: Final = b"http://www.w3.org/2001/XMLSchema-instance"
# The namespace that `parse` moves an element to which is nil and has content.
NIL_WITH_CONTENT: Final = _INSTANCE.decode("ascii")
# What those are called that are nil and have none, until they go.
_NOTHING: Final = f"{{{NIL_WITH_CONTENT}}}nothing"
_NIL: Final = etree.XPath(
    "//*[normalize-space(@xsi:nil) = 'true' or normalize-space(@xsi:nil) = '1']",
    namespaces={"xsi": NIL_WITH_CONTENT},
)
# libxml2's xmlParserErrors.
_ENCODING_ERRORS: Final = frozenset({32, 81})
_UNFINISHED: Final = 77
_TOO_MUCH: Final = 114


class UnreadableXml(ValueError):
    """The bytes are not XML that this program is willing to read."""


def parse(
    document: bytes, *, content_type: str | None = None, limit: Limit = ANSWER
) -> etree._Element:
    """
    Return the root of a document, free of comments and processing instructions.

    An element that is nil (XML Schema 1.0, section 2.6.2) is absent. One that is nil
    and has content all the same contradicts itself: it stands in the namespace
    `NIL_WITH_CONTENT`, where no reader takes it for what it was.

    Args:
        document: The bytes.
        content_type: The media type that they came with. After a byte order mark its
            charset wins over the XML declaration (RFC 7303, section 3); one that
            cannot be right is passed over.
        limit: How large it may be.

    Raises:
        UnreadableXml: It is too large, not well formed, in another encoding than it
            says, nested more than 256 deep, or has a document type declaration. The
            message says which, and quotes nothing.
    """
    if len(document) > limit.most_bytes:
        raise UnreadableXml(f"the document is larger than {limit.most_bytes} bytes")
    document = document.lstrip(b" \t\r\n")
    if _HTML.match(document[:_BEGINNING]):
        raise UnreadableXml("the document is a page of HTML")
    if _most_elements(document, limit.most_elements) > limit.most_elements:
        raise UnreadableXml(
            f"the document has more than {limit.most_elements} elements"
        )
    try:
        root = etree.fromstring(document, _parser(_encoding(document, content_type)))
    except (etree.XMLSyntaxError, ValueError) as error:
        # libxml2's message quotes the document, which may hold personal data, so it is
        # not even the cause.
        raise UnreadableXml(_fault(document, content_type, error)) from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr] # lxml-stubs lack it
        raise UnreadableXml("the document has a document type declaration")
    # Most documents have none, and then nothing is looked for.
    if _INSTANCE in document or b"\x00" in document:
        _remove_nil(root)
    return root


def _most_elements(document: bytes, limit: int) -> int:
    """Return how many elements a document has at most."""
    # Each has one "<" that does not end it. More are counted in UTF-16, and where there
    # are comments: who needs them has no use for so many elements.
    most = document.count(b"<")
    return most if most <= limit else most - document.count(b"</")


def _parser(encoding: str | None) -> etree.XMLParser:
    # One parser for each document: lxml's parsers are not shared between threads.
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )


def _encoding(document: bytes, content_type: str | None) -> str | None:
    """Return the encoding to read a document in; None to go by the document itself."""
    if _BYTE_ORDER_MARK.match(document):
        return None
    charset = _CHARSET.search(content_type or "")
    if charset is not None and _is_known(charset[1]):
        is_narrow = document[:1] == b"<" and document[1:2] != b"\x00"
        if not (is_narrow and _WIDE.match(charset[1])):
            return charset[1]
    declared = _DECLARED.match(document)
    if declared is not None and _WIDE.match(declared[1].decode("ascii")):
        # It was just read byte by byte: a text in UTF-16 that was sent as UTF-8, as
        # .NET does it.
        return "utf-8"
    return None


def _is_known(charset: str) -> bool:
    try:
        etree.XMLParser(encoding=charset)
    except (LookupError, ValueError):
        return False
    return True


def _fault(document: bytes, content_type: str | None, error: Exception) -> str:
    """Return what is wrong with a document that cannot be parsed."""
    code = getattr(error, "code", None)
    said = (content_type or "").lower()
    end = document.rstrip(b" \t\r\n\x00")[-1:]
    faults = (
        (not end, "is empty"),
        (
            said.startswith("multipart/") or document.startswith(b"--"),
            "has several parts (MTOM) where one is expected",
        ),
        (b"<!DOCTYPE" in document[:_BEGINNING], "has a document type declaration"),
        (code == _TOO_MUCH, "is nested too deep or has too long a text"),
        (
            document.startswith(b"<") and (code == _UNFINISHED or end != b">"),
            "breaks off",
        ),
        (
            code in _ENCODING_ERRORS,
            "is in an unknown encoding, or not in the one that it names",
        ),
        (True, "is not well-formed XML"),
    )
    return "the document " + next(fault for is_so, fault in faults if is_so)


def _remove_nil(root: etree._Element) -> None:
    """Take the elements out that are nil, and leave the text behind them."""
    for element in _NIL(root):  # type: ignore[union-attr] # this path finds elements
        if len(element) or (element.text or "").strip():  # type: ignore[arg-type,union-attr] # likewise
            name = element.tag.rpartition("}")[2]  # type: ignore[union-attr] # likewise
            element.tag = f"{{{NIL_WITH_CONTENT}}}{name}"  # type: ignore[union-attr] # likewise
        else:
            element.tag = _NOTHING  # type: ignore[union-attr] # likewise
    # All at once: one by one, each would copy the text that the others left.
    etree.strip_elements(root, _NOTHING, with_tail=False)
