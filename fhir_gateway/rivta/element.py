"""
Elements of messages, declared as the fields of a dataclass.

A message or a part of one is a frozen dataclass with a class attribute `NAMESPACE`. Its
fields are declared with `element` or `elements` in the order of the schema:

    @dataclass(frozen=True, kw_only=True)
    class Request:
        NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:CancelBookingResponder:1"

        healthcare_facility: str = element("healthcare_facility", required=True)
        message: str | None = element("message")

The class has no slots. An answer has thousands of parts, and `binding.read` fills the
`__dict__` of a part at once; an `__init__` would set twenty fields one by one.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from fhir_gateway.model.timekeeping import contract_date, contract_time
from fhir_gateway.rivta.docbook import plain_line, plain_text
from fhir_gateway.rivta.docbook_form import formatted_text
from fhir_gateway.rivta.limit import (
    MOST_OF_IDENTIFIER,
    MOST_OF_NAME,
    MOST_OF_TEXT,
)
from fhir_gateway.rivta.namespace import (
    family_of,
    likeness_of,
    own_namespaces,
    without_one_letter,
)

__all__ = [
    "BOOLEAN",
    "CODE",
    "DATE",
    "FORMATTED",
    "IDENTIFIER",
    "MESSAGE",
    "NAME",
    "PERMISSION",
    "TEXT",
    "TIME",
    "UNREADABLE",
    "Codec",
    "Element",
    "Layout",
    "Unreadable",
    "element",
    "elements",
    "layout_of",
]

_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


class Unreadable(Enum):
    """Stands for a flag that was left out, where that differs from an absent flag."""

    UNREADABLE = "unreadable"

    def __bool__(self) -> bool:
        return False


UNREADABLE: Final = Unreadable.UNREADABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """
    How a simple type is written and read.

    Attributes:
        from_text: Converts a text without blanks around it; None for no conversion.
        most: The greatest number of characters.
        is_exact: It is sent back to its writer later, so blanks around it are kept.
        holds_markup: It may contain elements, which are part of the text.
        can_be_left_out: A faulty one is left out of its part, and counted.
        left_out: The value in the place of one that is left out.
        is_joined: Several elements form one text, with one line each.
    """

    to_text: Callable[[Any], str] = str
    from_text: Callable[[str], Any] | None = None
    most: int = MOST_OF_IDENTIFIER
    is_exact: bool = False
    holds_markup: bool = False
    can_be_left_out: bool = False
    left_out: Unreadable | None = None
    is_joined: bool = False


@lru_cache(maxsize=16)
def _boolean_from_text(text: str) -> bool:
    # xs:boolean is lower case; .NET producers send "True".
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError("not a boolean: expected true or false")
    return value


# A word of the contract, or one with a fixed form: blanks around it have no meaning.
CODE: Final = Codec()
# The writer's own identifier, of any form: only the same text is the same thing.
IDENTIFIER: Final = Codec(is_exact=True)
# A region's name of something: plain text on one line.
NAME: Final = Codec(
    from_text=plain_line, most=MOST_OF_NAME, holds_markup=True, can_be_left_out=True
)
# Plain text on several lines.
TEXT: Final = Codec(
    from_text=plain_text, most=MOST_OF_TEXT, holds_markup=True, can_be_left_out=True
)
# Plain text on several lines, with its form beside it where it is DocBook.
FORMATTED: Final = replace(TEXT, from_text=formatted_text)
# A text that the resident must see in full.
MESSAGE: Final = replace(TEXT, is_joined=True)
TIME: Final = Codec(to_text=contract_time, from_text=contract_time)
DATE: Final = Codec(to_text=contract_date, from_text=contract_date)
# An absent flag is a false one (crm:scheduling 1.1.5).
BOOLEAN: Final = Codec(
    to_text=lambda value: "true" if value else "false",
    from_text=_boolean_from_text,
    can_be_left_out=True,
)
# A flag by which the region permits a wish of the resident. One that cannot be read
# does not mean no.
PERMISSION: Final = replace(BOOLEAN, left_out=UNREADABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """How one element is declared; see `element` and `elements`."""

    name: str
    content: Codec | type
    namespace: str | None
    required: bool
    repeats: bool
    rejects_items: bool
    absent: Any
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """
    The elements of a class by field and by local name.

    Attributes:
        tags: Each element, in the namespace of the schema.
        family: The beginning of tags that are known by their local name.
        own_namespaces: The contract's namespaces, simplified by `likeness_of`.
        likenesses: The names of the elements, simplified by `likeness_of`.
        inner_likenesses: The names of the elements of its parts, at any depth,
            simplified likewise.
        near_names: `without_one_letter` of the elements' names.
        near_parts: `without_one_letter` of the names of elements with parts.
        single_texts: By tag, the field and the codec of each text that occurs at most
            once.
        absent: By field, the value of an absent element, where its declaration has one.
        is_list: It has items, and the reader may leave one out.
    """

    by_field: tuple[tuple[str, str, Element], ...]
    by_name: dict[str, tuple[str, Element]]
    tags: frozenset[str]
    family: str
    own_namespaces: re.Pattern[str]
    likenesses: frozenset[str]
    inner_likenesses: frozenset[str]
    near_names: frozenset[str]
    near_parts: frozenset[str]
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
        content: The codec of its text, or the class of its children.
        namespace: Its namespace, if it is not that of its parent.
        required: It must not be absent.
        absent: The value of an absent or empty element. Writing requires the element,
            reading does not.
    """
    return field(
        default=MISSING if required else None,
        metadata={
            "element": Element(
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
        content: The codec of its text, or the class of its children.
        namespace: Its namespace, if it is not that of its parent.
        rejects_items: A malformed item is left out and counted; otherwise it makes the
            whole message malformed.
        key: The child that names a left-out item in `Rejections.keys`.
    """
    return field(
        default=(),
        metadata={
            "element": Element(
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


_LAYOUTS: dict[type, Layout] = {}


def layout_of(kind: type) -> Layout:
    """
    Return the elements of a class.

    Raises:
        TypeError: The class is no message.
    """
    # A dict of our own, since mypy does not count a class as hashable for lru_cache.
    layout = _LAYOUTS.get(kind)
    if layout is None:
        layout = _LAYOUTS[kind] = _layout_of_fields(kind)
    return layout


def _layout_of_fields(kind: type) -> Layout:
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is not a message")
    if "__slots__" in vars(kind) or hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__} has slots or __post_init__: see element.py")
    by_field = []
    for declared_field in fields(kind):
        declared: Element = declared_field.metadata["element"]
        namespace = declared.namespace or kind.NAMESPACE  # type: ignore[attr-defined] # every message has one: test_contracts.py
        by_field.append(
            (declared_field.name, f"{{{namespace}}}{declared.name}", declared)
        )
    parts = {
        declared.name: layout_of(declared.content)
        for _, _, declared in by_field
        if not isinstance(declared.content, Codec)
    }
    return Layout(
        by_field=tuple(by_field),
        by_name={
            declared.name: (attribute, declared) for attribute, _, declared in by_field
        },
        tags=frozenset(tag for _, tag, _ in by_field),
        family=family_of(kind.NAMESPACE),  # type: ignore[attr-defined] # as above
        own_namespaces=own_namespaces(kind.NAMESPACE),  # type: ignore[attr-defined] # as above
        likenesses=frozenset(likeness_of(declared.name) for _, _, declared in by_field),
        inner_likenesses=frozenset(
            likeness
            for part in parts.values()
            for likeness in part.likenesses | part.inner_likenesses
        ),
        near_names=_near(declared.name for _, _, declared in by_field),
        near_parts=_near(parts),
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


def _near(names: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(without_one_letter(likeness_of(name)) for name in names))
