"""
What is written, against the schemas of crm:scheduling 1.1.1: the oracle.

The schemas are not part of this repository; conftest.py says where they are looked for.
"""

import dataclasses
import string
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Actor, ActorType
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.docbook import plain_line, plain_text
from fhir_gateway.rivta.element import (
    BOOLEAN,
    DATE,
    FORMATTED,
    IDENTIFIER,
    MESSAGE,
    NAME,
    PERMISSION,
    TEXT,
    TIME,
)
from fhir_gateway.rivta.envelope import (
    ContractAnswer,
    read_call,
    read_request,
    read_response,
    write_request,
    write_response,
)
from fhir_gateway.rivta.processing_status import ProcessingStatusRecord
from fhir_gateway.rivta.scheduling_1_1 import get_subject_of_care_schedule
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS

Validate = Callable[[etree._Element], list[str]]

RECORDED = Path(__file__).parents[1] / "data" / "rivta"

# These are recorded because they break the schemas, each as a real system does.
UNSOUND = {
    "GetAvailableTimeslots.malformed-items.response.xml",
    "GetAvailableTimeslots.wrong-order.response.xml",
    "GetBookingDetails.unknown-booking.response.xml",
    "GetSubjectOfCareSchedule.aggregated-in-part.response.xml",
    "GetSubjectOfCareSchedule.takecare.response.xml",
    "MakeBooking.wrong-order.request.xml",
}

EVERY_CONTRACT = pytest.mark.parametrize(
    "contract",
    [pytest.param(contract, id=name.name) for name, contract in CONTRACTS.items()],
)

# XML 1.0, section 2.2: what a document can carry.
_CHARACTERS: Final = st.characters(
    exclude_categories=["Cs", "Cc"],
    include_characters="\t\n\r\x85",
    exclude_characters="\ufffe\uffff",
)
_TEXT: Final = st.text(_CHARACTERS, max_size=40).map(str.strip).filter(bool)
_MARKUP: Final = st.sampled_from(
    ["<b>&amp;</b>", "]]>", "<![CDATA[x]]>", "a & b < c", "\"'", "<!-- -->", "&#0;"]
)
_TIME: Final = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 - civil time
    lambda time: f"{time:%Y%m%d%H%M%S}"
)
_DATE: Final = st.dates(date(1000, 1, 1)).map(lambda day: f"{day:%Y%m%d}")
_BY_CODEC: Final = {
    id(TIME): _TIME,
    id(DATE): _DATE,
    id(BOOLEAN): st.booleans(),
    id(PERMISSION): st.booleans(),
    # Read as plain text: what is plain already is read as it is.
    id(NAME): (_TEXT | _MARKUP).map(plain_line).filter(bool),
    id(TEXT): (_TEXT | _MARKUP).map(plain_text).filter(bool),
    id(FORMATTED): (_TEXT | _MARKUP).map(plain_text).filter(bool),
    id(MESSAGE): (_TEXT | _MARKUP).map(plain_text).filter(bool),
    id(IDENTIFIER): st.text(_CHARACTERS, max_size=40).filter(str.strip) | _MARKUP,
}
# What xs:anyURI permits without doubt.
URI: Final = st.from_regex(r"urn:[a-z]{1,8}(:[A-Za-z0-9]{1,12}){1,4}", fullmatch=True)
_BY_NAME: Final[dict[str, st.SearchStrategy[Any]]] = {
    "subject_of_care": st.builds(
        "{:08}{}{:03}".format,
        st.integers(0, 99_999_999),
        st.sampled_from("0123456789pPtTfF"),
        st.integers(0, 999),
    ),
    "ServiceContractNamespace": URI,
    "serviceDomain": URI,
    "resultCode": st.sampled_from(["OK", "INFO", "ERROR"]),
    "statusCode": st.sampled_from(
        [
            "DataFromSource",
            "DataFromCache",
            "DataFromCacheSynchFailed",
            "NoDataSynchFailed",
        ]
    ),
    "causingAgent": st.sampled_from(
        [
            "service_catalog",
            "virtualization_platform",
            "service_producer",
            "engagement_index",
            "other",
        ]
    ),
}


def messages(kind: Any, *, complete: bool = False) -> st.SearchStrategy[Any]:
    """Return any message of a class; complete, with every element there."""

    def content(declared: Any) -> st.SearchStrategy[Any]:
        if isinstance(declared.content, type):
            return messages(declared.content, complete=complete)
        default = _BY_CODEC.get(id(declared.content), _TEXT | _MARKUP)
        return _BY_NAME.get(declared.name, default)

    def strategy(declared: Any) -> st.SearchStrategy[Any]:
        if declared.repeats:
            return st.lists(content(declared), max_size=3).map(tuple)
        if declared.required or complete:
            return content(declared)
        return st.none() | content(declared)

    return st.builds(
        kind,
        **{
            field.name: strategy(field.metadata["element"])
            for field in dataclasses.fields(kind)
        },
    )


def _part(document: bytes, name: str) -> etree._Element:
    part = etree.fromstring(document).find(f"{{*}}{name}")
    assert part is not None
    return part


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.name)
        for path in sorted(RECORDED.glob("*.xml"))
        if path.name not in UNSOUND
    ],
)
def test_sound_recording_is_valid(path: Path, validate: Validate) -> None:
    """A recorded message is valid against the schemas, headers and body."""
    faults = [
        fault
        for part in etree.fromstring(path.read_bytes())
        for element in part
        if element.tag.startswith("{urn:riv:")
        for fault in validate(element)
    ]

    assert faults == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=name) for name in sorted(UNSOUND)]
)
def test_unsound_recording_breaks_a_schema(name: str, validate: Validate) -> None:
    """A recording that is kept for its defect has one."""
    faults = [
        fault
        for part in etree.fromstring((RECORDED / name).read_bytes())
        for element in part
        for fault in validate(element)
    ]

    assert faults != []


@EVERY_CONTRACT
@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_any_written_request_is_valid_and_reads_back(
    contract: Contract[Any, Any], validate: Validate, data: st.DataObject
) -> None:
    """Any request is valid and reads back as itself."""
    request = data.draw(messages(contract.request))
    address = LogicalAddress(data.draw(_TEXT))
    actor = Actor(id=data.draw(_TEXT), type=data.draw(st.sampled_from(ActorType)))

    document = write_request(contract, request, logical_address=address, actor=actor)

    elements = [*_part(document, "Header"), *_part(document, "Body")]
    call = read_call(document)
    assert [validate(element) for element in elements] == [[], [], []]
    assert (call.logical_address, call.actor) == (address, actor)
    assert read_request(contract, call) == request


@EVERY_CONTRACT
@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_any_written_response_is_valid_and_reads_back(
    contract: Contract[Any, Any], validate: Validate, data: st.DataObject
) -> None:
    """Any response is valid and reads back as itself."""
    response = data.draw(messages(contract.response))

    document = write_response(contract, response)

    body = _part(document, "Body")
    assert [validate(element) for element in body] == [[]]
    assert read_response(contract, document) == ContractAnswer(response=response)


@EVERY_CONTRACT
@settings(max_examples=examples(20), deadline=None)
@given(data=st.data())
def test_no_written_message_has_an_empty_element(
    contract: Contract[Any, Any], data: st.DataObject
) -> None:
    """An element without a value is left out: below the root none is ever empty."""
    response = data.draw(messages(contract.response))

    root = _part(write_response(contract, response), "Body")[0]

    empty = [
        element.tag
        for element in root.iterdescendants()
        if len(element) == 0 and not (element.text or "").strip()
    ]
    assert empty == []


@settings(max_examples=examples(60), deadline=None)
@given(
    records=st.lists(messages(ProcessingStatusRecord, complete=True), max_size=3).map(
        tuple
    )
)
def test_any_written_processing_status_is_valid_and_reads_back(
    records: tuple[ProcessingStatusRecord, ...], validate: Validate
) -> None:
    """Any report of an aggregating service is valid and reads back."""
    contract = get_subject_of_care_schedule.CONTRACT
    response = contract.response()

    document = write_response(contract, response, processing_status=records)

    header = _part(document, "Header")
    assert [validate(element) for element in header] == [[]]
    assert read_response(contract, document) == ContractAnswer(
        response=response, processing_status=records
    )


@pytest.mark.parametrize(
    "letter", [pytest.param(letter, id=letter) for letter in "pPtTfF5"]
)
def test_schema_takes_numbers_as_patients_have_them(
    letter: str, validate: Validate
) -> None:
    """The mended schema takes a personal number, and the letters of temporary ones."""
    contract = get_subject_of_care_schedule.CONTRACT
    request = contract.request(
        healthcare_facility="A", subject_of_care=f"19121212{letter}212"
    )
    actor = Actor(id="SE2321000016-X99", type=ActorType.AGENT)

    document = write_request(
        contract, request, logical_address=LogicalAddress("A"), actor=actor
    )

    assert validate(_part(document, "Body")[0]) == []


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("^191212121212$", id="with the anchors of the unmended pattern"),
        pytest.param("1912121212", id="ten digits"),
        pytest.param("19121212-1212", id="a hyphen"),
        pytest.param("19121212A212", id="another letter"),
    ],
)
def test_schema_refuses_what_is_no_number(number: str, validate: Validate) -> None:
    """The mended schema still refuses what is not twelve characters of a number."""
    contract = get_subject_of_care_schedule.CONTRACT
    request = contract.request(healthcare_facility="A", subject_of_care=number)
    actor = Actor(id="SE2321000016-X99", type=ActorType.AGENT)

    document = write_request(
        contract, request, logical_address=LogicalAddress("A"), actor=actor
    )

    assert validate(_part(document, "Body")[0]) != []


def test_generated_text_reaches_beyond_plain_letters() -> None:
    """The generator of these tests is worth its name: it makes more than ASCII."""
    seen: set[str] = set()

    @settings(max_examples=examples(200), database=None)
    @given(_TEXT)
    def collect(text: str) -> None:
        seen.update(text)

    collect()

    assert not seen <= set(string.printable)
