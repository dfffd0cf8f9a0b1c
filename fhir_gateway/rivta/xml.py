"""
Reads XML from other systems safely.

SOAP 1.1 forbids document type declarations, so none is accepted: that prevents entity
expansion and external references. Size, depth and the number of elements are limited,
where possible before parsing.
"""

import re
from typing import Final

from lxml import etree

from fhir_gateway.model.xml_parsing import has_document_type, safe_parser
from fhir_gateway.rivta.limit import ANSWER, Limit

__all__ = ["NIL_WITH_CONTENT", "UnreadableXml", "parse"]

_BYTE_ORDER_MARK: Final = re.compile(
    rb"\xef\xbb\xbf|\xfe\xff|\xff\xfe|\x00\x00\xfe\xff"
)
_DECLARED: Final = re.compile(
    rb"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)"
)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
# In these encodings a document does not begin with "<" as one byte.
_WIDE: Final = re.compile(r"(?:utf-?(?:16|32)|ucs-?[24]|iso-10646)", re.IGNORECASE)
_HTML: Final = re.compile(
    rb"(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?:(?!-->).)*+-->\s*+)*+"
    rb"<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
# How far from the start a document is searched for signs of an HTML page.
_BEGINNING: Final = 2048
_INSTANCE: Final = b"http://www.w3.org/2001/XMLSchema-instance"
# `parse` moves an element that is nil and has content to this namespace.
NIL_WITH_CONTENT: Final = _INSTANCE.decode("ascii")
# The temporary name of elements that are nil and have no content, until removed.
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
    """The bytes are not XML, or XML that this program refuses to read."""


def parse(
    document: bytes, *, content_type: str | None = None, limit: Limit = ANSWER
) -> etree._Element:
    """
    Return the root of a document, free of comments and processing instructions.

    An element that is nil (XML Schema 1.0, section 2.6.2) is removed. One that is nil
    and has content contradicts itself: it gets the namespace `NIL_WITH_CONTENT`, in
    which no reader accepts it.

    Args:
        document: The bytes.
        content_type: The media type in their HTTP header. A byte order mark decides the
            encoding, else this type's charset, else the XML declaration (RFC 7303,
            section 3). A charset that cannot be right is ignored.
        limit: Its size limit.

    Raises:
        UnreadableXml: It is too large, not well-formed, not in the encoding that it
            names, nested more than 256 deep, or has a document type declaration. The
            message states which, and quotes nothing.
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
        parser = safe_parser(_encoding(document, content_type))
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        # libxml2's message quotes the document, which may hold personal data, so the
        # error is not kept as the cause either.
        raise UnreadableXml(_fault(document, content_type, error)) from None
    if has_document_type(root):
        raise UnreadableXml("the document has a document type declaration")
    # Most documents have no nil element, and need no search.
    if _INSTANCE in document or b"\x00" in document:
        _remove_nil(root)
    return root


def _most_elements(document: bytes, limit: int) -> int:
    """Return an upper bound of the number of elements in a document."""
    # Each element has one "<" that does not begin its end tag. The count is too high in
    # UTF-16 and with comments; a document near the limit has neither.
    most = document.count(b"<")
    return most if most <= limit else most - document.count(b"</")


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
        # The declaration was just read byte by byte, so the text is not UTF-16: .NET
        # writes this declaration into texts that it sends as UTF-8.
        return "utf-8"
    return None


def _is_known(charset: str) -> bool:
    try:
        etree.XMLParser(encoding=charset)
    except (LookupError, ValueError):
        return False
    return True


def _fault(document: bytes, content_type: str | None, error: Exception) -> str:
    """Return the fault of a document that cannot be parsed."""
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
    """Remove the elements that are nil, and keep the text after them."""
    for element in _NIL(root):  # type: ignore[union-attr] # this path finds elements
        if len(element) or (element.text or "").strip():  # type: ignore[arg-type,union-attr] # likewise
            name = element.tag.rpartition("}")[2]  # type: ignore[union-attr] # likewise
            element.tag = f"{{{NIL_WITH_CONTENT}}}{name}"  # type: ignore[union-attr] # likewise
        else:
            element.tag = _NOTHING  # type: ignore[union-attr] # likewise
    # All in one call: one by one, each removal would copy the text that was kept
    # before.
    etree.strip_elements(root, _NOTHING, with_tail=False)
