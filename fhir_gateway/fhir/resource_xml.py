"""
Resources in XML (FHIR R4, 2.6.1): the same values that JSON has.

The program itself speaks JSON: this module writes answers again, and reads bodies, for
clients that use XML. What it reads is checked as JSON is, in `structure.py`, so that
both forms have the same faults. The order of elements, and which of them are lists,
come from R4's definitions.
"""

import re
from collections.abc import Collection, Container, Iterator, Mapping
from copy import deepcopy
from functools import cache
from itertools import zip_longest
from typing import Any, Final

from lxml import etree

from fhir_gateway.fhir.primitive import UNSAYABLE
from fhir_gateway.fhir.r4 import RESOURCES, elements_in_order, elements_of
from fhir_gateway.model.json_reading import MOST_JSON_DEPTH, MOST_JSON_KEYS, is_writable
from fhir_gateway.model.xml_parsing import has_document_type, safe_parser

__all__ = ["UnreadableXml", "resource_from_xml", "xml_from_resource"]

_UTF_8: Final = "utf-8"
_FHIR: Final = "http://hl7.org/fhir"
_XHTML: Final = "http://www.w3.org/1999/xhtml"
_DIV: Final = f"{{{_XHTML}}}div"
_INSTANCE: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_PREFIX: Final = f"{{{_FHIR}}}"
_NARRATIVE: Final = f"{{{_XHTML}}}div"
# The form of a name that FHIR may give to an element: no other reaches the checks.
_NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
_KIND: Final = re.compile(r"[A-Z][A-Za-z]{0,63}")
_INTEGERS: Final = frozenset({"integer", "unsignedInt", "positiveInt"})
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,9})")
_DECIMAL: Final = re.compile(
    r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?"
)
_BOOLEANS: Final = {"true": True, "false": False}
# Werkzeug's and html's escapes leave blanks that XML would normalize away.
_ESCAPES: Final = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\t": "&#9;",
        "\n": "&#10;",
        "\r": "&#13;",
    }
)


class UnreadableXml(ValueError):
    """This server does not accept the bytes as FHIR's XML; the message says why."""


def xml_from_resource(resource: Mapping[str, Any], *, is_pretty: bool = False) -> bytes:
    """
    Return a resource as an XML document in UTF-8.

    A character that XML cannot express becomes U+FFFD.

    Args:
        resource: A valid resource.
        is_pretty: Indent it.

    Raises:
        ValueError: R4 does not define one of its elements.
    """
    text = "".join(_resource(resource, f' xmlns="{_FHIR}"'))
    if is_pretty:
        root = etree.fromstring(text, safe_parser(_UTF_8))
        _indent(root)
        text = etree.tostring(root, encoding="unicode") + "\n"
    return f"{_DECLARATION}{text}".encode()


def _indent(root: etree._Element) -> None:
    """Indent a document, but for its narratives: their blanks are a part of them."""
    narratives = [(each, deepcopy(each)) for each in root.iter(_NARRATIVE)]
    etree.indent(root)
    for indented, narrative in narratives:
        narrative.tail = indented.tail
        parent = indented.getparent()
        if parent is not None:
            parent.replace(indented, narrative)


def resource_from_xml(
    document: bytes, *, types: Container[str] = RESOURCES
) -> dict[str, Any]:
    """
    Return the resource in an XML document, as JSON has it.

    What R4 does not define stays visible: `structure.checked` refuses it.

    Args:
        document: The bytes.
        types: The types of resources to read; of others the result has the type only.

    Raises:
        UnreadableXml: The document is larger than the limits of JSON, in elements or
            depth; it is not UTF-8, not well-formed or has a document type declaration;
            or it has attributes, texts or names that FHIR's XML does not have. The
            message quotes nothing.
    """
    if document.count(b"<") - document.count(b"</") > MOST_JSON_KEYS:
        raise UnreadableXml(f"the body has more than {MOST_JSON_KEYS} elements")
    try:
        document.decode()
        root = etree.fromstring(document, safe_parser(_UTF_8))
    except (etree.XMLSyntaxError, ValueError):
        # libxml2's message quotes the document.
        raise UnreadableXml("the body is not well-formed XML in UTF-8") from None
    if has_document_type(root):
        raise UnreadableXml("the body has a document type declaration")
    return _Reader(types).resource(root, 1)


def _resource(resource: Mapping[str, Any], namespace: str = "") -> Iterator[str]:
    kind = resource["resourceType"]
    yield f"<{kind}{namespace}>"
    yield from _children(resource, kind, {"resourceType"})
    yield f"</{kind}>"


def _children(
    value: Mapping[str, Any], kind: str, apart: Collection[str]
) -> Iterator[str]:
    """Yield the elements of an object; those in `apart` are written elsewhere."""
    places = _places(kind)
    named = [each for each in value if each not in apart]
    for name in sorted(
        {each.removeprefix("_") for each in named}, key=places.__getitem__
    ):
        definition = elements_of(kind)[name]
        item, twin = value.get(name), value.get(f"_{name}")
        if definition.type == "xhtml":
            yield _narrative(str(item))
        elif not definition.is_list:
            yield from _element(name, definition.type, item, twin)
        else:
            for each, its_twin in zip_longest(item or (), twin or ()):
                yield from _element(name, definition.type, each, its_twin)


@cache
def _places(kind: str) -> "_Places":
    return _Places((name, place) for place, name in enumerate(elements_in_order(kind)))


class _Places(dict[str, int]):
    """The places of the elements of a type."""

    def __missing__(self, name: str) -> int:
        raise ValueError("R4 does not define an element of an answer")


def _element(name: str, kind: str, value: Any, twin: Any) -> Iterator[str]:  # noqa: ANN401 - JSON is any value
    if kind == "Resource":
        yield f"<{name}>"
        yield from _resource(value)
        yield f"</{name}>"
        return
    if kind[0].islower():
        said = "" if value is None else f' value="{_text(value)}"'
        inner: Mapping[str, Any] = twin or {}
        content = "".join(_children(inner, "Element", {"id"}))
    else:
        said, inner = "", value
        apart = {"id", "url"} if kind == "Extension" else {"id"}
        content = "".join(_children(inner, kind, apart))
        if kind == "Extension":
            said = f' url="{_text(inner["url"])}"'
    if "id" in inner:
        said = f' id="{_text(inner["id"])}"{said}'
    yield f"<{name}{said}>{content}</{name}>" if content else f"<{name}{said}/>"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return UNSAYABLE.sub("\ufffd", str(value)).translate(_ESCAPES)


def _narrative(div: str) -> str:
    """Return a narrative's XHTML, which must not open what it does not close."""
    try:
        root = etree.fromstring(div, safe_parser(_UTF_8))
    except etree.XMLSyntaxError:
        raise ValueError("a narrative of an answer is not well-formed") from None
    return str(etree.tostring(root, encoding="unicode"))


class _Reader:
    """Reads elements as JSON has them."""

    def __init__(self, types: Container[str]) -> None:
        self._types = types

    def resource(self, element: etree._Element, depth: int) -> dict[str, Any]:
        """Return a resource; of a type that this server does not read its type only."""
        kind = self._name(element, _KIND)
        resource = {"resourceType": kind}
        if kind in self._types:
            self._attributes(element, ())
            resource |= self._object(element, kind, depth)
        return resource

    def _object(
        self,
        element: etree._Element,
        kind: str,
        depth: int,
        attributes: Collection[str] = (),
    ) -> dict[str, Any]:
        """Return the elements of an object; those in `attributes` are no elements."""
        if depth > MOST_JSON_DEPTH:
            raise UnreadableXml(f"the body is nested deeper than {MOST_JSON_DEPTH}")
        self._check_text(element.text)
        definitions = elements_of(kind)
        result: dict[str, Any] = {}
        # Of primitives in a list: the extensions stand at the places of their values.
        twins: dict[str, list[Any]] = {}
        for child in element:
            self._check_text(child.tail)
            if child.tag == _DIV and "div" in definitions:
                self._add(result, "div", _html(child), is_list=False)
                continue
            name = self._name(child, _NAME)
            definition = definitions.get(name)
            if definition is None or name in attributes:
                # Its content is nobody's business: the checks name the place.
                result[name] = {}
                continue
            value, twin = self._value(child, definition.type, depth + 1)
            if definition.is_primitive and definition.is_list:
                twins.setdefault(name, []).append(twin)
            elif twin is not None:
                self._add(result, f"_{name}", twin, is_list=False)
                if value is None:
                    continue
            # An element with neither value nor extensions is empty, as in JSON.
            self._add(
                result,
                name,
                "" if value is None and twin is None else value,
                is_list=definition.is_list,
            )
        return result | self._extended(result, twins)

    def _extended(
        self, result: dict[str, Any], twins: dict[str, list[Any]]
    ) -> dict[str, Any]:
        """Return the extensions of lists, and no list that has nothing but them."""
        found = {}
        for name, listed in twins.items():
            if any(listed):
                found[f"_{name}"] = listed
                if all(each is None for each in result[name]):
                    del result[name]
        return found

    def _value(self, element: etree._Element, kind: str, depth: int) -> tuple[Any, Any]:
        """Return an element's value, and the extensions of a primitive."""
        if kind == "Resource":
            self._attributes(element, ())
            self._check_text(element.text)
            if len(element) != 1:
                raise UnreadableXml("an element must hold one resource")
            self._check_text(element[0].tail)
            return self.resource(element[0], depth + 1), None
        if kind[0].islower():
            twin = self._attributes(element, ("id", "value"))
            value = twin.pop("value", None)
            twin |= self._object(element, "Element", depth, ("id",))
            return _primitive(value, kind), twin or None
        attributes = ("id", "url") if kind == "Extension" else ("id",)
        result = self._attributes(element, attributes)
        return result | self._object(element, kind, depth, attributes), None

    def _add(
        self, result: dict[str, Any], name: str, value: object, *, is_list: bool
    ) -> None:
        if is_list:
            result.setdefault(name, []).append(value)
        elif name in result:
            # The checks refuse a list here, as they do in JSON.
            result[name] = [result[name], value]
        else:
            result[name] = value

    def _name(self, element: etree._Element, form: re.Pattern[str]) -> str:
        name = str(element.tag)
        local = name.removeprefix(_PREFIX)
        if local in (name, "resourceType") or not form.fullmatch(local):
            raise UnreadableXml(
                f"the body has an element that is not FHIR's: its namespace is {_FHIR}"
            )
        return local

    def _attributes(
        self, element: etree._Element, known: Collection[str]
    ) -> dict[str, Any]:
        found = {}
        for name, value in element.attrib.items():
            if name in known:
                found[str(name)] = value
            # FHIR R4, 2.6.1: xsi:schemaLocation is ignored.
            elif not str(name).startswith(_INSTANCE):
                raise UnreadableXml("the body has an attribute that FHIR does not have")
        return found

    def _check_text(self, text: str | None) -> None:
        if text and text.strip():
            raise UnreadableXml(
                "the body has text between elements: FHIR's values are attributes"
            )


def _primitive(text: str | None, kind: str) -> object:
    """Return a value as JSON has it; the text where it is none of its type."""
    if text is None:
        return None
    if kind == "boolean":
        return _BOOLEANS.get(text, text)
    if kind in _INTEGERS and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "decimal" and _DECIMAL.fullmatch(text):
        number = float(text) if set(text) & set(".eE") else int(text)
        return number if is_writable(number) else text
    return text


def _html(div: etree._Element) -> str:
    text: str = etree.tostring(div, encoding="unicode", with_tail=False)
    return text
