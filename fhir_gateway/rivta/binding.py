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

An element counts by its local name in three places: the namespace that it should have,
another namespace of the same family (`urn:riv:crm:scheduling:`, say), and none. An
unknown element of another namespace than the contract's is an extension, as the schemas
permit and later versions of the contract use, unless it looks like one of the
contract's, or like a place where content stands that is elsewhere.
What is neither known nor an extension is never passed over: among the items of a list
it counts as one that is left out, anywhere else it makes its part malformed. So do a
second element where the schema has one at most, and text between elements.
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
from fhir_gateway.rivta.xml import NIL_WITH_CONTENT

__all__ = [
    "BOOLEAN",
    "CODE",
    "DATE",
    "IDENTIFIER",
    "MESSAGE",
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
    "is_of_family",
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
            its fault, never its value. After the first hundred, elements that the
            writer named share one name.
        keys: What each left-out item says in its key element (see `elements`); None
            stands for those that say nothing there, or have no such element.
    """

    __slots__ = ("by_reason", "keys")

    def __init__(self) -> None:
        self.by_reason: Counter[str] = Counter()
        self.keys: set[str | None] = set()

    def leave_out(self, name: str, reason: str) -> None:
        """Count a part of an item that is left out of it."""
        self._count(name, reason)

    def leave_out_item(self, name: str, reason: str, key: str | None) -> None:
        """Count an item that is left out."""
        self._count(name, reason)
        self.keys.add(key)

    def _count(self, name: str, reason: str) -> None:
        counted = f"{name}: {reason}"
        if counted not in self.by_reason and len(self.by_reason) >= _MOST_REASONS:
            counted = f"{_SOME_ELEMENT}: {reason}"
        self.by_reason[counted] += 1


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
        is_joined: Several are one, each on a line of its own.
    """

    to_text: Callable[[Any], str] = str
    from_text: Callable[[str], Any] | None = None
    most: int = MOST_OF_IDENTIFIER
    is_exact: bool = False
    holds_markup: bool = False
    can_be_left_out: bool = False
    left_out: Unreadable | None = None
    is_joined: bool = False


# A service domain, the contract perhaps, and the version (RIVTABP21).
_NAMESPACE: Final = re.compile(
    r"(?P<family>urn:riv:(?:\w+:)+?)(?:\w+Responder:)?(?P<major>\d+)(?:\.\d+)?"
)
# No element of these is an extension, as `_likeness` writes the namespace.
_OWN_HEADERS: Final = "urnrivinteroperabilityheaders1"
_RIV: Final = "urn:riv:"
# An element of these means that a part of the message stands elsewhere, or is in the
# way: it is no extension.
_NO_EXTENSIONS: Final = frozenset(
    {
        NIL_WITH_CONTENT,
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://schemas.xmlsoap.org/soap/encoding/",
        "http://www.w3.org/2001/XInclude",
        "http://www.w3.org/2004/08/xop/include",
    }
)
_MOST_REASONS: Final = 100
_SOME_ELEMENT: Final = "an element"
_UNKNOWN: Final = "is no element of the contract"
_MEANT: Final = " is meant"
_TEXT_BETWEEN: Final = ("text", "stands where elements should")
_SIGNS: Final = re.compile(r"[\W_]+")
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
# A text that must be shown whole.
MESSAGE: Final = replace(TEXT, is_joined=True)
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
    absent: Any
    key: str | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """
    The elements of a class by field and by local name.

    Attributes:
        tags: Each element with the namespace that it should have.
        family: How the tags begin that count by their local name.
        own_namespaces: What the contract's namespaces look like (`_likeness`).
        likenesses: What the elements look like (`_likeness`).
        single_texts: By tag, the field of each text that occurs at most once, and how
            it is read.
        absent: By field, what an absent element reads as, where its declaration says.
        is_list: It has items that can be left out.
    """

    by_field: tuple[tuple[str, str, _Element], ...]
    by_name: dict[str, tuple[str, _Element]]
    tags: frozenset[str]
    family: str
    own_namespaces: re.Pattern[str]
    likenesses: frozenset[str]
    single_texts: dict[str, tuple[str, Codec]]
    required: tuple[tuple[str, str], ...]
    absent: dict[str, Any]
    is_list: bool


def element(
    name: str,
    content: Codec | type = CODE,
    *,
    namespace: str | None = None,
    required: bool = False,
    absent: Any = MISSING,  # noqa: ANN401 - like dataclasses.field's default
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
                absent=MISSING,
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

    Order is not held against the writer, nor a wrong namespace of the same family; an
    empty element is an absent one. A simple value with elements inside is malformed.
    An unknown element or text among the items of a list counts as an item that is left
    out; elsewhere both are malformed, and so is a second element where one is due.

    Args:
        kind: The dataclass to read.
        node: The element whose children are read.
        rejected: Receives what was left out.

    Raises:
        MalformedElement: A required element is absent, a value is impossible, or there
            is something that would be lost.
    """
    layout = _layout(kind)
    values: dict[str, Any] = {}
    repeated: dict[str, list[Any]] = {}
    single_texts = layout.single_texts
    # Nearly all the time that an answer takes goes by in this loop: most elements are
    # single texts, in the namespace that they should have.
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
        value = _value(codec, child, rejected)
        if value is not None:
            if attribute in values:
                value = _again(codec, child, values[attribute], value, rejected)
            values[attribute] = value
    for attribute, items in repeated.items():
        values[attribute] = tuple(items)
    return _made(kind, layout, values)


def _made(kind: type[T], layout: _Layout, values: dict[str, Any]) -> T:
    for attribute, name in layout.required:
        if attribute not in values:
            raise MalformedElement(name, "is missing")
    if layout.absent:
        values = layout.absent | values
    made = object.__new__(kind)
    # What is absent has its default, an attribute of the class.
    object.__setattr__(made, "__dict__", values)
    return made


def differences_from(
    kind: type, node: etree._Element, hints: dict[tuple[type, str], str] | None = None
) -> list[str]:
    """
    Return which elements are not as a class says: unknown ones and missing ones.

    This is for whoever looks for a misspelling: it says what was perhaps meant, and
    names what `read` can do without. An extension in a namespace of RIV is named if its
    name is close to a known one.

    Args:
        kind: The dataclass.
        node: The element whose children are compared.
        hints: What was said of unknown elements so far; a caller leaves it out.
    """
    layout = _layout(kind)
    hints = {} if hints is None else hints
    found = []
    names = set()
    for child in node:
        name = _local_name(child)
        known = layout.by_name.get(name) if _is_meant(layout, child) else None
        if known is None:
            is_extension = _is_extension(layout, child)
            if is_extension and not _is_of_riv(child):
                continue
            hint = _hint(kind, child, hints)
            if not is_extension or hint.endswith(_MEANT):
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


def is_of_family(tag: str, namespace: str) -> bool:
    """Return whether an element counts by its local name where a namespace is due."""
    return "}" not in tag or tag.startswith(_family(namespace))


def _family(namespace: str) -> str:
    found = _NAMESPACE.fullmatch(namespace)
    return f"{{{found['family']}" if found else f"{{{namespace}}}"


def _own_namespaces(namespace: str) -> re.Pattern[str]:
    """
    Return what a contract's own namespaces look like (`_likeness`).

    They are those of its domain and major version, up to the minor version 1.
    """
    found = _NAMESPACE.fullmatch(namespace)
    own = (
        f"{_likeness(found['family'])}([a-z]*responder)?{found['major']}1?"
        if found
        else re.escape(_likeness(namespace))
    )
    return re.compile(f"{own}|{_OWN_HEADERS}")


def _is_meant(layout: _Layout, node: etree._Element) -> bool:
    """Return whether an element counts by its local name."""
    tag = node.tag
    return "}" not in tag or tag.startswith(layout.family) or tag in layout.tags


def _is_extension(layout: _Layout, node: etree._Element) -> bool:
    """Return whether an unknown element is one that the schemas permit."""
    namespace, _, name = node.tag.rpartition("}")
    namespace = namespace[1:]
    if not namespace or namespace in _NO_EXTENSIONS:
        return False
    if _is_own(layout.own_namespaces, namespace):
        return False
    return _likeness(name) not in layout.likenesses


@lru_cache(maxsize=64)
def _is_own(own: re.Pattern[str], namespace: str) -> bool:
    """Return whether a namespace is, or looks like, one of the contract's."""
    return own.fullmatch(_likeness(namespace)) is not None


def _is_of_riv(node: etree._Element) -> bool:
    return str(node.tag).lower().startswith(f"{{{_RIV}")


def _likeness(name: str) -> str:
    """Return a name without case and signs: `subjectOfCare` is `subject_of_care`."""
    return _SIGNS.sub("", name).lower()


def _shown(node: etree._Element) -> str:
    """Return the name of an element that the writer chose."""
    # Anything can stand in a name; what is long or looks like a number is not repeated.
    name = _local_name(node)
    return name if _PLAIN_NAME.fullmatch(name) else _SOME_ELEMENT


def _hint(kind: type, node: etree._Element, hints: dict[tuple[type, str], str]) -> str:
    """Return what to say of an unknown element, and what is perhaps meant by it."""
    name = _local_name(node)
    said = hints.get((kind, name))
    if said is None:
        if len(hints) >= _MOST_REASONS:
            return f"{_SOME_ELEMENT}: {_UNKNOWN}"
        close = get_close_matches(name, _layout(kind).by_name, n=1)
        hint = f"; perhaps {close[0]}{_MEANT}" if close else ""
        said = hints[kind, name] = f"{_shown(node)}: {_UNKNOWN}{hint}"
    return said


def _refuse(layout: _Layout, node: etree._Element, rejected: Rejections) -> None:
    """
    Count an unknown element as a lost item.

    Raises:
        MalformedElement: There are no items that it could be one of.
    """
    namespace = node.tag.rpartition("}")[0][1:]
    if namespace == NIL_WITH_CONTENT:
        reason = "is nil and has content"
    elif _local_name(node) in layout.by_name:
        reason = "is in a namespace that is not the contract's"
    else:
        reason = _UNKNOWN
    if layout.is_list:
        # An item under another name, or the list would look empty.
        rejected.leave_out_item(_shown(node), reason, None)
    elif len(node) or node.attrib or not _is_blank(node.text):
        raise MalformedElement(_shown(node), reason)


def _refuse_text(layout: _Layout, node: etree._Element, rejected: Rejections) -> None:
    """
    Count text among items as a lost one.

    Raises:
        MalformedElement: There are no items that it could be one of.
    """
    if not layout.is_list or len(node) == 0:
        raise MalformedElement(*_TEXT_BETWEEN)
    rejected.leave_out_item(*_TEXT_BETWEEN, None)


def _again(
    codec: Codec,
    node: etree._Element,
    first: T,
    second: T,
    rejected: Rejections,
) -> T | str:
    """
    Return what two elements say where one is due.

    Raises:
        MalformedElement: There may be one at most.
    """
    if not codec.is_joined:
        raise _occurs_again(node)
    joined = f"{first}\n{second}"
    if len(joined) > codec.most:
        rejected.leave_out(_local_name(node), f"is longer than {codec.most} characters")
        return first
    return joined


def _occurs_again(node: etree._Element) -> MalformedElement:
    return MalformedElement(f"{_local_name(node)}[2]", "occurs more than once")


def _is_blank(text: str | None) -> bool:
    return not text or text.isspace()


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
    known = layout.by_name.get(_local_name(node)) if _is_meant(layout, node) else None
    if known is None:
        if not _is_extension(layout, node):
            _refuse(layout, node, rejected)
        return
    attribute, declared = known
    item = _item(declared, node, rejected)
    if item is None:
        return
    if declared.repeats:
        repeated.setdefault(attribute, []).append(item)
        return
    if attribute in values:
        if not isinstance(declared.content, Codec):
            raise _occurs_again(node)
        item = _again(declared.content, node, values[attribute], item, rejected)
    values[attribute] = item


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
    if len(node) == 0 and _is_blank(node.text):
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
            None
            if declared.key is None
            else _said(_layout(content), node, declared.key),
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


def _said(layout: _Layout, node: etree._Element, name: str) -> str | None:
    """Return the text of a child, if there is one and no more."""
    said = [
        str(child.text).strip()
        for child in node
        if _local_name(child) == name
        and _is_meant(layout, child)
        and not _is_blank(child.text)
    ]
    return said[0] if len(said) == 1 else None


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
        tags=frozenset(tag for _, tag, _ in by_field),
        family=_family(kind.NAMESPACE),  # type: ignore[attr-defined] # as above
        own_namespaces=_own_namespaces(kind.NAMESPACE),  # type: ignore[attr-defined] # as above
        likenesses=frozenset(_likeness(declared.name) for _, _, declared in by_field),
        single_texts={
            tag: (attribute, declared.content)
            for attribute, tag, declared in by_field
            if isinstance(declared.content, Codec) and not declared.repeats
        },
        required=tuple(
            (attribute, declared.name)
            for attribute, _, declared in by_field
            if declared.required and declared.absent is MISSING
        ),
        absent={
            attribute: declared.absent
            for attribute, _, declared in by_field
            if declared.absent is not MISSING
        },
        is_list=any(declared.rejects_items for _, _, declared in by_field),
    )
