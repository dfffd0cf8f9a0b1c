"""
Turns a region's text into plain text: `purpose` may be DocBook inside a string.

The contract permits article, info, title, para, section, ulink and bibliography
(crm:scheduling 1.1.5). Real texts also have lists, DocBook 5's `link`, HTML, named
entities, document type declarations, broken markup, and markup that was escaped twice.
An XML parser would refuse them. This module removes all tags, known or unknown, and
keeps the text between them.
"""

import html
import re
from typing import Final

__all__ = ["plain_line", "plain_text"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS: Final = _names(
    "address appendix article bibliodiv biblioentry bibliography bibliomixed blockquote"
    " body book br caution chapter dd div dl dt epigraph example figure footer form"
    " formalpara h1 h2 h3 h4 h5 h6 head header hr html important info informaltable"
    " itemizedlist li listitem literallayout main member note ol orderedlist p para"
    " pre procedure programlisting row screen sect1 sect2 sect3 sect4 sect5 section"
    " sidebar simpara simplelist simplesect step subtitle table tbody term tfoot tgroup"
    " thead tip title tr ul variablelist varlistentry warning"
)
_CELLS: Final = frozenset({"entry", "td", "th"})
_INLINES: Final = _names(
    "a abbrev acronym anchor author b big blink cite code date del dfn email em"
    " emphasis firstterm font footnote foreignphrase i iframe img imagedata"
    " imageobject inlinemediaobject input ins kbd link literal mark mediaobject meta"
    " object optional phrase q quote s small span strike strong sub subscript sup"
    " superscript svg trademark tt u ulink uri var wbr xref"
)
# Elements with program code inside, which is no text.
_CODE: Final = frozenset({"script", "style"})
_KNOWN: Final = _BLOCKS | _CELLS | _INLINES | _CODE

# Each alternative ends at the next "<" at the latest, or takes the whole rest, so that
# reading takes linear time even in a text without any ">".
_TOKEN: Final = re.compile(
    r"""
      <!--(?:(?!-->).)*+(?:-->)?+
    | <!\[CDATA\[(?P<cdata>(?:(?!\]\]>).)*+)(?:\]\]>)?+
    | (?P<declaration><!DOCTYPE[^\[<>]*+(?:\[[^\]]*+\]?+\s*+)?+>?+ | <\?\w[^<>]*+>)
    | <(?P<end>/)?+(?P<name>[^\W\d_][\w.:\-]*+)(?=[\s/>]|\Z)
      (?:
          (?P<attributes>(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>
        | (?P<broken>[^<>]*+)(?:>|\Z)
      )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ENTITY: Final = re.compile(
    r"&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{0,31});"
)
_ADDRESS: Final = re.compile(
    r"""(?<![\w-])(?:url|href)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE
)
_HARMLESS: Final = re.compile(r"(?:https?://|mailto:|tel:)[^\s<>\"']+", re.IGNORECASE)
# How many times a text may have been escaped.
_MOST_ESCAPES: Final = 4


def plain_text(text: str) -> str:
    """
    Return a text without markup, one line for each title, paragraph or list item.

    The address of a link follows the link's own words where its scheme is `http`,
    `https`, `mailto` or `tel`; any other address is left out. Text that only looks like
    markup ("temp < 38", "<Anna>") stays.
    """
    plain = text.strip()
    for _ in range(_MOST_ESCAPES):
        if "<" not in plain and "&" not in plain:
            return plain
        before, plain = plain, _strip_markup(plain)
        if plain == before:
            return plain
    return _TOKEN.sub("", plain).strip()


def plain_line(text: str) -> str:
    """Return a name without markup, on one line."""
    if "<" not in text and "&" not in text:
        return text
    return " ".join(plain_text(text).split())


def _strip_markup(text: str) -> str:
    is_document = _is_document(text)
    writer = _Writer(is_document=is_document)
    end = 0
    for token in _TOKEN.finditer(text):
        name = (token["name"] or "").rpartition(":")[2].lower()
        attributes = token["attributes"] or token["broken"] or ""
        if name and not is_document and name not in _KNOWN and "=" not in attributes:
            continue
        writer.text(_unescape(text[end : token.start()]))
        end = token.end()
        if token["cdata"] is not None:
            writer.text(token["cdata"])
        elif token["end"]:
            writer.leave(name)
        elif name:
            writer.enter(name, attributes)
    writer.text(_unescape(text[end:]))
    return writer.finish()


def _is_document(text: str) -> bool:
    """Return whether a text begins with markup, with known tags or unknown ones."""
    first = _TOKEN.match(text)
    if first is None or first["name"] is None:
        return first is not None
    return (
        first["name"].rpartition(":")[2].lower() in _KNOWN
        or f"</{first['name']}" in text
        or (first["attributes"] or "").endswith("/")
    )


def _unescape(text: str) -> str:
    # Not html.unescape for the whole text: it turns the "&copy" in "?a=1&copy=2" into a
    # copyright sign.
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


class _Writer:
    """
    Collects the lines of a text.

    Args:
        is_document: Whether only elements break lines, not line breaks in the text.
    """

    def __init__(self, *, is_document: bool) -> None:
        self._is_document = is_document
        self._lines: list[str] = []
        self._line = ""
        self._links: list[tuple[str, str, int]] = []
        self._code: str | None = None

    def text(self, text: str) -> None:
        """Add words."""
        if self._code is not None:
            return
        if self._is_document:
            self._line += text
            return
        first, *others = text.split("\n")
        self._line += first
        for line in others:
            self._end_line()
            self._line = line

    def enter(self, name: str, attributes: str) -> None:
        """Begin an element."""
        if self._code is not None:
            return
        is_empty = attributes.endswith("/")
        if name in _CODE:
            self._code = None if is_empty else name
        elif name in _BLOCKS:
            self._end_block()
        elif name in _CELLS:
            self._line += " "
        address = _ADDRESS.search(attributes)
        if address is not None:
            shown = html.unescape(address[1] or address[2] or "").strip()
            self._links.append((name, shown, len(self._line)))
            if is_empty:
                self._end_link()

    def leave(self, name: str) -> None:
        """End an element."""
        if self._code is not None:
            if name == self._code:
                self._code = None
            return
        if self._links and self._links[-1][0] == name:
            self._end_link()
        if name in _BLOCKS:
            self._end_block()
        elif name in _CELLS:
            self._line += " "

    def finish(self) -> str:
        """End the last line and return all lines."""
        self._end_line()
        lines = self._lines
        if self._is_document:
            lines = [line for line in lines if line]
        return "\n".join(lines).strip()

    def _end_link(self) -> None:
        _, address, start = self._links.pop()
        if _HARMLESS.fullmatch(address) and address not in self._line[start:]:
            gap = "" if not self._line or self._line[-1].isspace() else " "
            self._line += f"{gap}({address})"

    def _end_block(self) -> None:
        if self._line.strip():
            self._end_line()

    def _end_line(self) -> None:
        while self._links:
            self._end_link()
        line = " ".join(self._line.split()) if self._is_document else self._line
        self._lines.append(line)
        self._line = ""
