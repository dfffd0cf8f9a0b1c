"""
Reading XML from outside: any input gives one kind of error, and never a long wait.
"""

import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from costs import growth
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.envelope import (
    MalformedEnvelope,
    read_call,
    read_request,
    read_response,
)
from fhir_gateway.rivta.limit import ANSWER, Limit
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.xml import NIL_WITH_CONTENT, UnreadableXml, parse

OUR_OWN = (UnreadableXml, MalformedEnvelope, MalformedElement)
MARKER = "191212121212"

SAMPLES = [
    "GetAvailableTimeslots.whole",
    "GetBookingDetails.open-invitation",
    "GetSubjectOfCareSchedule.aggregated-in-part",
    "GetSubjectOfCareSchedule.takecare",
    "MakeBooking.done-with-remark",
    "MakeBooking.platform-fault",
]
EVERY_SAMPLE = pytest.mark.parametrize(
    "sample", [pytest.param(sample, id=sample) for sample in SAMPLES]
)


def _read(sample: str, document: bytes) -> Any:
    contract = CONTRACTS[Interaction(sample.partition(".")[0])]
    return read_response(contract, document)


def _nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


def _laughs() -> bytes:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE a [<!ENTITY l0 "ha">{lines}]><a>&l9;</a>'.encode()


# ------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"<a>\xc3\xa5</a>", id="UTF-8 undeclared"),
        pytest.param(b"\xef\xbb\xbf<a>\xc3\xa5</a>", id="UTF-8 with a byte order mark"),
        pytest.param(
            b'<?xml version="1.0" encoding="UTF-8"?><a>\xc3\xa5</a>', id="UTF-8"
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe5</a>', id="ISO-8859-1"
        ),
        pytest.param("<a>å</a>".encode("utf-16"), id="UTF-16 with a byte order mark"),
        pytest.param(
            '<?xml version="1.0" encoding="UTF-16"?><a>å</a>'.encode("utf-16"),
            id="UTF-16 that says so",
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="utf-16"?><a>\xc3\xa5</a>',
            id="UTF-8 that says UTF-16, as .NET writes it",
        ),
        pytest.param(
            b'\r\n <?xml version="1.0"?><a>\xc3\xa5</a>', id="blanks before it"
        ),
        pytest.param(b"<a>&#229;</a>", id="a character reference"),
        pytest.param(b"<a><![CDATA[\xc3\xa5]]></a>", id="CDATA"),
    ],
)
def test_document_is_read_in_its_encoding(document: bytes) -> None:
    """Text is the same in each encoding that XML obliges a reader to know."""
    assert parse(document).text == "å"


@pytest.mark.parametrize(
    ("content_type", "document"),
    [
        pytest.param(
            "text/xml; charset=UTF-8",
            b'<?xml version="1.0" encoding="utf-16"?><a>\xc3\xa5</a>',
            id="before a declaration of UTF-16",
        ),
        pytest.param(
            'text/xml;charset="utf-8"; action="x"',
            b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xc3\xa5</a>',
            id="in quotes, before a declaration of ISO-8859-1",
        ),
        pytest.param(
            "application/soap+xml; Charset=iso-8859-1", b"<a>\xe5</a>", id="ISO-8859-1"
        ),
        pytest.param(
            "text/xml; charset=utf-16", "<a>å</a>".encode("utf-16-le"), id="16"
        ),
        pytest.param(
            "text/xml; charset=ISO-8859-1",
            b"\xef\xbb\xbf<a>\xc3\xa5</a>",
            id="after a byte order mark",
        ),
        pytest.param(
            "text/xml; charset=utf-16", b"<a>\xc3\xa5</a>", id="one that cannot be"
        ),
        pytest.param("text/xml; charset=none", b"<a>\xc3\xa5</a>", id="one unknown"),
        pytest.param("text/xml; charset=å", b"<a>\xc3\xa5</a>", id="one that is none"),
        pytest.param("text/xml; charset=", b"<a>\xc3\xa5</a>", id="an empty one"),
        pytest.param("text/xml", b"<a>\xc3\xa5</a>", id="no charset"),
        pytest.param("", b"<a>\xc3\xa5</a>", id="no media type"),
    ],
)
def test_charset_of_the_media_type_wins(content_type: str, document: bytes) -> None:
    """A byte order mark comes first, then the media type, then the declaration."""
    assert parse(document, content_type=content_type).text == "å"


def test_document_of_several_parts_is_recognised_by_its_media_type() -> None:
    """An answer in MTOM is named as that, for any beginning of its parts."""
    with pytest.raises(UnreadableXml, match="several parts"):
        parse(b"\xff", content_type='Multipart/Related; type="application/xop+xml"')


XSI = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    ("inner", "left"),
    [
        pytest.param('<b i:nil="true"/><c/>', ["c"], id="true"),
        pytest.param('<b i:nil=" 1 "/><c/>', ["c"], id="one between blanks"),
        pytest.param('<b i:nil="true"> </b><c/>', ["c"], id="with blanks"),
        pytest.param('<b><c i:nil="1"/></b>', ["b"], id="inside"),
        pytest.param('<b i:nil="false"/><c i:nil="0"/>', ["b", "c"], id="not nil"),
        pytest.param('<b nil="true"/>', ["b"], id="in no namespace"),
        pytest.param('<b xmlns:n="urn:n" n:nil="true"/>', ["b"], id="in another"),
    ],
)
def test_element_that_is_nil_is_absent(inner: str, left: list[str]) -> None:
    """An element with xsi:nil is as if it were not there."""
    root = parse(f"<a {XSI}>{inner}</a>".encode())

    assert [node.tag for node in root.iterdescendants()] == left


@pytest.mark.parametrize(
    ("inner", "left"),
    [
        pytest.param('<b i:nil="true"><d/></b>', ["b", "d"], id="an element"),
        pytest.param('<b i:nil="true">x</b>', ["b"], id="text"),
        pytest.param('<x:b xmlns:x="urn:x" i:nil="1">x</x:b>', ["b"], id="prefixed"),
    ],
)
def test_element_that_is_nil_and_has_content_is_not_what_it_was(
    inner: str, left: list[str]
) -> None:
    """It neither vanishes nor counts: no reader knows the namespace it stands in."""
    first, *others = parse(f"<a {XSI}>{inner}</a>".encode()).iterdescendants()

    assert first.tag == f"{{{NIL_WITH_CONTENT}}}b"
    assert ["b", *(node.tag for node in others)] == left


@pytest.mark.parametrize("behind", [" " * 22, "x" * 22], ids=["blanks", "text"])
def test_elements_that_are_nil_go_in_the_time_that_reading_takes(behind: str) -> None:
    """Eight times as many take about eight times as long, not sixty-four times."""
    nil = f"<b i:nil='1'/>{behind}"
    documents = {
        count: f"<a {XSI}>{nil * count}</a>".encode() for count in (5_000, 40_000)
    }

    assert growth(lambda count: parse(documents[count]), 5_000, 40_000) < 30


def test_text_around_an_element_that_is_nil_is_kept() -> None:
    """Only the element goes, in any encoding."""
    document = f'<a {XSI}>x<b i:nil="true"/>y<b/>z<c i:nil="true"/>å</a>'

    for encoding in ("utf-8", "utf-16"):
        assert "".join(map(str, parse(document.encode(encoding)).itertext())) == "xyzå"


def test_comments_and_processing_instructions_are_dropped() -> None:
    """What is no element is not among an element's children."""
    root = parse(b"<?x y?><a><!-- c --><b/><?z?></a><!-- d -->")

    assert [child.tag for child in root] == ["b"]


def test_nesting_at_the_limit_is_read() -> None:
    """Two hundred and fifty-six levels are read."""
    assert sum(1 for _ in parse(_nested(256)).iter()) == 256


def test_text_of_five_megabytes_is_read() -> None:
    """A large text is read as long as the whole stays within the limit."""
    size = 5_000_000

    assert len(parse(b"<a>" + b"x" * size + b"</a>").text or "") == size


# ---------------------------------------------------------------------- what is refused


NOT_XML = "the document is not well-formed XML"
EMPTY = "the document is empty"
HTML = "the document is a page of HTML"
BROKEN_OFF = "the document breaks off"
ENCODING = "the document is in an unknown encoding, or not in the one that it names"
TOO_DEEP = "the document is nested too deep or has too long a text"
PARTS = "the document has several parts (MTOM) where one is expected"
HAS_DTD = "the document has a document type declaration"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(b"", EMPTY, id="nothing"),
        pytest.param(b" \n", EMPTY, id="blanks"),
        pytest.param(b"\x00" * 100, EMPTY, id="zeros"),
        pytest.param(b"VP009", NOT_XML, id="text"),
        pytest.param(b'{"resourceType": "Slot"}', NOT_XML, id="JSON"),
        pytest.param(b"<html><br><p>502</html>", HTML, id="HTML"),
        pytest.param(b"<a/><b/>", NOT_XML, id="two roots"),
        pytest.param(b"<a></b>", NOT_XML, id="crossed tags"),
        pytest.param(b"<a b='1' b='2'/>", NOT_XML, id="an attribute twice"),
        pytest.param(b"<a>&nbsp;</a>", NOT_XML, id="an undeclared entity"),
        pytest.param(b"<a>&#0;</a>", NOT_XML, id="a reference to NUL"),
        pytest.param(b"<a>\x0b</a>", NOT_XML, id="a control character"),
        pytest.param(b"<x:a/>", NOT_XML, id="an undeclared prefix"),
        pytest.param(b"<a>\xe5</a>", ENCODING, id="ISO-8859-1 that says nothing"),
        pytest.param(
            b'<?xml version="1.0" encoding="UTF-8"?><a>\xe5</a>',
            ENCODING,
            id="ISO-8859-1 that says UTF-8",
        ),
        pytest.param(b"--x\r\n\r\n<a/>\r\n--x--", PARTS, id="MTOM"),
        pytest.param(b"<a><b/>", BROKEN_OFF, id="a root without an end"),
        pytest.param(b"<a><b", BROKEN_OFF, id="half of a tag"),
        pytest.param(b"<a>\xc3", BROKEN_OFF, id="half of a character"),
        pytest.param(
            b"<!-- a --><!DOCTYPE HTML><p>Sidan", HTML, id="HTML after a comment"
        ),
        pytest.param(
            b"<!DOCTYPE a><a>&nbsp;</a>", HAS_DTD, id="an entity of a document type"
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="nonsense"?><a/>',
            ENCODING,
            id="an unknown encoding",
        ),
        pytest.param("<a>å</a>".encode("utf-16")[:-1], NOT_XML, id="half of UTF-16"),
        pytest.param(_nested(300), TOO_DEEP, id="300 levels"),
        pytest.param(_nested(100_000), TOO_DEEP, id="100 000 levels"),
        pytest.param(b"<a>" * 100_000, TOO_DEEP, id="100 000 levels without an end"),
        pytest.param(
            b"<a>" + b"x" * 11_000_000 + b"</a>", TOO_DEEP, id="a text of 11 megabytes"
        ),
        pytest.param(
            b"<a b='" + b"x" * 11_000_000 + b"'/>",
            TOO_DEEP,
            id="an attribute of 11 megabytes",
        ),
        pytest.param(b"<!DOCTYPE a><a/>", HAS_DTD, id="a bare declaration"),
        pytest.param(b"<!DOCTYPE a []><a/>", HAS_DTD, id="an empty subset"),
        pytest.param(
            b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
            HAS_DTD,
            id="an external subset",
        ),
        pytest.param(
            b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x"><html/>',
            HTML,
            id="XHTML",
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', HAS_DTD, id="an entity"
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
            HAS_DTD,
            id="an external entity",
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/hostname">%x;]><a/>',
            HAS_DTD,
            id="a parameter entity",
        ),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
            HAS_DTD,
            id="an entity in UTF-16",
        ),
    ],
)
def test_document_is_refused(document: bytes, message: str) -> None:
    """What is no sound document is refused with one line that quotes none of it."""
    with pytest.raises(UnreadableXml) as caught:
        parse(document)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(_laughs(), id="a billion laughs"),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x "'
            + b"y" * 100_000
            + b'">]><a>'
            + b"&x;" * 100_000
            + b"</a>",
            id="a quadratic blowup",
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x "&y;"><!ENTITY y "&x;">]><a>&x;</a>',
            id="entities that hold each other",
        ),
    ],
)
def test_entity_bomb_is_refused(document: bytes) -> None:
    """Entities are never expanded, whether the parser or we are first to refuse."""
    with pytest.raises(UnreadableXml):
        parse(document)


@pytest.mark.parametrize(
    ("size", "is_refused"),
    [
        pytest.param(ANSWER.most_bytes, False, id="at the limit"),
        pytest.param(ANSWER.most_bytes + 1, True, id="one byte above it"),
        pytest.param(16 * 1024 * 1024, True, id="16 megabytes"),
    ],
)
def test_size_is_limited(size: int, is_refused: bool) -> None:  # noqa: FBT001 - a table of values
    """A document as large as the platform passes on is read, and none larger."""
    filling = b"<b>" + b"x" * 1000 + b"</b>"
    document = b"<a>" + filling * (size // len(filling) - 1)
    document += b" " * (size - len(document) - len(b"</a>")) + b"</a>"

    try:
        parse(document)
        message = None
    except UnreadableXml as error:
        message = str(error)

    assert len(document) == size
    assert message == (
        f"the document is larger than {ANSWER.most_bytes} bytes" if is_refused else None
    )


@pytest.mark.parametrize(
    ("inner", "is_refused"),
    [
        pytest.param(b"<b/>" * 99, False, id="empty ones at the limit"),
        pytest.param(b"<b/>" * 100, True, id="an empty one above it"),
        pytest.param(b"<b>x</b>" * 99, False, id="at the limit"),
        pytest.param(b"<b>x</b>" * 100, True, id="one above it"),
    ],
)
def test_number_of_elements_is_limited(inner: bytes, is_refused: bool) -> None:  # noqa: FBT001 - a table of values
    """Elements are counted before a document is parsed."""
    try:
        parse(b"<a>" + inner + b"</a>", limit=Limit(10_000, 100))
        message = None
    except UnreadableXml as error:
        message = str(error)

    assert message == (
        "the document has more than 100 elements" if is_refused else None
    )


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(f"<a{MARKER}></b>".encode(), id="in a tag"),
        pytest.param(f"<a>&x{MARKER};</a>".encode(), id="in an entity"),
        pytest.param(f"<a x{MARKER}='' x{MARKER}=''/>".encode(), id="in an attribute"),
        pytest.param(f"{MARKER}".encode(), id="in bare text"),
        pytest.param(f"<!DOCTYPE x{MARKER}><a/>".encode(), id="in a declaration"),
    ],
)
def test_error_never_quotes_the_document(document: bytes) -> None:
    """Neither the error nor its printed traceback holds a word of the document."""
    with pytest.raises(UnreadableXml) as caught:
        parse(document)

    assert MARKER not in "".join(traceback.format_exception(caught.value))


# --------------------------------------------------------------------------- mutilation


@EVERY_SAMPLE
def test_document_cut_off_at_any_byte_is_refused(
    sample: str, recorded: Callable[[str], bytes]
) -> None:
    """Wherever an answer breaks off before its last tag ends, it is unreadable."""
    document = recorded(f"{sample}.response").rstrip()

    read = []
    for length in range(len(document) + 1):
        with suppress(UnreadableXml):
            _read(sample, document[:length])
            read.append(length)

    assert read == [len(document)]


@EVERY_SAMPLE
@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_document_with_flipped_bytes_raises_our_own_errors_alone(
    sample: str, recorded: Callable[[str], bytes], data: st.DataObject
) -> None:
    """However an answer is mutilated, it is read or refused, and nothing else."""
    document = bytearray(recorded(f"{sample}.response"))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(document) - 1))
        document[place] = data.draw(
            st.integers(0, 255) | st.sampled_from(b"<>&\"'/!?[]-;: \n\x00\xff")
        )

    try:
        outcome = type(_read(sample, bytes(document))).__name__
    except OUR_OWN as error:
        outcome = type(error).__name__

    assert outcome in {
        "ContractAnswer",
        "UnreadableXml",
        "MalformedEnvelope",
        "MalformedElement",
    }


@EVERY_SAMPLE
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_document_with_moved_parts_raises_our_own_errors_alone(
    sample: str, recorded: Callable[[str], bytes], data: st.DataObject
) -> None:
    """Pieces left out, doubled or exchanged never raise anything but our errors."""
    document = recorded(f"{sample}.response")
    cuts = sorted(
        data.draw(st.lists(st.integers(0, len(document)), min_size=2, max_size=6))
    )
    pieces = [
        document[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(document)], strict=True)
    ]
    order = data.draw(st.lists(st.sampled_from(range(len(pieces))), max_size=8))
    mutilated = b"".join(pieces[index] for index in order)

    try:
        outcome = type(_read(sample, mutilated)).__name__
    except OUR_OWN as error:
        outcome = type(error).__name__

    assert outcome in {
        "ContractAnswer",
        "UnreadableXml",
        "MalformedEnvelope",
        "MalformedElement",
    }


@settings(max_examples=examples(200), deadline=None)
@given(document=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    """Bytes that are no message at all never raise anything but our errors."""
    with pytest.raises(OUR_OWN):
        read_call(document)


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_mutilated_request_raises_our_own_errors_alone(
    recorded: Callable[[str], bytes], data: st.DataObject
) -> None:
    """A producer's side of reading is as safe as a consumer's."""
    document = bytearray(recorded("MakeBooking.whole.request"))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(document) - 1))
        document[place] = data.draw(st.integers(0, 255))

    try:
        call = read_call(bytes(document))
        request = read_request(CONTRACTS[scheduling.MAKE_BOOKING], call)
        outcome = type(request).__name__
    except OUR_OWN as error:
        outcome = type(error).__name__

    assert outcome in {
        "Request",
        "UnreadableXml",
        "MalformedEnvelope",
        "MalformedElement",
    }
