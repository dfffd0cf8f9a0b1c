"""
ProcessingStatus: what tells a unit that failed from one that has nothing.
"""

from collections.abc import Callable

import pytest
from lxml import etree

from fhir_gateway.rivta.binding import MalformedElement
from fhir_gateway.rivta.processing_status import (
    ProcessingStatusRecord,
    StatusCode,
    SynchError,
    read_processing_status,
    write_processing_status,
)
from fhir_gateway.rivta.xml import parse

HEADERS = "urn:riv:interoperability:headers:1"


def _header(inner: str) -> etree._Element:
    return parse(f'<Header xmlns:h="{HEADERS}">{inner}</Header>'.encode())


def _status(inner: str) -> etree._Element:
    return _header(f"<h:ProcessingStatus>{inner}</h:ProcessingStatus>")


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param("", id="nothing"),
        pytest.param("<h:Other/>", id="another header"),
        pytest.param("<h:ProcessingStatusList/>", id="a stray list"),
    ],
)
def test_header_without_status_has_none(inner: str) -> None:
    """A header without ProcessingStatus says nothing of any source."""
    assert read_processing_status(_header(inner)) is None


def test_status_without_records_is_empty() -> None:
    """An aggregating service that asked nobody says so: that is not None."""
    assert read_processing_status(_status("")) == ()


def test_failed_source_may_lack_its_last_success() -> None:
    """A record without `lastSuccessfulSynch`, as skltp/agp writes it, is read."""
    header = _status(
        "<h:ProcessingStatusList><h:logicalAddress>A</h:logicalAddress>"
        "<h:statusCode>NoDataSynchFailed</h:statusCode>"
        "<h:isResponseFromCache>false</h:isResponseFromCache>"
        "<h:isResponseInSynch>false</h:isResponseInSynch>"
        "<h:lastUnsuccessfulSynch>20261001120000</h:lastUnsuccessfulSynch>"
        "<h:lastUnsuccessfulSynchError><h:causingAgent>other</h:causingAgent>"
        "<h:code>504</h:code><h:text>Unknown error</h:text>"
        "</h:lastUnsuccessfulSynchError></h:ProcessingStatusList>"
    )

    assert read_processing_status(header) == (
        ProcessingStatusRecord(
            logical_address="A",
            status_code="NoDataSynchFailed",
            is_response_from_cache=False,
            is_response_in_synch=False,
            last_unsuccessful_synch="20261001120000",
            last_unsuccessful_synch_error=SynchError(
                causing_agent="other", code="504", text="Unknown error"
            ),
        ),
    )


def test_record_with_the_least_is_read() -> None:
    """Address and status are enough; empty elements are absent."""
    header = _status(
        "<h:ProcessingStatusList><h:logicalAddress>A</h:logicalAddress>"
        "<h:statusCode>SomethingNew</h:statusCode><h:lastSuccessfulSynch/>"
        "<h:lastUnsuccessfulSynchError/></h:ProcessingStatusList>"
    )

    assert read_processing_status(header) == (
        ProcessingStatusRecord(logical_address="A", status_code="SomethingNew"),
    )


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        pytest.param(
            "<h:statusCode>DataFromSource</h:statusCode>",
            "ProcessingStatusList/logicalAddress: is missing",
            id="without an address",
        ),
        pytest.param(
            "<h:logicalAddress>A</h:logicalAddress>",
            "ProcessingStatusList/statusCode: is missing",
            id="without a status",
        ),
        pytest.param("", "ProcessingStatusList/logicalAddress: is missing", id="empty"),
        pytest.param(
            "<h:logicalAddress>A</h:logicalAddress>"
            "<h:statusCode>DataFromSource</h:statusCode>"
            "<h:isResponseInSynch>perhaps</h:isResponseInSynch>",
            "ProcessingStatusList/isResponseInSynch: not a boolean: expected true or"
            " false",
            id="with an impossible boolean",
        ),
    ],
)
def test_record_that_says_too_little_is_refused(inner: str, message: str) -> None:
    """A source that cannot be told, or its state, makes the whole status malformed."""
    header = _status(f"<h:ProcessingStatusList>{inner}</h:ProcessingStatusList>")

    with pytest.raises(MalformedElement) as caught:
        read_processing_status(header)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("code", "is_from_source"),
    [
        pytest.param("DataFromSource", True, id="from the source"),
        pytest.param("DataFromCache", False, id="from a cache"),
        pytest.param("DataFromCacheSynchFailed", False, id="from a stale cache"),
        pytest.param("NoDataSynchFailed", False, id="from nowhere"),
        pytest.param("datafromsource", False, id="in another case"),
        pytest.param("", False, id="not said"),
    ],
)
def test_only_one_status_means_read_just_now(code: str, is_from_source: bool) -> None:  # noqa: FBT001 - a table of values
    """Whatever is not plainly from the source is not from the source."""
    record = ProcessingStatusRecord(logical_address="A", status_code=code)

    assert record.is_from_source is is_from_source


def test_status_codes_are_the_schemas() -> None:
    """The four codes are spelt as in the schema."""
    assert [code.value for code in StatusCode] == [
        "DataFromSource",
        "DataFromCache",
        "DataFromCacheSynchFailed",
        "NoDataSynchFailed",
    ]


def test_written_status_reads_back(canonical: Callable[[bytes], str]) -> None:
    """Records are written in the schema's order and namespace, and read back."""
    records = (
        ProcessingStatusRecord(
            logical_address="A",
            status_code="DataFromSource",
            is_response_from_cache=False,
            is_response_in_synch=True,
            last_successful_synch="20261001120000",
        ),
    )
    header = etree.Element("Header")

    write_processing_status(records, header)

    assert canonical(etree.tostring(header)) == canonical(
        f'<Header><ProcessingStatus xmlns="{HEADERS}"><ProcessingStatusList>'
        "<logicalAddress>A</logicalAddress><statusCode>DataFromSource</statusCode>"
        "<isResponseFromCache>false</isResponseFromCache>"
        "<isResponseInSynch>true</isResponseInSynch>"
        "<lastSuccessfulSynch>20261001120000</lastSuccessfulSynch>"
        "</ProcessingStatusList></ProcessingStatus></Header>".encode()
    )
    assert read_processing_status(header) == records
