"""
`purpose`: plain text, or a DocBook 5.0 article inside the string.

Allowed are article, info, title, para, section, ulink and bibliography (crm:scheduling
1.1.5); real ones also have lists, an XML declaration, no namespace, and trailing
comments. Anything that does not parse is plain text. The result is plain text always:
markup of a region's never reaches a client.
"""

import re
from typing import Final

from lxml import etree

from fhir_gateway.rivta.xml import UnreadableXml, parse

__all__ = ["plain_text"]

_BLOCKS: Final = frozenset({"title", "para", "simpara", "listitem", "subtitle"})

# The declaration speaks of bytes that are gone: inside a string it can only mislead.
_DECLARATION: Final = re.compile(r"<\?xml\s[^>]*\?>\s*")


def plain_text(purpose: str) -> str:
    """Return the text of a purpose, one line for each title or paragraph."""
    stripped = purpose.strip()
    if not stripped.startswith("<"):
        return stripped
    try:
        root = parse(_DECLARATION.sub("", stripped, count=1).encode())
    except (UnreadableXml, UnicodeEncodeError):
        return stripped
    lines: list[str] = []
    _collect(root, lines)
    return "\n".join(line for line in lines if line)


def _collect(node: etree._Element, lines: list[str]) -> None:
    local = node.tag.rpartition("}")[2]
    if local in _BLOCKS and not any(
        child.tag.rpartition("}")[2] in _BLOCKS for child in node.iterdescendants()
    ):
        lines.append(_inline(node))
        return
    if node.text and node.text.strip():
        lines.append(" ".join(node.text.split()))
    for child in node:
        _collect(child, lines)
        if child.tail and child.tail.strip():
            lines.append(" ".join(child.tail.split()))


def _inline(node: etree._Element) -> str:
    text = " ".join("".join(str(part) for part in node.itertext()).split())
    urls = [
        link.get("url", "")
        for link in node.iter()
        if link.tag.rpartition("}")[2] == "ulink"
    ]
    shown = [
        url
        for url in urls
        if url.startswith(("https://", "http://")) and url not in text
    ]
    return " ".join([text, *(f"({url})" for url in shown)]).strip()
