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
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from lxml import etree

from fhir_gateway.model.timekeeping import contract_date, contract_time

__all__ = [
    "BOOLEAN",
    "DATE",
    "TEXT",
    "TIME",
    "Codec",
    "MalformedElement",
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


@dataclass(frozen=True, slots=True)
class Codec:
    """How a simple type is written and read."""

    to_text: Callable[[Any], str]
    from_text: Callable[[str], Any]


_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


@lru_cache(maxsize=16)
def _boolean_from_text(text: str) -> bool:
    # xs:boolean is lower case; "True" has been seen from .NET producers.
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError("not a boolean: expected true or false")
    return value


TEXT: Final = Codec(str, str)
TIME: Final = Codec(contract_time, contract_time)
DATE: Final = Codec(contract_date, contract_date)
BOOLEAN: Final = Codec(lambda value: "true" if value else "false", _boolean_from_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    name: str
    content: Codec | type
    namespace: str | None
    required: bool
    repeats: bool
    rejects_items: bool
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """
    The elements of a class by field and by local name.

    Attributes:
        single_texts: By tag, the field of each text that occurs at most once, and what
            reads it; None for a text that stays as it is.
        absent: By field, what an absent element reads as, where that is not None.
    """

    by_field: tuple[tuple[str, str, _Element], ...]
    by_name: dict[str, tuple[str, _Element]]
    single_texts: dict[str, tuple[str, Callable[[str], Any] | None]]
    required: tuple[tuple[str, str], ...]
    absent: dict[str, str]


def element(
    name: str,
    content: Codec | type = TEXT,
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
    content: Codec | type = TEXT,
    *,
    namespace: str | None = None,
    rejects_items: bool = False,
) -> Any:  # noqa: ANN401 - like dataclasses.field, it stands for the field's type
    """
    Declare an element that may occur any number of times; absent is an empty tuple.

    Args:
        name: Its local name, spelt as in the schema.
        content: How its text is read, or the class of its children.
        namespace: Its namespace, where that is not its parent's.
        rejects_items: A malformed one is left out and reported; otherwise it makes the
            whole message malformed.
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


def read(kind: type[T], node: etree._Element, rejected: list[MalformedElement]) -> T:
    """
    Return the value that an element's children spell.

    Order, namespaces and unknown elements are not held against the writer, and an
    empty element is an absent one.

    Args:
        kind: The dataclass to read.
        node: The element whose children are read.
        rejected: Receives the items that were left out.

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
        item: Any = child.text
        if item is None or not (item := item.strip()):
            continue
        attribute, from_text = known
        if from_text is not None:
            try:
                item = from_text(item)
            except ValueError as error:
                raise MalformedElement(_local_name(child), str(error)) from None
        values.setdefault(attribute, item)
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
    rejected: list[MalformedElement],
) -> None:
    """Read an element that repeats, has parts, or stands in another namespace."""
    known = layout.by_name.get(_local_name(node))
    if known is None:
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


def _item(
    declared: _Element, node: etree._Element, rejected: list[MalformedElement]
) -> Any:  # noqa: ANN401 - an element holds what its table says
    content = declared.content
    if isinstance(content, Codec):
        text = (node.text or "").strip()
        if not text:
            return None
        try:
            return content.from_text(text)
        except ValueError as error:
            raise MalformedElement(declared.name, str(error)) from None
    if not declared.repeats and len(node) == 0:
        return None
    try:
        return read(content, node, rejected)
    except MalformedElement as error:
        named = error.inside(declared.name)
        if not declared.rejects_items:
            raise named from None
        rejected.append(named)
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
            tag: (
                attribute,
                None if declared.content is TEXT else declared.content.from_text,
            )
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
    )
