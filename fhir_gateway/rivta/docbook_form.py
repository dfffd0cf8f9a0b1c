"""
Reads the form of a text in DocBook: `purpose` may be DocBook inside a string.

The elements are those that Inera's Core guide maps to a FHIR narrative: title, para,
emphasis, itemizedlist, orderedlist, listitem, variablelist, varlistentry, term, ulink,
and link of DocBook 5. Of any other element only the words are left, and of program code
not even those. The text comes from outside: what is no well-formed XML, has a document
type, or nests too deep keeps its plain words only.
"""

import html
import re
from collections.abc import Iterable, Mapping
from html.entities import html5
from typing import Final

from lxml import etree

from fhir_gateway.model.formatted_text import Form, FormattedText, Part
from fhir_gateway.model.xml_parsing import safe_parser
from fhir_gateway.rivta.docbook import plain_line, plain_text

__all__ = ["formatted_text"]

_MOST_ESCAPES: Final = 4
# DocBook of a booking has about ten levels.
_MOST_LEVELS: Final = 40
_HIGHEST_HEADING: Final = 2
_LOWEST_HEADING: Final = 6

_TAG: Final = re.compile(r"<[A-Za-z!?/]")
_ESCAPED_TAG: Final = re.compile(r"&(?:amp;|#38;)*+(?:lt|#60|#x3c);", re.IGNORECASE)
_DECLARATION: Final = re.compile(r"<\?xml\s[^<>?]*+\?>\s*+")
_DOCUMENT: Final = re.compile(r"(?:<!--(?:(?!-->).)*+-->\s*+)*+<[A-Za-z]", re.DOTALL)
_NAMED_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31};)")
_OF_XML: Final = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})

# What a client may follow: a page without a name or password in its address, an address
# of mail, a telephone number.
_SAFE: Final = re.compile(
    r"https://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?(?:[/?\#][^\s<>\"'\\`]*)?"
    r"|mailto:[A-Za-z0-9._+\-]+@[A-Za-z0-9.\-]+"
    r"|tel:\+?[0-9][0-9\-.()]*"
)
_SHOWN: Final = re.compile(r"http://[^\s<>\"'\\`@]+")

_ADDRESSES: Final = ("url", "href", "{http://www.w3.org/1999/xlink}href")
_CODE: Final = frozenset({"script", "style"})
_LINKS: Final = frozenset({"a", "link", "ulink"})
_TITLES: Final = frozenset({"subtitle", "title"})
_SECTIONS: Final = frozenset(
    {"bibliography", "sect1", "sect2", "sect3", "sect4", "sect5", "section"}
)
_LISTS: Final = {
    "itemizedlist": Form.BULLETS,
    "orderedlist": Form.NUMBERS,
    "simplelist": Form.BULLETS,
    "ul": Form.BULLETS,
    "ol": Form.NUMBERS,
}
_ITEMS: Final = frozenset({"li", "listitem", "member"})
_TERMS: Final = frozenset({"dl", "variablelist"})
_OF_TERMS: Final = {
    "term": Form.TERM,
    "dt": Form.TERM,
    "listitem": Form.MEANING,
    "dd": Form.MEANING,
}
_FORMS_BY_ROLE: Final = {
    "bold": Form.STRONG,
    "strong": Form.STRONG,
    "italic": Form.EMPHASIS,
    "italics": Form.EMPHASIS,
    "underline": Form.EMPHASIS,
}
_INLINES: Final = {
    "b": Form.STRONG,
    "strong": Form.STRONG,
    "em": Form.EMPHASIS,
    "i": Form.EMPHASIS,
}
_CELLS: Final = frozenset({"entry", "td", "th"})
# Elements inside of a line; any other that is not named here begins a line of its own.
_WITHIN_A_LINE: Final = frozenset(
    {"abbrev", "acronym", "author", "bibliomisc", "citetitle", "code", "date", "email"}
    | {"emphasis", "firstterm", "foreignphrase", "literal", "personname", "phrase"}
    | {"publishername", "quote", "remark", "small", "span", "sub", "subscript", "sup"}
    | {"superscript", "tag", "tt", "u", "uri", "wordasword"}
)


_Content = tuple[Part | str, ...]


def formatted_text(text: str) -> str:
    """
    Return the plain words of a text, with their form where it is DocBook.

    Never fails: a text that cannot be read as DocBook is plain.
    """
    plain = plain_text(text)
    root = _root(text)
    if root is None:
        return plain
    parts = tuple(_blocks(root, 1))
    return FormattedText(plain, parts) if parts else plain


def _root(text: str) -> etree._Element | None:
    """Return an element around a text that is markup; None for any other text."""
    text = text.strip()
    for _ in range(_MOST_ESCAPES):
        if _TAG.search(text) or not _ESCAPED_TAG.search(text):
            break
        text = html.unescape(text).strip()
    text = _DECLARATION.sub("", text, count=1)
    if not _DOCUMENT.match(text):
        return None
    text = _NAMED_ENTITY.sub(_as_character, text)
    try:
        root = etree.fromstring(
            # Some write the links of DocBook 5 without declaring their prefix.
            f'<text xmlns:xlink="http://www.w3.org/1999/xlink">{text}</text>'.encode(),
            safe_parser("utf-8"),
        )
    except (etree.XMLSyntaxError, ValueError):
        return None
    return None if _is_too_deep(root) else root


def _as_character(entity: re.Match[str]) -> str:
    """Return what HTML's names of characters stand for; XML knows five of them."""
    name = entity[1]
    return entity[0] if name in _OF_XML else html5.get(name, entity[0])


def _is_too_deep(root: etree._Element) -> bool:
    level = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        level += 1 if event == "start" else -1
        if level > _MOST_LEVELS:
            return True
    return False


def _name(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2].lower()


def _blocks(element: etree._Element, depth: int) -> list[Part]:
    """Return the headings, paragraphs and lists in an element."""
    blocks: list[Part] = []
    line: list[Part | str] = [_words(element.text)]

    def end_line() -> None:
        content = _trimmed(line)
        if content:
            blocks.append(Part(form=Form.PARAGRAPH, content=content))
        line.clear()

    for child in element:
        name = _name(child)
        if _is_within_a_line(name):
            line += _line(child)
        elif name not in _CODE:
            end_line()
            blocks += _block(child, name, depth)
        line.append(_words(child.tail))
    end_line()
    return blocks


def _block(element: etree._Element, name: str, depth: int) -> list[Part]:
    if name in _TITLES:
        content = _trimmed(_lines_of(element))
        level = min(max(depth, _HIGHEST_HEADING), _LOWEST_HEADING)
        return (
            [Part(form=Form.HEADING, content=content, level=level)] if content else []
        )
    listed: list[Part] | None = None
    if name in _LISTS:
        listed = _entries(element, dict.fromkeys(_ITEMS, Form.ITEM), depth)
    elif name in _TERMS:
        listed = _entries(element, _OF_TERMS, depth)
    if listed is None:
        return _blocks(element, depth + (name in _SECTIONS))
    titles = [each for each in listed if each.form is Form.HEADING]
    entries = tuple(each for each in listed if each.form is not Form.HEADING)
    form = _LISTS.get(name, Form.TERMS)
    return [*titles, Part(form=form, content=entries)] if entries else titles


def _entries(
    element: etree._Element, forms: Mapping[str, Form], depth: int
) -> list[Part] | None:
    """
    Return the titles and entries of a list, in their order.

    None stands for a list that has anything else in it: an entry is no place for that.
    """
    entries: list[Part] = []
    if (element.text or "").strip():
        return None
    for child in element:
        name = _name(child)
        if (child.tail or "").strip():
            return None
        if name in forms:
            entries += _item(forms[name], child, depth)
        elif name in _TITLES:
            entries += _block(child, name, depth)
        elif name == "varlistentry" and Form.TERM in forms.values():
            of_one = _entries(child, forms, depth)
            if of_one is None:
                return None
            entries += of_one
        elif name not in _CODE:
            return None
    return entries


def _item(form: Form, element: etree._Element, depth: int) -> list[Part]:
    """Return an item of a list; one with a single line has no paragraph in it."""
    if form is Form.TERM:
        content = _trimmed(_lines_of(element))
        return [Part(form=form, content=content)] if content else []
    blocks = _blocks(element, depth)
    if not blocks:
        return []
    content = tuple(blocks)
    if len(blocks) == 1 and blocks[0].form is Form.PARAGRAPH:
        content = blocks[0].content
    return [Part(form=form, content=content)]


def _is_within_a_line(name: str) -> bool:
    return (
        name in _WITHIN_A_LINE or name in _INLINES or name in _LINKS or name in _CELLS
    )


def _line(element: etree._Element) -> list[Part | str]:
    """Return the words of an element inside of a line, in their form."""
    name = _name(element)
    content = _lines_of(element)
    if name in _CELLS:
        return [" ", *content, " "]
    if name in _LINKS:
        return _link(element, content)
    form = _INLINES.get(name)
    if name == "emphasis":
        # DocBook's own emphasis without a role is in italics.
        form = _FORMS_BY_ROLE.get(element.get("role") or "italic")
    if form is None or not _trimmed(content):
        return content
    return [Part(form=form, content=tuple(content))]


def _lines_of(element: etree._Element) -> list[Part | str]:
    """Return all words in an element as one line."""
    content: list[Part | str] = [_words(element.text)]
    for child in element:
        name = _name(child)
        if name not in _CODE:
            if _is_within_a_line(name):
                content += _line(child)
            else:
                content += [" ", *_lines_of(child), " "]
        content.append(_words(child.tail))
    return content


def _link(element: etree._Element, content: list[Part | str]) -> list[Part | str]:
    stated = (element.get(each) for each in _ADDRESSES)
    address = next((each.strip() for each in stated if each), "")
    words = _plain(content)
    if _SAFE.fullmatch(address):
        # A link inside of a link is none in XHTML.
        shown = " ".join(words.split()) or address
        return [Part(form=Form.LINK, content=(shown,), address=address)]
    if _SHOWN.fullmatch(address) and address not in words:
        return [*content, f" ({address})"]
    return content


def _plain(content: Iterable[Part | str]) -> str:
    return "".join(
        each if isinstance(each, str) else _plain(each.content) for each in content
    )


def _words(text: str | None) -> str:
    """Return words with single blanks, also around them; no markup is left in them."""
    if not text:
        return ""
    if "<" in text or "&" in text:
        # Markup that was escaped once more, or a CDATA section.
        before = " " if text[0].isspace() else ""
        after = " " if text[-1].isspace() else ""
        text = f"{before}{plain_line(text)}{after}"
    return _single_blanks(text)


def _single_blanks(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _trimmed(content: Iterable[Part | str]) -> _Content:
    """Return the content of a line without blanks around it; empty without words."""
    joined: list[Part | str] = []
    for each in content:
        if isinstance(each, str) and joined and isinstance(joined[-1], str):
            joined[-1] += each
        else:
            joined.append(each)
    if joined and isinstance(joined[0], str):
        joined[0] = joined[0].lstrip()
    if joined and isinstance(joined[-1], str):
        joined[-1] = joined[-1].rstrip()
    kept = tuple(
        _single_blanks(each) if isinstance(each, str) else each
        for each in joined
        if each != ""
    )
    return kept if _plain(kept).strip() else ()
