"""
The table of elements: strict in writing, lenient in reading.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import pytest
from lxml import etree

from fhir_gateway.rivta.binding import differences_from, read, write
from fhir_gateway.rivta.element import (
    BOOLEAN,
    DATE,
    IDENTIFIER,
    NAME,
    TEXT,
    TIME,
    element,
    elements,
)
from fhir_gateway.rivta.rejection import MalformedElement, Rejections
from fhir_gateway.rivta.xml import parse

MARKER = "191212121212"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a message."""

    NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:1"

    id: str = element("id", required=True)
    time: str | None = element("time", TIME)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message with one of everything."""

    NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:GetMessageResponder:1"

    name: str = element("name", required=True)
    identifier: str | None = element("identifier", IDENTIFIER)
    title: str | None = element("title", NAME)
    text: str | None = element("text", TEXT)
    day: str | None = element("day", DATE)
    time: str | None = element("time", TIME)
    flag: bool | None = element("flag", BOOLEAN)
    other: str | None = element("other", namespace="urn:other")
    tags: tuple[str, ...] = elements("tag")
    part: Part | None = element("part", Part)
    parts: tuple[Part, ...] = elements("parts", Part)
    listed: tuple[Part, ...] = elements("listed", Part, rejects_items=True, key="time")


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A message that needs its part."""

    NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:GetMessageResponder:1"

    part: Part = element("part", Part, required=True)


def _read(inner: str) -> Message:
    rejected = Rejections()
    message = read(Message, parse(f"<m>{inner}</m>".encode()), rejected)
    assert rejected.by_reason == {}
    return message


def _written(message: object) -> list[tuple[str, str | None]]:
    root = etree.Element("m")
    write(message, root)
    return [(node.tag, node.text) for node in root.iterdescendants()]


# ----------------------------------------------------------------------------- reading


def test_message_is_read_whole() -> None:
    """Each kind of element is read as its kind says."""
    message = _read(
        "<name>n</name><day>20261024</day><time>20261024083000</time><flag>true</flag>"
        "<other>o</other><tag>1</tag><tag>2</tag><part><id>3</id></part>"
        "<parts><id>4</id></parts><parts><id>5</id></parts><listed><id>6</id></listed>"
    )

    assert message == Message(
        name="n",
        day="20261024",
        time="20261024083000",
        flag=True,
        other="o",
        tags=("1", "2"),
        part=Part(id="3"),
        parts=(Part(id="4"), Part(id="5")),
        listed=(Part(id="6"),),
    )


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param("<name>n</name><day/><tag/><flag></flag>", id="empty"),
        pytest.param("<name>n</name><day> </day><tag>\n</tag>", id="blank"),
        pytest.param("<name>n</name><day><!-- none --></day>", id="a comment only"),
        pytest.param("<name>n</name><day><![CDATA[]]></day>", id="empty CDATA"),
        pytest.param("<name>n</name><part/><part> </part>", id="an empty part"),
        pytest.param("<name>n</name><part><!-- none --></part>", id="a commented part"),
        pytest.param(
            '<name>n</name><x:nothing xmlns:x="urn:x">x</x:nothing>', id="an extension"
        ),
        pytest.param(
            '<x:more xmlns:x="urn:x"><a>x</a></x:more><name>n</name>', id="nested"
        ),
        pytest.param('<name xmlns="">n</name>', id="no namespace"),
        pytest.param("<name> n\n</name>", id="blanks around"),
        pytest.param("<name><![CDATA[n]]></name>", id="CDATA"),
        pytest.param("<?target?><name><?x y?>n</name>", id="processing instructions"),
        pytest.param('<name xml:lang="sv" x="y">n</name>', id="attributes"),
        pytest.param("<name/><name>n</name>", id="empty first"),
        pytest.param("<name>n</name><name/>", id="empty second"),
    ],
)
def test_defect_without_meaning_is_overlooked(inner: str) -> None:
    """What carries no value does not change what is read."""
    assert _read(inner) == Message(name="n")


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param("12<!-- x -->34", id="a comment"),
        pytest.param("12<![CDATA[34]]>", id="CDATA"),
        pytest.param("1<?x?>23<!-- -->4", id="a processing instruction"),
        pytest.param("12&#51;4", id="a character reference"),
    ],
)
def test_value_is_read_across_what_divides_it(inner: str) -> None:
    """An identifier is never cut off at a comment or the like inside it."""
    assert _read(f"<name>{inner}</name>") == Message(name="1234")


def test_elements_are_read_in_any_order() -> None:
    """The order of elements is not held against the writer."""
    message = _read("<tag>1</tag><flag>0</flag><name>n</name><tag>2</tag><day/>")

    assert message == Message(name="n", flag=False, tags=("1", "2"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("true", True, id="true"),
        pytest.param("1", True, id="one"),
        pytest.param("True", True, id="True as .NET writes it"),
        pytest.param("TRUE", True, id="upper case"),
        pytest.param(" true ", True, id="blanks around"),
        pytest.param("false", False, id="false"),
        pytest.param("0", False, id="zero"),
        pytest.param("False", False, id="False as .NET writes it"),
    ],
)
def test_boolean_is_read(text: str, value: bool) -> None:  # noqa: FBT001 - a table of values
    """A boolean is read in each spelling that is seen."""
    assert _read(f"<name>n</name><flag>{text}</flag>") == Message(name="n", flag=value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("20261024083015", "20261024083015", id="fourteen digits"),
        pytest.param("202610240830", "20261024083000", id="twelve digits"),
        pytest.param("20240229000000", "20240229000000", id="a leap day"),
        pytest.param("99991231235959", "99991231235959", id="the last second"),
        pytest.param("10000101000000", "10000101000000", id="the first second"),
    ],
)
def test_time_is_read(text: str, value: str) -> None:
    """A time is read in full."""
    assert _read(f"<name>n</name><time>{text}</time>") == Message(name="n", time=value)


NO_TIME = "time: not a time: expected YYYYMMDDhhmmss"
NO_SUCH_TIME = "time: not a time: there is no such day or hour"
NO_DAY = "day: not a date: expected YYYYMMDD"
NO_SUCH_DAY = "day: not a date: there is no such day"
NO_FLAG = "flag: not a boolean: expected true or false"


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        pytest.param("<time>20260231083000</time>", NO_SUCH_TIME, id="31 February"),
        pytest.param("<time>20260200083000</time>", NO_SUCH_TIME, id="day 00"),
        pytest.param("<time>20260001083000</time>", NO_SUCH_TIME, id="month 00"),
        pytest.param("<time>20261301083000</time>", NO_SUCH_TIME, id="month 13"),
        pytest.param("<time>20260201240000</time>", NO_SUCH_TIME, id="hour 24"),
        pytest.param("<time>20260201236000</time>", NO_SUCH_TIME, id="minute 60"),
        pytest.param("<time>20260201235960</time>", NO_SUCH_TIME, id="second 60"),
        pytest.param("<time>20250229083000</time>", NO_SUCH_TIME, id="no leap year"),
        pytest.param("<time>2026022408300</time>", NO_TIME, id="thirteen digits"),
        pytest.param("<time>20260224</time>", NO_TIME, id="a date for a time"),
        pytest.param("<time>00010101000000</time>", NO_TIME, id="year 1"),
        pytest.param("<time>2026-10-24T08:30:00</time>", NO_TIME, id="ISO 8601"),
        pytest.param("<time>20261024083000+01</time>", NO_TIME, id="an offset"),
        pytest.param("<time>٢٠٢٦١٠٢٤٠٨٣٠٠٠</time>", NO_TIME, id="Arabic digits"),
        pytest.param("<time>soon</time>", NO_TIME, id="a word for a time"),
        pytest.param("<day>20260231</day>", NO_SUCH_DAY, id="a day that is not"),
        pytest.param("<day>20260200</day>", NO_SUCH_DAY, id="a day 00"),
        pytest.param("<day>20261024083000</day>", NO_DAY, id="a time for a date"),
        pytest.param("<day>2026-10-24</day>", NO_DAY, id="an ISO date"),
        pytest.param("<day>09990101</day>", NO_DAY, id="year 999"),
    ],
)
def test_impossible_value_is_refused(inner: str, message: str) -> None:
    """An impossible value names its element and says what was expected."""
    with pytest.raises(MalformedElement) as caught:
        _read(f"<name>n</name>{inner}")

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        pytest.param("", "name: is missing", id="absent"),
        pytest.param("<name/>", "name: is missing", id="empty"),
        pytest.param("<name> </name>", "name: is missing", id="blank"),
        pytest.param("<Name>n</Name>", "name: is missing", id="in another case"),
        pytest.param(
            "<name>n</name><part><time>20261024083000</time></part>",
            "part/id: is missing",
            id="inside a part",
        ),
        pytest.param(
            "<name>n</name><parts><id>1</id></parts><parts/>",
            "parts/id: is missing",
            id="in an item of a list that must be whole",
        ),
    ],
)
def test_missing_element_is_named(inner: str, message: str) -> None:
    """A required element that is absent is named with where it belongs."""
    with pytest.raises(MalformedElement) as caught:
        _read(inner)

    assert str(caught.value) == message


def test_part_that_is_required_and_empty_is_missing() -> None:
    """An empty element is absent, so a required one is missing."""
    with pytest.raises(MalformedElement) as caught:
        read(Whole, parse(b"<m><part/></m>"), Rejections())

    assert str(caught.value) == "part: is missing"


def test_malformed_item_is_left_out_and_reported() -> None:
    """Of a list that rejects items, each malformed one is reported by name."""
    rejected = Rejections()
    document = parse(
        b"<m><name>n</name><listed><id>1</id></listed><listed/>"
        b"<listed><id>2</id><time>20260231000000</time></listed>"
        b"<listed><id>3</id></listed></m>"
    )

    message = read(Message, document, rejected)

    assert message == Message(name="n", listed=(Part(id="1"), Part(id="3")))
    assert rejected.by_reason == {
        "listed/id: is missing": 1,
        "listed/time: not a time: there is no such day or hour": 1,
    }
    assert rejected.keys == {None, "20260231000000"}


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        pytest.param(" 4 ", " 4 ", id="blanks around"),
        pytest.param("se-p1a", "se-p1a", id="lower case"),
        pytest.param("\n 4\n", "\n 4\n", id="line breaks around"),
        pytest.param("a&lt;b", "a<b", id="a sign"),
        pytest.param("x" * 256, "x" * 256, id="as long as it may be"),
        pytest.param(" \n", None, id="only blanks"),
    ],
)
def test_identifier_is_read_as_it_stands(inner: str, text: str | None) -> None:
    """What goes back to the writer one day is the very text that it wrote."""
    message = _read(f"<name>n</name><identifier>{inner}</identifier>")

    assert message == Message(name="n", identifier=text)


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        pytest.param("<title>A<b>B</b>C</title>", ("ABC", None), id="a name"),
        pytest.param(
            "<title>A &amp; B</title>", ("A & B", None), id="a sign in a name"
        ),
        pytest.param(
            "<text>a<article><para>b</para></article>c</text>",
            (None, "a\nb\nc"),
            id="a text",
        ),
        pytest.param(
            '<text xmlns:d="urn:d"><d:para>b &lt; c &amp; d</d:para></text>',
            (None, "b < c & d"),
            id="signs in an element with a prefix",
        ),
        pytest.param(
            "<text>a<!-- b --><![CDATA[<para>c</para>]]><?x y?>d</text>",
            (None, "a\nc\nd"),
            id="what is no element",
        ),
        pytest.param(
            "<text>&lt;para&gt;b&lt;/para&gt;</text>", (None, "b"), id="escaped"
        ),
    ],
)
def test_text_is_read_whole_and_plain(
    inner: str, text: tuple[str | None, str | None]
) -> None:
    """A text keeps the words of elements inside it, and loses the elements."""
    message = _read(f"<name>n</name>{inner}")

    assert (message.title, message.text) == text


@pytest.mark.parametrize(
    ("inner", "fault"),
    [
        pytest.param("<name>T<b>x</b>T</name>", "name", id="a code"),
        pytest.param("<name>n</name><day><b/>20261024</day>", "day", id="a date"),
        pytest.param("<name>n</name><time><b/></time>", "time", id="a time"),
        pytest.param("<name>n</name><flag>true<b/></flag>", "flag", id="a flag"),
        pytest.param("<name>n</name><tag>1<b/></tag>", "tag", id="one that repeats"),
        pytest.param(
            "<name>n</name><identifier>1<b/></identifier>",
            "identifier",
            id="an identifier in no namespace",
        ),
    ],
)
def test_simple_value_with_elements_inside_is_malformed(inner: str, fault: str) -> None:
    """No value is cut off at an element that should not be in it."""
    with pytest.raises(MalformedElement) as caught:
        _read(inner)

    assert str(caught.value) == f"{fault}: has elements inside"


def test_identifier_that_is_too_long_is_malformed() -> None:
    """An item with an identifier that is too long cannot do without it."""
    with pytest.raises(MalformedElement) as caught:
        _read(f"<name>n</name><identifier>{'x' * 257}</identifier>")

    assert str(caught.value) == "identifier: is longer than 256 characters"


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        pytest.param(
            f"<title>{'x' * 401}</title>",
            "title: is longer than 400 characters",
            id="a long name",
        ),
        pytest.param(
            f"<text>{'x' * 20_001}</text>",
            "text: is longer than 20000 characters",
            id="a long text",
        ),
        pytest.param("<flag>yes</flag>", NO_FLAG, id="yes for true"),
        pytest.param("<flag>2</flag>", NO_FLAG, id="two for true"),
        pytest.param("<flag>-1</flag>", NO_FLAG, id="minus one for true"),
    ],
)
def test_part_that_can_be_done_without_is_left_out_and_counted(
    inner: str, reason: str
) -> None:
    """A name, a text or a flag that cannot be read spoils nothing but itself."""
    rejected = Rejections()

    message = read(Message, parse(f"<m><name>n</name>{inner}</m>".encode()), rejected)

    assert message == Message(name="n")
    assert (rejected.by_reason, rejected.keys) == ({reason: 1}, set())


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param("day", id="a date"),
        pytest.param("time", id="a time"),
    ],
)
def test_error_of_reading_never_repeats_the_value(tag: str) -> None:
    """Neither the text nor the repr of an error holds what was read."""
    with pytest.raises(MalformedElement) as caught:
        _read(f"<name>n</name><{tag}>{MARKER}-x</{tag}>")

    assert MARKER not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert caught.value.__context__ is None


def test_class_that_is_no_message_is_refused() -> None:
    """Only a dataclass of declared elements can be read."""
    with pytest.raises(TypeError, match="int is not a message"):
        read(int, parse(b"<m/>"), Rejections())


def test_class_with_slots_is_refused() -> None:
    """A message is filled at once, so it may have neither slots nor __post_init__."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Slotted:
        NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:GetMessageResponder:1"

        id: str | None = element("id")

    @dataclass(frozen=True, kw_only=True)
    class Checked:
        NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:GetMessageResponder:1"

        id: str | None = element("id")

        def __post_init__(self) -> None:
            """Check what `read` would not."""

    for kind in (Slotted, Checked):
        with pytest.raises(TypeError, match="has slots or __post_init__"):
            read(kind, parse(b"<x/>"), Rejections())


def test_what_is_read_equals_what_is_made() -> None:
    """A value that was read is the one that its class makes, also where it is empty."""
    read_one = read(
        Part, parse(b'<x xmlns="urn:riv:crm:scheduling:1"><id>1</id></x>'), Rejections()
    )

    assert read_one == Part(id="1")
    assert hash(read_one) == hash(Part(id="1"))
    assert repr(read_one) == repr(Part(id="1"))
    assert replace(read_one, time="20260601080000") == Part(
        id="1", time="20260601080000"
    )


# ----------------------------------------------------------------------------- writing


def test_message_is_written_in_the_order_of_its_fields() -> None:
    """Elements follow the order of declaration, each in its namespace."""
    written = _written(
        Message(
            listed=(Part(id="6"),),
            part=Part(id="3", time="202610240830"),
            tags=("1", "2"),
            other="o",
            flag=False,
            day="20261024",
            name="n & <m>",
        )
    )

    assert written == [
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}name", "n & <m>"),
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}day", "20261024"),
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}flag", "false"),
        ("{urn:other}other", "o"),
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}tag", "1"),
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}tag", "2"),
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}part", None),
        ("{urn:riv:crm:scheduling:1}id", "3"),
        ("{urn:riv:crm:scheduling:1}time", "20261024083000"),
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}listed", None),
        ("{urn:riv:crm:scheduling:1}id", "6"),
    ]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Message(name="n", day="", other="", tags=("",)), id="empty"),
        pytest.param(Message(name="n", day=" ", other="\n", tags=(" ",)), id="blank"),
        pytest.param(Message(name="n", tags=()), id="absent"),
    ],
)
def test_value_without_content_is_not_written(message: Message) -> None:
    """An empty element is forbidden, so none is written."""
    assert _written(message) == [
        ("{urn:riv:crm:scheduling:GetMessageResponder:1}name", "n")
    ]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param(Message(name=""), "name: is required", id="an empty text"),
        pytest.param(Message(name=" \t"), "name: is required", id="a blank text"),
        pytest.param(
            Message(name="n", part=Part(id="")),
            "part/id: is required",
            id="an empty text in a part",
        ),
        pytest.param(Message(name="n", time="20260231000000"), NO_SUCH_TIME, id="time"),
        pytest.param(Message(name="n", day="20260231"), NO_SUCH_DAY, id="date"),
        pytest.param(Message(name="n", day="soon"), NO_DAY, id="no date"),
    ],
)
def test_value_that_may_not_be_sent_is_refused(message: Message, text: str) -> None:
    """A message that the contract forbids is not written; the element is named."""
    with pytest.raises(MalformedElement) as caught:
        _written(message)

    assert str(caught.value) == text


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("\x00", id="NUL"),
        pytest.param("\x0b", id="a vertical tab"),
        pytest.param("\x1b", id="escape"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param("\ufffe", id="a noncharacter"),
    ],
)
def test_character_that_xml_cannot_carry_is_refused(character: str) -> None:
    """The element is named, and the text that holds the character is not repeated."""
    with pytest.raises(MalformedElement) as caught:
        _written(Message(name="n", other=f"{MARKER}{character}"))

    assert str(caught.value) == "other: has a character that XML cannot carry"
    assert caught.value.__suppress_context__


# ------------------------------------------------------------------------ differences

ITEM: Final = "urn:riv:crm:scheduling:1"


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param(
            "<name>n</name><part><id>1</id></part>", [], id="what the class has"
        ),
        pytest.param(
            "<name>n</name><listed><ID>1</ID></listed>",
            [
                "listed/ID: is no element of the contract",
                "listed/id: is missing",
            ],
            id="in a part",
        ),
        pytest.param(
            "<name>n</name><names>n</names>",
            ["names: is no element of the contract; perhaps name is meant"],
            id="a misspelling",
        ),
        pytest.param("", ["name: is missing"], id="nothing"),
        pytest.param(
            f'<name>n</name><x:tagg xmlns:x="{ITEM}"/>',
            ["tagg: is no element of the contract; perhaps tag is meant"],
            id="in the contract's namespace",
        ),
        pytest.param(
            '<name>n</name><x:more xmlns:x="urn:vendor"/>', [], id="an extension"
        ),
        pytest.param(
            '<name>n</name><x:more xmlns:x="urn:riv:crm:scheduling:1.2"/>',
            [],
            id="of a later version",
        ),
        pytest.param(
            '<name>n</name><x:tagg xmlns:x="urn:riv:crm:scheduling:1.2"/>',
            ["tagg: is no element of the contract; perhaps tag is meant"],
            id="a misspelling in a later version",
        ),
        pytest.param(
            "<name>n</name><p191212121212/>",
            ["an element: is no element of the contract"],
            id="a number in a name",
        ),
    ],
)
def test_differences_from_a_class_are_named(xml: str, expected: list[str]) -> None:
    """Unknown and missing elements are named by path, and no value is."""
    assert differences_from(Message, parse(f"<m>{xml}</m>".encode())) == expected


def test_an_unknown_element_among_items_is_an_item_that_is_left_out() -> None:
    """A list of items with another name does not look empty; extensions may."""
    rejected = Rejections()
    xml = (
        "<m><name>n</name><listd><id>1</id></listd>"
        f'<x:listd xmlns:x="{ITEM}"/><x:more xmlns:x="urn:vendor"/>'
        '<x:more xmlns:x="urn:riv:crm.scheduling:1"/>'
        '<x:Listed xmlns:x="urn:vendor"/><x:listed xmlns:x="urn:riv:crm.scheduling:1"/>'
        '<x:Include xmlns:x="http://www.w3.org/2001/XInclude"/>'
        '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include"/>x'
        '<listed xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true">'
        "<id>1</id></listed>x</m>"
    )

    read(Message, parse(xml.encode()), rejected)

    assert rejected.by_reason == {
        "listd: is no element of the contract": 2,
        "an element: is no element of the contract": 3,
        "Listed: is no element of the contract": 1,
        "listed: is in a namespace that is not the contract's": 1,
        "listed: is nil and has content": 1,
        "text: stands where elements should": 2,
    }


UNREADABLE: Final = [
    pytest.param(
        "<id>1</id><id>2</id>", "listed/id[2]: occurs more than once", id="twice"
    ),
    pytest.param(
        "<id>1</id><Time>20260601080000</Time>",
        "listed/Time: is no element of the contract",
        id="misspelt",
    ),
    pytest.param(
        '<id>1</id><x:Ti_me xmlns:x="urn:vendor">x</x:Ti_me>',
        "listed/Ti_me: is no element of the contract",
        id="much like one",
    ),
    pytest.param(
        '<id>1</id><x:time xmlns:x="urn:vendor">x</x:time>',
        "listed/time: is in a namespace that is not the contract's",
        id="a vendor's",
    ),
    pytest.param(
        "<id>1</id>x", "listed/text: stands where elements should", id="text behind"
    ),
    pytest.param("x", "listed/text: stands where elements should", id="text alone"),
    pytest.param(
        '<id>1</id><time xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
        ' i:nil="true">x</time>',
        "listed/time: is nil and has content",
        id="nil with content",
    ),
]


@pytest.mark.parametrize(("inner", "reason"), UNREADABLE)
def test_item_of_which_something_would_be_lost_is_left_out(
    inner: str, reason: str
) -> None:
    """What is misspelt, doubled or in the way never reads as absent."""
    rejected = Rejections()
    xml = f"<m><name>n</name><listed><id>0</id></listed><listed>{inner}</listed></m>"

    message = read(Message, parse(xml.encode()), rejected)

    assert message == Message(name="n", listed=(Part(id="0"),))
    assert rejected.by_reason == {reason: 1}


@pytest.mark.parametrize(
    "namespace",
    [
        "urn:riv:crm:scheduling:1.2",
        "urn:riv:crm:scheduling:2",
        "urn:riv:crm:scheduling:GetAvailableTimeslotsResponder:1.2",
        "urn:riv:itintegration:registry:1",
        "urn:riv:interoperability:headers:1.1",
    ],
)
def test_element_that_a_later_version_adds_costs_nothing(namespace: str) -> None:
    """The schemas end with room for elements of other namespaces, RIV's as well."""
    rejected = Rejections()
    added = f'<x:link xmlns:x="{namespace}" a="1"><x:to>x</x:to></x:link>'
    xml = f"<m><name>n</name>{added}<listed><id>1</id>{added}</listed></m>"

    message = read(Message, parse(xml.encode()), rejected)

    assert message == Message(name="n", listed=(Part(id="1"),))
    assert rejected.by_reason == {}


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        pytest.param(
            '<x:link xmlns:x="urn:riv:crm:scheduling:1">x</x:link>',
            "listed/an element: is no element of the contract",
            id="the contract's",
        ),
        pytest.param(
            '<x:link xmlns:x="urn:riv:crm:scheduling:1.1">x</x:link>',
            "listed/an element: is no element of the contract",
            id="that of 1.1",
        ),
        pytest.param(
            '<x:link xmlns:x="urn:riv:crm:scheduling:GetAllTimeTypesResponder:1.1">x'
            "</x:link>",
            "listed/an element: is no element of the contract",
            id="that of an answer",
        ),
        pytest.param(
            '<x:link xmlns:x="URN:RIV:crm.scheduling:1">x</x:link>',
            "listed/an element: is no element of the contract",
            id="much like the contract's",
        ),
        pytest.param(
            '<x:Ti_me xmlns:x="urn:riv:crm:scheduling:1.2">x</x:Ti_me>',
            "listed/Ti_me: is no element of the contract",
            id="a later one, of a name much like a known one",
        ),
        pytest.param(
            '<x:time xmlns:x="urn:riv:itintegration:registry:1">x</x:time>',
            "listed/time: is in a namespace that is not the contract's",
            id="another contract's, of a known name",
        ),
    ],
)
def test_unknown_element_of_the_contracts_namespaces_costs_its_item(
    element: str, reason: str
) -> None:
    """What this contract does not have in its own namespaces is misspelt."""
    rejected = Rejections()
    xml = f"<m><name>n</name><listed><id>1</id>{element}</listed></m>"

    message = read(Message, parse(xml.encode()), rejected)

    assert message == Message(name="n")
    assert rejected.by_reason == {reason: 1}


def test_empty_unknown_element_of_an_item_says_nothing() -> None:
    """Some producers write every element, empty where they have nothing to say."""
    assert _read("<name>n</name><listed><id>1</id><Time/></listed>") == Message(
        name="n", listed=(Part(id="1"),)
    )


@pytest.mark.parametrize(
    ("inner", "keys"),
    [
        pytest.param(
            "<time>20260601080000</time><x/>y", {"20260601080000"}, id="one start"
        ),
        pytest.param(
            "<time>20260601080000</time><time>20260602080000</time>",
            {None},
            id="two starts",
        ),
        pytest.param(
            '<x:time xmlns:x="urn:vendor">20260601080000</x:time>',
            {None},
            id="a vendor's start",
        ),
    ],
)
def test_left_out_item_is_known_by_one_key_alone(
    inner: str, keys: set[str | None]
) -> None:
    """Of two keys neither is believed, since the item may be of either."""
    rejected = Rejections()
    xml = f"<m><name>n</name><listed>{inner}</listed></m>"

    read(Message, parse(xml.encode()), rejected)

    assert rejected.keys == keys


def test_names_that_a_writer_invents_are_not_repeated() -> None:
    """A name may be a person's: only those near the contract's own are shown."""
    rejected = Rejections()
    xml = "<Tolvan/><p191212121212/><listd/><LISTED/>"

    read(Message, parse(f"<m><name>n</name>{xml}</m>".encode()), rejected)

    assert rejected.by_reason == {
        "an element: is no element of the contract": 2,
        "listd: is no element of the contract": 1,
        "LISTED: is no element of the contract": 1,
    }


def test_names_near_the_contracts_own_are_not_all_kept() -> None:
    """However many there are, a hundred reasons and one for the others are enough."""
    rejected = Rejections()
    xml = "".join(
        f"<{name[:place]}{letter}{name[place:]}/>"
        for name in ("identifier", "listed")
        for place in range(1, len(name))
        for letter in "abcdefghjkmopqruvwxyz"
    )

    read(Message, parse(f"<m><name>n</name>{xml}</m>".encode()), rejected)

    assert len(rejected.by_reason) == 101


# ----------------------------------------------------------------- what no extension is


LISTED_ITEM: Final = "<id>1</id><time>20260601080000</time>"
OWN_ITEM: Final = (
    f'<o:id xmlns:o="{ITEM}">1</o:id><o:time xmlns:o="{ITEM}">20260601080000</o:time>'
)
VENDORS_ITEM: Final = "<x:id>1</x:id><x:time>20260601080000</x:time>"


@pytest.mark.parametrize(
    "element",
    [
        pytest.param(
            f"<x:ArrayOfListed><listed>{LISTED_ITEM}</listed></x:ArrayOfListed>",
            id="items in a wrapper",
        ),
        pytest.param(
            f"<x:Bookings><x:Booking>{OWN_ITEM}</x:Booking></x:Bookings>",
            id="elements of the contract's namespace",
        ),
        pytest.param(
            "<x:a><x:b><x:listed/></x:b></x:a>", id="an item's name at any depth"
        ),
        pytest.param(
            f"<x:Bookings><x:Booking>{VENDORS_ITEM}</x:Booking></x:Bookings>",
            id="several names of an item's elements",
        ),
        pytest.param(
            f"<x:litsed>{VENDORS_ITEM}</x:litsed>", id="an item that is misspelt"
        ),
        pytest.param(
            '<y:litsed xmlns:y="urn:riv:crm:scheduling:1.2"/>',
            id="misspelt in a later version's namespace",
        ),
        pytest.param(
            '<x:a><o:b xmlns:o="urn:riv:crm:scheduling:1.1"/></x:a>',
            id="the extension namespace of 1.1",
        ),
    ],
)
def test_extension_that_holds_some_of_the_contracts_is_a_lost_item(
    element: str,
) -> None:
    """Nothing in the outermost element vanishes, with any namespace of that element."""
    rejected = Rejections()
    xml = f'<m xmlns:x="http://schemas.datacontract.org/2004/07/R"><name>n</name>{element}</m>'

    message = read(Message, parse(xml.encode()), rejected)

    assert (message, rejected.by_reason.total(), rejected.keys) == (
        Message(name="n"),
        1,
        {None},
    )


@pytest.mark.parametrize(
    "element",
    [
        pytest.param("<x:Tidsbok><part><id>1</id></part></x:Tidsbok>", id="a wrapper"),
        pytest.param("<x:aprt><x:id>1</x:id></x:aprt>", id="misspelt"),
    ],
)
def test_extension_that_holds_a_part_makes_the_message_malformed(element: str) -> None:
    """Where there is no list, the whole message is not understood."""
    xml = f'<m xmlns:x="urn:vendor">{element}</m>'

    with pytest.raises(MalformedElement, match="is no element of the contract"):
        read(Whole, parse(xml.encode()), Rejections())


@pytest.mark.parametrize(
    "element",
    [
        "<x:paging><x:next>2</x:next><x:size>5</x:size></x:paging>",
        "<x:trace x:id='4'><x:id>4</x:id></x:trace>",
        "<x:partner/>",
    ],
)
def test_extension_of_foreign_names_costs_nothing(element: str) -> None:
    """One name of an item's elements alone is anybody's."""
    assert _read(f'<name>n</name><x:y xmlns:x="urn:vendor">{element}</x:y>') == Message(
        name="n"
    )


@pytest.mark.parametrize(
    "element",
    [
        '<Fault xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>',
        '<x:Fault xmlns:x="urn:vendor"/>',
        "<fault/>",
        '<x:more xmlns:x="urn:vendor"><x:Fault><x:code>1</x:code></x:Fault></x:more>',
    ],
)
def test_fault_inside_a_message_makes_it_malformed(element: str) -> None:
    """A writer that states a fault beside its answer has not answered."""
    xml = f"<m><name>n</name>{element}</m>"

    with pytest.raises(MalformedElement) as caught:
        read(Message, parse(xml.encode()), Rejections())

    assert str(caught.value) == "Fault: stands inside an answer"


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        pytest.param(
            '<m href="#1"/>', "attributes: stand where elements should", id="a message"
        ),
        pytest.param(
            '<m><part href="#1"/></m>',
            "part: has no content, and attributes that the contract does not have",
            id="a part",
        ),
        pytest.param(
            '<m><part x:ref="#1" xmlns:x="urn:x"> </part></m>',
            "part: has no content, and attributes that the contract does not have",
            id="another namespace's reference",
        ),
        pytest.param(
            '<m><part><id>1</id><time href="#1"/></part></m>',
            "part/time: has no content, and attributes that the contract does not have",
            id="a text",
        ),
    ],
)
def test_element_that_refers_to_content_elsewhere_is_malformed(
    xml: str, reason: str
) -> None:
    """Content in another place (SOAP 1.1, section 5) never reads as none."""
    with pytest.raises(MalformedElement) as caught:
        read(Whole, parse(xml.encode()), Rejections())

    assert str(caught.value) == reason


def test_attribute_that_says_how_to_read_is_overlooked() -> None:
    """A type or a place of a schema beside nothing leaves it nothing."""
    xml = (
        '<name>n</name><part i:type="x" '
        'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"/>'
    )

    assert _read(xml) == Message(name="n")


def test_hints_at_what_is_meant_are_given_for_a_hundred_names() -> None:
    """Looking for what is meant costs too much to be done for any number of names."""
    xml = "".join(f"<names{n:03}/>" for n in range(1_000))

    found = differences_from(Message, parse(f"<m><name>n</name>{xml}</m>".encode()))

    assert found[99:101] == [
        "names099: is no element of the contract; perhaps name is meant",
        "an element: is no element of the contract",
    ]
