"""
Resources in XML.

https://hl7.org/fhir/R4/xml.html
"""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.primitive import UNSAYABLE
from fhir_gateway.fhir.r4 import ANSWERED, RESOURCES
from fhir_gateway.fhir.resource_xml import (
    UnreadableXml,
    resource_from_xml,
    xml_from_resource,
)
from fhir_gateway.fhir.structure import checked

_PROFILES: Final = Path(__file__).parents[2] / "profiles"
_EXAMPLES: Final = sorted((_PROFILES / "examples").glob("*.json"))
_DECLARED: Final = '<?xml version="1.0" encoding="UTF-8"?>'


def _read(path: Path) -> dict[str, Any]:
    resource: dict[str, Any] = json.loads(path.read_bytes())
    return resource


def _xml(content: str, attributes: str = "") -> bytes:
    return (
        f'<Appointment xmlns="http://hl7.org/fhir"{attributes}>{content}</Appointment>'
    ).encode()


def _appointment(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Appointment", **elements}


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("is_pretty", [False, True])
def test_an_example_is_the_same_in_both_forms(path: Path, is_pretty: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """JSON, written as XML and read again, is the same JSON."""
    resource = _read(path)

    written = xml_from_resource(resource, is_pretty=is_pretty)

    assert resource_from_xml(written, types=ANSWERED) == resource


@pytest.mark.parametrize(
    "path", sorted(_PROFILES.glob("*.json")), ids=lambda path: path.stem
)
def test_each_of_our_definitions_can_be_written(path: Path) -> None:
    """R4 defines each of their elements, with its place."""
    resource = _read(path)

    assert f"<{resource['resourceType']} " in xml_from_resource(resource).decode()


def test_the_elements_stand_in_the_order_of_r4() -> None:
    """XML has an order, whichever order JSON had; attributes hold values and ids."""
    appointment = _appointment(
        status="proposed",
        _status={"id": "s", "extension": [{"url": "urn:x", "valueBoolean": True}]},
        priority=0,
        participant=[{"status": "accepted", "id": "p", "actor": {"display": 'A<&">'}}],
        meta={"tag": [{"code": "a"}], "profile": ["urn:1", "urn:2"]},
        contained=[{"resourceType": "Patient", "id": "1", "active": False}],
        id="7",
    )

    assert xml_from_resource(appointment).decode() == (
        f'{_DECLARED}<Appointment xmlns="http://hl7.org/fhir"><id value="7"/><meta>'
        '<profile value="urn:1"/><profile value="urn:2"/><tag><code value="a"/></tag>'
        '</meta><contained><Patient><id value="1"/><active value="false"/></Patient>'
        '</contained><status id="s" value="proposed"><extension url="urn:x">'
        '<valueBoolean value="true"/></extension></status><priority value="0"/>'
        '<participant id="p"><actor><display value="A&lt;&amp;&quot;&gt;"/></actor>'
        '<status value="accepted"/></participant></Appointment>'
    )


def test_the_extensions_of_a_list_stand_at_their_values() -> None:
    """JSON has them in a list beside it, with null where there is none."""
    patient = {
        "resourceType": "Patient",
        "name": [
            {
                "given": ["A", None, "C"],
                "_given": [
                    None,
                    {"extension": [{"url": "urn:x", "valueString": "y"}]},
                    None,
                ],
            },
            {"_given": [{"id": "g"}]},
        ],
    }

    written = xml_from_resource(patient)

    assert (
        '<given value="A"/><given><extension url="urn:x"><valueString value="y"/>'
        '</extension></given><given value="C"/></name><name><given id="g"/></name>'
    ) in written.decode()
    assert resource_from_xml(written) == patient


def test_a_narrative_is_xhtml() -> None:
    """Its markup stands in the document, in its own namespace."""
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>a &lt; b<br/>c</p></div>'
    appointment = _appointment(text={"status": "generated", "div": div})

    written = xml_from_resource(appointment)

    assert f'<status value="generated"/>{div}</text>' in written.decode()
    assert resource_from_xml(written) == appointment


@pytest.mark.parametrize(
    "resource",
    [
        _appointment(colour="red"),
        _appointment(participant=[{"colour": "red"}]),
        _appointment(text={"status": "generated", "div": "<div><p></div>"}),
    ],
)
def test_what_r4_does_not_define_is_never_written(resource: dict[str, Any]) -> None:
    """An answer that would lose something is a fault of ours."""
    with pytest.raises(ValueError, match="of an answer"):
        xml_from_resource(resource)


@given(
    text=st.text(min_size=1), number=st.floats(allow_nan=False, allow_infinity=False)
)
def test_each_value_comes_back(text: str, number: float) -> None:
    """Blanks and line ends too; XML cannot express control characters."""
    appointment = _appointment(
        comment=text,
        extension=[{"url": "urn:x", "valueDecimal": number}],
        priority=7,
    )

    expected = appointment | {"comment": UNSAYABLE.sub("\ufffd", text)}
    assert resource_from_xml(xml_from_resource(appointment)) == expected


@given(status=st.one_of(st.just("free"), st.text()))
def test_both_forms_of_a_body_have_the_same_faults(status: str) -> None:
    """A body in XML is checked as the same body in JSON is."""
    body = _appointment(status=UNSAYABLE.sub("", status), start="x", colour={})

    content = xml_from_resource({k: body[k] for k in body if k != "colour"})
    sent = content.replace(b"</Appointment>", b"<colour/></Appointment>")

    assert checked(resource_from_xml(sent)).issues == checked(body).issues


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<colour value='x'/>", {"colour": {}}),
        ("<status value='free'/><status value='busy'/>", {"status": ["free", "busy"]}),
        ("<status/>", {"status": ""}),
        ("<status value=''/>", {"status": ""}),
        ("<priority value='1.5'/>", {"priority": "1.5"}),
        ("<priority value='99999999999'/>", {"priority": "99999999999"}),
        ("<!-- a --><status value='a'/><?b c?>", {"status": "a"}),
        (
            "<slot><reference value='Slot/1'/></slot>",
            {"slot": [{"reference": "Slot/1"}]},
        ),
        (
            "<participant><id value='1'/><required value='yes'/></participant>",
            {"participant": [{"id": {}, "required": "yes"}]},
        ),
        (
            "<extension url='urn:x'><url value='urn:y'/></extension>",
            {"extension": [{"url": {}}]},
        ),
        (
            "<contained><Medication><colour/></Medication></contained>",
            {"contained": [{"resourceType": "Medication"}]},
        ),
    ],
)
def test_what_does_not_fit_stays_visible(
    content: str, expected: dict[str, Any]
) -> None:
    """The same checks as for JSON find it, and name its place."""
    resource = resource_from_xml(_xml(content))

    assert resource == _appointment(**expected)
    if "slot" not in expected and expected != {"status": "a"}:
        assert checked(resource).issues


@pytest.mark.parametrize(
    "document",
    [
        _xml("<status value='ö'/>").decode().encode("utf-8-sig"),
        b'<?xml version="1.0"?>\n' + _xml("<status value='ö'/>"),
        _xml(
            "<status value='ö'/>",
            ' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
            ' i:schemaLocation="http://hl7.org/fhir fhir-all.xsd"',
        ),
        '<f:Appointment xmlns:f="http://hl7.org/fhir"><f:status value="ö"/>'
        "</f:Appointment>".encode(),
    ],
)
def test_one_document_can_be_written_in_many_ways(document: bytes) -> None:
    """A byte order mark, a declaration, a prefix and a schema's place mean nothing."""
    assert resource_from_xml(document) == _appointment(status="ö")


_ENTITY: Final = b'<!DOCTYPE a [<!ENTITY e "x">]>'
_NOT_WELL_FORMED: Final = "the body is not well-formed XML in UTF-8"
_NOT_FHIR: Final = (
    "the body has an element that is not FHIR's: its namespace is http://hl7.org/fhir"
)
_NO_ATTRIBUTE: Final = "the body has an attribute that FHIR does not have"
_TEXT: Final = "the body has text between elements: FHIR's values are attributes"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (b"", _NOT_WELL_FORMED),
        (b"{}", _NOT_WELL_FORMED),
        (_xml("<status>"), _NOT_WELL_FORMED),
        (_xml("<status value='ö'/>").decode().encode("latin-1"), _NOT_WELL_FORMED),
        (_xml("<status value='ö'/>").decode().encode("utf-16"), _NOT_WELL_FORMED),
        (_xml("<status value='&e;'/>"), _NOT_WELL_FORMED),
        (_ENTITY + _xml(""), "the body has a document type declaration"),
        (
            _ENTITY + _xml("<status value='&e;'/>"),
            "the body has a document type declaration",
        ),
        (
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + _xml(""),
            "the body has a document type declaration",
        ),
        (b"<Appointment/>", _NOT_FHIR),
        (b'<Appointment xmlns="urn:x"/>', _NOT_FHIR),
        (b'<appointment xmlns="http://hl7.org/fhir"/>', _NOT_FHIR),
        (_xml("<x xmlns='urn:x'/>"), _NOT_FHIR),
        (_xml("<resourceType value='Slot'/>"), _NOT_FHIR),
        (_xml("<_status value='Slot'/>"), _NOT_FHIR),
        (_xml("<div xmlns='http://www.w3.org/1999/xhtml'/>"), _NOT_FHIR),
        (_xml("", " id='x'"), _NO_ATTRIBUTE),
        (_xml("<status code='x'/>"), _NO_ATTRIBUTE),
        (_xml("<slot value='x'/>"), _NO_ATTRIBUTE),
        (_xml("free"), _TEXT),
        (_xml("<status>free</status>"), _TEXT),
        (_xml("<status value='x'/>free"), _TEXT),
        (_xml("<contained/>"), "an element must hold one resource"),
        (_xml("<contained><A/><A/></contained>"), "an element must hold one resource"),
        (_xml("<status/>" * 1000), "the body has more than 1000 elements"),
        (
            _xml("<extension url='x'>" * 40 + "</extension>" * 40),
            "the body is nested deeper than 32",
        ),
        (_xml("<extension url='x'>" * 300 + "</extension>" * 300), _NOT_WELL_FORMED),
    ],
)
def test_xml_that_is_not_fhirs_is_refused(document: bytes, fault: str) -> None:
    """The message says what to mend, and quotes nothing of the body."""
    with pytest.raises(UnreadableXml) as caught:
        resource_from_xml(document)

    assert str(caught.value) == fault


@pytest.mark.parametrize("number", ["18446744073709551616", "-1" + "0" * 30, "1e999"])
def test_a_number_that_json_cannot_have_stays_text(number: str) -> None:
    """The checks refuse such a decimal at its place, as they refuse a word there."""
    document = _xml(
        f"<extension url='urn:x'><valueDecimal value='{number}'/></extension>"
    )

    [extension] = resource_from_xml(document)["extension"]

    assert extension == {"url": "urn:x", "valueDecimal": number}


@given(document=st.one_of(st.binary(), st.text().map(str.encode)))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    """Nothing else is raised."""
    try:
        resource = resource_from_xml(b'<Slot xmlns="http://hl7.org/fhir">' + document)
    except UnreadableXml:
        return
    assert resource["resourceType"] in RESOURCES
