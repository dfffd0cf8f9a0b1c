"""
Reads and writes messages as dataclasses: one table of elements serves both.

`rivta/element.py` shows how a message is declared.

`Rejections` counts what cannot be read of an answer: an item of a list, or a name, text
or flag that its item can do without. Any other unreadable element makes the part that
holds it malformed.

The reader knows an element by its local name in three cases: it has the namespace that
the schema gives it, another namespace of the same family (`urn:riv:crm:scheduling:`,
for example), or none. An unknown element of any other namespace is an extension, which
the schemas permit and later versions of the contract use. Four kinds are no
extensions: an element with a name like one of the contract's, an element that holds
some of the contract's, an element that refers to content elsewhere, and an element of a
response that reports an error.

The reader never ignores an element that is neither known nor an extension. Among the
items of a list it counts as an item that is left out; anywhere else it makes its part
malformed. The same holds for text between elements. A second element where the schema
permits one makes its part malformed, and so do a `Fault` and an element without content
that refers to content elsewhere (`href`; SOAP 1.1, section 5).
"""

import html
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from lxml import etree

from fhir_gateway.rivta.element import Codec, Element, Layout, layout_of
from fhir_gateway.rivta.extension import (
    counts_by_local_name,
    is_extension,
    is_fault,
    is_of_riv,
    local_name,
    name_to_show,
    refers_elsewhere,
    reports_error,
)
from fhir_gateway.rivta.rejection import (
    MOST_REASONS,
    SOME_ELEMENT,
    MalformedElement,
    Rejections,
)
from fhir_gateway.rivta.xml import NIL_WITH_CONTENT

__all__ = ["differences_from", "read", "write", "write_text"]

T = TypeVar("T")

_UNKNOWN: Final = "is no element of the contract"
_MEANT: Final = " is meant"
_TEXT_BETWEEN: Final = ("text", "stands where elements should")
_ELSEWHERE: Final = "has no content, and attributes that the contract does not have"
_CONTENT_ELSEWHERE: Final = ("attributes", "stand where elements should")


def write(value: object, parent: etree._Element) -> None:
    """
    Append a value's elements to `parent`, in the order of the schema.

    An absent or blank value has no element: the contract forbids empty ones.

    Raises:
        MalformedElement: A required element has no value, or a value cannot be written.
    """
    for attribute, tag, declared in layout_of(type(value)).by_field:
        content = getattr(value, attribute)
        items = content if declared.repeats else (content,)
        written = False
        for item in items:
            if item is None or (isinstance(item, str) and not item.strip()):
                continue
            _write_item(declared, item, etree.SubElement(parent, tag))
            written = True
        if declared.required and not written:
            raise MalformedElement(declared.name, "is required")


def write_text(name: str, text: str, node: etree._Element) -> None:
    """
    Set the text of an element.

    Raises:
        MalformedElement: XML cannot carry the text, for example a control character.
    """
    try:
        node.text = text
    except ValueError:
        # lxml's own error for half a surrogate pair repeats the text.
        raise MalformedElement(name, "has a character that XML cannot carry") from None


def read(kind: type[T], node: etree._Element, rejected: Rejections) -> T:
    """
    Return the value that the children of an element hold.

    The order of the children does not matter, nor a wrong namespace of the same family;
    an empty element counts as absent. A simple value with elements inside is malformed.
    An unknown element or text among the items of a list counts as an item that is left
    out; elsewhere both are malformed. So is a second element where the schema permits
    one.

    Args:
        kind: The dataclass to read.
        node: The parent of the elements to read.
        rejected: Receives what is left out.

    Raises:
        MalformedElement: A required element is absent, a value is impossible, or
            reading on would lose content.
    """
    layout = layout_of(kind)
    values: dict[str, Any] = {}
    repeated: dict[str, list[Any]] = {}
    single_texts = layout.single_texts
    # This loop takes nearly all the time of reading an answer. Most elements are single
    # texts in the namespace of the schema, so those come first.
    text = node.text
    if text and not text.isspace():
        _refuse_text(layout, node, rejected)
    for child in node:
        text = child.tail
        if text and not text.isspace():
            _refuse_text(layout, node, rejected)
        known = single_texts.get(child.tag)
        if known is None:
            _read_other(layout, child, values, repeated, rejected)
            continue
        attribute, codec = known
        value = _read_value(codec, child, rejected)
        if value is not None:
            if attribute in values:
                value = _join_texts(codec, child, values[attribute], value, rejected)
            values[attribute] = value
    for attribute, items in repeated.items():
        values[attribute] = tuple(items)
    if not values and refers_elsewhere(node):
        raise MalformedElement(*_CONTENT_ELSEWHERE)
    return _build(kind, layout, values)


def _build(kind: type[T], layout: Layout, values: dict[str, Any]) -> T:
    for attribute, name in layout.required:
        if attribute not in values:
            raise MalformedElement(name, "is missing")
    if layout.absent:
        values = layout.absent | values
    made = object.__new__(kind)
    # An absent field has its default: an attribute of the class.
    object.__setattr__(made, "__dict__", values)
    return made


def differences_from(
    kind: type, node: etree._Element, hints: dict[tuple[type, str], str] | None = None
) -> list[str]:
    """
    Return the elements that a class does not have, and those that it has and miss here.

    An operator uses it to find a misspelling: it suggests the element that was perhaps
    meant, and also names elements that `read` can do without. It names an extension in
    a namespace of RIV if its name is close to a known one.

    Args:
        kind: The dataclass.
        node: The parent of the elements to compare.
        hints: The descriptions of unknown elements so far; only this function passes
            it.
    """
    layout = layout_of(kind)
    hints = {} if hints is None else hints
    found = []
    names = set()
    for child in node:
        name = local_name(child)
        known = (
            layout.by_name.get(name) if counts_by_local_name(layout, child) else None
        )
        if known is None:
            is_permitted = is_extension(layout, child)
            if is_permitted and not is_of_riv(child):
                continue
            hint = _hint(kind, child, hints)
            if not is_permitted or hint.endswith(_MEANT):
                found.append(hint)
            continue
        names.add(name)
        if not isinstance(known[1].content, Codec):
            inner = differences_from(known[1].content, child, hints)
            found.extend(f"{name}/{each}" for each in inner)
    found.extend(
        f"{declared.name}: is missing"
        for _, _, declared in layout.by_field
        if declared.required and declared.name not in names
    )
    return found


def _hint(kind: type, node: etree._Element, hints: dict[tuple[type, str], str]) -> str:
    """Describe an unknown element, and name the element that is perhaps meant."""
    name = local_name(node)
    said = hints.get((kind, name))
    if said is None:
        if len(hints) >= MOST_REASONS:
            return f"{SOME_ELEMENT}: {_UNKNOWN}"
        layout = layout_of(kind)
        close = get_close_matches(name, layout.by_name, n=1)
        hint = f"; perhaps {close[0]}{_MEANT}" if close else ""
        shown = name if close else name_to_show(layout, node)
        said = hints[kind, name] = f"{shown}: {_UNKNOWN}{hint}"
    return said


def _refuse(layout: Layout, node: etree._Element, rejected: Rejections) -> None:
    """
    Count an unknown element as an item that is left out.

    Raises:
        MalformedElement: Its parent is no list of items, or it is or holds a fault.
    """
    if any(map(is_fault, node.iter())):
        raise MalformedElement("Fault", "stands inside an answer")
    namespace = node.tag.rpartition("}")[0][1:]
    if namespace == NIL_WITH_CONTENT:
        reason = "is nil and has content"
    elif local_name(node) in layout.by_name:
        reason = "is in a namespace that is not the contract's"
    elif reports_error(layout, node):
        reason = "reports an error"
    else:
        reason = _UNKNOWN
    if layout.is_list:
        # An item under another name, or the list would look empty.
        rejected.leave_out_item(name_to_show(layout, node), reason, None)
    elif len(node) or node.attrib or not _is_blank(node.text):
        raise MalformedElement(name_to_show(layout, node), reason)


def _refuse_text(layout: Layout, node: etree._Element, rejected: Rejections) -> None:
    """
    Count text between items as an item that is left out.

    Raises:
        MalformedElement: The element around it is no list, or has no items.
    """
    if not layout.is_list or len(node) == 0:
        raise MalformedElement(*_TEXT_BETWEEN)
    rejected.leave_out_item(*_TEXT_BETWEEN, None)


def _join_texts(
    codec: Codec,
    node: etree._Element,
    first: T,
    second: T,
    rejected: Rejections,
) -> T | str:
    """
    Return the texts of two elements as one, where the schema permits one element.

    Raises:
        MalformedElement: Texts of this kind cannot be joined.
    """
    if not codec.is_joined:
        raise _repetition_error(node)
    joined = f"{first}\n{second}"
    if len(joined) > codec.most:
        rejected.leave_out(local_name(node), f"is longer than {codec.most} characters")
        return first
    return joined


def _repetition_error(node: etree._Element) -> MalformedElement:
    return MalformedElement(f"{local_name(node)}[2]", "occurs more than once")


def _is_blank(text: str | None) -> bool:
    return not text or text.isspace()


def _write_item(declared: Element, item: object, node: etree._Element) -> None:
    if isinstance(declared.content, Codec):
        try:
            text = declared.content.to_text(item)
        except ValueError as error:
            raise MalformedElement(declared.name, str(error)) from None
        write_text(declared.name, text, node)
        return
    try:
        write(item, node)
    except MalformedElement as error:
        raise error.inside(declared.name) from None


def _read_other(
    layout: Layout,
    node: etree._Element,
    values: dict[str, Any],
    repeated: dict[str, list[Any]],
    rejected: Rejections,
) -> None:
    """Read an element that repeats, has parts, or stands in another namespace."""
    known = (
        layout.by_name.get(local_name(node))
        if counts_by_local_name(layout, node)
        else None
    )
    if known is None:
        if not is_extension(layout, node):
            _refuse(layout, node, rejected)
        return
    attribute, declared = known
    item = _read_item(declared, node, rejected)
    if item is None:
        return
    if declared.repeats:
        repeated.setdefault(attribute, []).append(item)
        return
    if attribute in values:
        if not isinstance(declared.content, Codec):
            raise _repetition_error(node)
        item = _join_texts(declared.content, node, values[attribute], item, rejected)
    values[attribute] = item


def _text_with_elements(codec: Codec, node: etree._Element) -> str:
    """Return a text with elements inside as markup."""
    if not codec.holds_markup:
        raise MalformedElement(local_name(node), "has elements inside")
    inner = [html.escape(node.text or "", quote=False)]
    inner.extend(etree.tostring(child, encoding="unicode") for child in node)
    return "".join(inner)


def _read_item(declared: Element, node: etree._Element, rejected: Rejections) -> Any:  # noqa: ANN401 - an element holds what its class declares
    content = declared.content
    if isinstance(content, Codec):
        return _read_value(content, node, rejected)
    if len(node) == 0 and _is_blank(node.text):
        if not declared.repeats:
            if refers_elsewhere(node):
                raise MalformedElement(local_name(node), _ELSEWHERE)
            return None
        missing = layout_of(content).required
        if declared.rejects_items and missing:
            # The fastest way out: an answer may have thousands of empty items.
            rejected.leave_out_item(
                f"{declared.name}/{missing[0][1]}", "is missing", None
            )
            return None
    try:
        return read(content, node, rejected)
    except MalformedElement as error:
        if not declared.rejects_items:
            raise error.inside(declared.name) from None
        rejected.leave_out_item(
            f"{declared.name}/{error.element}",
            error.reason,
            None
            if declared.key is None
            else _single_text(layout_of(content), node, declared.key),
        )
        return None


def _read_value(codec: Codec, node: etree._Element, rejected: Rejections) -> Any:  # noqa: ANN401 - each codec has its own type
    """Return the value of a simple element; None for an empty one."""
    text = _text_with_elements(codec, node) if len(node) else node.text
    if text is None or not (stripped := text.strip()):
        if node.attrib and refers_elsewhere(node):
            raise MalformedElement(local_name(node), _ELSEWHERE)
        return None
    if not codec.is_exact:
        text = stripped
    if len(text) > codec.most:
        fault = f"is longer than {codec.most} characters"
    elif codec.from_text is None:
        return text
    else:
        try:
            return codec.from_text(text)
        except ValueError as error:
            fault = str(error)
    if not codec.can_be_left_out:
        raise MalformedElement(local_name(node), fault)
    rejected.leave_out(local_name(node), fault)
    return codec.left_out


def _single_text(layout: Layout, node: etree._Element, name: str) -> str | None:
    """Return the text of the only child of that name; None for no child or several."""
    said = [
        str(child.text).strip()
        for child in node
        if local_name(child) == name
        and counts_by_local_name(layout, child)
        and not _is_blank(child.text)
    ]
    return said[0] if len(said) == 1 else None
