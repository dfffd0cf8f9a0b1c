"""
Messages as dataclasses: one table of elements for reading and for writing.

A message or a part of one is a frozen dataclass with a class attribute `NAMESPACE`,
whose fields are declared with `element` or `elements` in the order of the schema:

    @dataclass(frozen=True, kw_only=True)
    class Request:
        NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:CancelBookingResponder:1"

        healthcare_facility: str = element("healthcare_facility", required=True)
        message: str | None = element("message")

It has no slots: an answer has thousands of parts, and `read` fills a part's `__dict__`
at once, where its own `__init__` would set twenty fields one by one.

What cannot be read of an answer is counted in its `Rejections`: an item of a list, or a
name, text or flag that its item can do without. Anything else that cannot be read makes
its part malformed.
"""

import html
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar

from lxml import etree

from fhir_gateway.model.timekeeping import contract_date, contract_time
from fhir_gateway.rivta.docbook import plain_line, plain_text
from fhir_gateway.rivta.limit import (
    MOST_OF_IDENTIFIER,
    MOST_OF_NAME,
    MOST_OF_TEXT,
)

__all__ = [
    "BOOLEAN",
    "CODE",
    "DATE",
    "IDENTIFIER",
    "NAME",
    "PERMISSION",
    "TEXT",
    "TIME",
    "UNREADABLE",
    "Codec",
    "MalformedElement",
    "Rejections",
    "Unreadable",
    "differences_from",
    "element",
    "elements",
    "read",
    "write",
    "write_text",
]

T = TypeVar("T")


class MalformedElement(ValueError):
    """
    An element is missing or impossible.

    Attributes:
        element: Its name, as `timeslotDetail/startTimeInclusive`.
        reason: What is wrong with it, without its value.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.element = name
        self.reason = reason

    def inside(self, parent: str) -> "MalformedElement":
        """Return the same, named from one level further out."""
        return MalformedElement(f"{parent}/{self.element}", self.reason)


class Unreadable(Enum):
    """What stands for a value that was left out, where that is not an absent one."""

    UNREADABLE = "unreadable"

    def __bool__(self) -> bool:
        return False


UNREADABLE: Final = Unreadable.UNREADABLE


class Rejections:
    """
    What was left out of an answer.

    Attributes:
        by_reason: How many items and parts of items, by what was wrong: the element and
            its fault, never its value.
        keys: What each left-out item says in its key element (see `elements`); None
            stands for those that say nothing there, or have no such element.
    """

    __slots__ = ("by_reason", "keys")

    def __init__(self) -> None:
        self.by_reason: Counter[str] = Counter()
        self.keys: set[str | None] = set()

    def leave_out(self, name: str, reason: str) -> None:
        """Count a part of an item that is left out of it."""
        self.by_reason[f"{name}: {reason}"] += 1

    def leave_out_item(self, name: str, reason: str, key: str | None) -> None:
        """Count an item that is left out."""
        self.by_reason[f"{name}: {reason}"] += 1
        self.keys.add(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """
    How a simple type is written and read.

    Attributes:
        from_text: Reads a text without blanks around; None where it stays as it is.
        most: How many characters it may have.
        is_exact: It goes back to its writer one day, so blanks around it are kept.
        holds_markup: It may have elements inside, which are part of the text.
        can_be_left_out: A faulty one is left out of its part, and counted.
        left_out: What stands for one that is left out.
    """

    to_text: Callable[[Any], str] = str
    from_text: Callable[[str], Any] | None = None
    most: int = MOST_OF_IDENTIFIER
    is_exact: bool = False
    holds_markup: bool = False
    can_be_left_out: bool = False
    left_out: Unreadable | None = None


_CONTRACTS: Final = "urn:riv:crm:scheduling:"
_PLAIN_NAME: Final = re.compile(r"(?!.*\d{6})[A-Za-z_][A-Za-z0-9_.-]{0,59}")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


@lru_cache(maxsize=16)
def _boolean_from_text(text: str) -> bool:
    # xs:boolean is lower case; "True" has been seen from .NET producers.
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError("not a boolean: expected true or false")
    return value


# A word of the contract's own, or one that has a form: blanks around it mean nothing.
CODE: Final = Codec()
# The writer's own name of something, whatever its form: the text is the identity.
IDENTIFIER: Final = Codec(is_exact=True)
# On one line, and plain: what a region calls something.
NAME: Final = Codec(
    from_text=plain_line, most=MOST_OF_NAME, holds_markup=True, can_be_left_out=True
)
# Plain too, on several lines.
TEXT: Final = Codec(
    from_text=plain_text, most=MOST_OF_TEXT, holds_markup=True, can_be_left_out=True
)
TIME: Final = Codec(to_text=contract_time, from_text=contract_time)
DATE: Final = Codec(to_text=contract_date, from_text=contract_date)
# An absent flag is a false one (crm:scheduling 1.1.5).
BOOLEAN: Final = Codec(
    to_text=lambda value: "true" if value else "false",
    from_text=_boolean_from_text,
    can_be_left_out=True,
)
# A flag that the region answers a resident's wish by: one that cannot be read is no no.
PERMISSION: Final = replace(BOOLEAN, left_out=UNREADABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    name: str
    content: Codec | type
    namespace: str | None
    required: bool
    repeats: bool
    rejects_items: bool
    absent: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """
    The elements of a class by field and by local name.

    Attributes:
        single_texts: By tag, the field of each text that occurs at most once, and how
            it is read.
        absent: By field, what an absent element reads as, where that is not None.
        is_list: It has items that can be left out.
    """

    by_field: tuple[tuple[str, str, _Element], ...]
    by_name: dict[str, tuple[str, _Element]]
    single_texts: dict[str, tuple[str, Codec]]
    required: tuple[tuple[str, str], ...]
    absent: dict[str, str]
    is_list: bool


def element(
    name: str,
    content: Codec | type = CODE,
    *,
    namespace: str | None = None,
    required: bool = False,
    absent: str | None = None,
) -> Any:  # noqa: ANN401 - like dataclasses.field, it stands for the field's type
    """
    Declare an element that occurs at most once; absent is None.

    Args:
        name: Its local name, spelt as in the schema.
        content: How its text is read, or the class of its children.
        namespace: Its namespace, where that is not its parent's.
        required: It must be there.
        absent: What an absent or empty one reads as: a writer must write it, and a
            reader does without it.
    """
    return field(
        default=MISSING if required else None,
        metadata={
            "element": _Element(
                name=name,
                content=content,
                namespace=namespace,
                required=required,
                repeats=False,
                rejects_items=False,
                absent=absent,
            )
        },
    )


def elements(
    name: str,
    content: Codec | type = CODE,
    *,
    namespace: str | None = None,
    rejects_items: bool = False,
    key: str | None = None,
) -> Any:  # noqa: ANN401 - like dataclasses.field, it stands for the field's type
    """
    Declare an element that may occur any number of times; absent is an empty tuple.

    Args:
        name: Its local name, spelt as in the schema.
        content: How its text is read, or the class of its children.
        namespace: Its namespace, where that is not its parent's.
        rejects_items: A malformed one is left out and counted; otherwise it makes the
            whole message malformed.
        key: The child by which `Rejections.keys` names a left-out item.
    """
    return field(
        default=(),
        metadata={
            "element": _Element(
                name=name,
                content=content,
                namespace=namespace,
                required=False,
                repeats=True,
                rejects_items=rejects_items,
                key=key,
            )
        },
    )


def write(value: object, parent: etree._Element) -> None:
    """
    Append a value's elements to `parent`, in the order of the schema.

    An absent or blank value is left out: the contract forbids empty elements.

    Raises:
        MalformedElement: A required element has no value, or a value cannot be written.
    """
    for attribute, tag, declared in _layout(type(value)).by_field:
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
        MalformedElement: XML cannot carry the text: it has a control character, say.
    """
    try:
        node.text = text
    except ValueError:
        # lxml's own error for half a surrogate pair repeats the text.
        raise MalformedElement(name, "has a character that XML cannot carry") from None


def read(kind: type[T], node: etree._Element, rejected: Rejections) -> T:
    """
    Return the value that an element's children spell.

    Order, namespaces and unknown elements are not held against the writer, and an
    empty element is an absent one. A simple value with elements inside is malformed,
    and an unknown element among the items of a list counts as one that is left out.

    Args:
        kind: The dataclass to read.
        node: The element whose children are read.
        rejected: Receives what was left out.

    Raises:
        MalformedElement: A required element is absent, or a value is impossible.
    """
    layout = _layout(kind)
    values: dict[str, Any] = {}
    repeated: dict[str, list[Any]] = {}
    single_texts = layout.single_texts
    # Nearly all the time that an answer takes goes by in this loop: most elements are
    # single texts, in the namespace that they should have.
    for child in node:
        known = single_texts.get(child.tag)
        if known is None:
            _read_other(layout, child, values, repeated, rejected)
            continue
        value = _value(known[1], child, rejected)
        if value is not None:
            values.setdefault(known[0], value)
    for attribute, items in repeated.items():
        values[attribute] = tuple(items)
    for attribute, name in layout.required:
        if attribute not in values:
            raise MalformedElement(name, "is missing")
    if layout.absent:
        values = layout.absent | values
    made = object.__new__(kind)
    # What is absent has its default, an attribute of the class.
    object.__setattr__(made, "__dict__", values)
    return made


def differences_from(kind: type, node: etree._Element) -> list[str]:
    """
    Return which elements are not as a class says: unknown ones and missing ones.

    `read` passes over the first, and some of the second; this is for whoever looks for
    a misspelling. Elements of other namespaces than the contract's are extensions,
    which the schemas permit.
    """
    layout = _layout(kind)
    found = []
    names = set()
    for child in node:
        name = _local_name(child)
        names.add(name)
        known = layout.by_name.get(name)
        if known is None:
            if _is_of_contract(child):
                found.append(": ".join(_unknown(child, layout)))
        elif not isinstance(known[1].content, Codec):
            inner = differences_from(known[1].content, child)
            found.extend(f"{name}/{each}" for each in inner)
    found.extend(
        f"{declared.name}: is missing"
        for _, _, declared in layout.by_field
        if declared.required and declared.name not in names
    )
    return found


def _is_of_contract(node: etree._Element) -> bool:
    """Return whether an element is meant to be the contract's, not an extension."""
    return "}" not in node.tag or node.tag.startswith(f"{{{_CONTRACTS}")


def _unknown(node: etree._Element, layout: _Layout) -> tuple[str, str]:
    """Return the name of an element that a class does not have, and what to say."""
    name = _local_name(node)
    close = get_close_matches(name, layout.by_name, n=1)
    hint = f"; perhaps {close[0]} is meant" if close else ""
    # Anything can stand in a name; what is long or looks like a number is not repeated.
    shown = name if _PLAIN_NAME.fullmatch(name) else "an element"
    return shown, f"is no element of the contract{hint}"


def _write_item(declared: _Element, item: object, node: etree._Element) -> None:
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
    layout: _Layout,
    node: etree._Element,
    values: dict[str, Any],
    repeated: dict[str, list[Any]],
    rejected: Rejections,
) -> None:
    """Read an element that repeats, has parts, or stands in another namespace."""
    known = layout.by_name.get(_local_name(node))
    if known is None:
        if layout.is_list and _is_of_contract(node):
            # An item under another name, or the list would look empty.
            rejected.leave_out_item(*_unknown(node, layout), None)
        return
    attribute, declared = known
    item = _item(declared, node, rejected)
    if item is None:
        return
    if declared.repeats:
        repeated.setdefault(attribute, []).append(item)
    else:
        values.setdefault(attribute, item)


def _local_name(node: etree._Element) -> str:
    return node.tag.rpartition("}")[2]


def _text_with_elements(codec: Codec, node: etree._Element) -> str:
    """Return what a text with elements inside says, as the markup that it is."""
    if not codec.holds_markup:
        raise MalformedElement(_local_name(node), "has elements inside")
    inner = [html.escape(node.text or "", quote=False)]
    inner.extend(etree.tostring(child, encoding="unicode") for child in node)
    return "".join(inner)


def _item(declared: _Element, node: etree._Element, rejected: Rejections) -> Any:  # noqa: ANN401 - an element holds what its table says
    content = declared.content
    if isinstance(content, Codec):
        return _value(content, node, rejected)
    if len(node) == 0:
        if not declared.repeats:
            return None
        missing = _layout(content).required
        if declared.rejects_items and missing:
            # The quickest way: an answer may have nothing but empty items.
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
            None if declared.key is None else _said(node, declared.key),
        )
        return None


def _value(codec: Codec, node: etree._Element, rejected: Rejections) -> Any:  # noqa: ANN401 - a codec reads what it is made for
    """Return what a simple element says; None where that is nothing."""
    text = _text_with_elements(codec, node) if len(node) else node.text
    if text is None or not (stripped := text.strip()):
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
        raise MalformedElement(_local_name(node), fault)
    rejected.leave_out(_local_name(node), fault)
    return codec.left_out


def _said(node: etree._Element, name: str) -> str | None:
    """Return the text of a child, if there is one."""
    for child in node:
        if _local_name(child) == name and child.text and child.text.strip():
            return str(child.text).strip()
    return None


_LAYOUTS: dict[type, _Layout] = {}


def _layout(kind: type) -> _Layout:
    # A dict of our own, since mypy does not count a class as hashable for lru_cache.
    layout = _LAYOUTS.get(kind)
    if layout is None:
        layout = _LAYOUTS[kind] = _layout_of_fields(kind)
    return layout


def _layout_of_fields(kind: type) -> _Layout:
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is not a message")
    if "__slots__" in vars(kind) or hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__} has slots or __post_init__: see binding.py")
    by_field = []
    for declared_field in fields(kind):
        declared: _Element = declared_field.metadata["element"]
        namespace = declared.namespace or kind.NAMESPACE  # type: ignore[attr-defined] # every message has one: test_contracts.py
        by_field.append(
            (declared_field.name, f"{{{namespace}}}{declared.name}", declared)
        )
    return _Layout(
        by_field=tuple(by_field),
        by_name={
            declared.name: (attribute, declared) for attribute, _, declared in by_field
        },
        single_texts={
            tag: (attribute, declared.content)
            for attribute, tag, declared in by_field
            if isinstance(declared.content, Codec) and not declared.repeats
        },
        required=tuple(
            (attribute, declared.name)
            for attribute, _, declared in by_field
            if declared.required and declared.absent is None
        ),
        absent={
            attribute: declared.absent
            for attribute, _, declared in by_field
            if declared.absent is not None
        },
        is_list=any(declared.rejects_items for _, _, declared in by_field),
    )
