"""
ProcessingStatus: how a unit that failed differs from one that has nothing.
"""

from collections.abc import Callable

import pytest
from lxml import etree

from fhir_gateway.rivta.processing_status import (
    ProcessingStatusRecord,
    StatusCode,
    SynchError,
    read_processing_status,
    write_processing_status,
)
from fhir_gateway.rivta.rejection import Rejections
from fhir_gateway.rivta.xml import parse

HEADERS = "urn:riv:interoperability:headers:1"


def _header(inner: str) -> etree._Element:
    return parse(f'<Header xmlns:h="{HEADERS}">{inner}</Header>'.encode())


def _status(inner: str) -> etree._Element:
    return _header(f"<h:ProcessingStatus>{inner}</h:ProcessingStatus>")


def _record(address: str) -> str:
    return (
        f"<h:ProcessingStatusList><h:logicalAddress>{address}</h:logicalAddress>"
        "<h:statusCode>DataFromSource</h:statusCode></h:ProcessingStatusList>"
    )


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param("", id="nothing"),
        pytest.param("<h:Actor/>", id="another header"),
        pytest.param('<x:Other xmlns:x="urn:vendor"/>', id="a vendor's header"),
        pytest.param("<Other/>", id="a header in no namespace"),
    ],
)
def test_header_without_status_has_none(inner: str) -> None:
    """A header without ProcessingStatus says nothing of any source."""
    assert read_processing_status(_header(inner), Rejections()) is None


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param(
            _status("<h:ProcessingStatuslist/>"),
            "ProcessingStatuslist: is no element of the contract",
            id="a misspelt record",
        ),
        pytest.param(
            _status("NoDataSynchFailed"),
            "ProcessingStatus/text: stands where elements should",
            id="text",
        ),
        pytest.param(
            _header("<h:ProcesingStatus/>"),
            "ProcessingStatus: is misspelt",
            id="a misspelt header",
        ),
        pytest.param(
            _header("<h:ProcessingStatusList/>"),
            "ProcessingStatus: is misspelt",
            id="a stray list",
        ),
        pytest.param(
            _header('<x:processingStatus xmlns:x="urn:vendor"/>'),
            "ProcessingStatus: is misspelt",
            id="in another namespace",
        ),
        pytest.param(
            _header(
                '<x:Wrapper xmlns:x="urn:vendor"><x:a><h:ProcessingStatus>'
                f"{_record('A')}</h:ProcessingStatus></x:a></x:Wrapper>"
            ),
            "ProcessingStatus: stands inside another header",
            id="in a wrapper",
        ),
    ],
)
def test_what_may_have_been_a_status_is_counted(
    header: etree._Element, reason: str
) -> None:
    """A source that failed is never lost by a misspelling."""
    rejected = Rejections()

    read_processing_status(header, rejected)

    assert rejected.by_reason == {reason: 1}


def test_status_without_records_is_empty() -> None:
    """An aggregating service that asked nobody says so: that is not None."""
    assert read_processing_status(_status(""), Rejections()) == ()


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

    assert read_processing_status(header, Rejections()) == (
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

    assert read_processing_status(header, Rejections()) == (
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
    ],
)
def test_record_that_says_too_little_is_left_out(inner: str, message: str) -> None:
    """A record without address or status spoils itself, and is counted."""
    rejected = Rejections()
    header = _status(
        f"<h:ProcessingStatusList>{inner}</h:ProcessingStatusList>{_record('B')}"
    )

    records = read_processing_status(header, rejected)

    assert records == (
        ProcessingStatusRecord(logical_address="B", status_code="DataFromSource"),
    )
    assert (rejected.by_reason, rejected.keys) == ({message: 1}, {None})


def test_flag_that_is_none_spoils_itself() -> None:
    """Of a record with an impossible boolean everything else is read."""
    rejected = Rejections()
    header = _status(
        "<h:ProcessingStatusList><h:logicalAddress>A</h:logicalAddress>"
        "<h:statusCode>DataFromSource</h:statusCode>"
        "<h:isResponseFromCache>nej</h:isResponseFromCache></h:ProcessingStatusList>"
    )

    assert read_processing_status(header, rejected) == (
        ProcessingStatusRecord(logical_address="A", status_code="DataFromSource"),
    )
    assert rejected.by_reason == {
        "isResponseFromCache: not a boolean: expected true or false": 1
    }


def test_all_statuses_of_a_header_are_read() -> None:
    """Where aggregating services ask one another, each one's records count."""
    header = _header(
        f"<h:ProcessingStatus>{_record('A')}</h:ProcessingStatus><h:Other/>"
        f"<ProcessingStatus>{_record('B')}</ProcessingStatus>"
    )

    assert read_processing_status(header, Rejections()) == (
        ProcessingStatusRecord(logical_address="A", status_code="DataFromSource"),
        ProcessingStatusRecord(logical_address="B", status_code="DataFromSource"),
    )


@pytest.mark.parametrize(
    ("code", "is_from_cache"),
    [
        pytest.param("DataFromSource", False, id="from the source"),
        pytest.param("DataFromCache", True, id="from a cache"),
        pytest.param("DataFromCacheSynchFailed", True, id="from an old cache"),
        pytest.param("NoDataSynchFailed", False, id="from nowhere"),
        pytest.param("SomethingNew", False, id="unknown"),
    ],
)
def test_two_statuses_mean_kept_data(code: str, is_from_cache: bool) -> None:  # noqa: FBT001 - a table of values
    """Data from a cache are data, whether or not the last synch failed."""
    record = ProcessingStatusRecord(logical_address="A", status_code=code)

    assert record.is_from_cache is is_from_cache


@pytest.mark.parametrize(
    ("flags", "is_from_cache"),
    [
        pytest.param({"is_response_from_cache": True}, True, id="from a cache"),
        pytest.param({"is_response_in_synch": False}, True, id="not in synch"),
        pytest.param(
            {"is_response_from_cache": False, "is_response_in_synch": True},
            False,
            id="from the source",
        ),
    ],
)
def test_flags_that_contradict_the_status_mean_kept_data(
    flags: dict[str, bool],
    is_from_cache: bool,  # noqa: FBT001 - a table of values
) -> None:
    """A record of the source itself is of a cache if one of its flags says so."""
    record = ProcessingStatusRecord(
        logical_address="A", status_code="DataFromSource", **flags
    )

    assert (record.is_from_cache, record.is_from_source) == (
        is_from_cache,
        not is_from_cache,
    )


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
    """What is not plainly from the source is not from the source."""
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
    assert read_processing_status(header, Rejections()) == records
